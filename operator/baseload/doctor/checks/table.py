"""The table of all checks, in the order in which they are told, and how they are run."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from baseload.doctor.checks import cluster, metrics, operator, pools, readiness, targets
from baseload.doctor.facts import Facts
from baseload.doctor.finding import ORDER, Finding, Level
from baseload.doctor.world import World, world_of

Judge = Callable[[Facts, World], Iterable[Finding]]


@dataclass(frozen=True, slots=True)
class Check:
    """A check by its name; `judge` finds what is wrong, and finding nothing means that its docstring is true."""

    name: str
    judge: Judge

    @property
    def fine(self) -> str:
        """What is so when nothing is found."""
        return " ".join((self.judge.__doc__ or "").split())


def _of_facts(judge: Callable[[Facts], Iterator[Finding]]) -> Judge:
    """A check that needs no world."""

    def run(facts: Facts, _world: World) -> Iterable[Finding]:
        return judge(facts)

    run.__doc__ = judge.__doc__
    return run


CHECKS: Final = (
    Check("api-server", _of_facts(cluster.api_server)),
    Check("clocks", _of_facts(cluster.clocks)),
    Check("kinds", _of_facts(cluster.kinds)),
    Check("service-account", _of_facts(cluster.account)),
    Check("rights", _of_facts(cluster.rights)),
    Check("admission-policy", _of_facts(cluster.policies)),
    Check("operator", _of_facts(operator.running)),
    Check("status", _of_facts(operator.statuses_are_current)),
    Check("prometheus", metrics.prometheus),
    Check("scrape-interval", metrics.scrape_interval),
    Check("labels", metrics.labels_name_the_workload),
    Check("metrics", metrics.metrics_are_there),
    Check("targets", targets.targets_exist),
    Check("profiles", targets.profiles_are_usable),
    Check("target-conflict", targets.one_serving_each),
    Check("foreign-autoscaler", targets.no_other_autoscaler),
    Check("declared-replicas", targets.replicas_are_not_declared),
    Check("paused", targets.not_paused_for_long),
    Check("grace", targets.grace_is_long_enough),
    Check("pool-nodes", pools.pools_have_nodes),
    Check("pool-overlap", pools.pools_do_not_overlap),
    Check("accelerators", pools.pods_find_a_pool),
    Check("ready", readiness.servings_are_ready),
)


def judge(facts: Facts) -> tuple[tuple[str, Finding], ...]:
    """All findings under the names of their checks: by the table, then the worst first, then by subject."""
    world = world_of(facts)
    rows: list[tuple[str, Finding]] = []
    for check in CHECKS:
        found = list(check.judge(facts, world)) or [Finding(Level.OK, check.fine)]
        rows += [(check.name, f) for f in sorted(found, key=lambda f: (ORDER[f.level], f.subject, f.found))]
    return tuple(rows)
