"""A lab: one real Kubernetes control plane with Prometheus on this machine, by name.

`Lab("default")` is only a handle. Its state is in a folder and a lock file, so any process can look at, use and stop
a lab that another process started.
"""

import dataclasses
import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import psutil

from baseload.errors import LabError
from baseload.lab import lifecycle, network, processes, state
from baseload.lab.build import ensure_tools
from baseload.lab.components import Layout, component_names
from baseload.lab.kubeconfig import write_token_kubeconfig
from baseload.lab.kubectl import Kubectl
from baseload.lab.paths import lab_directory
from baseload.lab.state import LabOptions, LabState

__all__ = ["ComponentStatus", "Lab", "LabOptions", "LabStatus"]

LAB_VARIABLE = "BASELOAD_LAB"
"""Environment variable that names the lab a command runs in."""

# An API server or etcd with open watches would take longer, and loses nothing by SIGKILL.
_COMPONENT_GRACE_SECONDS = 3.0
_GRACE_SECONDS = 15.0


@dataclass(frozen=True, slots=True)
class ComponentStatus:
    """One process of a lab: `stopped` was asked for (or never started), `crashed` was not."""

    name: str
    state: Literal["running", "stopped", "crashed"]
    pid: int | None = None
    memory_bytes: int = 0
    """Resident set size."""


@dataclass(frozen=True, slots=True)
class LabStatus:
    """What runs of a lab."""

    name: str
    network: Literal["namespace", "loopback"] | None
    """None when the lab is down."""
    components: tuple[ComponentStatus, ...]
    """The network holder, the control plane and the node agent."""
    others: tuple[ComponentStatus, ...]
    """Processes that `Lab.popen` started and that have not ended."""

    @property
    def running(self) -> bool:
        """Whether every component runs."""
        return bool(self.components) and all(component.state == "running" for component in self.components)


def _silent(_: str) -> None:
    """Drop a progress message."""


def _component_status(name: str, current: LabState) -> ComponentStatus:
    if name not in current.processes:
        return ComponentStatus(name, "stopped")
    process = lifecycle.live(current, name)
    if process is None:
        return ComponentStatus(name, "crashed")
    try:
        return ComponentStatus(name, "running", process.pid, process.memory_info().rss)
    except psutil.NoSuchProcess:
        return ComponentStatus(name, "crashed")


def _check_options(name: str, current: LabState, wanted: LabOptions | None) -> None:
    if wanted is None:
        return
    if wanted.network == "auto":
        wanted = dataclasses.replace(wanted, network=current.options.network)
    if wanted != current.options:
        raise LabError(
            f"lab {name!r} runs with {current.options}, not {wanted}; "
            f"stop it first with `baseload lab down --name {name}` or use another name"
        )


