"""Signals of every serving from a fixed number of queries: one per signal and profile, never one per object."""

import asyncio
import logging
from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import dataclass

from baseload.api.reasons import Reason
from baseload.errors import MetricsError
from baseload.observe.buckets import Boundaries, boundaries
from baseload.observe.fleet import Circumstances, FleetReading, SignalRequest, all_missing
from baseload.observe.identity import Assignment, Pod, Workload, assign, owners_query
from baseload.observe.metrics_source import MetricsSource, PartialAnswerError, Series
from baseload.observe.profiles import MetricsProfile
from baseload.observe.queries import BY_LABEL, BY_POD, Grouping, Windows, render
from baseload.observe.regroup import Answer, merged
from baseload.observe.suspicion import suspicions
from baseload.plan.signals import Identity, Missing, ServingSignals
from baseload.plan.snapshot import ServingKey

logger = logging.getLogger(__name__)

READ_SECONDS = 5.0
"""All queries of a tick together; what has not answered by then is Unreachable, so that the tick goes on."""

BOUNDARIES_SECONDS = 300.0
"""How long the bucket boundaries of the fleet are believed: they change with engine versions only."""

FAULTS_SECONDS = 60.0
"""How long the last search for forged, mixed and duplicated series stands; it joins the whole fleet with `up`."""

HISTOGRAMS = {
    "time_to_first_token_buckets": "time_to_first_token_boundaries",
    "inter_token_buckets": "inter_token_boundaries",
}

SEPARATE = frozenset({"unlabelled", "suspects", "faults", *HISTOGRAMS.values()})
"""Queries that are asked in their own way and not once per grouping and tick."""

REPLICAS = "replica_"
"""How the queries begin that answer one row per pod: most of all rows, and they teach a law that changes slowly."""

SCRAPE_SHARE = 0.9
"""Rows by pod are asked for again after this much of a scrape interval: before, they hardly say anything new."""

MOST_NAMESPACES = 200
"""A longer list of namespaces costs more to match than it leaves out."""

OWNERS = "owners"

NO_BOUNDARIES = Boundaries({}, ())

Name = tuple[str, str, Grouping | None]
"""Which query of which profile, and how it is grouped."""


@dataclass(frozen=True, slots=True)
class _Known:
    """What was read of a profile at a Unix time, believed for a while."""

    profile: MetricsProfile
    time: float
    boundaries: Boundaries = NO_BOUNDARIES
    rows: tuple[Series, ...] = ()
    grouping: Grouping = BY_LABEL

    def serves(self, profile: MetricsProfile, now: float, seconds: float) -> bool:
        """Whether it is of this very profile and not too old."""
        return self.profile is profile and abs(now - self.time) < seconds


