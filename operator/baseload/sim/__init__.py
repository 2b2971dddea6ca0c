"""Replay: recorded or made demand against policies, the operator's own `plan()` among them. No cluster, no clock."""
