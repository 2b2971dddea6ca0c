"""Recorded facts of a set-up in which nothing is wrong, for the checks of `doctor` to be tried on."""

import copy
from dataclasses import replace
from typing import Any

from baseload.api.crdgen import KINDS, custom_resource_definition
from baseload.doctor.facts import Facts, Metrics, Review, Server
from baseload.doctor.manifests import documents, rights
from baseload.doctor.times import rfc3339, unix
from baseload.observe.profile_book import ProfileBook
from baseload.observe.profiles import load_profiles
from baseload.observe.target_kinds import ALWAYS_THERE, DEPLOYMENTS
from baseload.plan.signals import Identity, ServingSignals, Value
from baseload.plan.snapshot import ServingKey

NOW = unix("2026-11-24T16:40:00Z")
CHAT = ServingKey("team-a", "chat")
SERIES = ("team-a", "Deployment/chat")
QUERY = 'sum by (namespace, baseload_workload) (vllm:num_requests_running{baseload_workload!=""})'
POOL_LABELS = {"pool": "owned"}


def serving(name: str = "chat", target: str = "chat", **annotations: str) -> dict[str, Any]:
    """A ModelServing of team-a that is Ready, an hour old."""
    condition = {"type": "Ready", "status": "True", "reason": "Scaling", "message": "fine"}
    times = {"lastTransitionTime": rfc3339(NOW - 3000), "observedGeneration": 1}
    return {
        "metadata": {
            "name": name,
            "namespace": "team-a",
            "uid": name,
            "resourceVersion": "1",
            "generation": 1,
            "creationTimestamp": rfc3339(NOW - 3600),
            "annotations": {f"baseload.dev/{key.replace('_', '-')}": value for key, value in annotations.items()},
        },
        "spec": {
            "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": target},
            "objective": {"timeToFirstToken": {"targetMilliseconds": 800}},
            "replicas": {"min": 1, "max": 4},
        },
        "status": {"observedGeneration": 1, "conditions": [{**condition, **times}]},
    }


def deployment(name: str = "chat", resource: str = "nvidia.com/gpu") -> dict[str, Any]:
    """A Deployment of team-a with one ready replica that asks for one accelerator."""
    container = {"name": "server", "image": "vllm/vllm-openai", "resources": {"limits": {resource: "1"}}}
    pod = {"nodeSelector": POOL_LABELS, "containers": [container], "terminationGracePeriodSeconds": 60}
    return {
        "metadata": {"name": name, "namespace": "team-a", "uid": f"d-{name}", "resourceVersion": "1"},
        "spec": {"replicas": 1, "template": {"spec": pod}},
        "status": {"replicas": 1, "readyReplicas": 1, "updatedReplicas": 1},
    }


def pool(name: str = "owned", **labels: str) -> dict[str, Any]:
    """A CapacityPool of the nodes with some labels."""
    return {
        "metadata": {"name": name, "uid": name, "resourceVersion": "1", "generation": 1},
        "spec": {
            "provider": {"static": {}},
            "nodeSelector": labels or POOL_LABELS,
            "accelerator": {"resource": "nvidia.com/gpu", "product": "L40S", "perNode": 4},
        },
    }


def node(name: str = "gpu-1", accelerators: int = 4, ready: str = "True") -> dict[str, Any]:
    """A node of the pool."""
    allocatable = {"cpu": "64", **({"nvidia.com/gpu": str(accelerators)} if accelerators else {})}
    return {
        "metadata": {"name": name, "labels": {**POOL_LABELS, "rack": "1"}},
        "spec": {},
        "status": {"conditions": [{"type": "Ready", "status": ready}], "allocatable": allocatable},
    }


def autoscaler(target: str, owner: str = "") -> dict[str, Any]:
    """A HorizontalPodAutoscaler, or a ScaledObject: the reference is the same."""
    owners = [{"kind": owner, "name": "owner"}] if owner else []
    return {
        "metadata": {"name": f"{target}-scaler", "namespace": "team-a", "ownerReferences": owners},
        "spec": {"scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": target}},
    }


