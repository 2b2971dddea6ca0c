"""One profile's answers for the whole fleet, looked up workload by workload: what is a value and what is missing."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import inf, isfinite

from baseload.api.reasons import Reason
from baseload.observe.buckets import boundary_seconds, share_under
from baseload.observe.metrics_source import Series
from baseload.observe.profiles import MetricsProfile
from baseload.plan.signals import NOT_OBSERVED, Missing, NoTraffic, ReplicaSignals, ServingSignals, Signal, Value
from baseload.plan.snapshot import ServingKey

WORKLOAD_LABEL = "baseload_workload"
"""Kind/name of a pod's workload, set when the pod is scraped."""

POD_NAME_CUT = 58
"""The API server cuts a pod's generated name here."""

STALE_SLACK_SECONDS = 1.0

Answer = tuple[Series, ...] | Missing
"""The rows of a query, or why there are none."""

Workload = tuple[str, str]
"""Namespace and value of the workload label."""


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


class FleetReading:
    """The answers of one tick, indexed; `answers` are by the field names of the profile."""

    def __init__(
        self, profile: MetricsProfile, answers: Mapping[str, Answer], *, now: float, scrape_seconds: float
    ) -> None:
        self._profile = profile
        self._answers = answers
        self._now = now
        self._oldest_seconds = 2 * scrape_seconds + STALE_SLACK_SECONDS
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
            output_tokens_per_second=self._rate("output_tokens", request, sampled),
            output_tokens_per_request=self._per_request("output_tokens_per_request", request, sampled),
            time_to_first_token_attainment=self._attainment(
                "time_to_first_token_buckets", request, request.ttft_target_seconds, sampled
            ),
            inter_token_attainment=self._attainment(
                "inter_token_buckets", request, request.itl_target_seconds, sampled
            ),
            replicas=self._each_replica(request, sampled),
        )

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
        age = self._now - time
        if time <= 0:
            return Missing(Reason.STALE, f"every scrape of {request.at[1]} fails; see the targets page of Prometheus")
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
        """Conservation of requests: arrivals = completions + growth of what runs and waits."""
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
        if undefined and self._by_workload("completions").get(request.at) == 0:
            return NoTraffic(time)
        return signal

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
