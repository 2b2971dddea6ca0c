"""What the trials of leader changes need: workloads that always want another number, and operators to be hurt."""

import asyncio
import contextlib
import os
import signal
import socket
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from random import Random
from subprocess import Popen
from typing import Any, Final

import aiohttp
import psutil
import yaml

from baseload.errors import ApiError, LabError
from baseload.lab.cluster import Lab
from baseload.lab.ha_audit import token_id
from baseload.lab.kube_client import KubeClient
from baseload.lab.stopping_operator import STOP_FILE_VARIABLE
from baseload.lab.tcp_proxy import TcpProxy

PIN: Final = "baseload.dev/paused-replicas"
BUSY: Final = tuple(f"busy-{number}" for number in range(12))
"""Servings whose wanted number changes all the time."""
QUIET: Final = tuple(f"quiet-{number}" for number in range(4))
"""Servings that want the same number all the time, so that no leader needs to write them."""
QUIET_REPLICAS: Final = 2
_MOST: Final = 6
_CHURN_SECONDS: Final = 0.08
_SERVICE_ACCOUNT: Final = ("baseload-operator", "--namespace", "baseload-system")


@dataclass(frozen=True, slots=True)
class Times:
    """The lease's times, the tick, and the longest wait for anything, in seconds."""

    lease: float
    renew: float
    retry: float
    tick: float

    @property
    def patience(self) -> float:
        """Longer than anything takes that works."""
        return 3 * self.lease + 4 * self.tick + 30.0


def objects(namespace: str) -> list[dict[str, Any]]:
    """Return the namespace, Deployments that make no pods, and a ModelServing for each that pins its replicas."""
    found: list[dict[str, Any]] = [{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}]
    for name in (*BUSY, *QUIET):
        found += [_deployment(namespace, name), _serving(namespace, name)]
    return found


def _deployment(namespace: str, name: str) -> dict[str, Any]:
    labels = {"app": name}
    container = {"name": "server", "image": "example.org/server:1"}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [container]}}
    spec = {"replicas": 1, "paused": True, "selector": {"matchLabels": labels}, "template": template}
    metadata = {"name": name, "namespace": namespace}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": spec}


def _serving(namespace: str, name: str) -> dict[str, Any]:
    return {
        "apiVersion": "baseload.dev/v1alpha1",
        "kind": "ModelServing",
        "metadata": {"name": name, "namespace": namespace, "annotations": {PIN: str(QUIET_REPLICAS)}},
        "spec": {
            "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": name},
            "objective": {"timeToFirstToken": {"targetMilliseconds": 1000, "attainmentPercent": 95}},
            "replicas": {"min": 1, "max": _MOST},
        },
    }


class Churn:
    """Pins another number to a busy serving all the time while `running`; `wanted` is what each should have.

    `history` holds each change with the Unix time from which it may have been seen.
    """

    def __init__(self, client: KubeClient, namespace: str, random: Random) -> None:
        self.wanted = dict.fromkeys((*BUSY, *QUIET), QUIET_REPLICAS)
        self.history: list[tuple[float, str, int]] = []
        self.running = asyncio.Event()
        self._client = client
        self._namespace = namespace
        self._random = random

    async def run(self) -> None:
        """Churn until cancelled."""
        while True:
            await self.running.wait()
            name = self._random.choice(BUSY)
            number = self._random.randint(1, _MOST)
            body = {"metadata": {"annotations": {PIN: str(number)}}}
            path = f"/apis/baseload.dev/v1alpha1/namespaces/{self._namespace}/modelservings/{name}"
            began = time.time()
            while self.wanted[name] != number:
                try:
                    await self._client.call("PATCH", path, body=body, content_type="application/merge-patch+json")
                    self.wanted[name] = number
                    self.history.append((began, name, number))
                except ApiError:
                    await asyncio.sleep(1.0)
            await asyncio.sleep(self._random.uniform(0.0, 2 * _CHURN_SECONDS))

    def wanted_at(self, name: str, at: float) -> int:
        """What a serving should have had at a time."""
        before = [number for began, changed, number in self.history if changed == name and began <= at]
        return before[-1] if before else QUIET_REPLICAS

    async def settled(self) -> bool:
        """Whether every Deployment has the number it should have."""
        answer = await self._client.call("GET", f"/apis/apps/v1/namespaces/{self._namespace}/deployments")
        return {d["metadata"]["name"]: d["spec"]["replicas"] for d in answer["items"]} == self.wanted


