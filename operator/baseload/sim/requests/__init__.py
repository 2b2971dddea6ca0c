"""Replay request by request: each arrival, queue and iteration of every replica, in virtual time."""
