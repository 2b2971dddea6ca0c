"""One round of decisions: each serving by its own rules, then all together over the free accelerators, then carried.

Portion by portion, so that watches and probes are served in between; one broken serving never stops the others.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from baseload.control.metrics import OperatorMetrics
from baseload.control.servings import Looked, Servings
from baseload.observe.accelerators import AcceleratorBook
from baseload.observe.cluster import Cluster
from baseload.plan.ask import Ask
from baseload.plan.decision import Decision
from baseload.plan.fleet import Share, share
from baseload.plan.planner import Proposal, propose, settle
from baseload.plan.snapshot import ServingKey, Snapshot

logger = logging.getLogger(__name__)

T = TypeVar("T")

PORTION = 40
"""Servings looked at without a break: about 5 ms."""

Shares = Mapping[ServingKey, Share]


@dataclass(frozen=True, slots=True)
class Proposed:
    """A serving as looked at in this round and what it wants."""

    look: Looked
    proposal: Proposal | Decision

    @property
    def ask(self) -> Ask | None:
        """What it asks of the free accelerators."""
        return self.proposal.ask


class Decider:
    """Looks at servings and decides for them; `act` takes every decision.

    A serving for which a write is in progress (`is_busy`) is `postponed`: it is decided on when that has ended.
    """

    def __init__(
        self,
        cluster: Cluster,
        servings: Servings,
        metrics: OperatorMetrics,
        clock: Callable[[], float],
        *,
        act: Callable[[Looked, Decision], None],
        is_busy: Callable[[ServingKey], bool],
    ) -> None:
        self.postponed: set[ServingKey] = set()
        self._act = act
        self._is_busy = is_busy
        self._cluster = cluster
        self._servings = servings
        self._metrics = metrics
        self._clock = clock
        self._broken: set[ServingKey] = set()

    async def decide(self, keys: Sequence[ServingKey], frame: Callable[[float], Snapshot]) -> None:
        """Decide for the servings; `frame(now)` is a snapshot without servings.

        What the others wait for takes part, so that nobody gets what is another's turn, or what was granted before.
        """
        watch = _StopWatch()
        book, proposed = self._cluster.accelerators(), list[Proposed]()
        for portion in _portions(keys):
            with watch:
                proposed += self._propose(portion, book, frame(self._clock()))
            await asyncio.sleep(0)
        with watch:
            shares = self._share(proposed, book)
        for some in _portions(proposed):
            with watch:
                self._settle(some, shares)
            await asyncio.sleep(0)
        self._metrics.plan.observe(watch.seconds)

    def _propose(self, keys: Sequence[ServingKey], book: AcceleratorBook, frame: Snapshot) -> list[Proposed]:
        rows = []
        for key in keys:
            entry = self._cluster.catalog.entries.get(key)
            if entry is None or self._postpone(key):
                continue
            try:
                look = self._servings.look(entry, book, frame.now)
                if look is not None:
                    rows.append(Proposed(look, propose(frame, look.state)))
            except Exception as error:
                self._report_broken(key, error)
        return rows

    def _share(self, proposed: Sequence[Proposed], book: AcceleratorBook) -> Shares:
        """Share out what is free among the servings of this round and all that wait; in doubt nothing is cut."""
        asks = [p.ask for p in proposed if p.ask is not None]
        try:
            rivals = self._servings.rivals(book, {p.look.state.key for p in proposed})
            return share([*asks, *rivals], book.free)
        except Exception:
            self._metrics.failures.inc()
            logger.exception("accelerators not shared out")
            return {}

    def _settle(self, proposed: Sequence[Proposed], shares: Shares) -> None:
        for each in proposed:
            look, proposal = each.look, each.proposal
            key = look.state.key
            if self._postpone(key):
                continue
            try:
                decision = proposal if isinstance(proposal, Decision) else settle(proposal, shares.get(key))
                self._act(look, decision)
            except Exception as error:
                self._report_broken(key, error)
                continue
            look.record.memory, look.record.looked = decision.memory, look.state
            self._servings.keep_ask(key, look.record, decision.ask)
            self._broken.discard(key)

    def _postpone(self, key: ServingKey) -> bool:
        """Whether a write for the serving is in progress, so that it has to wait."""
        busy = self._is_busy(key)
        if busy:
            self.postponed.add(key)
        return busy

    def _report_broken(self, key: ServingKey, error: Exception) -> None:
        """Say it once; the others go on."""
        self._metrics.failures.inc()
        if key not in self._broken:
            self._broken.add(key)
            logger.error("serving could not be decided on", extra={"serving": str(key)}, exc_info=error)


class _StopWatch:
    """Seconds spent inside its blocks."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._began = 0.0

    def __enter__(self) -> None:
        self._began = time.perf_counter()

    def __exit__(self, *_: object) -> None:
        self.seconds += time.perf_counter() - self._began


def _portions(items: Sequence[T]) -> Iterator[Sequence[T]]:
    for start in range(0, len(items), PORTION):
        yield items[start : start + PORTION]
