"""The operator's rights: all that it needs, and nothing with which it could do harm."""

from pathlib import Path

import pytest
import yaml

from baseload.errors import LabError
from baseload.lab.kubectl import Kubectl

ROOT = Path(__file__).parents[2]
OPERATOR = "system:serviceaccount:baseload-system:baseload-operator"

NEEDED = [
    ("list", "modelservings.baseload.dev", ""),
    ("watch", "capacitypools.baseload.dev", ""),
    ("patch", "modelservings.baseload.dev", "status"),
    ("patch", "capacitypools.baseload.dev", "status"),
    ("watch", "deployments.apps", ""),
    ("get", "deployments.apps", "scale"),
    ("patch", "deployments.apps", "scale"),
    ("patch", "statefulsets.apps", "scale"),
    ("watch", "horizontalpodautoscalers.autoscaling", ""),
    ("watch", "priorityclasses.scheduling.k8s.io", ""),
    ("watch", "nodes", ""),
    ("list", "pods", ""),
    ("patch", "pods", ""),
    ("create", "events.events.k8s.io", ""),
]

HARMFUL = [
    ("patch", "modelservings.baseload.dev", ""),
    ("delete", "modelservings.baseload.dev", ""),
    ("patch", "capacitypools.baseload.dev", ""),
    ("patch", "deployments.apps", ""),
    ("create", "deployments.apps", ""),
    ("delete", "deployments.apps", ""),
    ("patch", "replicasets.apps", "scale"),
    ("get", "customresourcedefinitions.apiextensions.k8s.io", ""),
    ("patch", "pods", "status"),
    ("patch", "pods", "ephemeralcontainers"),
    ("patch", "pods", "resize"),
    ("delete", "pods", ""),
    ("create", "pods", "exec"),
    ("patch", "nodes", ""),
    ("create", "priorityclasses.scheduling.k8s.io", ""),
    ("get", "secrets", ""),
    ("list", "secrets", ""),
    ("list", "configmaps", ""),
    ("create", "serviceaccounts", "token"),
    ("patch", "clusterroles.rbac.authorization.k8s.io", ""),
    ("impersonate", "users", ""),
    ("patch", "customresourcedefinitions.apiextensions.k8s.io", ""),
]


@pytest.fixture(scope="module", autouse=True)
def installed(cluster: Kubectl) -> None:
    """Our CRDs, and the operator's account with its rights."""
    cluster.apply(ROOT / "crds", ROOT / "manifests/rbac.yaml")
    cluster("wait", "--for=condition=Established", "crd/modelservings.baseload.dev", "crd/capacitypools.baseload.dev")


def allowed(cluster: Kubectl, verb: str, resource: str, subresource: str) -> bool:
    """Whether the API server lets the operator do it in every namespace."""
    part = ("--subresource", subresource) if subresource else ()
    try:
        cluster("auth", "can-i", verb, resource, *part, "--all-namespaces", "--as", OPERATOR, "--quiet")
    except LabError:
        return False
    return True


@pytest.mark.parametrize(("verb", "resource", "subresource"), NEEDED)
def test_what_is_needed_is_allowed(cluster: Kubectl, verb: str, resource: str, subresource: str) -> None:
    """Each right that the operator uses is there."""
    assert allowed(cluster, verb, resource, subresource)


@pytest.mark.parametrize(("verb", "resource", "subresource"), HARMFUL)
def test_what_could_harm_is_not(cluster: Kubectl, verb: str, resource: str, subresource: str) -> None:
    """No secrets, no pod templates, no deletion, no rights over rights."""
    assert not allowed(cluster, verb, resource, subresource)


def test_no_rule_uses_a_wildcard() -> None:
    """Rights are named one by one."""
    documents = yaml.safe_load_all((ROOT / "manifests/rbac.yaml").read_text(encoding="utf-8"))
    roles = [document for document in documents if document["kind"] == "ClusterRole"]
    rules = [rule for role in roles for rule in role.get("rules", ())]
    named = [word for rule in rules for key in ("apiGroups", "resources", "verbs") for word in rule[key]]
    assert not [word for word in named if "*" in word]
