"""The kinds on the real API server: what it accepts, what it refuses, and in which words."""

import copy
import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from baseload.errors import LabError
from baseload.lab.kubectl import Kubectl

ROOT = Path(__file__).parents[2]
SERVING: dict[str, Any] = yaml.safe_load((ROOT / "manifests/examples/modelserving.yaml").read_text(encoding="utf-8"))
POOL: dict[str, Any] = yaml.safe_load((ROOT / "manifests/examples/capacitypool.yaml").read_text(encoding="utf-8"))
# The example itself may be there: a page of the documentation applies it in the same lab.
POOL["metadata"]["name"] = "schema-test"


@pytest.fixture(scope="module", autouse=True)
def definitions(cluster: Kubectl) -> None:
    """Our CRDs, established."""
    cluster.apply(ROOT / "crds")
    cluster("wait", "--for=condition=Established", "crd/modelservings.baseload.dev", "crd/capacitypools.baseload.dev")


def changed(base: dict[str, Any], path: str, value: object) -> dict[str, Any]:
    """A copy of an object with one field set, or removed when the value is None."""
    made = copy.deepcopy(base)
    *parents, last = path.split(".")
    at = made
    for name in parents:
        at = at.setdefault(name, {})
    if value is None:
        at.pop(last, None)
    else:
        at[last] = value
    return made


def dry_run(cluster: Kubectl, what: dict[str, Any]) -> str:
    """Create on the server without keeping; the output or the server's refusal."""
    try:
        return cluster("create", "--dry-run=server", "-f", "-", stdin=yaml.safe_dump(what))
    except LabError as error:
        return str(error)


def scheduled(**changes: object) -> dict[str, Any]:
    """A schedule, right but for the changes."""
    hours = {"timeZone": "Europe/Berlin", "days": ["Mon", "Sun"], "start": "07:00", "end": "01:00"}
    return {**hours, "replicas": {"min": 8}, **changes}


def selected(operator: str, *values: str) -> dict[str, Any]:
    """A poolSelector with one expression."""
    return {"matchExpressions": [{"key": "chip", "operator": operator, **({"values": [*values]} if values else {})}]}


CONTRACT = {"nodes": 3, "startTime": "2027-01-01T00:00:00Z", "endTime": "2028-01-01T00:00:00+01:00", "hourly": "1.9"}


def reserved(**changes: object) -> dict[str, Any]:
    """The spec of a pool under a contract, right but for the changes of the contract."""
    return {**POOL["spec"], "billing": "Reserved", "commitment": {**CONTRACT, **changes}}


