"""Whether this process still does its work: ticks come and the event loop turns."""

import asyncio
import time
from collections.abc import Callable

STALLED_TICKS = 3.0
LONGEST_LAG_SECONDS = 5.0
SLOWEST_TICK_SECONDS = 15.0
LAG_SAMPLE_SECONDS = 1.0


class Health:
    """Remembers the last tick and the loop lag; an outage of Prometheus or the API server is not our illness."""

    def __init__(self, tick_seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._limit_seconds = max(STALLED_TICKS * tick_seconds, SLOWEST_TICK_SECONDS)
        self._clock = clock
        self._ticked: float | None = None
        self.lag_seconds = 0.0

    def tick(self) -> None:
        """A tick was completed."""
        self._ticked = self._clock()

    def illness(self) -> str | None:
        """What is wrong in words, None when nothing is; before the first tick nothing can be late."""
        if self.lag_seconds > LONGEST_LAG_SECONDS:
            return f"event loop lag is {self.lag_seconds:.1f} s, more than {LONGEST_LAG_SECONDS:.0f} s"
        if self._ticked is None:
            return None
        age = self._clock() - self._ticked
        if age > self._limit_seconds:
            return f"the last tick was {age:.0f} s ago, more than {self._limit_seconds:.0f} s"
        return None

    async def watch_lag(self, show: Callable[[float], None]) -> None:
        """Measure the event loop's lag until cancelled."""
        while True:
            before = self._clock()
            await asyncio.sleep(LAG_SAMPLE_SECONDS)
            self.lag_seconds = max(self._clock() - before - LAG_SAMPLE_SECONDS, 0.0)
            show(self.lag_seconds)
