"""The checks of `doctor` on recorded facts: each seeded fault is named once, with its remedy, and nothing else is."""

from dataclasses import replace
from typing import Any

import orjson
import pytest
from doctor_facts import (
    CHAT,
    NOW,
    SERIES,
    autoscaler,
    deployment,
    healthy,
    lease,
    looser,
    metrics,
    newer,
    node,
    older,
    only_audits,
    pool,
    serving,
    signals,
    targets,
    without,
)

from baseload.api.reasons import Reason
from baseload.doctor.access import Unread
from baseload.doctor.checks.cluster import differences
from baseload.doctor.checks.table import CHECKS, judge
from baseload.doctor.facts import NOT_ASKED, Facts, Server, Trouble
from baseload.doctor.finding import Finding, Level
from baseload.doctor.manifests import documents, rights
from baseload.doctor.report import as_json, exit_code, summary
from baseload.doctor.times import rfc3339
from baseload.observe.profile_book import ProfileBook
from baseload.observe.target_kinds import DEPLOYMENTS
from baseload.plan.signals import Identity, Missing
from baseload.plan.snapshot import Refusal


def alarms(facts: Facts) -> list[tuple[str, Finding]]:
    """Faults and warnings."""
    return [(check, found) for check, found in judge(facts) if found.level in (Level.FAULT, Level.WARNING)]


def with_status(**condition: str) -> dict[str, Any]:
    """The serving with another condition beside Ready."""
    raw = serving()
    row = {"message": "in words", "observedGeneration": 1, "lastTransitionTime": rfc3339(NOW - 3000), **condition}
    rows = [c for c in raw["status"]["conditions"] if c["type"] != row["type"]]
    raw["status"]["conditions"] = [*rows, row]
    return raw


def paused(seconds: float, **annotations: str) -> dict[str, Any]:
    """The serving, paused for a while."""
    row = {"type": "Paused", "status": "True", "reason": "Paused", "lastTransitionTime": rfc3339(NOW - seconds)}
    raw = with_status(**row)
    raw["metadata"]["annotations"] = {f"baseload.dev/{k.replace('_', '-')}": v for k, v in annotations.items()}
    return raw


def declared(**metadata: Any) -> dict[Any, Any]:
    """The Deployment with traces of who applied it."""
    raw = deployment()
    raw["metadata"].update(metadata)
    return targets(raw)


def applied(spec: dict[str, Any]) -> dict[Any, Any]:
    """The Deployment as kubectl apply left it."""
    text = orjson.dumps({"spec": spec}).decode()
    return declared(annotations={"kubectl.kubernetes.io/last-applied-configuration": text})


def owned(manager: str, operation: str, replicas: int = 2) -> dict[Any, Any]:
    """The Deployment with somebody who owns its replicas."""
    raw = deployment()
    raw["spec"]["replicas"] = replicas
    owner = {"manager": manager, "operation": operation, "fieldsV1": {"f:spec": {"f:replicas": {}}}}
    raw["metadata"]["managedFields"] = [owner]
    return targets(raw)


def late(status: dict[str, Any] | None) -> dict[str, Any]:
    """The serving, changed ten minutes ago, with the status of before."""
    raw = serving()
    raw["metadata"]["generation"] = 2
    raw["metadata"]["managedFields"] = [{"manager": "kubectl", "time": rfc3339(NOW - 600)}]
    raw["status"] = raw["status"] if status is None else status
    return raw


def missing(reason: Reason, **more: Any) -> Any:
    """Metrics in which the serving's signals are missing for a reason."""
    return metrics(signals={CHAT: signals(running=Missing(reason, "said why"))}, **more)


def trouble(what: Trouble) -> Any:
    """A Prometheus that has trouble."""
    return replace(metrics(), server=Server("http://p:9090", trouble=what, detail="said why"))


def rented() -> dict[str, Any]:
    """The pool, but rented by use, which the serving's spec does not allow."""
    raw = pool()
    raw["spec"]["billing"] = "OnDemand"
    return raw


FOREIGN = "kubectl delete hpa chat-scaler -n team-a"
EDIT_APPLIED = "kubectl apply edit-last-applied deployment/chat -n team-a"
RELABEL = 'set baseload_workload="Deployment/chat" when the pods are scraped'