class HurtOperator:
    """One operator process with its own token, and the network between it and the API server."""

    def __init__(self, lab: Lab, name: str, times: Times) -> None:
        self.lab = lab
        self.name = name
        self.token = ""
        self.process: Popen[bytes] | None = None
        self.proxy = TcpProxy(int(lab.api_url.rsplit(":", 1)[1]))
        self._times = times
        self._metrics_port, self._liveness_port = _free_ports(2)
        self._folder = lab.directory / "leaders"
        self.stop_file = self._folder / f"{name}.stop"

    async def start(self) -> None:
        """Start the process behind its proxy."""
        await self.proxy.start()
        self.stop_file.unlink(missing_ok=True)
        await asyncio.to_thread(self._start)

    def _start(self) -> None:
        kubeconfig = self.kubeconfig(f"https://127.0.0.1:{self.proxy.port}")
        times = self._times
        command = [sys.executable, "-m", "baseload.lab.stopping_operator", "operator", "--kubeconfig", str(kubeconfig)]
        command += ["--prometheus-url", self.lab.prometheus_url, "--tick-seconds", str(times.tick)]
        command += ["--listen-address", "127.0.0.1", "--metrics-port", str(self._metrics_port)]
        command += ["--liveness-port", str(self._liveness_port), "--log-format", "json"]
        command += ["--lease-seconds", str(times.lease), "--lease-renew-seconds", str(times.renew)]
        command += ["--lease-retry-seconds", str(times.retry)]
        environment = {"KUBECONFIG": os.devnull, STOP_FILE_VARIABLE: str(self.stop_file)}
        self.process = self.lab.popen(command, name=self.name, env=environment)

    def kubeconfig(self, url: str) -> Path:
        """Write a kubeconfig with this process's token for an address of the API server."""
        if not self.token:
            self.token = self.lab.kubectl("create", "token", *_SERVICE_ACCOUNT, "--duration", "24h").strip()
        given = self.lab.service_account_kubeconfig("baseload-system", "baseload-operator")
        content = yaml.safe_load(given.read_text())
        content["clusters"][0]["cluster"]["server"] = url
        content["users"][0]["user"] = {"token": self.token}
        self._folder.mkdir(exist_ok=True, mode=0o700)
        path = self._folder / f"{self.name}-{url.rsplit(':', 1)[1]}.yaml"
        path.write_text(yaml.safe_dump(content))
        return path

    @property
    def token_id(self) -> str:
        """What the audit log calls its token."""
        return token_id(self.token)

    async def leads(self) -> bool:
        """Whether its metrics say that it may write."""
        return "\nbaseload_leader 1.0" in await self._get("/metrics")

    async def is_ready(self) -> bool:
        """Whether it has its first full list."""
        return await self._get("/readyz") == "ok"

    async def _get(self, path: str) -> str:
        """Return the body of a 200, else nothing."""
        url = f"http://127.0.0.1:{self._metrics_port}{path}"
        timeout = aiohttp.ClientTimeout(total=1.0)
        try:
            async with aiohttp.ClientSession(timeout=timeout) as session, session.get(url) as response:
                return await response.text() if response.status == 200 else ""
        except (aiohttp.ClientError, OSError, TimeoutError):
            return ""

    @property
    def exit_code(self) -> int | None:
        """How it ended, None while it runs."""
        assert self.process is not None
        return self.process.poll()

    def send_signal(self, number: signal.Signals) -> None:
        """Send a signal; nothing if it has ended."""
        if self.exit_code is None and self.process is not None:
            self.process.send_signal(number)

    @property
    def is_stopped(self) -> bool:
        """Whether SIGSTOP holds it."""
        assert self.process is not None
        try:
            return bool(psutil.Process(self.process.pid).status() == psutil.STATUS_STOPPED)
        except psutil.NoSuchProcess:
            return False

    async def end(self) -> None:
        """End it and its network, whatever state it is in."""
        self.send_signal(signal.SIGKILL)
        if self.process is not None:
            await asyncio.to_thread(self.process.wait)
        await self.proxy.close()
        with contextlib.suppress(LabError):
            await asyncio.to_thread(self.lab.stop, self.name)


def _free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [listener.getsockname()[1] for listener in sockets]
    for listener in sockets:
        listener.close()
    return ports
