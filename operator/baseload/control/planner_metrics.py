"""The planner's own metrics."""

from prometheus_client import CollectorRegistry, Gauge, Histogram

ROUND_BUCKETS = (0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)


class PlannerMetrics:
    """How long a round of the planner takes, when the last one ended, and how many servings have an outlook."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.round = Histogram(
            "baseload_planner_seconds", "Duration of a round of the planner.", buckets=ROUND_BUCKETS, registry=registry
        )
        self.last = Gauge(
            "baseload_planner_last_round_time_seconds",
            "Unix time at which the last round of the planner ended; its age is time() minus this.",
            registry=registry,
        )
        self.planned = Gauge(
            "baseload_servings_planned", "ModelServings that follow an outlook of the planner.", registry=registry
        )
        self.reactive = Gauge(
            "baseload_servings_reactive",
            "ModelServings without an outlook, because they have no history yet, or no capacity is known.",
            registry=registry,
        )

    def ended(self, seconds: float, now: float, planned: int, reactive: int) -> None:
        """Show a round that ended at the Unix time `now`."""
        self.round.observe(seconds)
        self.last.set(now)
        self.planned.set(planned)
        self.reactive.set(reactive)
