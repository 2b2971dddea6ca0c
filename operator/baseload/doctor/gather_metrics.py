"""What Prometheus has of the servings: a fixed number of queries, whatever their number."""

import asyncio
from collections.abc import Mapping, Sequence
from math import isfinite
from typing import Final

from baseload.doctor.facts import Metrics, Series, Server
from baseload.doctor.world import World
from baseload.errors import MetricsError
from baseload.observe import metrics_source
from baseload.observe.fleet import SignalRequest
from baseload.observe.metrics_source import MetricsSource
from baseload.observe.profiles import MetricsProfile
from baseload.observe.queries import Windows, duration, render
from baseload.observe.regroup import WORKLOAD_LABEL
from baseload.observe.signals import SignalReader

LEAST_WINDOW_SECONDS: Final = 20.0
SCRAPES_COUNTED: Final = 10.0
LEARNING_SECONDS: Final = 15.0

REQUEST_HISTOGRAMS: Final[Mapping[str, str]] = {
    "vllm": "vllm:e2e_request_latency_seconds_bucket",
    "sglang": "sglang:e2e_request_latency_seconds_bucket",
    "trtllm": "trtllm_e2e_request_latency_seconds_bucket",
    "dynamo": "dynamo_frontend_request_duration_seconds_bucket",
}
"""The histogram of the time of a whole request, by profile; an engine without one cannot be checked for its grace."""

Rows = tuple[metrics_source.Series, ...]


async def gather_metrics(
    server: Server,
    source: MetricsSource,
    world: World,
    profiles: Mapping[str, MetricsProfile],
    *,
    now: float,
    scrape_seconds: float,
) -> Metrics:
    """Ask everything at the Unix time `now` of Prometheus' own clock; a query that fails leaves its part empty.

    This machine's clock does not count: whether the clocks agree is a check of its own.
    """
    # A profile that nobody knows is a finding of its own.
    wanted = [request for request in requests_of(world) if request.profile in profiles]
    used = {name: profiles[name] for name in sorted({r.profile for r in wanted})}
    windows = Windows.for_scrapes(scrape_seconds, LEARNING_SECONDS)
    queries = {name: render(profile.running, windows) for name, profile in used.items()}
    ask = _Asker(source, now)
    reader = SignalReader(_OwnTime(source), profiles, scrape_seconds=scrape_seconds)
    # First by itself: it has a deadline of its own, and the threads that ask are few.
    signals = await reader.read(now, wanted)
    counted, labelled, unlabelled, generation = await asyncio.gather(
        ask.rows(_scrapes_query(scrape_seconds)),
        ask.each(queries),
        ask.each({name: render(profile.templates()["unlabelled"], windows) for name, profile in used.items()}),
        ask.each({name: _generation_query(REQUEST_HISTOGRAMS[name]) for name in used if name in REQUEST_HISTOGRAMS}),
    )
    window = _window_seconds(scrape_seconds)
    return Metrics(
        server=server,
        scrape_seconds={_series(row): window / row.value for row in counted if row.value > 0},
        generation_seconds={_series(r): r.value for rows in generation.values() for r in rows if isfinite(r.value)},
        labelled={name: tuple(_series(row) for row in rows) for name, rows in labelled.items()},
        unlabelled={name: tuple(_pod(row) for row in rows) for name, rows in unlabelled.items()},
        queries=queries,
        signals=signals,
    )


def requests_of(world: World) -> Sequence[SignalRequest]:
    """One request for the signals of each serving whose workload is there."""
    return [accepted.signal_request(entry.key) for entry, accepted, _ in world.scaled()]


class _OwnTime:
    """A source that is asked by its own clock already."""

    clock_offset_seconds = 0.0

    def __init__(self, source: MetricsSource) -> None:
        self._source = source

    async def query(self, promql: str, time: float) -> Rows:
        """Pass it on."""
        return await self._source.query(promql, time)


class _Asker:
    """Queries at one instant, whose failures are empty answers: the signals tell why."""

    def __init__(self, source: MetricsSource, now: float) -> None:
        self._source, self._now = source, now

    async def rows(self, query: str) -> Rows:
        try:
            return await self._source.query(query, self._now)
        except MetricsError:
            return ()

    async def each(self, queries: Mapping[str, str]) -> Mapping[str, Rows]:
        answers = await asyncio.gather(*(self.rows(query) for query in queries.values()))
        return dict(zip(queries, answers, strict=True))


def _scrapes_query(scrape_seconds: float) -> str:
    """Scrapes in the window of the pod with most of them, among pods that were there before it."""
    window = duration(_window_seconds(scrape_seconds))
    target = f'up{{{WORKLOAD_LABEL}!=""}}'
    both = f"count_over_time({target}[{window}]) and {target} offset {window}"
    return f"max by (namespace, {WORKLOAD_LABEL}) ({both})"


def _window_seconds(scrape_seconds: float) -> float:
    return max(SCRAPES_COUNTED * scrape_seconds, LEAST_WINDOW_SECONDS)


def _generation_query(histogram: str) -> str:
    rates = f'rate({histogram}{{{WORKLOAD_LABEL}!=""}}[1h])'
    return f"histogram_quantile(0.99, sum by (namespace, {WORKLOAD_LABEL}, le) ({rates}))"


def _series(row: metrics_source.Series) -> Series:
    return row.labels.get("namespace", ""), row.labels.get(WORKLOAD_LABEL, "")


def _pod(row: metrics_source.Series) -> Series:
    return row.labels.get("namespace", ""), row.labels.get("pod", "")
