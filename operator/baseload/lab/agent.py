"""The lab's node agent: does for served pods what kubelets do, with model servers instead of containers.

Run as `python -m baseload.lab.agent --kubeconfig FILE`; it serves every pod whose first container runs a serving
image, on the pod's own address, until it is stopped. Pods survive a restart of the agent and of the API server.
"""

import argparse
import asyncio
import logging
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp

from baseload.errors import BaseloadError, ConfigError, NotFoundError
from baseload.lab.kube_client import Changed, KubeClient, Listed, connect
from baseload.lab.llama import LlamaServer
from baseload.lab.pod_runner import PodRunner, PodServer
from baseload.lab.process_log import log_to_stderr
from baseload.lab.profiles import engine_profile
from baseload.lab.served_pod import ServedPod, served
from baseload.lab.server import ReplicaServer
from baseload.sim.requests.engine import EngineProfile

logger = logging.getLogger(__name__)

_NODE_LABELS = ("baseload.dev/accelerator", "nvidia.com/gpu.product")
_LLAMA_SLOTS = 4


class Agent:
    """Runs a PodRunner for each served pod."""

    def __init__(self, api: KubeClient, session: aiohttp.ClientSession) -> None:
        self._api = api
        self._session = session
        self._runners: dict[str, PodRunner] = {}
        self._stopping: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Follow the cluster's pods until cancelled."""
        try:
            # Pods that no node took yet are the scheduler's.
            async for news in self._api.follow("/api/v1/pods", {"fieldSelector": "spec.nodeName!="}):
                self._take(news)
        finally:
            await asyncio.gather(*(runner.stop() for runner in self._runners.values()))

    def _take(self, news: Listed | Changed) -> None:
        if isinstance(news, Changed):
            if news.kind == "DELETED":
                self._forget(str(news.item["metadata"]["uid"]))
            else:
                self._see(news.item)
            return
        there = {str(item["metadata"]["uid"]) for item in news.items}
        for uid in self._runners.keys() - there:
            self._forget(uid)
        for item in news.items:
            self._see(item)

    def _see(self, item: dict[str, Any]) -> None:
        """Start or update the runner of a pod."""
        if not served(item):
            return
        pod = ServedPod(item)
        runner = self._runners.get(pod.uid)
        if runner is not None:
            runner.update(pod)
        elif not pod.finished:
            self._runners[pod.uid] = PodRunner(pod, self._api, self._session, self._server)

    def _forget(self, uid: str) -> None:
        """Stop the server of a pod whose object is gone."""
        runner = self._runners.pop(uid, None)
        if runner is not None:
            task = asyncio.create_task(runner.stop())
            self._stopping.add(task)
            task.add_done_callback(self._stopping.discard)

    async def _server(self, pod: ServedPod) -> tuple[PodServer, float]:
        """Make the server of a pod and tell its start-up time in seconds, the annotations included."""
        address = pod.address
        if address is None:
            raise ConfigError(f"pod {pod.namespace}/{pod.name} has no address")
        if pod.is_llama_cpp:
            slots = pod.number("parallel", _LLAMA_SLOTS)
            return LlamaServer(host=address, port=pod.port, slots=slots), pod.start_up_seconds or 0.0
        profile = await self._profile(pod)
        server = ReplicaServer(
            model=pod.argument("served-model-name") or pod.model, profile=profile, host=address, port=pod.port
        )
        fixed = pod.start_up_seconds
        return server, profile.start_up_seconds / pod.speed if fixed is None else fixed

    async def _profile(self, pod: ServedPod) -> EngineProfile:
        """Return the profile of the pod's model on its node's accelerator, with the limits its arguments set."""
        try:
            node = await self._api.call("GET", f"/api/v1/nodes/{pod.node_name}")
        except NotFoundError as error:
            raise ConfigError(f"node {pod.node_name} of pod {pod.namespace}/{pod.name} is gone") from error
        labels = node["metadata"].get("labels") or {}
        accelerator = next((labels[name] for name in _NODE_LABELS if name in labels), None)
        if accelerator is None:
            raise ConfigError(f"node {pod.node_name} names no accelerator: set one of the labels {_NODE_LABELS}")
        profile = engine_profile(accelerator, pod.model, pod.accelerators)
        return replace(
            profile,
            max_sequences=pod.number("max-num-seqs", profile.max_sequences),
            max_batched_tokens=pod.number("max-num-batched-tokens", profile.max_batched_tokens),
        )


async def _main(kubeconfig: Path) -> None:
    loop = asyncio.get_running_loop()
    async with connect(kubeconfig) as api, aiohttp.ClientSession() as session:
        agent = asyncio.create_task(Agent(api, session).run())
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, agent.cancel)
        logger.info("agent started")
        try:
            await agent
        except asyncio.CancelledError:
            logger.info("agent stopped")


def main() -> None:
    """Run the agent until SIGTERM or SIGINT."""
    parser = argparse.ArgumentParser(prog="python -m baseload.lab.agent", description=__doc__)
    parser.add_argument("--kubeconfig", type=Path, required=True, help="credentials for pods and nodes")
    arguments = parser.parse_args()
    log_to_stderr()
    try:
        asyncio.run(_main(arguments.kubeconfig))
    except BaseloadError as error:
        raise SystemExit(f"agent: {error}") from error


if __name__ == "__main__":
    main()
