"""The past of one workload as Prometheus kept it: demand, replicas, and how its replicas slow down under load."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from baseload.errors import MetricsError
from baseload.observe.fleet import SignalRequest
from baseload.observe.history import HistoryReader, Slice
from baseload.observe.identity import assign
from baseload.observe.metrics_source import RangeSeries, RangeSource
from baseload.observe.profiles import MetricsProfile
from baseload.observe.queries import BY_LABEL, BY_POD, Windows, duration, render
from baseload.observe.regroup import WORKLOAD_LABEL
from baseload.plan.memory import ReplicaModel
from baseload.plan.snapshot import ServingKey

Floats = NDArray[np.float64]

LEARNING_SECONDS: Final = 15.0
MOST_POINTS: Final = 1000
"""Samples of each pod from which the law is learned, spread over the whole past."""
KSM_LABELS: Final = {"Deployment": "deployment", "StatefulSet": "statefulset"}
LEAST_RUNNING: Final = 0.5


@dataclass(frozen=True, slots=True)
class Workload:
    """A workload of the cluster; `kind` as Kubernetes writes it."""

    namespace: str
    kind: str
    name: str

    @property
    def label(self) -> str:
        """The value of its label on series."""
        return f"{self.kind}/{self.name}"


@dataclass(frozen=True, slots=True, eq=False)
class Past:
    """What is known of a workload, arrays of shape (buckets,), NaN where nothing is.

    `demand` in output tokens per second of offered load; `ready` replicas served, `paid` ones existed.
    """

    workload: Workload
    bucket_seconds: float
    demand: Floats
    ready: Floats
    paid: Floats
    replicas_from: str
    model: ReplicaModel


@dataclass(frozen=True, slots=True)
class Asked:
    """Which buckets to read, as indices of Unix time over `bucket_seconds`, and how often Prometheus scrapes."""

    first: int
    end: int
    bucket_seconds: float
    scrape_seconds: float


class PastReader:
    """Reads one workload's past from one Prometheus."""

    def __init__(self, source: RangeSource, workload: Workload, profile: MetricsProfile, asked: Asked) -> None:
        self._source, self._workload, self._profile, self._asked = source, workload, profile, asked
        self._windows = Windows.for_scrapes(asked.scrape_seconds, LEARNING_SECONDS)

    async def read(self) -> Past:
        """Read all of it; MetricsError when Prometheus cannot answer or has nothing of the workload."""
        demand = await self._demand()
        if np.isnan(demand).all():
            raise MetricsError(
                f"Prometheus has no series of {self._workload.label} in namespace {self._workload.namespace!r} that the"
                f" profile {self._profile.name!r} knows; see `baseload doctor`"
            )
        ready, paid, origin = await self._replicas()
        model = await self._model()
        return Past(self._workload, self._asked.bucket_seconds, demand, ready, paid, origin, model)

    async def _demand(self) -> Floats:
        """Output tokens per second in each bucket."""
        asked, workload = self._asked, self._workload
        key = ServingKey(workload.namespace, workload.name)
        request = SignalRequest(key, workload.kind, workload.name, self._profile.name)
        reader = HistoryReader(
            self._source,
            {self._profile.name: self._profile},
            scrape_seconds=asked.scrape_seconds,
            bucket_seconds=asked.bucket_seconds,
        )
        whole = Slice(asked.first, asked.end)
        demand = np.full(asked.end - asked.first, np.nan)
        async for part in reader.read([request], whole, patience=asked.end - asked.first):
            row = part.demand.get(key)
            if row is not None:
                demand[part.part.first - asked.first : part.part.end - asked.first] = row
        return demand

    async def _replicas(self) -> tuple[Floats, Floats, str]:
        """Ready and paid replicas in each bucket, and who told them."""
        ready, paid = await self._told_by_cluster("ready"), await self._told_by_cluster("")
        if np.isfinite(ready).any() and np.isfinite(paid).any():
            return ready, np.fmax(paid, ready), "kube-state-metrics"
        scraped = await self._scraped()
        return scraped, scraped, "the pods that were scraped"

    async def _told_by_cluster(self, state: str) -> Floats:
        """Mean of kube-state-metrics' replicas in each bucket, all NaN without it."""
        label = KSM_LABELS.get(self._workload.kind)
        if label is None:
            return self._nothing()
        metric = "_".join(part for part in ("kube", label, "status_replicas", state) if part)
        selector = f'{metric}{{namespace="{self._workload.namespace}", {label}="{self._workload.name}"}}'
        rows = await self._range(f"max(avg_over_time({selector}[{duration(self._asked.bucket_seconds)}]))")
        return self._placed(rows[0]) if rows else self._nothing()

    async def _scraped(self) -> Floats:
        """Pods that were scraped in each bucket, each by the share of the bucket in which it was."""
        window = duration(self._asked.bucket_seconds)
        pods: dict[str, RangeSeries] = {}
        for metric in self._profile.presence:
            samples = f"count_over_time({metric}{{${{labelled}}}}[{window}])"
            pods = {**await self._of_pods(f"sum by (${{replica}}) ({samples})"), **pods}
        if not pods:
            return self._nothing()
        stacked = np.array([self._placed(row) for row in pods.values()])
        most = np.nanmax(stacked)
        return np.where(np.isfinite(stacked).any(axis=0), np.nansum(stacked, axis=0) / most, np.nan)

    async def _model(self) -> ReplicaModel:
        """The law of a replica from samples of running sequences and time between tokens over the whole past."""
        templates = self._profile.templates()
        running, latency = [
            await self._of_pods(templates[name], self._learning_step) if name in templates else {}
            for name in ("replica_running", "replica_inter_token_seconds")
        ]
        samples = [
            (sequences, seconds)
            for pod, row in running.items()
            if pod in latency
            for sequences, seconds in _paired(row, latency[pod])
        ]
        return model_of(np.array(samples).reshape(-1, 2))

    @property
    def _learning_step(self) -> float:
        seconds = (self._asked.end - self._asked.first) * self._asked.bucket_seconds
        return max(seconds / MOST_POINTS, self._windows.learning_seconds)

    async def _of_pods(self, template: str, step_seconds: float | None = None) -> Mapping[str, RangeSeries]:
        """The rows of the workload's pods by name: those with its label, or if none has one those of its names."""
        within = {self._workload.namespace}
        labelled = await self._range(render(template, self._windows, (), BY_LABEL.within(within)), step_seconds)
        mine = {row.labels["pod"]: row for row in labelled if row.labels.get(WORKLOAD_LABEL) == self._workload.label}
        if mine:
            return mine
        strangers = await self._range(render(template, self._windows, (), BY_POD.within(within)), step_seconds)
        rows = {(self._workload.namespace, row.labels.get("pod", "")): row for row in strangers}
        assigned = assign(rows, (), {(self._workload.namespace, self._workload.label)}).pods
        return {pod[1]: rows[pod] for pod in assigned}

    async def _range(self, promql: str, step_seconds: float | None = None) -> tuple[RangeSeries, ...]:
        asked = self._asked
        # A bucket is read at its end, looking back over its length.
        start, end = (asked.first + 1) * asked.bucket_seconds, asked.end * asked.bucket_seconds
        return await self._source.query_range(promql, start, end, step_seconds or asked.bucket_seconds)

    def _placed(self, row: RangeSeries) -> Floats:
        values = self._nothing()
        at = np.rint(row.times / self._asked.bucket_seconds).astype(int) - 1 - self._asked.first
        inside = (at >= 0) & (at < values.size) & np.isfinite(row.values)
        values[at[inside]] = row.values[inside]
        return values

    def _nothing(self) -> Floats:
        return np.full(self._asked.end - self._asked.first, np.nan)


def _paired(running: RangeSeries, latency: RangeSeries) -> list[tuple[float, float]]:
    """Running sequences and seconds between tokens at the times that both have, idle ones left out."""
    _, left, right = np.intersect1d(running.times, latency.times, return_indices=True)
    sequences, seconds = running.values[left], latency.values[right]
    usable = np.isfinite(sequences) & np.isfinite(seconds) & (sequences >= LEAST_RUNNING) & (seconds > 0)
    return list(zip(sequences[usable].tolist(), seconds[usable].tolist(), strict=True))


def model_of(samples: Floats) -> ReplicaModel:
    """The replica model of samples, shape (samples, 2): running sequences, seconds between tokens; all count alike."""
    running, latency = samples.T
    return ReplicaModel(
        weight=float(len(samples)),
        sum_running=float(running.sum()),
        sum_latency=float(latency.sum()),
        sum_running_squared=float((running**2).sum()),
        sum_running_latency=float((running * latency).sum()),
        sum_latency_squared=float((latency**2).sum()),
    )
