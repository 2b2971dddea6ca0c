"""One profile's answers for the whole fleet, looked up workload by workload: what is a value and what is missing."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import inf, isfinite

from baseload.api.reasons import Reason
from baseload.observe.buckets import boundary_seconds, share_under
from baseload.observe.identity import Workload
from baseload.observe.metrics_source import Series
from baseload.observe.profiles import MetricsProfile
from baseload.observe.regroup import WORKLOAD_LABEL, Answer
from baseload.plan.signals import (
    NOT_OBSERVED,
    Identity,
    Missing,
    NoTraffic,
    ReplicaSignals,
    ServingSignals,
    Signal,
    Value,
)
from baseload.plan.snapshot import ServingKey

POD_NAME_CUT = 58
"""The API server cuts a pod's generated name here."""

STALE_SLACK_SECONDS = 1.0

MOST_CLOCK_OFFSET_SECONDS = 60.0
"""A difference between two clocks that is corrected; a larger one is a fault that a person must see."""


@dataclass(frozen=True, slots=True)
class SignalRequest:
    """Which workload's signals are wanted, read by which profile, against which objectives (seconds)."""

    key: ServingKey
    kind: str
    workload: str
    profile: str
    ttft_target_seconds: float | None = None
    itl_target_seconds: float | None = None

    @property
    def at(self) -> Workload:
        """Where its rows are."""
        return self.key.namespace, f"{self.kind}/{self.workload}"


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What a reading is judged by: our time, how far Prometheus' clock is ahead, and what a rate needs (Windows)."""

    now: float
    scrape_seconds: float
    least_samples: int = 2
    clock_offset_seconds: float = 0.0


