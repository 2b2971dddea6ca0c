"""Checks of each serving's workload: that it is there and that nobody else scales it."""

from collections.abc import Iterator, Mapping
from math import ceil
from typing import Any, Final

import orjson

from baseload.doctor.access import Raw, Unread
from baseload.doctor.facts import Facts
from baseload.doctor.finding import Finding, fault, skipped, warning
from baseload.doctor.times import age, unix
from baseload.doctor.world import World, read, unread
from baseload.observe.objects import autoscaler, scaled_object
from baseload.plan.snapshot import Refusal

LONG_PAUSE_SECONDS: Final = 86_400.0
OURS: Final = "baseload"
"""Field manager of the operator's own writes."""

DEPLOYERS: Final = ("helm", "argocd", "kustomize-controller")
LAST_APPLIED: Final = "kubectl.kubernetes.io/last-applied-configuration"


def targets_exist(facts: Facts, world: World) -> Iterator[Finding]:
    """`spec.targetRef` names a workload that is there and that can be scaled."""
    gap = unread(facts.servings, facts.targets)
    if gap is not None or isinstance(facts.targets, Unread):
        yield skipped(gap.why if gap else "")
        return
    for entry in world.catalog.entries.values():
        if isinstance(entry.accepted, Refusal):
            remedy = f"kubectl edit msv {entry.key.name} -n {entry.key.namespace}"
            yield fault(str(entry.key), entry.accepted.message, remedy)
    for entry, accepted in world.usable():
        found, target = facts.targets.get(accepted.kind), accepted.target
        if isinstance(found, Refusal):
            told, _, remedy = found.message.partition("; ")
            yield fault(str(entry.key), f"{found.reason}: {told}", remedy or f"kubectl explain {target.kind.lower()}")
        elif accepted.kind in world.listed and target not in world.workloads:
            told = f"{target.kind} '{target.name}' does not exist in namespace '{target.namespace}'"
            remedy = f"kubectl get {target.kind.lower()} -n {target.namespace}, then correct spec.targetRef"
            yield fault(str(entry.key), told, remedy)


def profiles_are_usable(facts: Facts, world: World) -> Iterator[Finding]:
    """`spec.metricsProfileName` names a profile that is there, that can be read, and that the namespace may use."""
    gap = unread(facts.servings, facts.profiles)
    if gap is not None or isinstance(facts.profiles, Unread):
        yield skipped(gap.why if gap else "")
        return
    for entry, accepted in world.usable():
        refusal = facts.profiles.refusal(accepted.profile, entry.key.namespace)
        if refusal is not None:
            remedy = f"kubectl edit msv {entry.key.name} -n {entry.key.namespace}, or mend the ConfigMap of the profile"
            yield fault(str(entry.key), f"{refusal.reason}: {refusal.message}", remedy)


def one_serving_each(facts: Facts, world: World) -> Iterator[Finding]:
    """No two servings scale one workload."""
    if isinstance(facts.servings, Unread):
        yield skipped(facts.servings.why)
        return
    for entry, _ in world.usable():
        conflict = world.catalog.conflict(entry)
        if conflict is not None:
            remedy = f"kubectl delete msv {entry.key.name} -n {entry.key.namespace}, or change its spec.targetRef"
            yield fault(str(entry.key), f"TargetConflict: {conflict.message.partition(';')[0]}", remedy)


def no_other_autoscaler(facts: Facts, world: World) -> Iterator[Finding]:
    """No HorizontalPodAutoscaler and no ScaledObject scales a serving's workload."""
    gap = unread(facts.servings, facts.autoscalers)
    if gap is not None:
        yield skipped(gap.why)
        return
    rivals = [("hpa", raw, autoscaler(raw)) for raw in read(facts.autoscalers) if not _made_by_keda(raw)]
    rivals += [("scaledobject", raw, scaled_object(raw)) for raw in read(facts.scaled_objects)]
    for kind, raw, rival in rivals:
        for key in world.catalog.claimants(rival.target):
            found = (
                f"{rival.name} scales {rival.target.kind} '{rival.target.name}' too; Baseload does not fight over it"
            )
            yield fault(str(key), found, f"kubectl delete {kind} {raw['metadata']['name']} -n {key.namespace}")


def _made_by_keda(raw: Raw) -> bool:
    """KEDA's own HorizontalPodAutoscaler comes back when it is deleted: its ScaledObject must go."""
    return any(owner["kind"] == "ScaledObject" for owner in raw["metadata"].get("ownerReferences") or ())


