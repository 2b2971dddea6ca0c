"""Signals of every serving from a fixed number of queries: one per signal and profile, never one per object."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from baseload.api.reasons import Reason
from baseload.errors import MetricsError
from baseload.observe.buckets import Boundaries, boundaries
from baseload.observe.fleet import Answer, FleetReading, SignalRequest, all_missing
from baseload.observe.metrics_source import MetricsSource, PartialAnswerError
from baseload.observe.profiles import MetricsProfile
from baseload.observe.queries import Windows, render
from baseload.plan.signals import Missing, ServingSignals
from baseload.plan.snapshot import ServingKey

READ_SECONDS = 5.0
"""All queries of a tick together; what has not answered by then is Unreachable, so that the tick goes on."""

BOUNDARIES_SECONDS = 300.0
"""How long the bucket boundaries of the fleet are believed: they change with engine versions only."""

HISTOGRAMS = {
    "time_to_first_token_buckets": "time_to_first_token_boundaries",
    "inter_token_buckets": "inter_token_boundaries",
}


@dataclass(frozen=True, slots=True)
class _Known:
    """Bucket boundaries and the Unix time they were read."""

    boundaries: Boundaries
    time: float


class SignalReader:
    """Reads the signals of all servings at once; keeps nothing between reads but bucket boundaries."""

    def __init__(
        self,
        source: MetricsSource,
        profiles: Mapping[str, MetricsProfile],
        *,
        scrape_seconds: float,
        learning_window_seconds: float = 15.0,
    ) -> None:
        self._source = source
        self._profiles = profiles
        self._scrape_seconds = scrape_seconds
        self.windows = Windows.for_scrapes(scrape_seconds, learning_window_seconds)
        self._known: dict[tuple[str, str], _Known] = {}

    @property
    def signal_lag_seconds(self) -> float:
        """How far a rate lags behind the world: half its window and a scrape."""
        return self.windows.rate_seconds / 2 + self._scrape_seconds

    async def read(self, now: float, wanted: Sequence[SignalRequest]) -> Mapping[ServingKey, ServingSignals]:
        """The signals of each request at the Unix time `now`; a failure is Missing with its reason, never raised."""
        by_profile: dict[str, list[SignalRequest]] = {}
        for request in wanted:
            by_profile.setdefault(request.profile, []).append(request)
        tasks = {
            (name, query): asyncio.create_task(self._ask(self._profiles[name], query, requests, now))
            for name, requests in by_profile.items()
            if name in self._profiles
            for query in self._profiles[name].templates()
            if query not in HISTOGRAMS.values()
        }
        answers = await _collect(tasks)
        # Indexing a large fleet takes a good part of a second, which the event loop must not stand still for.
        return await asyncio.to_thread(self._assemble, by_profile, answers, now)

    def _assemble(
        self,
        by_profile: Mapping[str, Sequence[SignalRequest]],
        answers: Mapping[tuple[str, str], Answer],
        now: float,
    ) -> Mapping[ServingKey, ServingSignals]:
        found: dict[ServingKey, ServingSignals] = {}
        for name, requests in by_profile.items():
            profile = self._profiles.get(name)
            if profile is None:
                unknown = Missing(Reason.PROFILE_NOT_FOUND, f"no metrics profile is called {name!r}")
                found.update({request.key: all_missing(unknown) for request in requests})
                continue
            own = {query: answer for (owner, query), answer in answers.items() if owner == name}
            reading = FleetReading(profile, own, now=now, scrape_seconds=self._scrape_seconds)
            found.update({request.key: reading.of(request) for request in requests})
        return found

    async def _ask(self, profile: MetricsProfile, query: str, requests: Sequence[SignalRequest], now: float) -> Answer:
        """One query's rows, or why there are none."""
        try:
            selected: tuple[str, ...] = ()
            if query in HISTOGRAMS:
                targets = _targets(query, requests)
                if not targets:
                    return ()
                known = await self._boundaries(profile, HISTOGRAMS[query], now)
                selected = known.around(targets)
                if not selected:
                    return ()
            return await self._source.query(render(profile.templates()[query], self.windows, selected), now)
        except PartialAnswerError as error:
            return Missing(Reason.PARTIAL, str(error))
        except MetricsError as error:
            return Missing(Reason.UNREACHABLE, str(error))

    async def _boundaries(self, profile: MetricsProfile, query: str, now: float) -> Boundaries:
        known = self._known.get((profile.name, query))
        if known is not None and known.boundaries.labels and abs(now - known.time) < BOUNDARIES_SECONDS:
            return known.boundaries
        rows = await self._source.query(render(profile.templates()[query], self.windows), now)
        found = boundaries({row.labels.get("le", ""): row.value for row in rows})
        self._known[profile.name, query] = _Known(found, now)
        return found


def _targets(query: str, requests: Sequence[SignalRequest]) -> set[float]:
    """The different objectives (seconds) that a histogram is compared with."""
    first = query == "time_to_first_token_buckets"
    targets = {r.ttft_target_seconds if first else r.itl_target_seconds for r in requests}
    return {target for target in targets if target is not None}


async def _collect(tasks: Mapping[tuple[str, str], asyncio.Task[Answer]]) -> Mapping[tuple[str, str], Answer]:
    """Wait for all queries, but not longer than a tick can; waiting ones are cancelled before they start."""
    if not tasks:
        return {}
    try:
        done, late = await asyncio.wait(tasks.values(), timeout=READ_SECONDS)
    except asyncio.CancelledError:
        for task in tasks.values():
            task.cancel()
        raise
    for task in late:
        task.cancel()
    no_answer = Missing(Reason.UNREACHABLE, f"Prometheus did not answer all queries in {READ_SECONDS:g} s")
    return {name: task.result() if task in done else no_answer for name, task in tasks.items()}