FAULTS: list[tuple[str, dict[str, Any], str, str, str]] = [
    # check, what is changed, what is found (part), the remedy (part), fault or warning
    ("api-server", {"api": Server("u", version="v1.29.4-eks", skew_seconds=0.0)}, "is v1.29.4-eks", "1.30", "fault"),
    ("clocks", {"api": Server("u", "v1.37.2", 40.0), "metrics": NOT_ASKED}, "is +40 s from this", "chronyc", "warning"),
    (
        "clocks",
        {"metrics": metrics(server=Server("p", skew_seconds=-90.0))},
        "Prometheus' clock is -90 s",
        "chronyc",
        "fault",
    ),
    ("kinds", {"definitions": {}}, "the kind is not installed", "kubectl apply -f crds/", "fault"),
    ("kinds", {"definitions": older()}, "CRDVersionMismatch: `spec.behavior`", "kubectl apply -f crds/", "fault"),
    ("kinds", {"definitions": newer()}, "`spec.variants` is not known", "use the command", "warning"),
    ("service-account", {"account": None}, "does not exist", "kubectl apply -f manifests/rbac.yaml", "fault"),
    ("rights", {"reviews": without("nodes")}, "may not do this", "kubectl apply -f manifests/rbac.yaml", "fault"),
    ("admission-policy", {"policies": ()}, "not installed", "kubectl apply -f manifests/policy.yaml", "warning"),
    ("admission-policy", {"bindings": only_audits()}, "does not deny", "manifests/policy.yaml", "warning"),
    ("admission-policy", {"policies": looser()}, "has other rules", "manifests/policy.yaml", "warning"),
    ("operator", {"lease": lease(90.0)}, "'operator-1' last renewed it 90 s ago", "baseload operator", "fault"),
    ("operator", {"lease": lease(holder="")}, "nobody holds it", "baseload operator", "fault"),
    ("operator", {"lease": None}, "without leader election", "baseload operator", "warning"),
    ("status", {"servings": (late(None),)}, "generation 2), and its status speaks of 1", "log", "fault"),
    ("status", {"servings": (late({}),)}, "has had no status for 10 min", "log", "fault"),
    ("prometheus", {"metrics": trouble(Trouble.REFUSED)}, "refused: said why", "--prometheus-token-file", "fault"),
    ("prometheus", {"metrics": trouble(Trouble.REDIRECT)}, "redirect", "give the final URL", "fault"),
    ("prometheus", {"metrics": trouble(Trouble.NOT_FOUND)}, "not found", "'http://p:9090/api/v1/query'", "fault"),
    ("prometheus", {"metrics": trouble(Trouble.EMPTY)}, "empty", "http://p:9090/targets", "fault"),
    ("prometheus", {"metrics": trouble(Trouble.NO_ANSWER)}, "no answer", "curl -sS", "fault"),
    (
        "scrape-interval",
        {"metrics": metrics(scrape_seconds={SERIES: 60.0})},
        "scraped each 60 s, and --scrape-seconds is 15",
        "--scrape-seconds 60",
        "fault",
    ),
    (
        "scrape-interval",
        {"metrics": metrics(scrape_seconds={SERIES: 5.0})},
        "reacts more slowly",
        "--scrape-seconds 5",
        "warning",
    ),
    ("labels", {"metrics": missing(Reason.AMBIGUOUS)}, "Ambiguous: said why", RELABEL, "fault"),
    (
        "labels",
        {"metrics": missing(Reason.NO_SERIES, labelled={"vllm": (("team-a", "ReplicaSet/chat-5d4f"),)})},
        'carry baseload_workload="ReplicaSet/chat-5d4f" where baseload_workload="Deployment/chat" is meant',
        "try the query sum by",
        "fault",
    ),
    (
        "labels",
        {"metrics": missing(Reason.NO_SERIES, labelled={"vllm": (("", "Deployment/chat"),)})},
        "carry no namespace",
        RELABEL,
        "fault",
    ),
    ("labels", {"metrics": metrics(unlabelled={"vllm": (("team-a", "chat-x-1"),)})}, "'chat-x-1'", RELABEL, "warning"),
    (
        "labels",
        {"metrics": metrics(signals={CHAT: signals(identified_by=Identity.POD_NAME)})},
        "by their names alone",
        RELABEL,
        "warning",
    ),
    ("metrics", {"metrics": missing(Reason.NO_SERIES)}, "NoSeries: said why", "try the query sum by", "fault"),
    ("metrics", {"metrics": missing(Reason.STALE)}, "Stale: said why", "try the query sum by", "fault"),
    (
        "metrics",
        {"metrics": metrics(signals={CHAT: signals(waiting=Missing(Reason.NOT_A_NUMBER, "NaN"))})},
        "waiting requests: NotANumber",
        "try the query",
        "fault",
    ),
    ("targets", {"servings": (serving(target="chatt"),)}, "'chatt' does not exist", "kubectl get deployment", "fault"),
    (
        "targets",
        {"targets": {DEPLOYMENTS: Refusal(Reason.TARGET_NOT_SCALABLE, "it has no scale; name another")}},
        "TargetNotScalable: it has no scale",
        "name another",
        "fault",
    ),
    ("profiles", {"profiles": ProfileBook({})}, "ProfileNotFound: `spec.metricsProfileName`", "kubectl edit", "fault"),
    (
        "target-conflict",
        {"servings": (serving(), serving("other"))},
        "TargetConflict: ModelServing 'chat' is older",
        "kubectl delete msv other -n team-a",
        "fault",
    ),
    ("foreign-autoscaler", {"autoscalers": (autoscaler("chat"),)}, "'chat-scaler' scales", FOREIGN, "fault"),
    (
        "foreign-autoscaler",
        {"autoscalers": (autoscaler("chat", "ScaledObject"),), "scaled_objects": (autoscaler("chat"),)},
        "ScaledObject 'chat-scaler' scales",
        "kubectl delete scaledobject chat-scaler -n team-a",
        "fault",
    ),
    ("declared-replicas", {"targets": applied({"replicas": 2})}, "set by kubectl apply", EDIT_APPLIED, "warning"),
    ("declared-replicas", {"targets": owned("helm", "Update")}, "'helm'", "chart", "warning"),
    ("declared-replicas", {"targets": owned("flux", "Apply")}, "'flux'", "chart", "warning"),
    (
        "paused",
        {"servings": (paused(200_000.0, paused="true"),)},
        "paused for 2 d",
        "kubectl annotate msv chat -n team-a baseload.dev/paused-",
        "warning",
    ),
    ("paused", {"servings": (paused(60.0, paused="maybe"),)}, "neither true nor false", "paused-", "warning"),
    (
        "grace",
        {"metrics": metrics(generation_seconds={SERIES: 90.0})},
        "takes 90 s and more, but pods have 60 s",
        '{"spec":{"template":{"spec":{"terminationGracePeriodSeconds":140}}}}',
        "fault",
    ),
    (
        "pool-nodes",
        {"pools": (pool(), pool("spare", tier="spare"))},
        "no node carries the labels tier=spare",
        "kubectl get nodes -l tier=spare",
        "fault",
    ),
    ("pool-nodes", {"nodes": (node(), node("gpu-2", 0))}, "1 of 2 usable nodes have no", "device plugin", "warning"),
    (
        "pool-overlap",
        {"pools": (pool(), pool("second", rack="1"))},
        "takes 1 nodes that pool 'owned' takes too, among them 'gpu-1'",
        "kubectl edit cpool second",
        "fault",
    ),
    (
        "accelerators",
        {"targets": targets(deployment(resource="amd.com/gpu"))},
        "ask for amd.com/gpu, and the pools have nvidia.com/gpu",
        "CapacityPool for that resource",
        "fault",
    ),
    (
        "accelerators",
        {"pools": (rented(),)},
        "may use none of the 1 pools that take its pods, such as 'owned': its billing is OnDemand",
        "spec.poolSelector and spec.burst",
        "fault",
    ),
    ("accelerators", {"pools": ()}, "there is none", "kubectl apply -f manifests/examples", "warning"),
    (
        "ready",
        {"servings": (with_status(type="Ready", status="False", reason="WriteFailed"),)},
        "Ready is False, WriteFailed: in words",
        "baseload why chat -n team-a",
        "fault",
    ),
]