def lease(seconds_ago: float = 1.0, holder: str = "operator-1") -> dict[str, Any]:
    """The operator's Lease."""
    renewed = rfc3339(NOW - seconds_ago)
    return {"spec": {"holderIdentity": holder, "renewTime": renewed, "leaseDurationSeconds": 15}}


def definitions() -> dict[str, dict[str, Any]]:
    """Our kinds as an API server has them."""
    found = {}
    for kind in KINDS:
        made = custom_resource_definition(kind)
        made["status"] = {"conditions": [{"type": "Established", "status": "True"}]}
        found[made["metadata"]["name"]] = made
    return found


def signals(**changed: Any) -> ServingSignals:
    """Signals of a serving that is measured in full."""
    seen = Value(1.0, NOW)
    return replace(ServingSignals(seen, seen, seen, seen, seen, seen, seen, identified_by=Identity.LABEL), **changed)


def metrics(**changed: Any) -> Metrics:
    """A Prometheus that has everything of the serving."""
    found = Metrics(
        server=Server("http://prometheus:9090", skew_seconds=0.0),
        scrape_seconds={SERIES: 15.0},
        generation_seconds={SERIES: 20.0},
        labelled={"vllm": (SERIES,)},
        unlabelled={"vllm": ()},
        queries={"vllm": QUERY},
        signals={CHAT: signals()},
    )
    return replace(found, **changed)


def healthy(**changed: Any) -> Facts:
    """All is well; `changed` replaces facts."""
    policies = documents("policy.yaml")
    facts = Facts(
        now=NOW,
        operator_namespace="baseload-system",
        scrape_seconds=15.0,
        api=Server("https://api:6443", version="v1.37.2", skew_seconds=0.0),
        definitions=definitions(),
        policies=tuple(p for p in policies if not p["kind"].endswith("Binding")),
        bindings=tuple(p for p in policies if p["kind"].endswith("Binding")),
        account={"metadata": {"name": "baseload-operator"}},
        reviews=tuple(Review(right, allowed=True) for right in rights()),
        lease=lease(),
        servings=(serving(),),
        profiles=ProfileBook(load_profiles()),
        pools=(pool(),),
        nodes=(node(),),
        targets=targets(deployment()),
        autoscalers=(),
        scaled_objects=(),
        metrics=metrics(),
    )
    return replace(facts, **changed)


def targets(*deployments: dict[str, Any]) -> dict[Any, Any]:
    """Deployments as the facts hold them."""
    return {DEPLOYMENTS: (ALWAYS_THERE[DEPLOYMENTS], deployments)}


def older(name: str = "modelservings.baseload.dev") -> dict[str, Any]:
    """Our kinds, one of them without a field of ours."""
    found = copy.deepcopy(definitions())
    del found[name]["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]["behavior"]
    return found


def newer() -> dict[str, Any]:
    """Our kinds, one of them with a field that we do not know."""
    found = copy.deepcopy(definitions())
    version = found["modelservings.baseload.dev"]["spec"]["versions"][0]
    version["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]["variants"] = {"type": "object"}
    return found


def without(resource: str) -> tuple[Review, ...]:
    """The rights without those on one resource."""
    return tuple(Review(right, allowed=right.resource != resource) for right in rights())


def only_audits() -> tuple[dict[str, Any], ...]:
    """The bindings of the policies, but they only audit."""
    found = copy.deepcopy([d for d in documents("policy.yaml") if d["kind"].endswith("Binding")])
    for binding in found:
        binding["spec"]["validationActions"] = ["Audit"]
    return tuple(found)


def looser() -> tuple[dict[str, Any], ...]:
    """The policies, but they allow everything."""
    found = copy.deepcopy([d for d in documents("policy.yaml") if not d["kind"].endswith("Binding")])
    for policy in found:
        policy["spec"]["validations"] = [{"expression": "true"}]
    return tuple(found)
