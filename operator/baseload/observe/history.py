"""Demand of past buckets from Prometheus: output tokens that were asked for each second, for the whole fleet at once.

One query per signal and slice of time, whatever the number of servings. A slice holds no more points than a server
allows; one that is refused or takes too long is halved after a pause, and a server that goes on refusing is left alone.
"""

import asyncio
import logging
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from baseload.errors import MetricsError
from baseload.observe.fleet import SignalRequest
from baseload.observe.identity import Workload, assign
from baseload.observe.metrics_source import RangeSeries, RangeSource
from baseload.observe.profiles import MetricsProfile
from baseload.observe.queries import BY_LABEL, BY_POD, Grouping, Windows, render
from baseload.observe.regroup import WORKLOAD_LABEL
from baseload.plan.snapshot import ServingKey

logger = logging.getLogger(__name__)

MOST_POINTS = 1000
"""Points of a slice: Prometheus allows 11,000 a series."""

MOST_VALUES = 200_000
"""Points of all servings together in one slice: an answer is 25 MB of Python's objects while it is read."""

LEAST_POINTS = 12

MOST_FAILURES = 6
"""After so many failures in a row, the last of them after a pause of a minute, the query is not too large."""

FIRST_PAUSE_SECONDS = 1.0

WHOLE_SHARE = 0.8
"""Share of the scrapes of a bucket that Prometheus must have somewhere in the fleet: else it was down itself."""

OWN_SHARE = 0.5
"""Share of them that a workload needs: fewer is one that had just begun, or could not be scraped."""

TOKENS, ARRIVALS, DONE, GROWTH, EACH, SAMPLES = (
    "output_tokens",
    "arrivals",
    "completions",
    "in_flight_growth",
    "output_tokens_per_request",
    "samples",
)

Floats = NDArray[np.float64]
Rows = Mapping[Workload, Floats]
"""Values of each workload, one a bucket of the slice, NaN where there is none."""


@dataclass(frozen=True, slots=True)
class Slice:
    """Some neighbouring buckets by their indices (start over length), the end excluded."""

    first: int
    end: int

    @property
    def halves(self) -> tuple["Slice", ...]:
        """Two slices instead of one, the older first; none for a single bucket."""
        middle = (self.first + self.end) // 2
        return (Slice(self.first, middle), Slice(middle, self.end)) if self.end - self.first > 1 else ()


@dataclass(frozen=True, slots=True, eq=False)
class Past:
    """Demand of some servings in a slice: output tokens per second, one a bucket, NaN for a gap."""

    part: Slice
    demand: Mapping[ServingKey, Floats]


