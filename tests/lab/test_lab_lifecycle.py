"""A lab comes up once, survives its starter, reports what crashed, and leaves nothing behind."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from baseload.errors import LabError
from baseload.lab import processes, state
from baseload.lab.cluster import ComponentStatus, Lab, LabOptions
from baseload.lab.nodes import node

BASELOAD = str(Path(sys.executable).with_name("baseload"))

pytestmark = pytest.mark.lab


@pytest.fixture(autouse=True, scope="module")
def only_for_the_lab(cluster_kind: str) -> None:
    """Skip these tests when another cluster is under test."""
    if cluster_kind != "lab":
        pytest.skip("tests of the lab itself")


@pytest.fixture(scope="module")
def own() -> Iterator[Lab]:
    """A lab that these tests may break; each test puts back what it broke."""
    handle = Lab("selftest")
    handle.down()
    handle.up()
    yield handle
    handle.down()
    assert processes.marked(handle.directory) == []


def by_name(handle: Lab) -> dict[str, ComponentStatus]:
    """Return the status of each component."""
    return {component.name: component for component in handle.status().components}


def baseload(*arguments: str) -> "subprocess.CompletedProcess[str]":
    """Run the command line."""
    return subprocess.run([BASELOAD, *arguments], capture_output=True, text=True, timeout=60, check=False)


def test_a_second_up_finds_the_first(own: Lab) -> None:
    """Nothing is started again, by this process or by another."""
    before = by_name(own)
    assert own.up() is False
    answer = baseload("lab", "up", "--name", own.name)
    assert answer.returncode == 0, answer.stderr
    assert "was up already" in answer.stdout
    assert {name: item.pid for name, item in by_name(own).items()} == {name: item.pid for name, item in before.items()}


def test_other_options_are_refused_while_it_runs(own: Lab) -> None:
    """A running lab is not silently taken for one with other settings."""
    with pytest.raises(LabError, match="scrape_seconds=9"):
        own.up(LabOptions(scrape_seconds=9))


def test_a_crash_is_reported_and_up_mends_it(own: Lab) -> None:
    """A killed component shows as crashed; up starts it and leaves the others alone."""
    before = by_name(own)
    pid = before["kwok"].pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    deadline = time.monotonic() + 5
    while by_name(own)["kwok"].state == "running" and time.monotonic() < deadline:
        time.sleep(0.02)
    assert by_name(own)["kwok"].state == "crashed"
    assert not own.running
    shown = baseload("lab", "status", "--name", own.name)
    assert shown.returncode == 1
    assert re.search(r"kwok\s+│ crashed", shown.stdout)
    assert own.up() is True
    assert own.running
    after = by_name(own)
    assert [name for name in after if after[name].pid != before[name].pid] == ["kwok"]


def test_stop_and_start_of_one_component(own: Lab) -> None:
    """A component that was stopped on purpose counts as stopped, and start waits until it is ready."""
    own.stop("prometheus")
    assert by_name(own)["prometheus"].state == "stopped"
    own.start("prometheus")
    assert own.running
    with pytest.raises(LabError, match="no component 'grafana'; it has etcd"):
        own.start("grafana")


def test_popen_runs_inside_and_is_recorded(own: Lab) -> None:
    """A process runs in the lab's network with its KUBECONFIG and log; its name is taken while it runs."""
    process = own.popen(["sh", "-c", "kubectl get namespaces; exec sleep 60"], name="extra", env={"COLOUR": "blue"})
    try:
        assert [item.name for item in own.status().others] == ["extra"]
        with pytest.raises(LabError, match="'extra' is taken"):
            own.popen(["true"], name="extra")
        deadline = time.monotonic() + 10
        while "kube-system" not in own.log("extra").read_text() and time.monotonic() < deadline:
            time.sleep(0.05)
        assert "kube-system" in own.log("extra").read_text()
        # Only now is it sure to be the command and not what enters the namespace first.
        assert psutil.Process(process.pid).environ()["COLOUR"] == "blue"
    finally:
        own.stop("extra")
    assert process.wait(timeout=5) != 0
    assert own.status().others == ()


def test_exec_passes_the_environment_and_the_code(own: Lab) -> None:
    """Exec runs inside, tells the command where it is, and ends with the command's code."""
    script = 'kubectl get --raw /readyz && echo " $BASELOAD_LAB" && exit 7'
    answer = baseload("lab", "exec", "--name", own.name, "--", "sh", "-c", script)
    assert answer.stdout == f"ok {own.name}\n"
    assert answer.returncode == 7
    killed = baseload("lab", "exec", "--name", own.name, "--", "sh", "-c", "kill -TERM $$")
    assert killed.returncode == 128 + signal.SIGTERM
    assert own.running, "exec stopped a lab that it had not started"


def test_exec_refuses_an_unknown_command(own: Lab) -> None:
    """A command that does not exist is a person's mistake: one line, exit 2."""
    answer = baseload("lab", "exec", "--name", own.name, "--", "no-such-command")
    assert answer.returncode == 2
    assert "'no-such-command' was not found" in answer.stderr
    assert "Traceback" not in answer.stderr


def test_logs_are_shown(own: Lab) -> None:
    """Logs lists what there is, shows the last lines of one, and refuses an unknown name."""
    assert "kube-apiserver" in baseload("lab", "logs", "--name", own.name).stdout
    shown = baseload("lab", "logs", "--name", own.name, "--lines", "3", "kube-apiserver")
    assert len(shown.stdout.splitlines()) == 3
    unknown = baseload("lab", "logs", "--name", own.name, "nginx")
    assert unknown.returncode == 2
    assert "it is one of" in unknown.stderr


