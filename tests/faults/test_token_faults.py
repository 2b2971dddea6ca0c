"""The operator against tokens that end: rotated in time, refused, and a file that still holds the refused one."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from fake_prometheus import FakePrometheus, Load
from operator_lab import OperatorProcess, View, deployment, install, restart_api_server, serving, wait_until

from baseload.lab.cluster import Lab

TIMES = ("--lease-seconds", "5", "--lease-renew-seconds", "4", "--lease-retry-seconds", "0.5")
SECRET = "operator-token"


@pytest.fixture(scope="module")
def prometheus() -> Iterator[FakePrometheus]:
    """A Prometheus under the test's control."""
    with FakePrometheus() as fake:
        yield fake


@pytest.fixture
def view(lab: Lab, namespace: str) -> View:
    """The test's namespace."""
    return View(lab, namespace)


def new_token(lab: Lab) -> str:
    """A token that is refused as soon as its Secret is deleted."""
    lab.kubectl("create", "secret", "generic", SECRET, "-n", "baseload-system")
    bound = ("--bound-object-kind", "Secret", "--bound-object-name", SECRET)
    return lab.kubectl("create", "token", "baseload-operator", "-n", "baseload-system", *bound).strip()


@pytest.fixture
def token_file(lab: Lab, tmp_path: Path) -> Iterator[Path]:
    """A file with a token, as a kubelet would write it."""
    install(lab)
    lab.kubectl("delete", "secret", SECRET, "-n", "baseload-system", "--ignore-not-found")
    path = tmp_path / "token"
    path.write_text(new_token(lab) + "\n")
    yield path
    lab.kubectl("delete", "secret", SECRET, "-n", "baseload-system", "--ignore-not-found")


@pytest.fixture
def operator(lab: Lab, prometheus: FakePrometheus, token_file: Path) -> Iterator[OperatorProcess]:
    """An operator that takes its token from a file and leads by a Lease."""
    given = lab.service_account_kubeconfig("baseload-system", "baseload-operator")
    content = yaml.safe_load(given.read_text())
    content["users"][0]["user"] = {"tokenFile": str(token_file)}
    kubeconfig = token_file.parent / "kubeconfig"
    kubeconfig.write_text(yaml.safe_dump(content))
    process = OperatorProcess(lab, prometheus.url, "operator-token", options=TIMES, kubeconfig=kubeconfig)
    process.start()
    yield process
    assert process.process is not None
    if process.process.poll() is None:
        process.stop()


def test_stale_token_file_is_survived(
    view: View, prometheus: FakePrometheus, operator: OperatorProcess, token_file: Path
) -> None:
    """A refused token silences the operator and its watches, and ends nothing; with a new one it goes on."""
    lab = view.lab
    prometheus.loads[view.namespace, "Deployment/chat"] = Load()
    lab.apply(deployment(view.namespace, "chat"), serving(view.namespace, "chat", least=2))
    view.wait_replicas("chat", 2)

    lab.kubectl("delete", "secret", SECRET, "-n", "baseload-system")
    # Watches that are open stay open whatever becomes of their token; a restarted server asks for it again.
    restart_api_server(lab)

    def said(message: str) -> bool:
        return any(line["message"] == message for line in operator.log_lines())

    wait_until(lambda: said("credentials refused, waiting for others"), "kopf was refused", 60.0)
    wait_until(lambda: said("nothing is written until the lease is renewed"), "silence", 60.0)
    assert operator.process is not None
    assert operator.process.poll() is None
    assert operator.answer("/healthz")[0] == 200
    assert not operator.leads()

    token_file.write_text(new_token(lab) + "\n")
    view.patch("modelserving.baseload.dev", "chat", {"spec": {"replicas": {"min": 3}}})
    view.wait_replicas("chat", 3, 90.0)
    assert operator.process.poll() is None
    assert operator.leads()
    assert operator.stop() == 0
