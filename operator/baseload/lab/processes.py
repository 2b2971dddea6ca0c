"""Start processes that outlive their starter, find them again, and stop them for certain.

A process is known by its pid and its start time, so a reused pid is never killed. Each also carries a mark in its
environment (which its children inherit), so that what was started in the instant before a crash is found too.
"""

import os
import signal
import subprocess
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psutil

from baseload.errors import LabError

MARK: Final = "BASELOAD_LAB_DIRECTORY"
"""Environment variable that every process of a lab carries; its value is the lab's folder."""

# The kernel counts start times in ticks since boot and the boot time moves a little when the clock is corrected.
_START_TIME_TOLERANCE_SECONDS = 3.0
_KILL_SECONDS = 5.0
_POLL_SECONDS = 0.02


@dataclass(frozen=True, slots=True)
class ProcessRecord:
    """A process that was started: enough to find exactly it again, and no other with the same pid."""

    pid: int
    started_at_seconds: float
    """Start time in seconds since the epoch, as the kernel tells it."""

    def process(self) -> psutil.Process | None:
        """Return the live process, None when it has ended (a zombie has ended)."""
        try:
            process = psutil.Process(self.pid)
            if abs(process.create_time() - self.started_at_seconds) > _START_TIME_TOLERANCE_SECONDS:
                return None
            return None if process.status() == psutil.STATUS_ZOMBIE else process
        except psutil.NoSuchProcess:
            return None

    @property
    def alive(self) -> bool:
        """Whether the process still runs."""
        return self.process() is not None


def spawn(
    arguments: Sequence[str], *, log: Path, directory: Path, environment: Mapping[str, str]
) -> "subprocess.Popen[bytes]":
    """Start a process in a session of its own, its output appended to `log`, marked as belonging to `directory`.

    It gets no signal from the caller's terminal and lives on when the caller ends.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as output:
        return subprocess.Popen(
            list(arguments),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=directory,
            env={**environment, MARK: str(directory)},
            start_new_session=True,
        )


def record(process: "subprocess.Popen[bytes]") -> ProcessRecord:
    """Return what identifies a process just started."""
    try:
        started_at_seconds = psutil.Process(process.pid).create_time()
    except psutil.NoSuchProcess:
        started_at_seconds = time.time()
    return ProcessRecord(process.pid, started_at_seconds)


def marked(directory: Path) -> list[psutil.Process]:
    """Return every live process that carries the mark of this lab, recorded or not."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get(MARK) == str(directory) and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except (psutil.Error, OSError):
            continue
    return [process for process in found if process.pid != os.getpid()]


def stop(processes: Iterable[psutil.Process], *, grace_seconds: float) -> None:
    """End processes: SIGTERM, then SIGKILL for those that are still there after the grace (0 = SIGKILL at once)."""
    remaining = list(processes)
    if grace_seconds > 0:
        _signal(remaining, signal.SIGTERM)
        remaining = _wait(remaining, grace_seconds)
    _signal(remaining, signal.SIGKILL)
    _wait(remaining, _KILL_SECONDS)


def _wait(processes: Sequence[psutil.Process], timeout_seconds: float) -> list[psutil.Process]:
    """Return the processes that still run after the timeout.

    Not psutil.wait_procs: where the init process collects no orphans, it waits for zombies to the last second.
    """
    deadline = time.monotonic() + timeout_seconds
    while remaining := [process for process in processes if not _ended(process)]:
        if time.monotonic() > deadline:
            break
        time.sleep(_POLL_SECONDS)
    return remaining


def _ended(process: psutil.Process) -> bool:
    try:
        return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def _signal(processes: Iterable[psutil.Process], number: signal.Signals) -> None:
    for process in processes:
        try:
            process.send_signal(number)
        except psutil.NoSuchProcess:
            continue
        except psutil.AccessDenied as error:
            raise LabError(f"process {process.pid} of the lab belongs to another user; stop it as that user") from error