class SignalReader:
    """Reads the signals of all servings at once; keeps between reads what changes slowly, and nothing else."""

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
        self._boundaries_known: dict[Name, _Known] = {}
        self._replicas_known: dict[Name, _Known] = {}
        self._faults_known: dict[str, _Known] = {}
        self._ways: dict[ServingKey, Identity] = {}

    @property
    def signal_lag_seconds(self) -> float:
        """How far a rate lags behind the world: half its window and a scrape."""
        return self.windows.rate_seconds / 2 + self._scrape_seconds

    async def read(self, now: float, wanted: Sequence[SignalRequest]) -> Mapping[ServingKey, ServingSignals]:
        """The signals of each request at the Unix time `now`; a failure is Missing with its reason, never raised."""
        by_profile: dict[str, list[SignalRequest]] = {}
        for request in wanted:
            by_profile.setdefault(request.profile, []).append(request)
        known = {name: self._profiles[name] for name in by_profile if name in self._profiles}
        end = asyncio.get_running_loop().time() + READ_SECONDS
        first: dict[Name, Coroutine[None, None, Answer]] = {
            (name, "unlabelled", None): self._ask(profile, "unlabelled", now) for name, profile in known.items()
        }
        unlabelled = await _collect(first, end)
        tasks: dict[Name, Coroutine[None, None, Answer]] = {}
        namespaces: set[str] = set()
        for name, profile in known.items():
            strangers = _namespaces(unlabelled[name, "unlabelled", None], by_profile[name])
            namespaces |= strangers
            tasks |= self._questions(profile, by_profile[name], strangers, now)
        if namespaces:
            tasks["", OWNERS, None] = self._query(owners_query(namespaces), now)
        answers = {**unlabelled, **await _collect(tasks, end)}
        # Indexing a large fleet takes a good part of a second, which the event loop must not stand still for.
        found = await asyncio.to_thread(self._assemble, by_profile, answers, now)
        self._tell_ways(found)
        return found

    def _questions(
        self, profile: MetricsProfile, requests: Sequence[SignalRequest], strangers: set[str], now: float
    ) -> dict[Name, Coroutine[None, None, Answer]]:
        """Everything to ask of one profile; pods without a label cost a second set of queries."""
        groupings = [BY_LABEL]
        if strangers:
            groupings.append(BY_POD.within(strangers if len(strangers) <= MOST_NAMESPACES else ()))
        questions: dict[Name, Coroutine[None, None, Answer]] = {
            (profile.name, query, grouping): self._ask_signal(profile, query, requests, grouping, now)
            for grouping in groupings
            for query in profile.templates()
            if query not in SEPARATE
        }
        questions[profile.name, "faults", None] = self._faults(profile, now)
        return questions

    def _assemble(
        self,
        by_profile: Mapping[str, Sequence[SignalRequest]],
        answers: Mapping[Name, Answer],
        now: float,
    ) -> Mapping[ServingKey, ServingSignals]:
        found: dict[ServingKey, ServingSignals] = {}
        for name, requests in by_profile.items():
            profile = self._profiles.get(name)
            if profile is None:
                unknown = Missing(Reason.PROFILE_NOT_FOUND, f"no metrics profile is called {name!r}")
                found.update({request.key: all_missing(unknown) for request in requests})
            else:
                found.update(self._of_profile(profile, requests, answers, now))
        return found

    def _of_profile(
        self,
        profile: MetricsProfile,
        requests: Sequence[SignalRequest],
        answers: Mapping[Name, Answer],
        now: float,
    ) -> Mapping[ServingKey, ServingSignals]:
        offset = self._source.clock_offset_seconds
        given = Circumstances(now, self._scrape_seconds, self.windows.least_samples, offset)
        by_label: dict[str, Answer] = {}
        by_pod: dict[str, Answer] = {}
        for (owner, query, grouping), answer in answers.items():
            if owner == profile.name:
                (by_label if grouping in (None, BY_LABEL) else by_pod)[query] = answer
        labelled = FleetReading(profile, by_label, given)
        wanted = {request.at for request in requests}
        assigned = _assignment(by_label["unlabelled"], answers.get(("", OWNERS, None)), wanted, labelled.workloads())
        joined = merged(by_label, by_pod, assigned) if assigned.pods else {}
        by_owner = FleetReading(profile, joined, given, assigned.ways) if joined else labelled
        faults = suspicions(_rows(by_label["faults"]), assigned.pods, wanted)
        found: dict[ServingKey, ServingSignals] = {}
        for request in requests:
            if request.at in faults:
                found[request.key] = all_missing(faults[request.at])
            elif request.at in assigned.doubtful:
                found[request.key] = all_missing(_doubtful(request, assigned.doubtful[request.at]))
            else:
                found[request.key] = (by_owner if request.at in assigned.ways else labelled).of(request)
        return found

    def _tell_ways(self, found: Mapping[ServingKey, ServingSignals]) -> None:
        """Say once how a workload is recognised, and again when that changes."""
        for key in self._ways.keys() - found.keys():
            del self._ways[key]
        for key, signals in found.items():
            way = signals.identified_by
            if way is not None and self._ways.get(key, Identity.LABEL) is not way:
                logger.info("workload recognised", extra={"serving": str(key), "by": str(way)})
            if way is not None:
                self._ways[key] = way

    async def _ask_signal(
        self,
        profile: MetricsProfile,
        query: str,
        requests: Sequence[SignalRequest],
        grouping: Grouping,
        now: float,
    ) -> Answer:
        """One signal's rows, or why there are none."""
        if query.startswith(REPLICAS):
            return await self._by_replica(profile, query, grouping, now)
        if query not in HISTOGRAMS:
            return await self._ask(profile, query, now, grouping)
        targets = _targets(query, requests)
        if not targets:
            return ()
        known = await self._boundaries(profile, HISTOGRAMS[query], grouping, now)
        if isinstance(known, Missing):
            return known
        selected = known.around(targets)
        return await self._ask(profile, query, now, grouping, selected) if selected else ()

    async def _by_replica(self, profile: MetricsProfile, query: str, grouping: Grouping, now: float) -> Answer:
        """Rows by pod, asked for once a scrape and kept until then."""
        at = (profile.name, query, BY_LABEL if grouping == BY_LABEL else BY_POD)
        known = self._replicas_known.get(at)
        fresh_seconds = SCRAPE_SHARE * self._scrape_seconds
        if known is not None and known.grouping == grouping and known.serves(profile, now, fresh_seconds):
            return known.rows
        # Dropped first: the rows of a large fleet need not be there twice.
        self._replicas_known.pop(at, None)
        del known
        rows = await self._ask(profile, query, now, grouping)
        if not isinstance(rows, Missing):
            self._replicas_known[at] = _Known(profile, now, rows=rows, grouping=grouping)
        return rows

    async def _boundaries(
        self, profile: MetricsProfile, query: str, grouping: Grouping, now: float
    ) -> Boundaries | Missing:
        at = (profile.name, query, BY_LABEL if grouping == BY_LABEL else BY_POD)
        known = self._boundaries_known.get(at)
        if known is not None and known.boundaries.labels and known.serves(profile, now, BOUNDARIES_SECONDS):
            return known.boundaries
        rows = await self._ask(profile, query, now, grouping)
        if isinstance(rows, Missing):
            return rows
        found = boundaries({row.labels.get("le", ""): row.value for row in rows})
        self._boundaries_known[at] = _Known(profile, now, boundaries=found)
        return found

    async def _faults(self, profile: MetricsProfile, now: float) -> Answer:
        """Series that are not to be believed; a search that fails leaves the last finding as it is."""
        known = self._faults_known.get(profile.name)
        if known is not None and known.serves(profile, now, FAULTS_SECONDS):
            return known.rows
        rows = await self._ask(profile, "suspects", now)
        if rows and not isinstance(rows, Missing):
            rows = await self._ask(profile, "faults", now)
        if isinstance(rows, Missing):
            logger.warning("series not checked", extra={"profile": profile.name, "error": rows.message})
            # Nor is it tried again at once: it is the dearest of all queries.
            rows = known.rows if known is not None and known.profile is profile else ()
        self._faults_known[profile.name] = _Known(profile, now, rows=rows)
        return rows

    async def _ask(
        self,
        profile: MetricsProfile,
        query: str,
        now: float,
        grouping: Grouping = BY_LABEL,
        selected: Sequence[str] = (),
    ) -> Answer:
        confined = grouping.within(profile.namespaces) if profile.namespaces else grouping
        return await self._query(render(profile.templates()[query], self.windows, selected, confined), now)

    async def _query(self, promql: str, now: float) -> Answer:
        """The rows of a query at the time that Prometheus' clock shows at `now`, or why there are none."""
        try:
            return await self._source.query(promql, now + self._source.clock_offset_seconds)
        except PartialAnswerError as error:
            return Missing(Reason.PARTIAL, str(error))
        except MetricsError as error:
            return Missing(Reason.UNREACHABLE, str(error))


