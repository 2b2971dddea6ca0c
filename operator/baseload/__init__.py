"""Baseload keeps AI models inside their latency objective at the least cost."""

__version__ = "0.1.0"