class FleetReading:
    """The answers of one tick, indexed; `answers` are by the field names of the profile."""

    def __init__(
        self,
        profile: MetricsProfile,
        answers: Mapping[str, Answer],
        given: Circumstances,
        ways: Mapping[Workload, Identity] | None = None,
    ) -> None:
        self._profile = profile
        self._answers = answers
        self._given = given
        self._ways = ways or {}
        self._oldest_seconds = 2 * given.scrape_seconds + STALE_SLACK_SECONDS
        self._totals: dict[str, Mapping[Workload, float]] = {}
        self._unlabelled: tuple[tuple[str | None, str | None], ...] = tuple(
            (series.labels.get("namespace"), series.labels.get("pod")) for series in self._rows("unlabelled")
        )
        self._replicas = {name: self._by_replica(name) for name in self._answers if name.startswith("replica_")}
        self._buckets = {name: self._by_bucket(name) for name in self._answers if name.endswith("_buckets")}

    def of(self, request: SignalRequest) -> ServingSignals:
        """The signals of one workload."""
        sampled = self._sampled(request)
        if isinstance(sampled, Missing):
            # Without a fresh sample nothing else counts: rates live on for a window after their pods are gone.
            return all_missing(sampled)
        return ServingSignals(
            offered_rps=self._offered(request, sampled),
            running=self._total("running", request, sampled),
            waiting=self._total("waiting", request, sampled),
            output_tokens_per_second=self._young_or_rate("output_tokens", request, sampled),
            output_tokens_per_request=self._per_request("output_tokens_per_request", request, sampled),
            time_to_first_token_attainment=self._attainment(
                "time_to_first_token_buckets", request, request.ttft_target_seconds, sampled
            ),
            inter_token_attainment=self._attainment(
                "inter_token_buckets", request, request.itl_target_seconds, sampled
            ),
            replicas=self._each_replica(request, sampled),
            identified_by=self._ways.get(request.at, Identity.LABEL),
        )

    def workloads(self) -> frozenset[Workload]:
        """The workloads that have samples, or had in the last minutes."""
        return frozenset(self._by_workload("freshness"))

    def _sampled(self, request: SignalRequest) -> float | Missing:
        """When the newest sample of the workload was taken, or why there is none to decide on."""
        answer = self._answers["freshness"]
        if isinstance(answer, Missing):
            return answer
        time = self._by_workload("freshness").get(request.at)
        if time is None:
            return self._absent(request)
        if not isfinite(time):
            return _not_a_number("freshness", request)
        if time <= 0:
            return Missing(Reason.STALE, f"every scrape of {request.at[1]} fails; see the targets page of Prometheus")
        return self._in_our_time(time, request)

    def _in_our_time(self, sampled: float, request: SignalRequest) -> float | Missing:
        """The time of a sample by our clock; Missing when it is too old, lies ahead, or the clocks differ too much."""
        offset = self._given.clock_offset_seconds
        if abs(offset) > MOST_CLOCK_OFFSET_SECONDS:
            where = "ahead of" if offset > 0 else "behind"
            message = f"the clock of Prometheus is {abs(offset):.0f} s {where} the operator's; correct the wrong one"
            return Missing(Reason.STALE, message)
        time = sampled - offset
        age = self._given.now - time
        if age < -STALE_SLACK_SECONDS:
            message = f"newest sample of {request.at[1]} lies {-age:.0f} s in the future; compare the clocks"
            return Missing(Reason.STALE, message)
        if age > self._oldest_seconds:
            message = f"newest sample of {request.at[1]} is {age:.0f} s old; see whether Prometheus scrapes its pods"
            return Missing(Reason.STALE, message)
        return time

    def _absent(self, request: SignalRequest) -> Missing:
        """No row carries the workload: because it is not scraped, or because its rows lack our label."""
        namespace, label = request.at
        start = f"{request.workload}-"[:POD_NAME_CUT]
        for other_namespace, pod in self._unlabelled:
            if other_namespace in (None, namespace) and (pod is None or pod.startswith(start)):
                message = (
                    f"series of pod {pod or 'unknown'} lack the label {WORKLOAD_LABEL}; "
                    f'set it to "{label}" by relabeling in the scrape config or PodMonitor'
                )
                return Missing(Reason.AMBIGUOUS, message)
        message = (
            f"Prometheus has no {self._profile.name} series with namespace {namespace!r} and "
            f"{WORKLOAD_LABEL} {label!r}; see whether it scrapes the pods and whether the profile is right"
        )
        return Missing(Reason.NO_SERIES, message)

    def _offered(self, request: SignalRequest, time: float) -> Signal:
        """Arrivals where they are counted; else by conservation: completions + growth of what runs and waits."""
        source = "arrivals" if "arrivals" in self._answers else "completions"
        young = self._too_young(source, request)
        if young is not None:
            return young
        if source == "arrivals":
            return self._rate(source, request, time)
        done = self._total("completions", request, time)
        growth = self._total("in_flight_growth", request, time)
        if not isinstance(done, Value):
            return done
        if not isinstance(growth, Value):
            return growth
        if done.value == 0 and growth.value == 0:
            return NoTraffic(time)
        # Requests that were lost without being counted as completed would make it negative.
        return Value(max(done.value + growth.value, 0.0), time)

    def _total(self, name: str, request: SignalRequest, time: float) -> Signal:
        answer = self._answers.get(name)
        if isinstance(answer, Missing):
            return answer
        value = self._by_workload(name).get(request.at)
        if value is None:
            return self._no_row(name, request)
        return Value(value, time) if isfinite(value) else _not_a_number(name, request)

    def _rate(self, name: str, request: SignalRequest, time: float) -> Signal:
        signal = self._total(name, request, time)
        return NoTraffic(time) if isinstance(signal, Value) and signal.value == 0 else signal

    def _per_request(self, name: str, request: SignalRequest, time: float) -> Signal:
        """A ratio over requests: without a denominator nobody asks, when the completions say so too."""
        signal = self._total(name, request, time)
        undefined = isinstance(signal, Missing) and signal.reason in (Reason.NOT_A_NUMBER, Reason.NO_SERIES)
        if undefined and 0 in (self._by_workload(source).get(request.at) for source in ("arrivals", "completions")):
            return NoTraffic(time)
        return signal

    def _young_or_rate(self, name: str, request: SignalRequest, time: float) -> Signal:
        return self._too_young(name, request) or self._rate(name, request, time)

    def _too_young(self, name: str, request: SignalRequest) -> Missing | None:
        """Why rates are not believed yet: PromQL divides by the whole window, so after a gap they begin far too low."""
        if name not in self._answers:
            return self._no_row(name, request)
        samples = self._total("samples", request, 0.0)
        if not isinstance(samples, Value):
            return samples if isinstance(samples, Missing) else None
        least = self._given.least_samples
        if samples.value >= least:
            return None
        message = f"{samples.value:.0f} samples of {request.at[1]} since it is scraped (again); a rate needs {least}"
        return Missing(Reason.STALE, message)

    def _attainment(self, name: str, request: SignalRequest, target: float | None, time: float) -> Signal:
        if target is None:
            return NOT_OBSERVED
        answer = self._answers.get(name)
        if isinstance(answer, Missing):
            return answer
        rates = self._buckets.get(name, {}).get(request.at)
        if rates is None or inf not in rates:
            return self._no_row(name, request)
        if not all(isfinite(rate) for rate in rates.values()):
            return _not_a_number(name, request)
        share = share_under(target, rates)
        return NoTraffic(time) if share is None else Value(share, time)

    def _each_replica(self, request: SignalRequest, time: float) -> tuple[ReplicaSignals, ...]:
        running = self._replicas.get("replica_running", {}).get(request.at, {})
        between = self._replicas.get("replica_inter_token_seconds", {}).get(request.at, {})
        first = self._replicas.get("replica_time_to_first_token_seconds", {}).get(request.at, {})
        cache = self._replicas.get("replica_cache_usage", {}).get(request.at, {})
        return tuple(
            ReplicaSignals(pod, time, running[pod], between.get(pod), first.get(pod), cache.get(pod))
            for pod in sorted(running)
        )

    def _no_row(self, name: str, request: SignalRequest) -> Missing:
        signal = name.replace("_", " ")
        if name not in self._answers:
            return Missing(Reason.NO_SERIES, f"profile {self._profile.name} has no {signal}: the engine exposes none")
        return Missing(Reason.NO_SERIES, f"no series for {signal} of {request.at[1]} yet; a rate needs two scrapes")

    def _rows(self, name: str) -> Sequence[Series]:
        answer = self._answers.get(name, ())
        return () if isinstance(answer, Missing) else answer

    def _by_workload(self, name: str) -> Mapping[Workload, float]:
        if name not in self._totals:
            self._totals[name] = {_workload(series): series.value for series in self._rows(name)}
        return self._totals[name]

    def _by_replica(self, name: str) -> Mapping[Workload, Mapping[str, float]]:
        """Finite values by workload and pod: 0/0 of an idle pod is no sample."""
        found: dict[Workload, dict[str, float]] = {}
        for series in self._rows(name):
            if isfinite(series.value):
                found.setdefault(_workload(series), {})[series.labels.get("pod", "")] = series.value
        return found

    def _by_bucket(self, name: str) -> Mapping[Workload, Mapping[float, float]]:
        found: dict[Workload, dict[float, float]] = {}
        for series in self._rows(name):
            boundary = boundary_seconds(series.labels.get("le", ""))
            if boundary is not None:
                rates = found.setdefault(_workload(series), {})
                rates[boundary] = rates.get(boundary, 0.0) + series.value
        return found


def all_missing(why: Missing) -> ServingSignals:
    """Signals of a workload of which nothing can be read."""
    return ServingSignals(why, why, why, why, why, why, why)


def _workload(series: Series) -> Workload:
    return series.labels.get("namespace", ""), series.labels.get(WORKLOAD_LABEL, "")


def _not_a_number(name: str, request: SignalRequest) -> Missing:
    return Missing(Reason.NOT_A_NUMBER, f"{name.replace('_', ' ')} of {request.at[1]} is NaN or infinite")
