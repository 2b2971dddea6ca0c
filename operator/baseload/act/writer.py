"""The only place that writes scale, status, events and marks on pods, by resourceVersion or creating by a fixed name.

`_write` is the one function that sends; just before, it asks the fence whether this process still leads.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from kubernetes.aio import client

from baseload.act.calls import Reload, call_api
from baseload.act.fence import Fence
from baseload.act.victims import Candidate
from baseload.errors import ApiError, UnavailableError

REQUEST_TIMEOUT_SECONDS = 10.0
LONGEST_PAUSE_SECONDS = 30.0
"""The longest Retry-After that is kept: a server that asks for more is tried again all the same."""

FIELD_MANAGER = "baseload"
MERGE_PATCH = "application/merge-patch+json"
GROUP, VERSION = "baseload.dev", "v1alpha1"

Raw = Mapping[str, Any]
Count = Callable[[str, str], None]
"""Told of each write: its kind (scale, status, event, pod) and its outcome (written, conflict, failed)."""


Send = Callable[[float], Awaitable[Any]]
"""Sends one write that may take so many seconds."""


class KubeWriter:
    """Writes with a time limit and Baseload's errors; `count` is told of each, `reload` called after a 401."""

    def __init__(self, api_client: client.ApiClient, count: Count, reload: Reload, fence: Fence) -> None:
        self._objects = client.CustomObjectsApi(api_client)
        self._count = count
        self._reload = reload
        self._fence = fence
        self._pause_end = 0.0

    async def scale(self, collection: str, namespace: str, name: str, replicas: int, resource_version: str) -> str:
        """Set the replicas through the scale subresource, if nobody wrote since `resource_version`; the new version."""
        body = {"metadata": {"resourceVersion": resource_version}, "spec": {"replicas": replicas}}
        group, version, plural = parts_of(collection)
        answer = await self._write(
            "scale",
            f"scale {plural} {namespace}/{name}",
            lambda seconds: self._objects.patch_namespaced_custom_object_scale(
                group, version, namespace, plural, name, body, **_patch(seconds)
            ),
        )
        return str(answer["metadata"]["resourceVersion"])

    async def status(self, namespace: str, name: str, status: Raw, resource_version: str) -> str:
        """Write the status of a ModelServing; the new resourceVersion. Lists are replaced as a whole."""
        body = {"metadata": {"resourceVersion": resource_version}, "status": status}
        answer = await self._write(
            "status",
            f"status of ModelServing {namespace}/{name}",
            lambda seconds: self._objects.patch_namespaced_custom_object_status(
                GROUP, VERSION, namespace, "modelservings", name, body, **_patch(seconds)
            ),
        )
        return str(answer["metadata"]["resourceVersion"])

    async def pool_status(self, name: str, status: Raw, resource_version: str) -> str:
        """Write the status of a CapacityPool; the new resourceVersion."""
        body = {"metadata": {"resourceVersion": resource_version}, "status": status}
        answer = await self._write(
            "status",
            f"status of CapacityPool {name}",
            lambda seconds: self._objects.patch_cluster_custom_object_status(
                GROUP, VERSION, "capacitypools", name, body, **_patch(seconds)
            ),
        )
        return str(answer["metadata"]["resourceVersion"])

    async def create_event(self, namespace: str, body: Raw) -> str:
        """Post an event (events.k8s.io/v1); its resourceVersion."""
        answer = await self._write(
            "event",
            f"event {namespace}/{body['metadata']['name']}",
            lambda seconds: self._objects.create_namespaced_custom_object(
                "events.k8s.io", "v1", namespace, "events", dict(body), _request_timeout=seconds
            ),
        )
        return str(answer["metadata"]["resourceVersion"])

    async def patch_event(self, namespace: str, name: str, body: Raw, resource_version: str) -> str:
        """Count a repetition into an event posted before; the new resourceVersion."""
        answer = await self._write(
            "event",
            f"event {namespace}/{name}",
            lambda seconds: self._objects.patch_namespaced_custom_object(
                "events.k8s.io",
                "v1",
                namespace,
                "events",
                name,
                {**body, "metadata": {"resourceVersion": resource_version}},
                **_patch(seconds),
            ),
        )
        return str(answer["metadata"]["resourceVersion"])

    async def workload(self, collection: str, namespace: str, name: str) -> tuple[str, int]:
        """ResourceVersion and replicas of a workload as its scale subresource has them now."""
        group, version, plural = parts_of(collection)
        raw = await self._call(
            f"read scale of {plural} {namespace}/{name}",
            lambda: self._objects.get_namespaced_custom_object_scale(
                group, version, namespace, plural, name, _request_timeout=REQUEST_TIMEOUT_SECONDS
            ),
        )
        # A Scale leaves a zero out.
        return str(raw["metadata"]["resourceVersion"]), int(raw["spec"].get("replicas", 0))

    async def serving_version(self, namespace: str, name: str) -> tuple[str, str, int]:
        """uid, resourceVersion and generation of a ModelServing as the server has it now."""
        raw = await self._call(
            f"read ModelServing {namespace}/{name}",
            lambda: self._objects.get_namespaced_custom_object(
                GROUP, VERSION, namespace, "modelservings", name, _request_timeout=REQUEST_TIMEOUT_SECONDS
            ),
        )
        metadata = raw["metadata"]
        return str(metadata["uid"]), str(metadata["resourceVersion"]), int(metadata["generation"])

    async def pods(self, namespace: str, selector: str) -> list[Raw]:
        """The pods of a namespace by label selector, as the server has them now."""
        answer = await self._call(
            f"list pods {namespace} {selector}",
            lambda: self._core("GET", f"/api/v1/namespaces/{namespace}/pods", [("labelSelector", selector)]),
        )
        return list(answer["items"])

    async def annotate_pod(self, namespace: str, pod: Candidate, annotation: str, value: str | None) -> None:
        """Set an annotation of a pod if nobody wrote since it was read; None takes it away."""
        metadata = {"resourceVersion": pod.resource_version, "annotations": {annotation: value}}
        path, manager = f"/api/v1/namespaces/{namespace}/pods/{pod.name}", [("fieldManager", FIELD_MANAGER)]
        await self._write(
            "pod",
            f"annotation of pod {namespace}/{pod.name}",
            lambda seconds: self._core("PATCH", path, manager, {"metadata": metadata}, seconds),
        )

    async def _core(
        self,
        method: str,
        path: str,
        query: list[tuple[str, str]],
        body: Raw | None = None,
        seconds: float = REQUEST_TIMEOUT_SECONDS,
    ) -> Any:  # noqa: ANN401 - JSON
        """A call of the core API with plain JSON: the client's own models of a pod cost a millisecond each."""
        api = self._objects.api_client
        parts = await api.param_serialize(
            method=method,
            resource_path=path,
            query_params=query,
            header_params={"Accept": "application/json", "Content-Type": MERGE_PATCH},
            body=body,
            auth_settings=["BearerToken"],
        )
        response = await api.call_api(*parts, _request_timeout=seconds)
        await response.read()
        return api.response_deserialize(response, {"200": "object"}).data

    async def _write(self, kind: str, what: str, send: Send) -> Any:  # noqa: ANN401 - JSON
        """Send one write, if this process still leads; no longer than it surely does."""
        try:
            self._keep_asked_pause(what)
            seconds = min(REQUEST_TIMEOUT_SECONDS, self._fence.seconds_left())
            answer = await call_api(what, lambda: send(seconds), self._reload)
        except ApiError as error:
            if isinstance(error, UnavailableError) and error.retry_after_seconds is not None:
                self._pause_end = time.monotonic() + min(error.retry_after_seconds, LONGEST_PAUSE_SECONDS)
            self._count(kind, "conflict" if error.status == 409 else "failed")
            raise
        self._count(kind, "written")
        return answer

    def _keep_asked_pause(self, what: str) -> None:
        """Send nothing while the server asked us to wait: its limits are per client, so one 429 speaks of all."""
        left = self._pause_end - time.monotonic()
        if left > 0:
            raise UnavailableError(f"{what}: not sent, the API server asked to wait {left:.1f} s more", status=429)

    async def _call(self, what: str, call: Callable[[], Awaitable[Any]]) -> Any:  # noqa: ANN401 - JSON
        return await call_api(what, call, self._reload)


class TokenBucket:
    """At most `per_second` passes a second, with a burst of one second's worth; waiters pass in order."""

    def __init__(self, per_second: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._per_second = per_second
        self._tokens = per_second
        self._clock = clock
        self._time = clock()
        self._lock = asyncio.Lock()

    async def take(self) -> None:
        """Wait for a token."""
        async with self._lock:
            self._refill()
            if self._tokens < 1.0:
                await asyncio.sleep((1.0 - self._tokens) / self._per_second)
                self._refill()
            self._tokens -= 1.0

    def _refill(self) -> None:
        now = self._clock()
        self._tokens = min(self._tokens + (now - self._time) * self._per_second, max(self._per_second, 1.0))
        self._time = now


def _patch(seconds: float) -> dict[str, Any]:
    return {
        "_request_timeout": seconds,
        "_content_type": MERGE_PATCH,
        "field_manager": FIELD_MANAGER,
    }


def parts_of(collection: str) -> tuple[str, str, str]:
    """Group, version and plural of a collection's path, such as `/apis/apps/v1/deployments`."""
    _, _, group, version, plural = collection.split("/")
    return group, version, plural