SERVING_REFUSED = [
    ("spec.targetRef", None, ["spec.targetRef", "Required"]),
    ("spec.targetRef.name", "", ["spec.targetRef.name", "at least 1"]),
    ("spec.targetRef.kind", "deployment", ["spec.targetRef.kind", "deployment", "^[A-Z]"]),
    ("spec.targetRef.apiVersion", "apps", ["spec.targetRef.apiVersion", "apps", "should match"]),
    ("spec.objective", None, ["spec.objective", "Required"]),
    ("spec.objective", {}, ["`objective` is empty", "timeToFirstToken"]),
    (
        "spec.objective.timeToFirstToken.targetMilliseconds",
        0,
        ["targetMilliseconds", "0", "greater than or equal to 1"],
    ),
    ("spec.objective.timeToFirstToken.targetMilliseconds", 10, ["is 10 and", "which is 50", "swapped"]),
    ("spec.objective.timeToFirstToken.targetMilliseconds", 600_001, ["600001", "less than or equal to 600000"]),
    ("spec.objective.timeToFirstToken.targetMilliseconds", 800.5, ["targetMilliseconds", "integer"]),
    (
        "spec.objective.interTokenLatency.attainmentPercent",
        100,
        ["attainmentPercent", "100", "less than or equal to 99"],
    ),
    (
        "spec.objective.interTokenLatency.attainmentPercent",
        49,
        ["attainmentPercent", "49", "greater than or equal to 50"],
    ),
    ("spec.metricsProfileName", "v LLM", ["metricsProfileName", "v LLM", "should match"]),
    ("spec.replicas", None, ["spec.replicas", "Required"]),
    ("spec.replicas.min", 0, ["spec.replicas.min", "0", "greater than or equal to 1"]),
    ("spec.replicas.max", 20_000, ["spec.replicas.max", "20000", "less than or equal to 10000"]),
    ("spec.replicas.min", 13, ["`replicas.max` is 12", "which is 13", "raise `max` or lower `min`"]),
    ("spec.replicas.min", "two", ["spec.replicas.min", "integer"]),
    ("spec.behavior.scaleDown.stabilizationSeconds", -1, ["stabilizationSeconds", "-1", "greater than or equal to 0"]),
    ("spec.behavior.scaleDown.maxStepPercent", 0, ["maxStepPercent", "0", "greater than or equal to 1"]),
    ("spec.behavior.scaleDown.maxStepPercent", 101, ["maxStepPercent", "101", "less than or equal to 100"]),
    (
        "spec.onMetricsLoss.policy",
        "Panic",
        ["onMetricsLoss.policy", '"Panic"', '"Hold"', '"ScaleUp"', '"Fallback"'],
    ),
    ("spec.onMetricsLoss.policy", "Fallback", ["`onMetricsLoss.replicas` must be set with policy Fallback"]),
    ("spec.onMetricsLoss.replicas", 4, ["`onMetricsLoss.replicas` is 4", "only with policy Fallback; remove it"]),
    (
        "spec.onMetricsLoss",
        {"policy": "Fallback", "replicas": 13},
        ["`onMetricsLoss.replicas` is 13", "`replicas.max`, which is 12"],
    ),
    ("spec.schedules", [scheduled(timeZone="Mars/Base")], ["schedules[0].timeZone", "unknown time zone Mars/Base"]),
    ("spec.schedules", [scheduled(timeZone="Local")], ["schedules[0].timeZone", "Local", "should match"]),
    ("spec.schedules", [scheduled(start="24:00")], ["schedules[0].start", "24:00", "should match"]),
    ("spec.schedules", [scheduled(days=["Mon", "Mon"])], ["schedules[0].days[1]", "Duplicate value"]),
    ("spec.schedules", [scheduled(days=["Monday"])], ["schedules[0].days[0]", '"Monday"', '"Mon"']),
    ("spec.schedules", [scheduled(), scheduled(replicas={})], ["schedules[1].replicas", "is empty: set `min`"]),
    ("spec.schedules", [scheduled(replicas={"min": 13})], ["of a schedule is 13", "which is 12"]),
    ("spec.schedules", [scheduled()] * 17, ["spec.schedules", "at most 16"]),
    ("spec.mode", "DryRun", ["spec.mode", '"DryRun"', '"Enforce", "Recommend"']),
    ("spec.priorityClassName", "system-cluster-critical", ["is `system-cluster-critical`", "name another"]),
    ("spec.priorityClassName", "Gold", ["priorityClassName", "Gold", "should match"]),
    ("spec.replica", {"min": 1}, ["unknown field", "spec.replica"]),
    ("spec.poolSelector", {}, ["`poolSelector` is empty and would select every pool"]),
    ("spec.poolSelector", {"matchLabels": {"region": "e u"}}, ["poolSelector.matchLabels", "e u", "should match"]),
    ("spec.poolSelector", selected("In"), ["`values` of the label `chip` must be set", "the operator is In"]),
    ("spec.poolSelector", selected("Exists", "a"), ["`values` of the label `chip`", "the operator is Exists"]),
    ("spec.poolSelector", selected("Like", "a"), ["matchExpressions[0].operator", '"Like"', '"In"']),
    ("spec.burst.policy", "Always", ["burst.policy", '"Always"', '"Never", "Auto"']),
    ("spec.burst", {"maxHourlyCost": "400"}, ["`burst.maxHourlyCost` is 400", "`policy: Auto`"]),
    ("spec.burst", {"policy": "Auto", "maxHourlyCost": "-4"}, ["burst.maxHourlyCost", "-4", "should match"]),
]

