"""What a profile's presence metric alone can tell: who is scraped, how lately, and whether the series are honest."""

from collections.abc import Mapping, Sequence

TARGETS = 'up{namespace!="", pod!=""}'
LABELLED_TARGETS = 'up{namespace!="", pod!="", baseload_workload!=""}'
"""One series per target, with the labels of the target: Prometheus makes it itself, so no pod can relabel it."""

TARGET = "job, instance, namespace, pod"

CLAIMS = 'namespace!=""${confined}'
CLAIMS_WORKLOAD = 'namespace!="", baseload_workload!=""${confined}'

SAME_TIME_SECONDS = 0.001

MIXED_RATIO = 1.5
"""Two pods that write into one series leave twice as many samples as there were scrapes."""


def templates(names: Sequence[str]) -> Mapping[str, str]:
    """The queries by name.

    `freshness`: Unix time of the newest sample of each workload, 0 when every scrape of the last minutes failed.
    `samples`: how many samples the rate window holds of the pod seen for longest. `unlabelled`: pods whose series
    carry no workload label. `suspects`: workloads of which some series may lie, cheaply found and often innocent;
    `faults`: series that do, with the label `fault` saying how.
    """
    fresh = _first(names, "${labelled}", "max by (${workload}) (timestamp(SELECTOR))")
    failed = _first(names, "${labelled}", "0 * sum by (${workload}) (last_over_time(SELECTOR[5m]))")
    return {
        "freshness": f"{fresh}\nor {failed}",
        "samples": _first(names, "${labelled}", "max by (${workload}) (count_over_time(SELECTOR[${rate_window}]))"),
        "unlabelled": _unlabelled(names),
        "suspects": _suspects(names),
        "faults": _faults(names),
    }


def _first(names: Sequence[str], matchers: str, query: str) -> str:
    """The same query of each name, of each row the first: functions drop the name, so two would become one series."""
    return "\nor ".join(query.replace("SELECTOR", f"{name}{{{matchers}}}") for name in names)


def _selector(names: Sequence[str], matchers: str) -> str:
    """A vector selector of one metric, or of any of several names that are one metric in different versions."""
    if len(names) == 1:
        return f"{names[0]}{{{matchers}}}"
    return f'{{__name__=~"{"|".join(names)}", {matchers}}}'


def _unlabelled(names: Sequence[str]) -> str:
    """A pod that two jobs scrape and one of them labels is labelled."""
    without = _selector(names, 'baseload_workload=""${confined}')
    labelled = _selector(names, 'baseload_workload!=""${confined}')
    return f"count by (namespace, pod) ({without})\nunless on (namespace, pod) {labelled}"


def _suspects(names: Sequence[str]) -> str:
    """Workloads whose series and targets differ in sum: a join of pods only once, for that is what is dear."""
    workload = "namespace, baseload_workload"
    samples = f"max by ({workload}) (count_over_time(SELECTOR[${{rate_window}}]))"
    times = f"avg by ({workload}) (timestamp(SELECTOR))"
    return (
        f"count by ({workload}) ({_selector(names, CLAIMS)} unless on ({TARGET}, baseload_workload) {TARGETS})\n"
        f"or (({_first(names, CLAIMS_WORKLOAD, samples)})"
        f" > {MIXED_RATIO} * max by ({workload}) (count_over_time({LABELLED_TARGETS}[${{rate_window}}])))\n"
        f"or (abs(({_first(names, CLAIMS_WORKLOAD, times)})"
        f" - avg by ({workload}) (timestamp({LABELLED_TARGETS}))) > {SAME_TIME_SECONDS})\n"
        f"or (count by ({workload}) ({LABELLED_TARGETS}) > count by ({workload})"
        f" (group by ({TARGET}, container, endpoint, baseload_workload) ({LABELLED_TARGETS})))"
    )


def _faults(names: Sequence[str]) -> str:
    """Forged and Mixed (honorLabels lets a pod choose its labels), Duplicated (two Prometheus read as one)."""
    found = (("Forged", _forged(names)), ("Mixed", _mixed(names)), ("Duplicated", _duplicated(names)))
    return "\nor ".join(
        f'label_replace(max by ({TARGET}, baseload_workload) ({rows}), "fault", "{fault}", "", "")'
        for fault, rows in found
    )


def _forged(names: Sequence[str]) -> str:
    """Series that claim a target that `up` does not know, although it knows the true one, or the claimed, otherwise.

    Series that come from elsewhere (federation, remote write) without their `up` cannot be judged and are believed.
    """
    stray = f"({_selector(names, CLAIMS)} unless on ({TARGET}) {TARGETS})"
    return (
        f"({stray} and on (job, instance) {TARGETS})\n"
        f"or ({stray} and on (namespace, pod) {TARGETS})\n"
        f"or ({stray} and on (namespace, baseload_workload) {LABELLED_TARGETS})\n"
        f"or ({_selector(names, CLAIMS_WORKLOAD)} unless on ({TARGET}, baseload_workload) {TARGETS}"
        f" and on ({TARGET}) {LABELLED_TARGETS})"
    )


def _mixed(names: Sequence[str]) -> str:
    """Series of a target of which there are more samples than scrapes, or one from another instant than its scrape.

    Prometheus gives all samples of a scrape the same time, that of `up` included.
    """
    samples = f"max by ({TARGET}, baseload_workload) (count_over_time(SELECTOR[${{rate_window}}]))"
    return (
        f"({_first(names, CLAIMS, samples)})\n"
        f"> on ({TARGET}) group_left ()\n"
        f"{MIXED_RATIO} * max by ({TARGET}) (count_over_time({TARGETS}[${{rate_window}}]))\n"
        f"or ({_first(names, CLAIMS, 'timestamp(SELECTOR)')})\n"
        f"!= on ({TARGET}) group_left () max by ({TARGET}) (timestamp({TARGETS}))"
    )


def _duplicated(names: Sequence[str]) -> str:
    """Targets that are there more than once, and how often."""
    return (
        f"count by ({TARGET}, container, endpoint, baseload_workload) ({TARGETS}) > 1\n"
        f"and on (namespace, pod) {_selector(names, CLAIMS)}"
    )
