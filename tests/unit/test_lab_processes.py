"""The lab finds and stops exactly its own processes."""

import dataclasses
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from baseload.lab import processes

STUBBORN = "import signal,time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(60)"


def start(directory: Path, *arguments: str) -> "subprocess.Popen[bytes]":
    """Start a process that belongs to the lab in `directory`."""
    return processes.spawn(arguments, log=directory / "out.log", directory=directory, environment=os.environ)


@pytest.fixture(autouse=True)
def no_process_left(tmp_path: Path) -> Iterator[None]:
    """End whatever a failed test left behind."""
    yield
    processes.stop(processes.marked(tmp_path), grace_seconds=0)


def test_a_record_finds_its_process_until_it_ends(tmp_path: Path) -> None:
    """A live process is found by its record, an ended one (a zombie too) is not."""
    process = start(tmp_path, "sleep", "60")
    record = processes.record(process)
    assert record.alive
    process.kill()
    deadline = time.monotonic() + 5
    while record.alive and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not record.alive, "the zombie counts as running"
    process.wait()
    assert not record.alive


def test_a_reused_pid_is_not_ours(tmp_path: Path) -> None:
    """A record whose start time does not fit finds nothing, so a stranger with the same pid is never killed."""
    process = start(tmp_path, "sleep", "60")
    record = processes.record(process)
    stranger = dataclasses.replace(record, started_at_seconds=record.started_at_seconds - 60)
    assert stranger.process() is None
    process.kill()
    process.wait()


def test_the_mark_finds_children_of_children(tmp_path: Path) -> None:
    """A grandchild that nobody recorded carries the mark; another lab's process is not found by it."""
    process = start(tmp_path, "sh", "-c", "sleep 60 & wait")
    other = tmp_path / "other"
    other.mkdir()
    stranger = start(other, "sleep", "60")
    deadline = time.monotonic() + 5
    while len(processes.marked(tmp_path)) < 2 and time.monotonic() < deadline:
        time.sleep(0.01)
    found = {item.pid for item in processes.marked(tmp_path)}
    assert process.pid in found
    assert len(found) == 2
    assert stranger.pid not in found
    processes.stop([*processes.marked(tmp_path), *processes.marked(other)], grace_seconds=0)
    process.wait()
    stranger.wait()


def test_stop_kills_what_ignores_sigterm(tmp_path: Path) -> None:
    """A process that ignores SIGTERM is killed after the grace, and stop returns only when it is gone."""
    process = start(tmp_path, sys.executable, "-c", STUBBORN)
    deadline = time.monotonic() + 10
    while "up" not in (tmp_path / "out.log").read_text() and time.monotonic() < deadline:
        time.sleep(0.02)
    processes.stop([psutil.Process(process.pid)], grace_seconds=0.2)
    assert process.wait(timeout=1) == -9


def test_stop_of_an_ended_process_does_nothing(tmp_path: Path) -> None:
    """Stopping what has ended already is no error."""
    process = start(tmp_path, "sleep", "60")
    handle = psutil.Process(process.pid)
    process.kill()
    process.wait()
    processes.stop([handle], grace_seconds=1)