def test_a_service_account_has_only_its_rights(own: Lab) -> None:
    """The kubeconfig of a ServiceAccount logs in as exactly that account."""
    own.kubectl("create", "serviceaccount", "nobody")
    path = own.service_account_kubeconfig("default", "nobody")
    answer = own.kubectl("--kubeconfig", str(path), "auth", "whoami", "-o", "jsonpath={.status.userInfo.username}")
    assert answer == "system:serviceaccount:default:nobody"
    with pytest.raises(LabError, match=r"nobody.*cannot list resource"):
        own.kubectl("--kubeconfig", str(path), "get", "pods")


def test_the_audit_log_tells_each_write(own: Lab) -> None:
    """A write appears in the audit log with its verb, user and object, without a body."""
    own.kubectl("create", "configmap", "audited")
    lines = [line for line in own.audit_log.read_text().splitlines() if '"name":"audited"' in line]
    assert any('"verb":"create"' in line and '"username":"lab-admin"' in line for line in lines)
    assert all('"level":"Metadata"' in line and '"stage":"RequestReceived"' not in line for line in lines)


def test_compaction_returns_its_revision(own: Lab) -> None:
    """Etcd is compacted at a revision that grows with writes."""
    first = own.compact()
    own.kubectl("create", "configmap", "compacted")
    assert own.compact() > first


def test_two_labs_run_side_by_side(own: Lab) -> None:
    """A second lab, in loopback mode, is another cluster; the end of one leaves the other alone."""
    other = Lab("selftest-loopback")
    other.down()
    messages: list[str] = []
    try:
        other.up(LabOptions(network="loopback"), messages.append)
        assert other.status().network == "loopback"
        assert other.running
        assert by_name(other).keys() == by_name(own).keys() - {"network"}
        other.apply(node("only-here"))
        assert "only-here" in other.kubectl("get", "nodes", "-o", "name")
        assert "only-here" not in own.kubectl("get", "nodes", "-o", "name")
    finally:
        other.down()
    assert own.running
    assert processes.marked(other.directory) == []


def test_a_killed_up_leaves_nothing_that_down_cannot_find() -> None:
    """SIGKILL of `up` in the middle leaves processes; down finds and ends them all, also without a state file."""
    handle = Lab("selftest-crash")
    handle.down()
    starter = subprocess.Popen([BASELOAD, "lab", "up", "--name", handle.name], stderr=subprocess.PIPE)
    _wait_for_processes(handle, 3)
    starter.kill()
    starter.communicate()
    (handle.directory / "state.json").unlink(missing_ok=True)
    assert processes.marked(handle.directory)
    assert handle.down() is True
    assert processes.marked(handle.directory) == []
    assert handle.down() is False


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_up_stops_what_it_started(number: signal.Signals) -> None:
    """Ctrl-C or SIGTERM during `up` leaves no process, in one clear line or none."""
    handle = Lab("selftest-interrupt")
    handle.down()
    starter = subprocess.Popen([BASELOAD, "lab", "up", "--name", handle.name], stderr=subprocess.PIPE, text=True)
    _wait_for_processes(handle, 3)
    starter.send_signal(number)
    _, errors = starter.communicate(timeout=20)
    assert starter.returncode == 128 + number
    assert "Traceback" not in errors
    assert processes.marked(handle.directory) == []
    assert state.load(handle.directory) is None


def alive(process: psutil.Process) -> bool:
    """Whether a process runs; one that has ended may wait for long for an init process that does not fetch it."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_exec_up_stops_what_it_started_also_when_terminated() -> None:
    """A lab that `exec --up` started ends with it, even when a signal ends it; its command is ended too."""
    handle = Lab("selftest-exec")
    handle.down()
    command = [BASELOAD, "lab", "exec", "--name", handle.name, "--up", "--", "sh", "-c", "echo here; exec sleep 60"]
    runner = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert runner.stdout is not None
    assert runner.stdout.readline() == "here\n"
    children = psutil.Process(runner.pid).children(recursive=True)
    runner.terminate()
    runner.communicate(timeout=20)
    assert runner.returncode == 128 + signal.SIGTERM
    assert processes.marked(handle.directory) == []
    assert not [child for child in children if alive(child)]


def test_a_lost_network_is_made_anew() -> None:
    """When the process that holds the network is killed, the rest is of no use: up starts a new lab."""
    handle = Lab("selftest-network")
    handle.down()
    try:
        handle.up()
        before = by_name(handle)
        holder = before["network"].pid
        assert holder is not None
        os.kill(holder, signal.SIGKILL)
        with pytest.raises(LabError, match="network is gone"):
            _command_until_refused(handle)
        assert handle.up() is True
        assert handle.running
        assert not {item.pid for item in before.values()} & {item.pid for item in by_name(handle).values()}
    finally:
        handle.down()


def _command_until_refused(handle: Lab) -> None:
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        handle.command(["true"])
        time.sleep(0.02)


def test_a_component_that_cannot_start_is_named() -> None:
    """A wrong flag gives an error with the component and its own words, and nothing keeps running."""
    handle = Lab("selftest-broken")
    handle.down()
    with pytest.raises(LabError, match=r"(?s)kube-apiserver ended with exit code 1.*unknown flag: --no-such-flag"):
        handle.up(LabOptions(api_server_args=("--no-such-flag",)))
    assert processes.marked(handle.directory) == []


def _wait_for_processes(handle: Lab, count: int) -> None:
    deadline = time.monotonic() + 20
    while len(processes.marked(handle.directory)) < count and time.monotonic() < deadline:
        time.sleep(0.02)
    assert len(processes.marked(handle.directory)) >= count
