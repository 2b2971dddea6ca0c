"""What a lab remembers between commands."""

from pathlib import Path

import pytest

from baseload.errors import ConfigError
from baseload.lab import network, state
from baseload.lab.paths import lab_directory
from baseload.lab.processes import ProcessRecord
from baseload.lab.state import LabOptions, LabState

STATE = LabState(LabOptions(api_server_args=("--v=2",)), network.NAMESPACE, {"etcd": ProcessRecord(7, 12.5)})


def test_state_survives_the_file(tmp_path: Path) -> None:
    """What was saved is loaded, equal in every field."""
    state.save(tmp_path, STATE)
    assert state.load(tmp_path) == STATE


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"options": {"colour": 1}}'])
def test_an_unreadable_state_is_no_state(tmp_path: Path, content: str) -> None:
    """A torn file, or one of another version, reads as no state at all."""
    (tmp_path / "state.json").write_text(content)
    assert state.load(tmp_path) is None


def test_with_process_replaces_and_removes() -> None:
    """One process can be replaced or forgotten without touching the others."""
    two = STATE.with_process("kwok", ProcessRecord(8, 13.0))
    assert set(two.processes) == {"etcd", "kwok"}
    assert two.with_process("etcd", None).processes == {"kwok": ProcessRecord(8, 13.0)}


def test_loopback_labs_do_not_share_pods_or_ports() -> None:
    """A second loopback lab gets another pod range, and all ports of one are distinct."""
    first = network.loopback(set())
    second = network.loopback({first.pod_cidr})
    assert first.pod_cidr != second.pod_cidr
    ports = [getattr(first.ports, name) for name in network.Ports.__dataclass_fields__]
    assert len(set(ports)) == len(ports)


def test_loopback_ranges_run_out_with_a_remedy() -> None:
    """When every range is taken the message says what to do."""
    taken = {f"127.{octet}.0.1/16" for octet in range(64, 127)}
    with pytest.raises(ConfigError, match="stop a lab"):
        network.loopback(taken)


@pytest.mark.parametrize("name", ["", "A", "a b", "../x", "-a", "a-", "x" * 41])
def test_lab_names_are_checked(name: str) -> None:
    """A name that could leave the folder of labs, or is no label, is refused by name."""
    with pytest.raises(ConfigError, match="lower-case letters"):
        lab_directory(name)
