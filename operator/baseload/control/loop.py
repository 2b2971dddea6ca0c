"""The event loop of the operator, which knows how long it stood still: probes, watches and writes wait for it."""

import asyncio
import selectors
import sys
import time
from collections.abc import Callable, Coroutine
from typing import Any

SHORTEST_STALL_SECONDS = 0.005
"""Shorter ones are the ordinary work of an event loop and not worth a call."""

SWITCH_SECONDS = 0.001
"""After so long a thread that assembles signals lets the event loop go on; Python's own 5 ms add up in each turn."""


class TimedSelector(selectors.DefaultSelector):
    """Measures what passes between two looks at the sockets, and how much later than asked a look ends.

    The second is another thread that held the interpreter. `stalled(seconds)` is called after each long one.
    """

    def __init__(self) -> None:
        super().__init__()
        self.stalled: Callable[[float], None] = _nobody
        self._returned = time.perf_counter()

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Look at the sockets as the base class does."""
        called = time.perf_counter()
        stall = called - self._returned
        found = super().select(timeout)
        self._returned = time.perf_counter()
        if timeout is not None:
            stall = max(stall, self._returned - called - max(timeout, 0.0))
        if stall >= SHORTEST_STALL_SECONDS:
            self.stalled(stall)
        return found


def run(main: Callable[[TimedSelector], Coroutine[Any, Any, None]]) -> None:
    """Run `main(selector)` in an event loop over a TimedSelector."""
    sys.setswitchinterval(SWITCH_SECONDS)
    selector = TimedSelector()
    with asyncio.Runner(loop_factory=lambda: asyncio.SelectorEventLoop(selector)) as runner:
        runner.run(main(selector))


def _nobody(_: float) -> None:
    """Until somebody asks to be told."""
