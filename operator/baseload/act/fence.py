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
    """Shut at first; the elector opens it up to a deadline and further with each renewed lease.

    `lost(why)` is called when a deadline is found to have passed: in the operator it ends the process and does not
    return. `clock` counts seconds and is the elector's.
    """

    def __init__(self, lost: Callable[[str], None], clock: Callable[[], float] = boot_seconds) -> None:
        self._lost = lost
        self._clock = clock
        self._deadline = -math.inf

    @classmethod
    def always_open(cls) -> "Fence":
        """The fence of a process that shares its work with nobody."""
        fence = cls(lambda _: None)
        fence.open_until(math.inf)
        return fence

    def open_until(self, deadline: float) -> None:
        """Let writes pass until `deadline`."""
        self._deadline = deadline

    def shut(self) -> None:
        """Let nothing pass any more."""
        self._deadline = -math.inf

    def seconds_left(self) -> float:
        """How long a write that starts now may take; raises NotLeaderError when it must not start at all."""
        if self._deadline == -math.inf:
            raise NotLeaderError("not written: this process does not lead")
        left = self._deadline - self._clock()
        if left <= 0.0:
            self._lost(f"the lease was due {-left:.1f} s ago and a write was about to be sent")
            raise NotLeaderError("not written: the lease was not renewed in time")
        return left