def _assignment(
    unlabelled: Answer, owners: Answer | None, wanted: set[Workload], labelled: frozenset[Workload]
) -> Assignment:
    """Whose the pods without a label are; without the owners their names must do."""
    pods: list[Pod] = [
        (row.labels["namespace"], row.labels["pod"])
        for row in _rows(unlabelled)
        if {"namespace", "pod"} <= row.labels.keys()
    ]
    return assign(pods, _rows(owners), wanted, labelled) if pods else Assignment()


def _doubtful(request: SignalRequest, pod: str) -> Missing:
    message = (
        f"pod {pod} may be of {request.at[1]}, but its name fits others too and kube-state-metrics does not tell its "
        f'owner; set the label baseload_workload to "{request.at[1]}" by relabeling in the scrape config or PodMonitor'
    )
    return Missing(Reason.AMBIGUOUS, message)


def _rows(answer: Answer | None) -> tuple[Series, ...]:
    return () if answer is None or isinstance(answer, Missing) else answer


def _namespaces(unlabelled: Answer, requests: Sequence[SignalRequest]) -> set[str]:
    """Namespaces with servings in which pods without a label are scraped."""
    return {row.labels.get("namespace", "") for row in _rows(unlabelled)} & {r.key.namespace for r in requests}


def _targets(query: str, requests: Sequence[SignalRequest]) -> set[float]:
    """The different objectives (seconds) that a histogram is compared with."""
    first = query == "time_to_first_token_buckets"
    targets = {r.ttft_target_seconds if first else r.itl_target_seconds for r in requests}
    return {target for target in targets if target is not None}


async def _collect(questions: Mapping[Name, Coroutine[None, None, Answer]], end: float) -> dict[Name, Answer]:
    """Wait for all queries, but not longer than until `end` of the loop's time; waiting ones are cancelled."""
    if not questions:
        return {}
    tasks = {name: asyncio.create_task(question) for name, question in questions.items()}
    try:
        left = max(end - asyncio.get_running_loop().time(), 0.0)
        done, late = await asyncio.wait(tasks.values(), timeout=left)
    except asyncio.CancelledError:
        for task in tasks.values():
            task.cancel()
        raise
    for task in late:
        task.cancel()
    no_answer = Missing(Reason.UNREACHABLE, f"Prometheus did not answer all queries in {READ_SECONDS:g} s")
    return {name: task.result() if task in done else no_answer for name, task in tasks.items()}
