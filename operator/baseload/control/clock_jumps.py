"""Whether somebody set the wall clock: what was remembered by its time then means nothing any more."""

import time
from collections.abc import Callable

LEAST_JUMP_SECONDS = 2.0
"""A clock that is only slewed drifts by milliseconds in a tick."""


class ClockJumps:
    """Compares the wall clock with a steady one; a machine that was suspended looks like a jump too, and rightly so."""

    def __init__(self, wall: Callable[[], float], steady: Callable[[], float] = time.monotonic) -> None:
        self._wall = wall
        self._steady = steady
        self._gap = wall() - steady()

    def seconds(self) -> float:
        """How far the wall clock was set since the last look, 0 when it was not."""
        gap = self._wall() - self._steady()
        jump = gap - self._gap
        # What is slewed adds up over days without being a jump.
        self._gap = gap
        return jump if abs(jump) >= LEAST_JUMP_SECONDS else 0.0
