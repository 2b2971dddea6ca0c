"""The decision: pure functions on frozen dataclasses, without I/O, clock, randomness or framework."""
