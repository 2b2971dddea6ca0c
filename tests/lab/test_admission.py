"""The admission policy: nobody makes the operator scale what he may not scale himself."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from baseload.errors import LabError
from baseload.lab.kubectl import Kubectl

ROOT = Path(__file__).parents[2]
SERVING = (ROOT / "manifests/examples/modelserving.yaml").read_text(encoding="utf-8")


@pytest.fixture(scope="module", autouse=True)
def policy(cluster: Kubectl) -> Iterator[None]:
    """Our CRDs and the policy, in force."""
    cluster.apply(ROOT / "crds")
    cluster("wait", "--for=condition=Established", "crd/modelservings.baseload.dev")
    cluster.apply(ROOT / "manifests/policy.yaml")
    yield
    cluster("delete", "-f", str(ROOT / "manifests/policy.yaml"))


@pytest.fixture
def tenant(cluster: Kubectl, namespace: str) -> str:
    """A user who may write ModelServings in the namespace and nothing else."""
    name = f"tenant-{namespace}"
    cluster(
        "create",
        "role",
        name,
        "-n",
        namespace,
        "--verb=create,update,patch,get",
        "--resource=modelservings.baseload.dev",
    )
    cluster("create", "rolebinding", name, "-n", namespace, f"--role={name}", f"--user={name}")
    return name


def until_refused(cluster: Kubectl, namespace: str, user: str, serving: str = SERVING) -> str:
    """Create as the user until the policy, which the server takes up within seconds, refuses; its words."""
    for _ in range(100):
        try:
            cluster("create", "-n", namespace, "--as", user, "--dry-run=server", "-f", "-", stdin=serving)
        except LabError as error:
            return str(error)
    return ""


def test_a_tenant_cannot_scale_by_proxy(cluster: Kubectl, namespace: str, tenant: str) -> None:
    """Without the right to update the target's scale the ModelServing is refused and the right is named."""
    answer = until_refused(cluster, namespace, tenant)
    assert "`spec.targetRef` names Deployment 'chat-8b'" in answer
    assert f"'{tenant}' may not update deployments.apps/scale in namespace '{namespace}'" in answer


@pytest.mark.parametrize(
    ("target", "right"),
    [
        (("apps/v1", "StatefulSet"), "statefulsets.apps/scale"),
        (("leaderworkerset.x-k8s.io/v1", "LeaderWorkerSet"), "leaderworkersets.leaderworkerset.x-k8s.io/scale"),
        (("v1", "ReplicationController"), "replicationcontrollers/scale"),
        (("example.com/v1", "Proxy"), "proxies.example.com/scale"),
        (("example.com/v1", "Glass"), "glasses.example.com/scale"),
    ],
)
def test_the_right_follows_the_kind(
    cluster: Kubectl, namespace: str, tenant: str, target: tuple[str, str], right: str
) -> None:
    """The right that is asked for is that of the target's own group and resource."""
    serving = yaml.safe_load(SERVING)
    serving["spec"]["targetRef"] |= {"apiVersion": target[0], "kind": target[1]}
    assert f"may not update {right} in namespace" in until_refused(cluster, namespace, tenant, yaml.safe_dump(serving))


def test_a_right_elsewhere_is_none_here(cluster: Kubectl, namespace: str, tenant: str) -> None:
    """The right to scale a workload of another name does not count."""
    cluster(
        *("create", "role", "scaler", "-n", namespace, "--verb=update"),
        *("--resource=deployments.apps/scale", "--resource-name=another"),
    )
    cluster("create", "rolebinding", "scaler", "-n", namespace, "--role=scaler", f"--user={tenant}")
    assert "'chat-8b'" in until_refused(cluster, namespace, tenant)


