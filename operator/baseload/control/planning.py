"""The planner: each minute, and when a bucket ends or a past was read, an outlook for every serving.

It runs beside the tick, which only reads the newest outlook. Servings are planned in groups, in a worker thread, and a
group's outlooks are there as soon as it is done. What was learned lives in this process only: after a start or a change
of leader it is learned again from the history.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass, field

from baseload.control.foreseeing import Question, Subject, Term, foresee, terms_of
from baseload.control.past import PastKeeper
from baseload.control.planner_metrics import PlannerMetrics
from baseload.control.servings import Servings
from baseload.observe.history import HistoryReader, Past
from baseload.plan.forecast.demand_block import Grid
from baseload.plan.forecast.foresight import Foresight
from baseload.plan.outlook import Answer
from baseload.plan.pool_offer import Economics
from baseload.plan.signals import Missing, ServingSignals, Value
from baseload.plan.snapshot import ServingKey

logger = logging.getLogger(__name__)

GROUP = 64
"""Servings that are planned together: the first time it takes a second or two."""

VALID_PERIODS = 4.0
"""An outlook is followed for so many periods of the planner: after that something is wrong with it."""

SAMPLES = 40
"""Demand is looked at so many times in a bucket, or at each tick where buckets are short."""

RUNNING_SHARE = 0.2
"""Part of the running bucket that must have passed before its mean says something."""

REPLAYED_DAYS = 3
MOST_REPLAYED = 300
"""A fleet of up to so many servings replays the last days at the start, which takes some 0.1 s of a processor each; in
a larger one the experts are judged from now on."""


@dataclass(frozen=True, slots=True)
class PlannerSettings:
    """How time is cut and how often is planned; `given` is demand from a file."""

    grid: Grid = field(default_factory=Grid)
    period_seconds: float = 60.0
    given: Past | None = None


@dataclass(slots=True, eq=False)
class _Group:
    """Servings that are planned together, in a fixed order, their last terms, and what was learned of them.

    `pasts` counts how often a past was read that they did not know.
    """

    keys: tuple[ServingKey, ...]
    terms: dict[ServingKey, Term]
    foresight: Foresight | None = None
    pasts: int = 0


class Planner:
    """Keeps the outlooks of all servings current while this process leads."""

    def __init__(
        self,
        servings: Servings,
        reader: HistoryReader,
        settings: PlannerSettings,
        *,
        economics: Economics,
        lag_seconds: float,
        leading: asyncio.Event,
        metrics: PlannerMetrics,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._servings = servings
        self._settings = settings
        self._economics = economics
        self._lag_seconds = lag_seconds
        self._leading = leading
        self._metrics = metrics
        self._clock = clock
        self._past = PastKeeper(servings, reader, settings.grid, settings.given, was_read=self._relearn)
        self._groups: list[_Group] = []
        self._seen_time = 0.0
        self._wake = asyncio.Event()

    async def run(self) -> None:
        """Plan until cancelled, once this process leads."""
        await self._leading.wait()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._past.run())
            tasks.create_task(self._keep_planned())

    def observe(self, signals: Mapping[ServingKey, ServingSignals], now: float) -> None:
        """Take demand into the running bucket, some dozen times in each; a gap adds nothing.

        A rate lags behind by half its window.
        """
        at, bucket_seconds = now - self._lag_seconds, self._settings.grid.bucket_seconds
        passed = min(max(at - self._seen_time, 0.0), bucket_seconds) if self._seen_time else 0.0
        if 0.0 <= at - self._seen_time < bucket_seconds / SAMPLES:
            return
        self._seen_time = at
        book = self._past.book
        if book.move_on(at):
            self._wake.set()
        for key, seen in signals.items():
            demand = self._demand(key, seen)
            if demand is not None and passed:
                book.record(key, at, demand, passed)

    def forget(self, key: ServingKey) -> None:
        """Drop a serving that is gone; its place in its group stays empty."""
        self._past.forget(key)

    def _demand(self, key: ServingKey, seen: ServingSignals) -> float | None:
        """Output tokens per second that are asked for, None when that is not known."""
        if isinstance(seen.offered_rps, Missing):
            return None
        if not isinstance(seen.offered_rps, Value):
            return 0.0
        record = self._servings.records.get(key)
        each = None if record is None else record.memory.model.tokens_per_request
        if each is None and isinstance(seen.output_tokens_per_request, Value):
            each = seen.output_tokens_per_request.value
        return None if each is None else seen.offered_rps.value * each

    def _relearn(self, keys: Collection[ServingKey]) -> None:
        """Begin groups anew whose servings' past was read, as far as it was."""
        for group in self._groups:
            if not set(keys).isdisjoint(group.keys):
                group.foresight, group.pasts = None, group.pasts + 1
        self._wake.set()

    async def _keep_planned(self) -> None:
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._settings.period_seconds):
                    await self._wake.wait()
            self._wake.clear()
            if self._past.book.end:
                try:
                    await self._plan_all()
                except Exception:
                    logger.exception("round of the planner failed")

    async def _plan_all(self) -> None:
        """One round: groups for whoever came, then group by group."""
        began = time.perf_counter()
        subjects = self._subjects()
        terms = await asyncio.to_thread(terms_of, subjects, self._settings.grid, self._lag_seconds, self._economics)
        self._regroup(terms)
        for group in self._groups:
            await self._plan_group(group, len(terms))
        outlooks = [record.outlook for record in self._servings.records.values()]
        planned = sum(outlook is not None and outlook.answered_by is not Answer.REACTIVE for outlook in outlooks)
        self._metrics.ended(time.perf_counter() - began, self._clock(), planned, len(outlooks) - planned)

    def _subjects(self) -> dict[ServingKey, Subject]:
        """The servings to plan for: those that are scaled and whose past was looked for."""
        found = {}
        for key, record in self._servings.records.items():
            state = record.looked
            if state is None or state.target is None or state.refusal is not None or not self._past.is_read(key):
                continue
            found[key] = state, record.memory.model
        return found

    def _regroup(self, terms: Mapping[ServingKey, Term]) -> None:
        """Drop groups of which nobody is left, and put servings of no group into new ones."""
        self._groups = [group for group in self._groups if not terms.keys().isdisjoint(group.keys)]
        for group in self._groups:
            group.terms.update({key: terms[key] for key in group.keys if key in terms})
        grouped = {key for group in self._groups for key in group.keys}
        new = [key for key in terms if key not in grouped]
        for at in range(0, len(new), GROUP):
            keys = tuple(new[at : at + GROUP])
            self._groups.append(_Group(keys, {key: terms[key] for key in keys}))

    async def _plan_group(self, group: _Group, fleet: int) -> None:
        """Learn from the buckets that ended, look ahead, and hand the outlooks to the servings."""
        now, book = self._clock(), self._past.book
        complete = newest = book.block(group.keys, with_running=False)
        if (now - self._lag_seconds) / self._settings.grid.bucket_seconds - book.end >= RUNNING_SHARE:
            newest = book.block(group.keys, with_running=True)
        question = Question(
            keys=group.keys,
            terms=[group.terms[key] for key in group.keys],
            known=group.foresight,
            complete=complete,
            newest=newest,
            replayed_days=REPLAYED_DAYS if fleet <= MOST_REPLAYED else 0,
            now=now,
            valid_until=now + VALID_PERIODS * self._settings.period_seconds,
        )
        pasts = group.pasts
        learned, outlooks = await asyncio.to_thread(foresee, question)
        if group.pasts == pasts:
            # Else a past was read meanwhile, and the group begins anew in the next round.
            group.foresight = learned
        for key, outlook in outlooks.items():
            record = self._servings.records.get(key)
            if record is not None:
                record.outlook = outlook
