"""The life of one served pod: start-up, ready, drain, gone."""

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Final, Protocol

import aiohttp

from baseload.errors import BaseloadError, ConfigError, LabError
from baseload.lab.faults import NO_FAULT, Fault
from baseload.lab.kube_client import KubeClient
from baseload.lab.pod_status import remove, set_ready
from baseload.lab.served_pod import ServedPod

logger = logging.getLogger(__name__)

_POLL_SECONDS: Final = 0.1
_RESTART_SECONDS: Final = 2.0
_HEALTH_TIMEOUT_SECONDS: Final = 2.0
_STARTED_PRECISION_SECONDS: Final = 1.0


class PodServer(Protocol):
    """A model server on a pod's address."""

    async def start(self) -> None:
        """Start to listen."""

    async def stop(self) -> None:
        """Stop at once."""

    def begin_drain(self) -> None:
        """Let requests in progress end and take no new ones, after a moment."""

    def set_fault(self, fault: Fault) -> None:
        """Have a fault."""

    @property
    def serving(self) -> bool:
        """Whether it runs."""

    @property
    def drained(self) -> bool:
        """Whether no request is or will be in progress."""


ServerFactory = Callable[[ServedPod], Awaitable[tuple[PodServer, float]]]
"""Makes the server of a pod, not started, and says its start-up time in seconds; ConfigError if there can be none."""


class PodRunner:
    """Serves one pod until its object is gone; `pod` is replaced as the object changes."""

    def __init__(self, pod: ServedPod, api: KubeClient, health: aiohttp.ClientSession, factory: ServerFactory) -> None:
        self.pod = pod
        self._api = api
        self._health = health
        self._factory = factory
        self._server: PodServer | None = None
        self._changed = asyncio.Event()
        self._restarts = 0
        self._fault = NO_FAULT
        self._task = asyncio.create_task(self._run(), name=f"pod {pod.namespace}/{pod.name}")

    def update(self, pod: ServedPod) -> None:
        """Take the pod's newer object."""
        self.pod = pod
        self._changed.set()
        try:
            fault = pod.fault
        except ConfigError as error:
            logger.warning("fault ignored", extra={"pod": pod.name, "error": str(error)})
            return
        if fault != self._fault and self._server is not None:
            self._fault = fault
            self._server.set_fault(fault)

    async def stop(self) -> None:
        """Stop serving at once; the pod object is left as it is."""
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task

    @property
    def _deleting(self) -> bool:
        return self.pod.grace_ends_unix_seconds is not None

    async def _run(self) -> None:
        try:
            while not self._deleting:
                await self._serve_once()
            await self._drain()
        except asyncio.CancelledError:
            raise
        except Exception:
            # One pod's mishap must not end the agent, and must not stay silent.
            logger.exception("pod runner ended", extra={"namespace": self.pod.namespace, "pod": self.pod.name})
        finally:
            if self._server is not None:
                await self._server.stop()
        if self._deleting:
            await remove(self._api, self.pod)

    async def _serve_once(self) -> None:
        """Start the pod's server, be ready as long as it runs, and return when it has ended or the pod shall."""
        await self._wait(lambda: self.pod.address is not None)
        if self._deleting:
            return
        try:
            self._server, start_up_seconds = await self._factory(self.pod)
            # A pod that was ready before this agent started has its start-up behind it.
            if not self.pod.ready:
                await self._start_up(start_up_seconds)
            if self._deleting:
                return
            await self._server.start()
            self._fault = self.pod.fault
            self._server.set_fault(self._fault)
        except (BaseloadError, OSError) as error:
            await self._not_ready(error)
            return
        await self._become_ready(self._server)
        await self._wait(lambda: not self._is_serving)
        if not self._deleting:
            self._restarts += 1
            await self._not_ready(LabError("the server ended; it is started again"))

    async def _start_up(self, start_up_seconds: float) -> None:
        """Wait for the rest of the start-up time, counted from now unless the pod has been there for longer."""
        started = self.pod.started_unix_seconds
        age = 0.0 if started is None or self._restarts else time.time() - started
        # The API knows the start to the second only; a pod just seen is as old as nothing.
        past = age if age > 2 * _STARTED_PRECISION_SECONDS else 0.0
        end = time.monotonic() + max(start_up_seconds - past, 0.0)
        await self._wait(lambda: time.monotonic() >= end, deadline=end)

    async def _become_ready(self, server: PodServer) -> None:
        """Set the pod ready as soon as its server answers /health."""
        url = f"http://{self.pod.address}:{self.pod.port}/health"
        while server.serving and not self._deleting:
            if await self._healthy(url):
                await set_ready(self._api, self.pod, ready=True, restarts=self._restarts)
                logger.info("pod ready", extra={"namespace": self.pod.namespace, "pod": self.pod.name})
                return
            await asyncio.sleep(_POLL_SECONDS)

    async def _healthy(self, url: str) -> bool:
        timeout = aiohttp.ClientTimeout(total=_HEALTH_TIMEOUT_SECONDS)
        try:
            async with self._health.get(url, timeout=timeout) as response:
                return response.status == 200
        except (aiohttp.ClientError, OSError, TimeoutError):
            return False

    async def _not_ready(self, error: Exception) -> None:
        """Say in the pod's conditions why it is not ready, and try again after a pause or when the pod changes."""
        if self._server is not None:
            await self._server.stop()
        reason = "InvalidConfiguration" if isinstance(error, ConfigError) else "ServerFailed"
        logger.warning(
            "pod not served", extra={"namespace": self.pod.namespace, "pod": self.pod.name, "error": str(error)}
        )
        await set_ready(self._api, self.pod, ready=False, reason=reason, message=str(error), restarts=self._restarts)
        end = time.monotonic() + _RESTART_SECONDS
        await self._wait(lambda: time.monotonic() >= end, deadline=end)

    async def _drain(self) -> None:
        """Let requests in progress end, at most until the grace period does."""
        server, end = self._server, self.pod.grace_ends_unix_seconds or 0.0
        if server is None or not server.serving:
            return
        server.begin_drain()
        while server.serving and not server.drained and time.time() < end:  # noqa: ASYNC110 (servers are polled)
            await asyncio.sleep(_POLL_SECONDS)

    @property
    def _is_serving(self) -> bool:
        return self._server is not None and self._server.serving

    async def _wait(self, condition: Callable[[], bool], *, deadline: float | None = None) -> None:
        """Wait until the condition holds or the pod is being deleted; looked at on each change and now and then."""
        while not condition() and not self._deleting:
            self._changed.clear()
            left = 1.0 if deadline is None else min(max(deadline - time.monotonic(), 0.0), 1.0)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._changed.wait(), timeout=left)