def test_who_may_scale_may_serve(cluster: Kubectl, namespace: str, tenant: str) -> None:
    """With the right on the target's scale the same object is accepted, and retargeting is checked again."""
    assert until_refused(cluster, namespace, tenant)
    cluster(
        *("create", "role", "scaler", "-n", namespace, "--verb=update"),
        *("--resource=deployments.apps/scale", "--resource-name=chat-8b"),
    )
    cluster("create", "rolebinding", "scaler", "-n", namespace, "--role=scaler", f"--user={tenant}")
    cluster("create", "-n", namespace, "--as", tenant, "-f", "-", stdin=SERVING)
    other = yaml.safe_dump({"spec": {"targetRef": {"name": "not-mine"}}})
    with pytest.raises(LabError, match="not-mine"):
        cluster("patch", "-n", namespace, "--as", tenant, "msv/chat-8b", "--type=merge", "-p", other)
    bounds = yaml.safe_dump({"spec": {"replicas": {"max": 3}}})
    cluster("patch", "-n", namespace, "--as", tenant, "msv/chat-8b", "--type=merge", "-p", bounds)


def test_an_admin_is_admitted(cluster: Kubectl, namespace: str, tenant: str) -> None:
    """A cluster admin may serve anything, while the policy refuses others."""
    assert until_refused(cluster, namespace, tenant)
    assert "created" in cluster("create", "-n", namespace, "--dry-run=server", "-f", "-", stdin=SERVING)


def test_status_writes_are_not_asked(cluster: Kubectl, namespace: str, tenant: str) -> None:
    """Who may write the status, and no scale at all, is let through: the policy is about targets."""
    assert until_refused(cluster, namespace, tenant)
    cluster("create", "-n", namespace, "-f", "-", stdin=SERVING)
    cluster(
        *("create", "role", "writer", "-n", namespace, "--verb=get,patch"),
        "--resource=modelservings.baseload.dev/status",
    )
    cluster("create", "rolebinding", "writer", "-n", namespace, "--role=writer", "--user=status-writer")
    patch = yaml.safe_dump({"status": {"observedGeneration": 1}})
    arguments = ("--type=merge", "--subresource=status", "-p", patch, "--as", "status-writer")
    cluster("patch", "-n", namespace, "modelservings.baseload.dev/chat-8b", *arguments)
    stored = cluster.get("-n", namespace, "modelservings.baseload.dev", "chat-8b")
    assert stored["status"]["observedGeneration"] == 1


def test_who_may_not_use_a_priority_class_cannot_name_it(cluster: Kubectl, namespace: str, tenant: str) -> None:
    """A PriorityClass is named only with the right to use it in the namespace, and that right is enough."""
    cluster(
        *("create", "role", "scaler", "-n", namespace, "--verb=update", "--resource=deployments.apps/scale"),
    )
    cluster("create", "rolebinding", "scaler", "-n", namespace, "--role=scaler", f"--user={tenant}")
    serving = yaml.safe_load(SERVING)
    serving["spec"]["priorityClassName"] = "gold"
    given = yaml.safe_dump(serving)
    refused = f"'gold', but '{tenant}' may not use that PriorityClass in namespace '{namespace}'"
    assert refused in until_refused(cluster, namespace, tenant, given)
    cluster("create", "-n", namespace, "--as", tenant, "-f", "-", stdin=SERVING)
    with pytest.raises(LabError, match="may not use"):
        cluster("patch", "-n", namespace, "--as", tenant, "msv/chat-8b", "--type=merge", "-p", given)
    rule = {"apiGroups": ["scheduling.k8s.io"], "resources": ["priorityclasses"], "resourceNames": ["gold"]}
    role = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "Role",
        "metadata": {"name": "gold", "namespace": namespace},
        "rules": [{**rule, "verbs": ["use"]}],
    }
    cluster("create", "-f", "-", stdin=yaml.safe_dump(role))
    cluster("create", "rolebinding", "gold", "-n", namespace, "--role=gold", f"--user={tenant}")
    cluster("patch", "-n", namespace, "--as", tenant, "msv/chat-8b", "--type=merge", "-p", given)
    bounds = yaml.safe_dump({"spec": {"replicas": {"max": 3}}})
    cluster("delete", "rolebinding", "gold", "-n", namespace)
    cluster("patch", "-n", namespace, "--as", tenant, "msv/chat-8b", "--type=merge", "-p", bounds)
