"""Workloads whose series cannot be trusted: forged by another pod, mixed from two, or told twice."""

from collections.abc import Iterable, Mapping, Set

from baseload.api.reasons import Reason
from baseload.observe.identity import Pod, Workload
from baseload.observe.metrics_source import Series
from baseload.plan.signals import Missing

WORDS = {
    "Forged": (
        "series that claim to be of {workload} come from the target {instance} of job {job}, which is another one; "
        "set honorLabels: false on its PodMonitor or ServiceMonitor, or enforcedNamespaceLabel on the Prometheus"
    ),
    "Mixed": (
        "series of pod {pod} of {workload} were not all scraped from it, so another pod claims its labels; "
        "find the monitor that sets honorLabels: true and turn it off"
    ),
    "Duplicated": (
        "every series of {workload} is there {count:.0f} times: Prometheus replicas are read without removing "
        "duplicates; name the replica label to Thanos (--query.replica-label), Mimir or VictoriaMetrics"
    ),
}
"""What to say of each fault that the query of that name finds."""


def suspicions(
    rows: Iterable[Series], pods: Mapping[Pod, Workload], wanted: Set[Workload]
) -> Mapping[Workload, Missing]:
    """Why the signals of a workload are not believed; `pods` are those whose series carry no workload label."""
    found: dict[Workload, Missing] = {}
    for row in sorted(rows, key=_order):
        labels = row.labels
        namespace, label = labels.get("namespace", ""), labels.get("baseload_workload", "")
        workload = (namespace, label) if label else pods.get((namespace, labels.get("pod", "")))
        words = WORDS.get(labels.get("fault", ""))
        if workload in wanted and words is not None and workload is not None and workload not in found:
            given = {name: labels.get(name, "unknown") for name in ("instance", "job", "pod")}
            message = words.format(workload=workload[1], count=row.value, **given)
            found[workload] = Missing(Reason.AMBIGUOUS, message)
    return found


def _order(row: Series) -> tuple[str, ...]:
    """The same row speaks each time, or the message would change with the order of an answer."""
    return tuple(row.labels.get(name, "") for name in ("fault", "job", "instance", "pod"))
