"""Demand to replay: loaders for public formats and a generator."""