def test_a_healthy_set_up_gives_no_alarm_and_leaves_nothing_out() -> None:
    """Every check is ok, in the order of the table, and the exit code is 0."""
    findings = judge(healthy())
    assert [(check, found.level) for check, found in findings] == [(check.name, Level.OK) for check in CHECKS]
    assert exit_code(findings) == 0
    assert summary(findings) == f"0 faults, 0 warnings, 0 not checked, {len(CHECKS)} ok"


@pytest.mark.parametrize(
    ("check", "changed", "found", "remedy", "level"), FAULTS, ids=[f"{f[0]}-{n}" for n, f in enumerate(FAULTS)]
)
def test_a_seeded_fault_is_named_with_its_remedy(
    check: str, changed: dict[str, Any], found: str, remedy: str, level: str
) -> None:
    """The right check speaks, with the value and what to do, and no other check raises an alarm."""
    raised = alarms(healthy(**changed))
    assert {name for name, _ in raised} == {check}
    assert {finding.level.value for _, finding in raised} == {level}
    told = [finding for _, finding in raised if found in finding.found]
    assert told, [finding.found for _, finding in raised]
    assert remedy in told[0].remedy
    assert exit_code(judge(healthy(**changed))) == (1 if level == "fault" else 0)


def test_every_check_is_seeded() -> None:
    """No check of the table is without a fault that it finds."""
    assert {check.name for check in CHECKS} == {fault[0] for fault in FAULTS}


