"""Rows by pod become rows by workload, as PromQL would have grouped them had the pods carried the label."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from math import isfinite

from baseload.observe.identity import Assignment, Workload
from baseload.observe.metrics_source import Series
from baseload.plan.signals import Missing

WORKLOAD_LABEL = "baseload_workload"

Answer = tuple[Series, ...] | Missing
"""The rows of a query, or why there are none."""

LARGEST = frozenset({"freshness", "samples"})
"""Queries whose rows are combined by the largest; all others add up, but for ratios."""

TOKENS, RATIO = "output_tokens", "output_tokens_per_request"


def merged(by_label: Mapping[str, Answer], by_pod: Mapping[str, Answer], given: Assignment) -> Mapping[str, Answer]:
    """The answers for the assigned workloads alone: their labelled rows and those of their pods, combined."""
    rows = {name: _joined(by_label.get(name, ()), by_pod.get(name, ()), given) for name in {*by_label, *by_pod}}
    return {name: _combined(name, answer, rows.get(TOKENS, ())) for name, answer in rows.items()}


def _joined(by_label: Answer, by_pod: Answer, given: Assignment) -> Answer:
    """All rows of the assigned workloads, those by pod with the label put in; one missing part makes all missing."""
    if isinstance(by_label, Missing):
        return by_label
    if isinstance(by_pod, Missing):
        return by_pod
    assigned = set(given.pods.values())
    rows = [row for row in by_label if _workload(row) in assigned]
    for row in by_pod:
        workload = given.pods.get((row.labels.get("namespace", ""), row.labels.get("pod", "")))
        if workload is not None:
            rows.append(Series({**row.labels, WORKLOAD_LABEL: workload[1]}, row.value, row.time))
    return tuple(rows)


def _combined(name: str, answer: Answer, tokens: Answer) -> Answer:
    if isinstance(answer, Missing) or name.startswith("replica_"):
        return answer
    if name == RATIO:
        return tokens if isinstance(tokens, Missing) else tuple(_ratios(answer, tokens))
    values: dict[tuple[Workload, str], list[Series]] = defaultdict(list)
    for row in answer:
        values[_workload(row), row.labels.get("le", "")].append(row)
    combine = max if name in LARGEST else sum
    return tuple(
        Series(_labels(workload, le), combine(row.value for row in rows), rows[0].time)
        for (workload, le), rows in values.items()
    )


def _ratios(answer: Iterable[Series], tokens: Iterable[Series]) -> Iterable[Series]:
    """Tokens over requests of a workload; a part's requests are its tokens over its own ratio."""
    tokens_of = {_part(row): row.value for row in tokens}
    sums: dict[Workload, tuple[float, float]] = {}
    times: dict[Workload, float] = {}
    for row in answer:
        part_tokens = tokens_of.get(_part(row), 0.0)
        if isfinite(row.value) and row.value > 0 and part_tokens > 0:
            workload = _workload(row)
            of_tokens, of_requests = sums.get(workload, (0.0, 0.0))
            sums[workload] = of_tokens + part_tokens, of_requests + part_tokens / row.value
            times[workload] = row.time
    for workload, (of_tokens, of_requests) in sums.items():
        yield Series(_labels(workload, ""), of_tokens / of_requests, times[workload])


def _part(row: Series) -> tuple[Workload, str]:
    return _workload(row), row.labels.get("pod", "")


def _workload(row: Series) -> Workload:
    return row.labels.get("namespace", ""), row.labels.get(WORKLOAD_LABEL, "")


def _labels(workload: Workload, le: str) -> Mapping[str, str]:
    labels = {"namespace": workload[0], WORKLOAD_LABEL: workload[1]}
    return {**labels, "le": le} if le else labels
