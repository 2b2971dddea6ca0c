"""Wiring: kopf handlers, work queue, ticker, probes and settings."""
