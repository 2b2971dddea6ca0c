"""What a lab remembers between commands: its options, its network and the processes it started."""

import contextlib
import dataclasses
import fcntl
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from baseload.lab.network import Network, NetworkMode, Ports
from baseload.lab.paths import labs_directory
from baseload.lab.processes import ProcessRecord


@dataclass(frozen=True, slots=True)
class LabOptions:
    """How a lab is started."""

    network: NetworkMode = "auto"
    """`namespace` or `loopback`; `auto` takes a namespace if it can get one."""
    scrape_seconds: int = 2
    """Prometheus' scrape interval."""
    api_server_args: tuple[str, ...] = ()
    """More flags for kube-apiserver, such as --feature-gates=X=true."""
    hpa_sync_seconds: float = 15.0
    """How often the controller manager looks at each HorizontalPodAutoscaler; 15 s is Kubernetes' default."""


@dataclass(frozen=True, slots=True)
class LabState:
    """The content of a lab's state.json."""

    options: LabOptions
    network: Network
    processes: dict[str, ProcessRecord] = field(default_factory=dict)
    """By name: components of the lab, and what `Lab.popen` started."""

    def with_process(self, name: str, process: ProcessRecord | None) -> "LabState":
        """Return the state with one process added or replaced, or without it."""
        others = {key: value for key, value in self.processes.items() if key != name}
        return dataclasses.replace(self, processes=others | ({name: process} if process else {}))


def load(directory: Path) -> LabState | None:
    """Return the state of the lab in `directory`; None if there is none or it cannot be read."""
    try:
        content = json.loads((directory / "state.json").read_text())
        return _from_json(content)
    except (OSError, ValueError, TypeError, KeyError):
        # Another version's or a torn file: processes are still found by their mark, so it may be forgotten.
        return None


def save(directory: Path, state: LabState) -> None:
    """Replace the state file in one step."""
    temporary = directory / f".state.{os.getpid()}"
    temporary.write_text(json.dumps(dataclasses.asdict(state), indent=1))
    temporary.replace(directory / "state.json")


def used_pod_cidrs() -> set[str]:
    """Return the pod ranges of all labs that have a state."""
    states = (load(path) for path in labs_directory().glob("*") if path.is_dir())
    return {state.network.pod_cidr for state in states if state is not None}


@contextlib.contextmanager
def locked(directory: Path) -> Iterator[None]:
    """Hold the lab's lock: one command at a time changes a lab; the kernel frees it when the process ends."""
    directory.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with directory.with_suffix(".lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _from_json(content: dict[str, Any]) -> LabState:
    options = content["options"]
    network = content["network"]
    return LabState(
        options=LabOptions(**{**options, "api_server_args": tuple(options["api_server_args"])}),
        network=Network(**{**network, "ports": Ports(**network["ports"])}),
        processes={name: ProcessRecord(**process) for name, process in content["processes"].items()},
    )