POOL_REFUSED = [
    ("spec.provider", {}, ["`provider` is empty", "static"]),
    ("spec.provider", None, ["spec.provider", "Required"]),
    ("spec.nodeSelector", {}, ["`nodeSelector` is empty", "name a label"]),
    ("spec.accelerator.resource", "gpu", ["accelerator.resource", "gpu", "should match"]),
    ("spec.accelerator.perNode", 0, ["accelerator.perNode", "0", "greater than or equal to 1"]),
    ("spec.accelerator.product", "x" * 65, ["accelerator.product", "64"]),
    ("spec.limits", {"minNodes": 3, "maxNodes": 2}, ["`limits.maxNodes` is 2", "which is 3"]),
    ("spec.cost.hourly", "6,88", ["cost.hourly", "6,88", "should match"]),
    ("spec.cost.hourly", 6.88, ["cost.hourly", "string"]),
    ("spec.cost.per", "Hour", ["cost.per", '"Hour"', '"Accelerator", "Node"']),
    ("spec.leadTime", {"p50Seconds": 90, "p95Seconds": 60}, ["`leadTime.p95Seconds` is 60", "which is 90", "swapped"]),
    ("spec.leadTime", {"p50Seconds": -1, "p95Seconds": 60}, ["leadTime.p50Seconds", "-1"]),
    ("spec.billing", "Rented", ["spec.billing", '"Rented"', '"Owned", "Reserved", "OnDemand", "Spot"']),
    ("spec.ordering", "Later", ["spec.ordering", '"Later"', '"Immediate", "Queued"']),
    ("spec.unit", {"nodes": 0}, ["unit.nodes", "0", "greater than or equal to 1"]),
    ("spec.unit", {"nodes": 2}, ["`limits.maxNodes` is 3", "`unit.nodes`, which is 2"]),
    (
        "spec",
        {**POOL["spec"], "unit": {"nodes": 2}, "limits": {"minNodes": 1, "maxNodes": 4}},
        ["`limits.minNodes` is 1", "`unit.nodes`, which is 2"],
    ),
    ("spec.cost", {"hourly": "9.5", "avoidableHourly": "10"}, ["`cost.avoidableHourly` is 10", "which is 9.5"]),
    ("spec.cost", {"hourly": "9.5", "minBillingSeconds": -1}, ["cost.minBillingSeconds", "-1"]),
    ("spec.cost", {"hourly": "9.5", "egressPerGiB": "8 cents"}, ["cost.egressPerGiB", "8 cents", "should match"]),
    ("spec.hold", {"minimumSeconds": -1}, ["hold.minimumSeconds", "-1"]),
    ("spec.commitment", CONTRACT, ["`commitment` is read only with `billing: Reserved`", "billing is Owned"]),
    ("spec", reserved(endTime="2026-12-31T00:00:00Z"), ["`commitment.endTime` is 2026-12-31T00:00:00Z", "swapped"]),
    ("spec", reserved(nodes=4), ["`commitment.nodes` is 4", "`limits.maxNodes`, which is 3"]),
    ("spec", reserved(startTime="soon"), ["commitment.startTime", "soon", "date-time"]),
    ("spec", reserved(takeOrPayPercent=101), ["takeOrPayPercent", "101", "less than or equal to 100"]),
]

SERVING_ACCEPTED = [
    ("spec.objective", {"interTokenLatency": {"targetMilliseconds": 50}}),
    ("spec.objective", {"timeToFirstToken": {"targetMilliseconds": 600_000}}),
    ("spec.replicas", {"min": 1, "max": 1}),
    ("spec.replicas", {"min": 10_000, "max": 10_000}),
    ("spec.behavior.scaleDown", {"stabilizationSeconds": 0, "maxStepPercent": 100}),
    ("spec.onMetricsLoss.policy", "Hold"),
    ("spec.onMetricsLoss.policy", "ScaleUp"),
    ("spec.onMetricsLoss", {"policy": "Fallback", "replicas": 12}),
    ("spec.schedules", []),
    ("spec.schedules", [scheduled(start="07:00", end="07:00", replicas={"max": 2})] * 16),
    ("spec.schedules", [scheduled(timeZone=zone) for zone in ("UTC", "Etc/GMT+5", "America/Argentina/Buenos_Aires")]),
    ("spec.mode", "Recommend"),
    ("spec.priorityClassName", "serving.critical"),
    ("spec.metricsProfileName", "llamacpp"),
    ("spec.targetRef", {"apiVersion": "v1", "kind": "Any", "name": "x"}),
    ("spec.poolSelector", {"matchLabels": {"region": "eu", "example.com/chip": ""}}),
    ("spec.poolSelector", selected("NotIn", "a", "b")),
    ("spec.poolSelector", selected("DoesNotExist")),
    ("spec.burst", {}),
    ("spec.burst", {"policy": "Never"}),
    ("spec.burst", {"policy": "Auto"}),
    ("spec.burst", {"policy": "Auto", "maxHourlyCost": "400.25"}),
]

POOL_ACCEPTED = [
    ("spec.limits", {"minNodes": 0, "maxNodes": 0}),
    ("spec.cost", {"hourly": "55.04", "per": "Node"}),
    ("spec.leadTime", {"p50Seconds": 60, "p95Seconds": 60}),
    ("spec.cost", None),
    ("spec.cost", {"hourly": "10", "avoidableHourly": "10.0", "minBillingSeconds": 60, "egressPerGiB": "0.08"}),
    ("spec.billing", "Spot"),
    ("spec.ordering", "Queued"),
    ("spec.unit", {"nodes": 3}),
    ("spec.hold", {"minimumSeconds": 300}),
    ("spec", reserved()),
    ("spec", reserved(nodes=1, takeOrPayPercent=0)),
]


@pytest.mark.parametrize(("path", "value", "words"), SERVING_REFUSED)
def test_a_wrong_serving_is_refused_in_words(cluster: Kubectl, path: str, value: object, words: list[str]) -> None:
    """The API server's answer names the field, the value and what is allowed."""
    answer = dry_run(cluster, changed(SERVING, path, value))
    assert "created" not in answer
    assert all(word in answer for word in words), answer


