"""Metrics of an emulated replica, with the names, labels and bucket bounds of vLLM's V1 engine.

Names and meaning: https://docs.vllm.ai/en/stable/usage/metrics.html. Counting is our own because one call counts a
whole batch; the text format is the Prometheus client's.
"""

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import Final

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

from baseload.sim.requests.engine import BLOCK_TOKENS, Engine

FIRST_TOKEN_BOUNDS: Final = (
    *(0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75),
    *(1.0, 2.5, 5.0, 7.5, 10.0, 20.0, 40.0, 80.0, 160.0, 640.0, 2560.0),
)
INTER_TOKEN_BOUNDS: Final = (
    *(0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75),
    *(1.0, 2.5, 5.0, 7.5, 10.0, 20.0, 40.0, 80.0),
)
REQUEST_BOUNDS: Final = (
    *(0.3, 0.5, 0.8, 1.0, 1.5, 2.0, 2.5, 5.0, 10.0, 15.0, 20.0, 30.0, 40.0, 50.0, 60.0),
    *(120.0, 240.0, 480.0, 960.0, 1920.0, 7680.0),
)
TOKEN_BOUNDS: Final = (
    *(1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1000.0),
    *(2000.0, 5000.0, 10_000.0, 20_000.0, 50_000.0, 100_000.0),
)
FINISHED_REASONS: Final = ("stop", "length", "abort")

_LABELS = ("model_name", "engine")


class Histogram:
    """Counts of observations (seconds or tokens) by upper bound."""

    def __init__(self, name: str, help_text: str, bounds: Sequence[float]) -> None:
        self.name = name
        self.help_text = help_text
        self._bounds = list(bounds)
        self._texts = [*map(floatToGoString, bounds), "+Inf"]
        self._counts = [0] * (len(bounds) + 1)
        self._sum = 0.0

    def observe(self, value: float, count: int = 1) -> None:
        """Count `count` observations of the same value."""
        self._counts[bisect_left(self._bounds, value)] += count
        self._sum += value * count

    def family(self, labels: Sequence[str]) -> HistogramMetricFamily:
        """Return the histogram as the Prometheus client wants it: buckets cumulated."""
        family = HistogramMetricFamily(self.name, self.help_text, labels=_LABELS)
        cumulated = accumulate(self._counts)
        family.add_metric(
            labels, [(text, float(count)) for text, count in zip(self._texts, cumulated, strict=True)], self._sum
        )
        return family


class VllmMetrics(Collector):
    """Everything one replica exposes on /metrics."""

    def __init__(self, model_name: str, engine: Engine) -> None:
        self._engine = engine
        self._labels = (model_name, "0")
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(self)
        self.prompt_tokens = 0
        self.generation_tokens = 0
        self.arriving = 0
        """Requests received that the engine has not seen yet."""
        self.finished = dict.fromkeys(FINISHED_REASONS, 0)
        self.time_to_first_token = Histogram(
            "vllm:time_to_first_token_seconds", "Histogram of time to first token in seconds.", FIRST_TOKEN_BOUNDS
        )
        self.inter_token_latency = Histogram(
            "vllm:inter_token_latency_seconds", "Histogram of inter-token latency in seconds.", INTER_TOKEN_BOUNDS
        )
        self.time_per_output_token = Histogram(
            "vllm:request_time_per_output_token_seconds",
            "Histogram of time_per_output_token_seconds per request.",
            INTER_TOKEN_BOUNDS,
        )
        self.request_latency = Histogram(
            "vllm:e2e_request_latency_seconds", "Histogram of e2e request latency in seconds.", REQUEST_BOUNDS
        )
        self.request_prompt_tokens = Histogram(
            "vllm:request_prompt_tokens", "Number of prefill tokens processed.", TOKEN_BOUNDS
        )
        self.request_generation_tokens = Histogram(
            "vllm:request_generation_tokens", "Number of generation tokens processed.", TOKEN_BOUNDS
        )
        self.queue_time = Histogram(
            "vllm:request_queue_time_seconds", "Histogram of time spent in WAITING phase for request.", REQUEST_BOUNDS
        )

    def text(self) -> bytes:
        """Return the exposition in the Prometheus text format."""
        return generate_latest(self._registry)

    def collect(self) -> Iterator[Metric]:
        """Yield every family (called by the Prometheus client)."""
        yield from self._gauges()
        yield from self._counters()
        for histogram in (
            self.time_to_first_token,
            self.inter_token_latency,
            self.time_per_output_token,
            self.request_latency,
            self.queue_time,
            self.request_prompt_tokens,
            self.request_generation_tokens,
        ):
            yield histogram.family(self._labels)

    def _gauges(self) -> Iterator[Metric]:
        engine = self._engine
        for name, help_text, value in (
            ("vllm:num_requests_running", "Number of requests in model execution batches.", engine.running),
            (
                "vllm:num_requests_waiting",
                "Number of requests waiting to be processed.",
                engine.waiting + self.arriving,
            ),
            ("vllm:kv_cache_usage_perc", "KV-cache usage. 1 means 100 percent usage.", engine.cache_usage),
        ):
            gauge = GaugeMetricFamily(name, help_text, labels=_LABELS)
            gauge.add_metric(self._labels, value)
            yield gauge
        info = GaugeMetricFamily(
            "vllm:cache_config_info",
            "Information of the LLMEngine CacheConfig",
            labels=("block_size", "engine", "num_gpu_blocks"),
        )
        info.add_metric((str(BLOCK_TOKENS), "0", str(engine.longest_sequence_tokens // BLOCK_TOKENS)), 1.0)
        yield info

    def _counters(self) -> Iterator[Metric]:
        for name, help_text, value in (
            ("vllm:num_preemptions", "Cumulative number of preemption from the engine.", self._engine.preemptions),
            ("vllm:prompt_tokens", "Number of prefill tokens processed.", self.prompt_tokens),
            ("vllm:generation_tokens", "Number of generation tokens processed.", self.generation_tokens),
        ):
            counter = CounterMetricFamily(name, help_text, labels=_LABELS)
            counter.add_metric(self._labels, value)
            yield counter
        success = CounterMetricFamily(
            "vllm:request_success", "Count of successfully processed requests.", labels=(*_LABELS, "finished_reason")
        )
        for reason, count in self.finished.items():
            success.add_metric((*self._labels, reason), count)
        yield success
