"""Until when this process may write: asked in the one function that sends, just before each write."""

import math
import time
from collections.abc import Callable

from baseload.errors import NotLeaderError

# A monotonic clock stands still while a machine is suspended; the lease of a suspended leader runs out all the same.
_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


def boot_seconds() -> float:
    """Seconds since boot, those of a suspended machine included where the system counts them."""
    return time.clock_gettime(_CLOCK)


class Fence:
    """Shut at first; the elector opens it up to a deadline, and further with each renewal of the lease.

    `clock` counts seconds and is the elector's.
    """

    def __init__(self, clock: Callable[[], float] = boot_seconds) -> None:
        self._clock = clock
        self._deadline = -math.inf

    @classmethod
    def always_open(cls) -> "Fence":
        """The fence of a process that shares its work with nobody."""
        fence = cls()
        fence.open_until(math.inf)
        return fence

    @property
    def is_open(self) -> bool:
        """Whether a write would pass now."""
        return self._clock() < self._deadline

    def open_until(self, deadline: float) -> None:
        """Let writes pass until `deadline`."""
        self._deadline = deadline

    def shut(self) -> None:
        """Let nothing pass any more."""
        self._deadline = -math.inf

    def seconds_left(self) -> float:
        """How long a write that starts now may take; raises NotLeaderError when it must not start at all."""
        left = self._deadline - self._clock()
        if left > 0.0:
            return left
        if self._deadline == -math.inf:
            raise NotLeaderError("not sent: this process does not lead")
        raise NotLeaderError(f"not sent: the lease had to be renewed {-left:.1f} s ago")
