"""How a lab comes up and goes down. Every function here runs under the lab's lock."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import psutil

from baseload.errors import LabError
from baseload.lab import network, processes, state
from baseload.lab.certificates import create_pki
from baseload.lab.components import FIRST, Component, Layout, component_names, components, write_configuration
from baseload.lab.network import HOLDER
from baseload.lab.state import LabOptions, LabState

_READY_SECONDS = 60.0
_STOP_SECONDS = 5.0
_LOG_TAIL_LINES = 12

# Children are kept so that they are collected when they end; a lab may live as long as the process that started it.
_children: "list[subprocess.Popen[bytes]]" = []


def layout(directory: Path, current: LabState) -> Layout:
    """Return where the lab's files and endpoints are."""
    options = current.options
    return Layout(directory, current.network, options.scrape_seconds, options.api_server_args, options.hpa_sync_seconds)


def live(current: LabState, name: str) -> psutil.Process | None:
    """Return the live process of that name, None when it was never started or has ended."""
    record = current.processes.get(name)
    return record.process() if record is not None else None


def expected_names(current: LabState) -> tuple[str, ...]:
    """Return the names of the processes a healthy lab has."""
    holder = (HOLDER,) if current.network.kind == "namespace" else ()
    return holder + component_names()


def usable(current: LabState) -> bool:
    """Whether missing components can be started again: the network is there and something still runs in it."""
    if current.network.kind == "namespace":
        return live(current, HOLDER) is not None
    return any(live(current, name) is not None for name in component_names())


def inside_command(current: LabState, arguments: Sequence[str]) -> list[str]:
    """Return the command that runs `arguments` in the lab's network."""
    if current.network.kind == "loopback":
        return list(arguments)
    holder = live(current, HOLDER)
    if holder is None:
        raise LabError("the lab's network is gone; `baseload lab up` starts the lab anew")
    if network.in_namespace_of(holder.pid):
        return list(arguments)
    return [*network.enter_command(holder.pid), *arguments]


def create(directory: Path, options: LabOptions, progress: Callable[[str], None]) -> LabState:
    """Make an empty lab: folder, network, certificates, configuration; nothing of the control plane runs yet."""
    for leftover in directory.glob("*") if directory.exists() else ():
        shutil.rmtree(leftover) if leftover.is_dir() else leftover.unlink()
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    current = _create_network(directory, options, progress)
    state.save(directory, current)
    create_pki(directory / "pki")
    write_configuration(layout(directory, current))
    return current


def _create_network(directory: Path, options: LabOptions, progress: Callable[[str], None]) -> LabState:
    if options.network != "loopback":
        log = directory / "logs" / f"{HOLDER}.log"
        holder = network.start_namespace(directory, log)
        if not isinstance(holder, str):
            _children.append(holder)
            return LabState(options, network.NAMESPACE, {HOLDER: processes.record(holder)})
        if options.network == "namespace":
            raise LabError(f"no network namespace can be made here ({holder}); use --network loopback")
        progress(
            f"no network namespace can be made here ({holder}): pods get addresses in 127.0.0.0/8; "
            "scaling and metrics work, Services and gateways have no backends"
        )
    return LabState(options, network.loopback(state.used_pod_cidrs()))


def start(
    directory: Path,
    current: LabState,
    commands: Mapping[str, Path],
    names: Sequence[str],
    progress: Callable[[str], None],
) -> None:
    """Start components by name and wait until each answers; LabError with its log's last lines when one does not."""
    chosen = [item for item in components(layout(directory, current), commands) if item.name in names]
    for group in (
        [item for item in chosen if item.name in FIRST],
        [item for item in chosen if item.name not in FIRST],
    ):
        if not group:
            continue
        progress(f"starting {', '.join(item.name for item in group)}")
        started: dict[str, subprocess.Popen[bytes]] = {}
        for item in group:
            current, started[item.name] = spawn(directory, current, item.name, item.arguments, os.environ)
        _wait_ready(directory, current, group, started)


def spawn(
    directory: Path, current: LabState, name: str, arguments: Sequence[str], environment: Mapping[str, str]
) -> "tuple[LabState, subprocess.Popen[bytes]]":
    """Start one process in the lab's network and record it at once."""
    process = processes.spawn(
        inside_command(current, arguments),
        log=_log(directory, name),
        directory=directory,
        environment=environment,
    )
    _children.append(process)
    current = current.with_process(name, processes.record(process))
    state.save(directory, current)
    return current, process


def _wait_ready(
    directory: Path,
    current: LabState,
    group: Sequence[Component],
    started: "Mapping[str, subprocess.Popen[bytes]]",
) -> None:
    endpoints = [f"{item.name}={url}" for item in group for url in item.ready_urls]
    if not endpoints:
        return
    pki = layout(directory, current).pki
    probe = [sys.executable, "-m", "baseload.lab.probe", "--timeout", str(_READY_SECONDS), "--ca", str(pki.authority)]
    credentials = ["--cert", str(pki.certificate("admin")), "--key", str(pki.key("admin"))]
    with subprocess.Popen(
        inside_command(current, [*probe, *credentials, *endpoints]),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as waiting:
        try:
            while waiting.poll() is None:
                for name, process in started.items():
                    if process.poll() is not None:
                        raise LabError(_ended_early(directory, name, process.returncode))
                time.sleep(0.05)
        finally:
            waiting.terminate()
        if waiting.returncode != 0:
            assert waiting.stderr is not None
            raise LabError(f"not ready after {_READY_SECONDS:g} s: {waiting.stderr.read().strip()}")


def _ended_early(directory: Path, name: str, code: int) -> str:
    log = _log(directory, name)
    lines = log.read_text(errors="replace").strip().splitlines()[-_LOG_TAIL_LINES:]
    return f"{name} ended with exit code {code}; the last lines of {log}:\n" + "\n".join(lines)


def stop_everything(directory: Path) -> bool:
    """Stop every process of the lab, recorded or only marked, and forget its data; return whether any was running.

    Logs and the audit log stay until the next start.
    """
    current = state.load(directory)
    recorded = [] if current is None else [live(current, name) for name in current.processes]
    found = {process.pid: process for process in recorded if process is not None}
    found |= {process.pid: process for process in processes.marked(directory)}
    # What a user started may want to say good-bye to the API server; the control plane itself loses nothing.
    core = set() if current is None else {current.processes[name].pid for name in _core(current)}
    processes.stop([process for pid, process in found.items() if pid not in core], grace_seconds=_STOP_SECONDS)
    processes.stop(found.values(), grace_seconds=0)
    processes.stop(processes.marked(directory), grace_seconds=0)
    (directory / "state.json").unlink(missing_ok=True)
    for name in ("etcd", "prometheus", "pki", "kubeconfigs"):
        shutil.rmtree(directory / name, ignore_errors=True)
    for child in _children[:]:
        if child.poll() is not None:
            _children.remove(child)
    return bool(found)


def _core(current: LabState) -> list[str]:
    return [name for name in expected_names(current) if name in current.processes and name != "agent"]


def _log(directory: Path, name: str) -> Path:
    return directory / "logs" / f"{name}.log"