def replicas_are_not_declared(facts: Facts, world: World) -> Iterator[Finding]:
    """Nothing that is applied again says how many replicas there are."""
    gap = unread(facts.servings, facts.targets)
    if gap is not None:
        yield skipped(gap.why)
        return
    for entry, accepted in world.usable():
        raw = world.raw_workloads.get(accepted.target)
        found = None if raw is None else _declared_by(raw)
        if found is None:
            continue
        target = accepted.target
        workload = f"{target.kind.lower()}/{target.name} -n {target.namespace}"
        remedy = f"take `replicas:` out of the chart or manifest of {workload}"
        if found.startswith("kubectl"):
            edit = f"kubectl apply edit-last-applied {workload}"
            remedy = f"{edit}: delete the line `replicas:` there, and then in the manifest"
        said = f"{target.kind} '{target.name}': `spec.replicas` is set by {found}, and its next run resets the number"
        yield warning(str(entry.key), said, remedy)


def _declared_by(raw: Raw) -> str | None:
    """Who writes spec.replicas with each apply; None when nobody does."""
    annotations = raw["metadata"].get("annotations") or {}
    if LAST_APPLIED in annotations and "replicas" in _spec(annotations[LAST_APPLIED]):
        return "kubectl apply"
    for row in raw["metadata"].get("managedFields") or ():
        owns = "f:replicas" in ((row.get("fieldsV1") or {}).get("f:spec") or {})
        if owns and row.get("manager") != OURS and not row.get("subresource") and _declares(row, raw):
            return f"'{row['manager']}'"
    return None


def _declares(row: Raw, workload: Raw) -> bool:
    """Whether an owner of spec.replicas has written it: a plain create owns the default of 1 without having said it."""
    if row.get("operation") == "Apply":
        return True
    by_deployer = str(row.get("manager", "")).lower().startswith(DEPLOYERS)
    return by_deployer and workload["spec"].get("replicas", 1) != 1


def _spec(applied: str) -> Mapping[str, Any]:
    try:
        spec: Mapping[str, Any] = orjson.loads(applied).get("spec") or {}
    except (orjson.JSONDecodeError, AttributeError):
        return {}
    return spec


def not_paused_for_long(facts: Facts, world: World) -> Iterator[Finding]:
    """No serving has been paused for more than a day, and no pause annotation is unreadable."""
    if isinstance(facts.servings, Unread):
        yield skipped(facts.servings.why)
        return
    for entry in world.catalog.entries.values():
        pause = entry.pause
        if not pause.why:
            continue
        since = facts.now - _paused_since(world.raw_servings[str(entry.key)], facts.now)
        unreadable = "has value" in pause.why
        if unreadable or since > LONG_PAUSE_SECONDS:
            names = " ".join(f"{name}-" for name, _ in entry.stored.annotations if "/paused" in name)
            found = pause.why if since <= LONG_PAUSE_SECONDS else f"paused for {age(since)}: {pause.why}"
            remedy = f"kubectl annotate msv {entry.key.name} -n {entry.key.namespace} {names}"
            yield warning(str(entry.key), found, remedy)


def _paused_since(raw: Raw, now: float) -> float:
    """When the condition Paused became True; now when it has not yet."""
    for condition in (raw.get("status") or {}).get("conditions") or ():
        if condition["type"] == "Paused" and condition["status"] == "True":
            return unix(condition["lastTransitionTime"])
    return now


def grace_is_long_enough(facts: Facts, world: World) -> Iterator[Finding]:
    """A pod that is taken away has the time to finish the longest of its requests."""
    gap = unread(facts.metrics, facts.servings, facts.targets)
    if gap is not None or isinstance(facts.metrics, Unread):
        yield skipped(gap.why if gap else "")
        return
    if facts.metrics.server.trouble is not None:
        yield skipped("Prometheus has trouble, so the time of a request is not known")
        return
    for entry, accepted in world.usable():
        raw, target = world.raw_workloads.get(accepted.target), accepted.target
        seconds = facts.metrics.generation_seconds.get((target.namespace, f"{target.kind}/{target.name}"))
        grace = None if raw is None else _grace_seconds(raw)
        if seconds is None or grace is None or grace >= seconds:
            continue
        found = (
            f"1 of 100 requests takes {seconds:.0f} s and more, but pods have {grace:g} s to end: a step down cuts it"
        )
        enough = {"spec": {"template": {"spec": {"terminationGracePeriodSeconds": ceil(1.5 * seconds) + 5}}}}
        patch = orjson.dumps(enough).decode()
        remedy = f"kubectl patch {target.kind.lower()} {target.name} -n {target.namespace} -p '{patch}'"
        yield fault(str(entry.key), found, remedy)


def _grace_seconds(raw: Raw) -> float | None:
    template = (raw["spec"].get("template") or {}).get("spec")
    return None if template is None else float(template.get("terminationGracePeriodSeconds", 30))