class HistoryReader:
    """Reads the past of servings, the newest slice first, so that what matters most is there early."""

    def __init__(
        self,
        source: RangeSource,
        profiles: Mapping[str, MetricsProfile],
        *,
        scrape_seconds: float,
        bucket_seconds: float,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._source = source
        self._profiles = profiles
        self._bucket_seconds = bucket_seconds
        self._windows = Windows.for_scrapes(scrape_seconds, scrape_seconds).over(bucket_seconds)
        self._scrapes = self._windows.rate_seconds / scrape_seconds
        self._sleep = sleep

    async def read(self, requests: Sequence[SignalRequest], whole: Slice, patience: int) -> AsyncIterator[Past]:
        """The past of servings, slice by slice; ends early when `patience` buckets in a row are empty for all.

        Raises MetricsError when Prometheus goes on failing; what was handed out before is good.
        """
        by_profile: dict[str, list[SignalRequest]] = defaultdict(list)
        for request in requests:
            by_profile[request.profile].append(request)
        points = max(min(MOST_VALUES // max(len(requests), 1), MOST_POINTS), LEAST_POINTS)
        edges, empty = [*range(whole.end, whole.first, -points), whole.first], 0
        for later, earlier in pairwise(edges):
            part = Slice(earlier, later)
            demand: dict[ServingKey, Floats] = {}
            for name, wanted in by_profile.items():
                profile = self._profiles.get(name)
                if profile is not None and TOKENS in profile.signals():
                    demand.update(await self._slice(profile, wanted, part))
            known = sum(int(np.isfinite(row).sum()) for row in demand.values())
            logger.info("history read", extra={"since": earlier * self._bucket_seconds, "buckets": known})
            yield Past(part, demand)
            empty = 0 if known else empty + part.end - part.first
            if empty >= patience:
                return

    async def _slice(
        self, profile: MetricsProfile, requests: Sequence[SignalRequest], whole: Slice
    ) -> Mapping[ServingKey, Floats]:
        """One slice of one profile; a part that fails is halved."""
        found = {request.key: np.full(whole.end - whole.first, np.nan) for request in requests}
        waiting, failures = [whole], 0
        while waiting:
            part = waiting.pop()
            try:
                demand = await self._demand(profile, requests, part)
            except MetricsError as error:
                failures += 1
                logger.warning("history not read", extra={"profile": profile.name, "error": str(error)})
                if failures == MOST_FAILURES:
                    raise
                await self._sleep(FIRST_PAUSE_SECONDS * 2.0**failures)
                waiting += part.halves or (part,)
                continue
            failures = 0
            for key, row in demand.items():
                found[key][part.first - whole.first : part.end - whole.first] = row
        return found

    async def _demand(
        self, profile: MetricsProfile, requests: Sequence[SignalRequest], part: Slice
    ) -> Mapping[ServingKey, Floats]:
        """Demand over a slice; pods without the label count by their names, where no label is known."""
        names = (TOKENS, ARRIVALS, DONE, GROWTH, EACH, SAMPLES)
        templates = {name: text for name, text in profile.templates().items() if name in names}
        place = self._placed(part)
        rows: dict[str, Rows] = {}
        for name, text in templates.items():
            answer = await self._ask(profile, text, BY_LABEL, part)
            # Adding up a large fleet takes long enough to be felt by the event loop.
            rows[name] = await asyncio.to_thread(_by_label, answer, place)
        wanted, labelled = {request.at for request in requests}, frozenset(rows[SAMPLES])
        if not wanted <= labelled:
            grouping = BY_POD.within({namespace for namespace, _ in wanted - labelled})
            for name in templates.keys() - {EACH}:
                strangers = await self._ask(profile, templates[name], grouping, part)
                rows[name] = {**_by_name(strangers, wanted - labelled, place, name), **rows[name]}
        return await asyncio.to_thread(demand_of, rows, requests, self._scrapes)

    async def _ask(
        self, profile: MetricsProfile, template: str, grouping: Grouping, part: Slice
    ) -> tuple[RangeSeries, ...]:
        confined = grouping.within(profile.namespaces) if profile.namespaces else grouping
        promql = render(template, self._windows, (), confined)
        # A bucket is read at its end, looking back over its length.
        start, end = (part.first + 1) * self._bucket_seconds, part.end * self._bucket_seconds
        return await self._source.query_range(promql, start, end, self._bucket_seconds)

    def _placed(self, part: Slice) -> Callable[[RangeSeries], Floats]:
        """Put the values of a row where their buckets are."""

        def place(row: RangeSeries) -> Floats:
            values = np.full(part.end - part.first, np.nan)
            at = np.rint(row.times / self._bucket_seconds).astype(int) - 1 - part.first
            inside = (at >= 0) & (at < values.size) & np.isfinite(row.values)
            values[at[inside]] = row.values[inside]
            return values

        return place


def demand_of(rows: Mapping[str, Rows], requests: Sequence[SignalRequest], scrapes: float) -> dict[ServingKey, Floats]:
    """Demand of each serving that has any row, NaN in buckets of which too few of the `scrapes` are there.

    A rate is what was counted over the whole bucket, also where Prometheus saw a part of it only: that is put right.
    """
    samples = rows[SAMPLES]
    if not samples:
        return {}
    seen = np.minimum(np.fmax.reduce(list(samples.values())) / scrapes, 1.0)
    found = {}
    for request in requests:
        if request.at in samples and request.at in rows[TOKENS]:
            is_known = (seen >= WHOLE_SHARE) & (samples[request.at] >= OWN_SHARE * scrapes)
            asked = _asked_for(rows, request.at) / np.where(is_known, seen, 1.0)
            found[request.key] = np.where(is_known, asked, np.nan)
    return found


def _asked_for(rows: Mapping[str, Rows], workload: Workload) -> Floats:
    """Tokens asked for a second: arrivals times tokens of a request, so that queues that grew are added back.

    Where no request ended there is no such ratio, and the tokens that were generated count.
    """
    tokens = rows[TOKENS][workload]
    nothing = np.full_like(tokens, np.nan)
    each, arrived, done, growth = (rows.get(name, {}).get(workload, nothing) for name in (EACH, ARRIVALS, DONE, GROWTH))
    offered = np.where(np.isfinite(arrived), arrived, done + growth)
    with np.errstate(divide="ignore", invalid="ignore"):
        asked = np.maximum(offered * np.where(np.isfinite(each), each, tokens / done), 0.0)
    return np.where(np.isfinite(asked), asked, tokens)


def _by_label(answer: Sequence[RangeSeries], place: Callable[[RangeSeries], Floats]) -> Rows:
    return {(row.labels.get("namespace", ""), row.labels.get(WORKLOAD_LABEL, "")): place(row) for row in answer}


def _by_name(
    answer: Sequence[RangeSeries], wanted: set[Workload], place: Callable[[RangeSeries], Floats], signal: str
) -> Rows:
    """Pods of the past have no owner any more, so only names that can mean one workload count."""
    pods = {(row.labels.get("namespace", ""), row.labels.get("pod", "")): row for row in answer}
    of: dict[Workload, list[Floats]] = defaultdict(list)
    for pod, workload in assign(pods, (), wanted).pods.items():
        of[workload].append(place(pods[pod]))
    together = np.nanmax if signal == SAMPLES else np.nansum
    return {workload: _where_known(rows, together) for workload, rows in of.items()}


def _where_known(rows: list[Floats], together: Callable[..., Floats]) -> Floats:
    """Rows of several pods in one; NaN where none has a value."""
    stacked = np.array(rows)
    known = np.isfinite(stacked).any(axis=0)
    return np.where(known, together(np.where(known, stacked, 0.0), axis=0), np.nan)
