"""What a profile's presence metric alone can tell: who is scraped, how lately, and whether the series are honest."""

from collections.abc import Mapping, Sequence

TARGETS = 'up{namespace!="", pod!=""}'
"""One series per target, with the labels of the target: Prometheus makes it itself, so no pod can relabel it."""

TARGET = "job, instance, namespace, pod"

MIXED_RATIO = 1.5
"""Two pods that write into one series leave twice as many samples as there were scrapes."""


def templates(names: Sequence[str]) -> Mapping[str, str]:
    """The queries by name.

    `freshness`: Unix time of the newest sample of each workload, 0 when every scrape of the last minutes failed.
    `samples`: how many samples the rate window holds of the pod seen for longest. `unlabelled`: pods whose series
    carry no workload label. `faults`: series that cannot be trusted, with the label `fault` saying why.
    """
    labelled = selector(names, "${labelled}")
    return {
        "freshness": (
            f"max by (${{workload}}) (timestamp({labelled}))\n"
            f"or 0 * sum by (${{workload}}) (last_over_time({labelled}[5m]))"
        ),
        "samples": f"max by (${{workload}}) (count_over_time({labelled}[${{rate_window}}]))",
        "unlabelled": _unlabelled(names),
        "faults": _faults(names),
    }


def selector(names: Sequence[str], matchers: str) -> str:
    """A vector selector of one metric, or of any of several names that are one metric in different versions."""
    if len(names) == 1:
        return f"{names[0]}{{{matchers}}}"
    return f'{{__name__=~"{"|".join(names)}", {matchers}}}'


def _unlabelled(names: Sequence[str]) -> str:
    """A pod that two jobs scrape and one of them labels is labelled."""
    without = selector(names, 'baseload_workload=""${confined}')
    labelled = selector(names, 'baseload_workload!=""${confined}')
    return f"count by (namespace, pod) ({without})\nunless on (namespace, pod) {labelled}"


def _faults(names: Sequence[str]) -> str:
    """Forged (honorLabels lets a pod choose its labels), Mixed (two pods in one series), Duplicated (two Prometheus).

    A series is forged when it claims a target that `up` does not know, although `up` knows the true target under
    another identity, or the claimed pod or workload under another target. Series that come from elsewhere (federation,
    remote write) without their `up` cannot be judged and are believed.
    """
    claims = selector(names, 'namespace!=""${confined}')
    claims_workload = selector(names, 'namespace!="", baseload_workload!=""${confined}')
    labelled_targets = TARGETS.replace("}", ', baseload_workload!=""}')
    stray = f"({claims} unless on ({TARGET}) {TARGETS})"
    forged = (
        f"({stray} and on (job, instance) {TARGETS})\n"
        f"or ({stray} and on (namespace, pod) {TARGETS})\n"
        f"or ({stray} and on (namespace, baseload_workload) {labelled_targets})\n"
        f"or ({claims_workload} unless on ({TARGET}, baseload_workload) {TARGETS} and on ({TARGET}) {labelled_targets})"
    )
    mixed = (
        f"max by ({TARGET}, baseload_workload) (count_over_time({claims}[${{rate_window}}]))\n"
        f"> on ({TARGET}) group_left ()\n"
        f"{MIXED_RATIO} * max by ({TARGET}) (count_over_time({TARGETS}[${{rate_window}}]))"
    )
    duplicated = (
        f"count by ({TARGET}, container, endpoint, baseload_workload) ({TARGETS}) > 1\nand on (namespace, pod) {claims}"
    )
    return "\nor ".join(
        f'label_replace(max by ({TARGET}, baseload_workload) ({rows}), "fault", "{fault}", "", "")'
        for fault, rows in (("Forged", forged), ("Mixed", mixed), ("Duplicated", duplicated))
    )
