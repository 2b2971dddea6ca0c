"""A Prometheus that remembers one workload: answers range queries by what they ask for."""

from dataclasses import dataclass

import numpy as np

from baseload.observe.metrics_source import RangeSeries

DAY_SECONDS = 86_400.0
ALPHA_SECONDS, SLOPE_SECONDS = 0.02, 0.001


@dataclass(frozen=True)
class Remembered:
    """A Deployment `chat` in namespace `models` whose demand follows the day; `days` of it are kept.

    Its pods run as many sequences as the demand divided among `pods` of them makes. `labelled` says whether its series
    carry the workload label, `cluster` whether kube-state-metrics is there.
    """

    now: float
    days: float = 3.0
    pods: int = 6
    labelled: bool = True
    cluster: bool = True

    def tokens(self, times: np.ndarray) -> np.ndarray:
        """Output tokens per second: 500 at night, 2500 at noon."""
        return 1500.0 - 1000.0 * np.cos(2 * np.pi * times / DAY_SECONDS)

    async def query_range(self, promql: str, start: float, end: float, step_seconds: float) -> tuple[RangeSeries, ...]:
        """Answer with the rows that a query asks for, as far as they are kept."""
        times = np.arange(start, end + step_seconds / 2, step_seconds)
        times = times[times > self.now - self.days * DAY_SECONDS]
        if not len(times):
            return ()
        if "kube_deployment" in promql:
            replicas = self.pods + ("_ready" not in promql)
            return (RangeSeries({}, times, np.full(len(times), float(replicas))),) if self.cluster else ()
        if ('baseload_workload!=""' in promql) != self.labelled:
            return ()
        by_pod = "baseload_workload, pod)" in promql or not self.labelled
        names = [f"chat-7d4b9c5f6d-{letter * 5}" for letter in "bcdfgh"[: self.pods]] if by_pod else [""]
        values = self._values(promql, times) / (len(names) if self._is_sum(promql) else 1)
        return tuple(RangeSeries(self._labels(name), times, values) for name in names)

    def _labels(self, pod: str) -> dict[str, str]:
        told = {"baseload_workload": "Deployment/chat"} if self.labelled else {}
        return {"namespace": "models", **told, **({"pod": pod} if pod else {})}

    def _is_sum(self, promql: str) -> bool:
        """Whether rows of pods add up to that of the workload."""
        return not any(part in promql for part in ("count_over_time", "avg_over_time", "_seconds_sum"))

    def _values(self, promql: str, times: np.ndarray) -> np.ndarray:
        # Sequences that run in a pod: tokens per second times seconds per token, B = d (alpha + slope B).
        each = self.tokens(times) / self.pods
        running = each * ALPHA_SECONDS / (1 - each * SLOPE_SECONDS)
        if "avg_over_time" in promql:
            return running
        if "_seconds_sum" in promql:
            return ALPHA_SECONDS + SLOPE_SECONDS * running
        if "count_over_time" in promql:
            return np.full(len(times), 40.0)
        if "success_total" in promql and "generation_tokens" in promql:
            return np.full(len(times), 100.0)
        if "generation_tokens" in promql:
            return self.tokens(times)
        return self.tokens(times) / 100.0 if "delta" not in promql else np.zeros(len(times))
