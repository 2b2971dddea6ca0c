"""Whether this process still does its work: it gets on, leading or standing by, and the event loop turns."""

import asyncio
import time
from collections.abc import Callable

STALLED_TICKS = 3.0
LONGEST_LAG_SECONDS = 5.0
SLOWEST_TICK_SECONDS = 15.0
LAG_SAMPLE_SECONDS = 1.0


class Health:
    """Remembers the last progress and the loop lag; an outage of Prometheus or the API server is not our illness.

    Progress is a completed tick, a look around on standby, and a write that ended well or badly: each of them is
    bounded in time, while a tick with thousands of writes to a slow API server is not.
    """

    def __init__(self, tick_seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._limit_seconds = max(STALLED_TICKS * tick_seconds, SLOWEST_TICK_SECONDS)
        self._clock = clock
        self._progressed: float | None = None
        self.lag_seconds = 0.0

    def progress(self) -> None:
        """A piece of work is done."""
        self._progressed = self._clock()

    def illness(self) -> str | None:
        """What is wrong in words, None when nothing is; before the first progress nothing can be late."""
        if self.lag_seconds > LONGEST_LAG_SECONDS:
            return f"event loop lag is {self.lag_seconds:.1f} s, more than {LONGEST_LAG_SECONDS:.0f} s"
        if self._progressed is None:
            return None
        age = self._clock() - self._progressed
        if age > self._limit_seconds:
            return f"no progress for {age:.0f} s, more than {self._limit_seconds:.0f} s"
        return None

    async def watch_lag(self, show: Callable[[float], None]) -> None:
        """Measure the event loop's lag until cancelled."""
        while True:
            before = self._clock()
            await asyncio.sleep(LAG_SAMPLE_SECONDS)
            self.lag_seconds = max(self._clock() - before - LAG_SAMPLE_SECONDS, 0.0)
            show(self.lag_seconds)