class Lab:
    """Handle of the lab called `name`; creating it has no effect."""

    def __init__(self, name: str = "default") -> None:
        self.name = name
        self.directory = lab_directory(name)

    # Where things are.

    @property
    def kubeconfig(self) -> Path:
        """The cluster-admin kubeconfig."""
        return self._layout.kubeconfig("admin")

    @property
    def api_url(self) -> str:
        """The API server's address inside the lab's network."""
        return self._layout.api_url

    @property
    def prometheus_url(self) -> str:
        """Prometheus' address inside the lab's network."""
        return self._layout.prometheus_url

    @property
    def operator_port(self) -> int:
        """The port on 127.0.0.1 where the lab's Prometheus scrapes the operator's /metrics."""
        return self._layout.network.ports.operator

    @property
    def node_address(self) -> str | None:
        """This machine's address inside the lab, for API servers behind the lab's own; None in loopback mode."""
        current = self._layout.network
        return current.node_address if current.kind == "namespace" else None

    @property
    def hpa_sync_seconds(self) -> float:
        """How often the running lab's controller manager looks at each HorizontalPodAutoscaler."""
        return self._layout.hpa_sync_seconds

    @property
    def audit_log(self) -> Path:
        """The API server's audit log: one JSON line per stage of each request, RequestReceived left out."""
        return self.directory / "audit.log"

    def log(self, name: str) -> Path:
        """Return the log file of a component or of a process started by `popen`."""
        return self.directory / "logs" / f"{name}.log"

    @property
    def inside(self) -> bool:
        """Whether this process runs inside the lab's network."""
        current = state.load(self.directory)
        if current is None:
            return False
        holder = current.processes.get(network.HOLDER)
        if current.network.kind == "loopback" or holder is None:
            return os.environ.get(LAB_VARIABLE) == self.name
        return network.in_namespace_of(holder.pid)

    # Up and down.

    def up(self, options: LabOptions | None = None, progress: Callable[[str], None] = _silent) -> bool:
        """Start what does not run of the lab and wait until it is ready; return whether anything was started.

        None as options takes those of the running lab, else the defaults. Raises LabError if the lab runs with other
        options or a component does not start; what this call started has then been stopped. `progress` hears what
        happens, one line at a time.
        """
        commands = ensure_tools(progress)
        with state.locked(self.directory):
            current = state.load(self.directory)
            if current is not None and lifecycle.usable(current):
                _check_options(self.name, current, options)
                missing = [name for name in component_names() if lifecycle.live(current, name) is None]
                if not missing:
                    progress(f"lab {self.name} runs already")
                    return False
            try:
                if current is None or not lifecycle.usable(current):
                    lifecycle.stop_everything(self.directory)
                    current = lifecycle.create(self.directory, options or LabOptions(), progress)
                    missing = list(component_names())
                lifecycle.start(self.directory, current, commands, missing, progress)
            except BaseException:
                lifecycle.stop_everything(self.directory)
                raise
        return True

    def down(self) -> bool:
        """Stop everything the lab started, also after a crash; return whether there was anything. Logs stay."""
        with state.locked(self.directory):
            return lifecycle.stop_everything(self.directory)

    def status(self) -> LabStatus:
        """Return what runs of the lab."""
        current = state.load(self.directory)
        if current is None:
            return LabStatus(self.name, None, (), ())
        expected = lifecycle.expected_names(current)
        others = [name for name in current.processes if name not in expected]
        return LabStatus(
            name=self.name,
            network=current.network.kind,
            components=tuple(_component_status(name, current) for name in expected),
            others=tuple(
                status for status in (_component_status(name, current) for name in others) if status.state == "running"
            ),
        )

    @property
    def running(self) -> bool:
        """Whether every component of the lab runs."""
        return self.status().running

    # One component, for fault tests.

    def stop(self, name: str) -> None:
        """Stop one component or process; it then counts as stopped, not crashed.

        It gets SIGTERM, and SIGKILL after 3 s (a component) or 15 s (what `popen` started).
        """
        with state.locked(self.directory):
            current = self._state()
            process = lifecycle.live(current, name)
            if process is not None:
                component = name in lifecycle.expected_names(current)
                grace_seconds = _COMPONENT_GRACE_SECONDS if component else _GRACE_SECONDS
                processes.stop([process], grace_seconds=grace_seconds)
            state.save(self.directory, current.with_process(name, None))

    def start(self, name: str) -> None:
        """Start one component that was stopped or crashed, and wait until it is ready."""
        with state.locked(self.directory):
            current = self._state()
            if name not in component_names():
                raise LabError(f"the lab has no component {name!r}; it has {', '.join(component_names())}")
            if lifecycle.live(current, name) is None:
                lifecycle.start(self.directory, current, ensure_tools(_silent), [name], _silent)

    def restart(self, name: str) -> None:
        """Stop one component and start it again."""
        self.stop(name)
        self.start(name)

    # Use of the cluster.

    def command(self, arguments: Sequence[str]) -> list[str]:
        """Return the command that runs `arguments` inside the lab's network, from wherever this process is."""
        return lifecycle.inside_command(self._state(), arguments)

    def environment(self) -> dict[str, str]:
        """Return this process's environment with KUBECONFIG, BASELOAD_LAB and this Python's commands on PATH."""
        path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
        return {**os.environ, "KUBECONFIG": str(self.kubeconfig), LAB_VARIABLE: self.name, "PATH": path}

    def popen(
        self, arguments: Sequence[str], *, name: str, env: Mapping[str, str] | None = None
    ) -> "subprocess.Popen[bytes]":
        """Start a process inside the lab's network; `down` stops it, its output goes to `log(name)`.

        `env` is added to `environment()`. Raises LabError while another process of that name runs.
        """
        with state.locked(self.directory):
            current = self._state()
            if lifecycle.live(current, name) is not None or name in lifecycle.expected_names(current):
                raise LabError(f"process name {name!r} is taken in lab {self.name!r}; stop it or choose another name")
            environment = {**self.environment(), **(env or {})}
            _, process = lifecycle.spawn(self.directory, current, name, arguments, environment)
            return process

    @cached_property
    def kubectl(self) -> Kubectl:
        """Run kubectl as cluster-admin."""
        return Kubectl(self.kubeconfig, self.command)

    def apply(self, *manifests: str | Path | Mapping[str, Any]) -> None:
        """Apply manifests as cluster-admin: YAML text, a file or folder, or an object as a dict."""
        self.kubectl.apply(*manifests)

    def service_account_kubeconfig(self, namespace: str, name: str) -> Path:
        """Return a kubeconfig that logs in as an existing ServiceAccount, with a token that is good for a day."""
        token = self.kubectl("create", "token", name, "--namespace", namespace, "--duration", "24h").strip()
        user = f"system:serviceaccount:{namespace}:{name}"
        path = self._layout.kubeconfig(f"{namespace}.{name}")
        write_token_kubeconfig(path, api_url=self.api_url, pki=self._layout.pki, user=user, token=token)
        return path

    def compact(self) -> int:
        """Compact etcd up to now and return the revision: older resource versions are gone for the API server."""
        layout = self._layout
        pki = layout.pki
        module = [sys.executable, "-m", "baseload.lab.compaction", "--url", layout.etcd_url, "--ca", str(pki.authority)]
        credentials = ["--cert", str(pki.certificate("api-server")), "--key", str(pki.key("api-server"))]
        answer = subprocess.run(
            self.command([*module, *credentials]), capture_output=True, text=True, timeout=30, check=False
        )
        if answer.returncode != 0:
            raise LabError(f"compacting etcd failed: {answer.stderr.strip().splitlines()[-1:]}")
        return int(answer.stdout)

    # How it is done.

    def _state(self) -> LabState:
        current = state.load(self.directory)
        if current is None:
            raise LabError(f"lab {self.name!r} is down; run `baseload lab up --name {self.name}`")
        return current

    @property
    def _layout(self) -> Layout:
        return lifecycle.layout(self.directory, self._state())