@pytest.mark.parametrize(("path", "value"), SERVING_ACCEPTED)
def test_a_right_serving_is_accepted(cluster: Kubectl, path: str, value: object) -> None:
    """The edges of what is allowed are accepted."""
    assert "created" in dry_run(cluster, changed(SERVING, path, value))


@pytest.mark.parametrize(("path", "value", "words"), POOL_REFUSED)
def test_a_wrong_pool_is_refused_in_words(cluster: Kubectl, path: str, value: object, words: list[str]) -> None:
    """The API server's answer names the field, the value and what is allowed."""
    answer = dry_run(cluster, changed(POOL, path, value))
    assert "created" not in answer
    assert all(word in answer for word in words), answer


@pytest.mark.parametrize(("path", "value"), POOL_ACCEPTED)
def test_a_right_pool_is_accepted(cluster: Kubectl, path: str, value: object) -> None:
    """The edges of what is allowed are accepted."""
    assert "created" in dry_run(cluster, changed(POOL, path, value))


CONDITIONS = (
    "Ready",
    "Accepted",
    "MetricsAvailable",
    "CapacityAvailable",
    "ScalingLimited",
    "Paused",
    "Conflict",
    "Stalled",
)
"""The types of all conditions of a serving."""


def full_status() -> dict[str, Any]:
    """A status with every list full of long rows."""
    now, text = "2026-01-01T00:00:00Z", "some sentence with numbers, about as long as they are: 21.3 requests/s now"
    row = {"reason": "Stabilization", "message": text, "before": 3, "after": 4}
    signal = {"signal": "OfferedRate", "unit": "requests/s", "value": "21.3", "target": "0.95", "time": now}
    condition = {"status": "True", "reason": "Accepted", "message": text, "lastTransitionTime": now}
    return {
        "observedGeneration": 1,
        "conditions": [{**condition, "type": name, "observedGeneration": 1} for name in CONDITIONS],
        "lastDecision": {
            "time": now,
            "reason": "DemandRose",
            "message": text,
            "replicas": {"current": 1, "raw": 2, "final": 2},
            "observed": [signal] * 5,
            "limitedBy": [row] * 4,
            "forecast": {
                "answeredBy": "Mixture",
                "horizonSeconds": 1200,
                "quantile": "0.93",
                "order": "1034",
                "low": "512.3",
                "median": "801.2",
                "high": "1378",
            },
            "considered": [{"pool": "owned", "outcome": "Chosen", "message": text, "reason": "BurstNotAllowed"}] * 8,
        },
        "history": [{"time": now, "from": 1, "to": 2, "reason": "DemandRose"}] * 5,
        "variants": [{"name": "home", "desired": 2, "ready": 1, "pending": 1, "startUpSeconds": 24}],
        "replicaModel": {"stateVersion": 1, "state": "{}", "requestsPerSecondPerReplica": "4.1"},
        "shortage": {"replicas": 2, "requestsPerSecond": "8.2"},
        "display": {"replicas": "1/2", "objective": "TTFT 1000ms ITL 50ms", "reason": "DemandRose"},
    }


def test_a_full_status_fits_and_costs_little_bookkeeping(cluster: Kubectl, namespace: str) -> None:
    """A status with every list filled is accepted and adds less than 1.5 kB of managedFields."""
    cluster("create", "-n", namespace, "-f", "-", stdin=yaml.safe_dump(SERVING))
    patch = yaml.safe_dump({"status": full_status()})
    arguments = ("--type=merge", "--subresource=status", "-p", patch, "--field-manager=baseload")
    cluster("patch", "-n", namespace, "modelservings.baseload.dev/chat-8b", *arguments)
    stored = cluster.get("-n", namespace, "modelservings.baseload.dev", "chat-8b", "--show-managed-fields")
    fields = [entry for entry in stored["metadata"]["managedFields"] if entry["manager"] == "baseload"]
    assert stored["status"]["variants"][0]["ready"] == 1
    assert len(json.dumps(fields, separators=(",", ":"))) < 1500
    columns = cluster("get", "-n", namespace, "msv")
    assert "TTFT 1000ms ITL 50ms" in columns
    assert max(len(line.rstrip()) for line in columns.splitlines()) <= 100


def test_spec_writes_do_not_reach_the_status(cluster: Kubectl, namespace: str) -> None:
    """A status sent with an ordinary write is dropped: status is a subresource."""
    cluster("create", "-n", namespace, "-f", "-", stdin=yaml.safe_dump({**SERVING, "status": full_status()}))
    stored = cluster.get("-n", namespace, "modelservings.baseload.dev", "chat-8b")
    assert "status" not in stored


def test_explain_speaks(cluster: Kubectl) -> None:
    """`kubectl explain` shows the docstring of a field."""
    text = cluster("explain", "modelserving.spec.behavior.scaleDown.stabilizationSeconds")
    assert "highest number wanted" in text
