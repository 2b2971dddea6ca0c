"""The operator's own metrics and the small HTTP server that shows them and the readiness."""

from collections.abc import Callable

from aiohttp import web
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, exposition
from prometheus_client.process_collector import ProcessCollector

from baseload.control.planner_metrics import PlannerMetrics
from baseload.control.serving_metrics import ServingMetrics

STALL_BUCKETS = (0.005, 0.01, 0.015, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.25, 0.5, 1.0, 2.5)
TICK_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.75, 1.0, 1.5, 2.5, 5.0, 10.0)


class OperatorMetrics:
    """All metrics of one operator in a registry of their own; names begin with `baseload_`."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.replicas = ServingMetrics()
        self._others = CollectorRegistry()
        self.registry.register(self._others)
        self.registry.register(self.replicas)
        ProcessCollector(registry=self._others)
        self.decisions = Counter(
            "baseload_decisions", "Changed decisions by reason.", ("reason",), registry=self._others
        )
        self.writes = Counter(
            "baseload_api_writes", "Writes to the Kubernetes API.", ("kind", "outcome"), registry=self._others
        )
        self.breach_to_write = Histogram(
            "baseload_breach_to_write_seconds",
            "From the first sample that called for more replicas to the scale write.",
            buckets=(1, 2, 4, 8, 15, 20, 30, 60, 120),
            registry=self._others,
        )
        self._add_times()
        self.planner = PlannerMetrics(self._others)
        self.servings = Gauge("baseload_servings", "ModelServings known.", registry=self._others)
        self.ghosts = Gauge("baseload_resync_differences", "Differences found by resyncs.", registry=self._others)
        self.relists = Gauge("baseload_watch_relists", "Complete pictures taken by watches.", registry=self._others)
        self.leader = Gauge(
            "baseload_leader", "1 while this process holds the lease and may write, else 0.", registry=self._others
        )
        self.failures = Counter(
            "baseload_serving_failures", "Servings that could not be decided on.", registry=self._others
        )

    def _add_times(self) -> None:
        self.tick = Histogram(
            "baseload_tick_seconds", "Duration of a tick.", buckets=TICK_BUCKETS, registry=self._others
        )
        self.plan = Histogram(
            "baseload_plan_seconds", "Duration of one round of decisions.", buckets=TICK_BUCKETS, registry=self._others
        )
        self.loop_lag = Gauge("baseload_event_loop_lag_seconds", "Latest event loop lag.", registry=self._others)
        self.loop_stalls = Histogram(
            "baseload_event_loop_stall_seconds",
            "How long the event loop stood still; stalls of less than 5 ms are not counted.",
            buckets=STALL_BUCKETS,
            registry=self._others,
        )

    def count_write(self, kind: str, outcome: str) -> None:
        """Count one write to the Kubernetes API."""
        self.writes.labels(kind, outcome).inc()

    async def text(self) -> bytes:
        """Everything in Prometheus' text format; the many series of the servings in portions."""
        return exposition.generate_latest(self._others) + await self.replicas.text()


async def serve_metrics(
    metrics: OperatorMetrics, is_ready: Callable[[], bool], address: str, port: int
) -> web.AppRunner:
    """Serve `/metrics` and `/readyz` until the runner is cleaned up; raises OSError when the port is taken."""

    async def show_metrics(_request: web.Request) -> web.Response:
        body = await metrics.text()
        return web.Response(body=body, headers={"Content-Type": exposition.CONTENT_TYPE_PLAIN_0_0_4})

    async def show_ready(_request: web.Request) -> web.Response:
        return web.Response(text="ok") if is_ready() else web.Response(status=503, text="first list not complete")

    application = web.Application()
    application.add_routes([web.get("/metrics", show_metrics), web.get("/readyz", show_ready)])
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, address, port).start()
    return runner