def test_what_is_a_consequence_is_not_told_again() -> None:
    """Nodes that are not Ready empty their pool, and then the pods find none there: two findings, each of its own."""
    raised = alarms(healthy(nodes=(node(ready="False"),)))
    assert [(name, f.found) for name, f in raised] == [("pool-nodes", "none of its 1 nodes is Ready and schedulable")]


def test_an_operator_that_never_ran_is_a_fault() -> None:
    """No Lease and no status at all."""
    fresh = serving()
    fresh["status"] = {}
    fresh["metadata"]["creationTimestamp"] = rfc3339(NOW - 5)
    assert [(c, f.level.value) for c, f in alarms(healthy(lease=None, servings=(fresh,)))] == [("operator", "fault")]


def test_an_unreachable_api_server_is_one_fault_and_nothing_is_called_ok() -> None:
    """What could not be looked at is not checked, never fine."""
    gap = Unread("the API server could not be asked, see above")
    unread: dict[str, Any] = dict.fromkeys(
        (
            "definitions",
            "policies",
            "bindings",
            "account",
            "reviews",
            "lease",
            "servings",
            "profiles",
            "pools",
            "nodes",
        ),
        gap,
    )
    unread |= {"targets": gap, "autoscalers": gap, "scaled_objects": gap, "metrics": gap}
    api = Server("https://api:6443", trouble=Trouble.NO_ANSWER, detail="connection refused")
    findings = judge(healthy(api=api, **unread))
    levels = [found.level for _, found in findings]
    assert levels.count(Level.FAULT) == 1
    assert levels.count(Level.SKIPPED) == len(CHECKS) - 1
    assert "no answer: connection refused" in findings[0][1].found
    assert "kubectl cluster-info" in findings[0][1].remedy


def test_what_one_may_not_read_is_not_checked() -> None:
    """A tenant's kubeconfig sees servings and Deployments only; the rest is skipped with the API server's words."""
    gap = Unread("GET /api/v1/nodes: nodes is forbidden")
    findings = judge(healthy(nodes=gap, pools=gap, reviews=gap, definitions=gap, metrics=Unread("no URL was given")))
    skipped = {check for check, found in findings if found.level is Level.SKIPPED}
    rest = {"kinds", "rights", "pool-nodes", "pool-overlap", "accelerators"}
    assert skipped == rest | {"prometheus", "scrape-interval", "labels", "metrics", "grace"}
    assert not alarms(healthy(nodes=gap, pools=gap))


def test_replicas_that_baseload_itself_wrote_are_no_declaration() -> None:
    """Our own field manager, kubectl scale, and the default that a create owns declare nothing."""
    for creator in ("helm", "kubectl-client-side-apply"):
        assert not alarms(healthy(targets=owned(creator, "Update", replicas=1)))
    assert not alarms(healthy(targets=owned("baseload", "Update")))
    assert not alarms(healthy(targets=applied({"template": {}})))
    scaled = [{"manager": "kubectl", "operation": "Update", "subresource": "scale"}]
    assert not alarms(healthy(targets=declared(managedFields=scaled)))


def test_descriptions_are_no_difference_between_schemas() -> None:
    """A better sentence in a field's description does not make two versions."""
    ours = {"properties": {"spec": {"type": "object", "description": "old"}}}
    theirs = {"properties": {"spec": {"type": "object", "description": "new"}}}
    assert differences(ours, theirs) == []
    assert differences({"type": "object", "properties": {}}, {"type": "object"}) == []
    assert differences({"properties": {"a": {"type": "string"}}}, {"properties": {"a": {"type": "integer"}}}) == [
        ".a.type"
    ]


def test_rights_are_those_of_the_manifest() -> None:
    """Every verb of every rule of manifests/rbac.yaml is asked for, namespaced ones where the operator is."""
    rows = [
        (group, resource, verb)
        for role in documents("rbac.yaml")
        if role["kind"] in ("ClusterRole", "Role")
        for rule in role.get("rules") or ()
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    ]
    asked = rights("elsewhere")
    full = [(r.group, r.resource + (f"/{r.subresource}" if r.subresource else ""), r.verb) for r in asked]
    assert sorted(full) == sorted(rows)
    assert {r.namespace for r in asked if r.resource == "leases"} == {"elsewhere"}


def test_json_has_every_finding_with_its_remedy() -> None:
    """The same in a form for programs."""
    given = as_json(judge(healthy(lease=lease(90.0))))
    assert given["summary"] == {"fault": 1, "warning": 0, "skipped": 0, "ok": len(CHECKS) - 1}
    (fault,) = [row for row in given["findings"] if row["level"] == "fault"]
    assert fault["check"] == "operator"
    assert fault["remedy"].startswith("baseload operator")
