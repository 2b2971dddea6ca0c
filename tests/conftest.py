"""Fixtures for every test folder: the cluster under test, and a namespace for one test.

BASELOAD_TEST_CLUSTER chooses the cluster: `lab` (default) is the embedded one, and pytest must then run inside it, as
`make test` does; `kind` and `current` are the cluster of the user's KUBECONFIG. Tests that need powers over the control
plane itself (its audit log, restarts, pods' servers) ask for the fixture `lab` and are skipped on the other two.
"""

import os
import secrets
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest
from audit_proof import PROOF, AuditProof, is_whole_suite

import baseload.cli  # noqa: F401 (first: it says how many threads numpy may use)
from baseload.lab.cluster import LAB_VARIABLE, Lab
from baseload.lab.kubectl import Kubectl

CLUSTERS = ("lab", "kind", "current")


# A longer hunt for what the suite has no time for: HYPOTHESIS_PROFILE=long pytest tests/faults tests/properties
hypothesis.settings.register_profile("long", max_examples=2000, stateful_step_count=80, deadline=None)
# No deadline: how long an example takes says something of the machine, and nothing of the code.
hypothesis.settings.register_profile("suite", deadline=None)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "suite"))


def pytest_configure(config: pytest.Config) -> None:
    """Remember where this run's part of the audit log begins."""
    name = os.environ.get(LAB_VARIABLE)
    log = None if name is None else Lab(name).audit_log
    start = log.stat().st_size if log is not None and log.exists() else 0
    config.stash[PROOF] = AuditProof(start, is_whole_suite(config))


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark each test that uses a cluster, so that `-m "not lab"` runs everywhere; put those marked `last` last."""
    items.sort(key=lambda item: item.get_closest_marker("last") is not None)
    for item in items:
        if {"lab", "cluster"} & set(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.lab)


@pytest.fixture(scope="session")
def cluster_kind() -> str:
    """Which cluster is under test: lab, kind or current."""
    kind = os.environ.get("BASELOAD_TEST_CLUSTER", "lab")
    if kind not in CLUSTERS:
        pytest.exit(f"BASELOAD_TEST_CLUSTER is {kind!r}; set it to one of {', '.join(CLUSTERS)}", returncode=2)
    return kind


@pytest.fixture(scope="session")
def lab(cluster_kind: str) -> Lab:
    """The lab that this test run is inside."""
    if cluster_kind != "lab":
        pytest.skip(f"needs control of the control plane, which BASELOAD_TEST_CLUSTER={cluster_kind} does not give")
    name = os.environ.get(LAB_VARIABLE)
    if name is None or not Lab(name).inside:
        pytest.fail(
            "this test needs the lab: run `make test`, or `baseload lab exec --name test --up -- pytest PATH`",
            pytrace=False,
        )
    return Lab(name)


@pytest.fixture(scope="session")
def cluster(cluster_kind: str, request: pytest.FixtureRequest) -> Kubectl:
    """kubectl as cluster-admin of the cluster under test, whichever it is."""  # noqa: D403 (the command's name)
    if cluster_kind == "lab":
        connected: Lab = request.getfixturevalue("lab")
        return connected.kubectl
    kubeconfig = os.environ.get("KUBECONFIG") or str(Path.home() / ".kube" / "config")
    if not Path(kubeconfig).exists():
        pytest.fail(f"KUBECONFIG {kubeconfig} does not exist, but BASELOAD_TEST_CLUSTER={cluster_kind}", pytrace=False)
    return Kubectl(Path(kubeconfig))


@pytest.fixture
def namespace(cluster: Kubectl) -> Iterator[str]:
    """A fresh namespace for one test; it is deleted afterwards with all that is in it."""
    name = f"test-{secrets.token_hex(4)}"
    cluster("create", "namespace", name)
    _wait_for_service_account(cluster, name)
    yield name
    cluster("delete", "namespace", name, "--wait=false")


def _wait_for_service_account(cluster: Kubectl, namespace: str) -> None:
    # Pods are refused until the controller has made it.
    cluster("wait", "--for=create", "serviceaccount/default", "--namespace", namespace, "--timeout=60s")
