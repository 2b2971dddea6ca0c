"""The network a lab lives in: a namespace of its own, or the loopback interface where that is impossible.

In a namespace every address of 10.64.0.0/12 is local: a process can be a pod by binding the pod's address, nothing can
reach out or in, and ports are the well-known ones. In loopback mode pods have addresses in 127.0.0.0/8 and ports are
whatever was free; the API server refuses such addresses in EndpointSlices, so Services and gateways have no backends.
"""

import os
import shutil
import socket
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from baseload.errors import ConfigError
from baseload.lab.processes import spawn

NetworkMode = Literal["auto", "namespace", "loopback"]
NETWORK_MODES: Final[tuple[NetworkMode, ...]] = ("auto", "namespace", "loopback")

HOLDER: Final = "network"
"""Name of the process that keeps the namespace alive."""

_NODE_ADDRESS = "10.0.0.1"
_READY = "network ready"
_SET_UP = f"""set -e
ip link set lo up
ip addr add {_NODE_ADDRESS}/32 dev lo
ip route add local 10.64.0.0/12 dev lo
echo {_READY}
exec sleep infinity"""
_HOLDER_SECONDS = 5.0
# 127.64.0.0/16 to 127.126.0.0/16: one for each lab in loopback mode.
_LOOPBACK_POD_OCTETS = range(64, 127)


@dataclass(frozen=True, slots=True)
class Ports:
    """TCP ports on 127.0.0.1, as seen from inside the lab's network."""

    etcd: int = 2379
    etcd_peer: int = 2380
    api_server: int = 6443
    controller_manager: int = 10257
    scheduler: int = 10259
    kwok: int = 10247
    prometheus: int = 9090
    operator: int = 8080
    """Where Prometheus expects the operator's metrics."""


@dataclass(frozen=True, slots=True)
class Network:
    """Addresses and ports of one lab."""

    kind: Literal["namespace", "loopback"]
    node_address: str
    pod_cidr: str
    """In KWOK's form: the first address and the prefix length, 10.64.0.1/16."""
    ports: Ports


NAMESPACE: Final = Network("namespace", _NODE_ADDRESS, "10.64.0.1/16", Ports())


def loopback(taken_pod_cidrs: set[str]) -> Network:
    """Return a loopback network with free ports and a pod range that no other lab has."""
    for octet in _LOOPBACK_POD_OCTETS:
        pod_cidr = f"127.{octet}.0.1/16"
        if pod_cidr not in taken_pod_cidrs:
            return Network("loopback", "127.0.0.1", pod_cidr, _free_ports())
    raise ConfigError(f"all {len(_LOOPBACK_POD_OCTETS)} pod ranges of loopback mode are in use: stop a lab")


def _free_ports() -> Ports:
    """Ask the kernel for free ports; all are held open together so that none is given twice."""
    names = Ports.__dataclass_fields__
    sockets = [socket.socket() for _ in names]
    try:
        for listener in sockets:
            listener.bind(("127.0.0.1", 0))
        return Ports(**{name: listener.getsockname()[1] for name, listener in zip(names, sockets, strict=True)})
    finally:
        for listener in sockets:
            listener.close()


def start_namespace(directory: Path, log: Path) -> "subprocess.Popen[bytes] | str":
    """Start the process that holds a new network namespace; return it, or in words why there can be none."""
    missing = [tool for tool in ("unshare", "nsenter", "ip", "sh", "sleep") if shutil.which(tool) is None]
    if missing:
        return f"{', '.join(missing)} not found (Linux with util-linux and iproute2 has them)"
    reason = ""
    # Root makes a plain namespace; an ordinary user, or root without the capability, needs a user namespace around it.
    for flags in (["-n"], ["-r", "-n"]) if os.geteuid() == 0 else (["-r", "-n"],):
        start = log.stat().st_size if log.exists() else 0
        command = ["unshare", *flags, "--", "sh", "-c", _SET_UP]
        holder = spawn(command, log=log, directory=directory, environment=os.environ)
        if _became_ready(holder, log, start):
            return holder
        messages = log.read_text(errors="replace")[start:].strip().splitlines() or ["no message"]
        reason = f"unshare {' '.join(flags)}: {messages[-1]}"
    return reason


def _became_ready(holder: "subprocess.Popen[bytes]", log: Path, start: int) -> bool:
    deadline = time.monotonic() + _HOLDER_SECONDS
    while time.monotonic() < deadline:
        if _READY in log.read_text(errors="replace")[start:]:
            return True
        if holder.poll() is not None:
            return False
        time.sleep(0.01)
    holder.kill()
    holder.wait()
    return False


def in_namespace_of(pid: int) -> bool:
    """Whether this process is in the network namespace of process `pid`."""
    return _same_namespace("net", pid)


def enter_command(pid: int) -> list[str]:
    """Return the words to put before a command so that it runs in the network namespace of process `pid`."""
    user = [] if _same_namespace("user", pid) else ["-U", "--preserve-credentials"]
    return ["nsenter", "-t", str(pid), *user, "-n", "--"]


def _same_namespace(kind: str, pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/ns/{kind}").stat().st_ino == Path(f"/proc/self/ns/{kind}").stat().st_ino
    except OSError:
        return False
