"""The Lease that says which operator leads: read, made and replaced, never without the version it replaces."""

import copy
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from kubernetes.aio import client

from baseload.act.calls import Reload, call_api
from baseload.act.events import micro_time
from baseload.errors import NotFoundError

GROUP, VERSION, PLURAL = "coordination.k8s.io", "v1", "leases"


@dataclass(frozen=True, slots=True)
class Lease:
    """A Lease as the server has it; `raw` is the whole object, `renewed` its time as text, only to be compared."""

    holder: str
    seconds: int
    renewed: str
    transitions: int
    raw: Mapping[str, Any]

    @property
    def record(self) -> tuple[object, ...]:
        """What changes when anybody takes, renews or gives up the lease."""
        return self.holder, self.seconds, self.renewed, self.transitions


class LeaseStore:
    """One Lease by name; every method raises ApiError and takes the seconds it may last."""

    def __init__(
        self,
        api_client: client.ApiClient,
        namespace: str,
        name: str,
        reload: Reload,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._objects = client.CustomObjectsApi(api_client)
        self._namespace = namespace
        self._name = name
        self._reload = reload
        self._clock = clock

    def __str__(self) -> str:
        return f"{self._namespace}/{self._name}"

    async def read(self, seconds: float) -> Lease | None:
        """The Lease now; None when there is none."""
        try:
            raw = await call_api(
                f"read Lease {self}",
                lambda: self._objects.get_namespaced_custom_object(
                    GROUP, VERSION, self._namespace, PLURAL, self._name, _request_timeout=seconds
                ),
                self._reload,
            )
        except NotFoundError:
            return None
        return _lease(raw)

    async def take(self, before: Lease | None, holder: str, lease_seconds: float, seconds: float) -> Lease:
        """Become the holder, or go on being it; a ConflictError when the Lease is no longer the one of `before`."""
        now = micro_time(self._clock())
        spec: dict[str, Any] = {} if before is None else dict(before.raw.get("spec") or {})
        if before is None or before.holder != holder:
            spec["acquireTime"] = now
            spec["leaseTransitions"] = 0 if before is None else before.transitions + 1
        # The API knows whole seconds only.
        spec |= {"holderIdentity": holder, "leaseDurationSeconds": math.ceil(lease_seconds), "renewTime": now}
        if before is None:
            return await self._create(spec, seconds)
        return await self._replace(before, spec, seconds)

    async def give_up(self, held: Lease, seconds: float) -> None:
        """Leave the Lease without a holder, so that the next one need not wait."""
        spec = {**held.raw["spec"], "holderIdentity": "", "leaseDurationSeconds": 1}
        await self._replace(held, spec, seconds)

    async def _create(self, spec: Mapping[str, Any], seconds: float) -> Lease:
        body = {
            "apiVersion": f"{GROUP}/{VERSION}",
            "kind": "Lease",
            "metadata": {"name": self._name, "namespace": self._namespace},
            "spec": spec,
        }
        raw = await call_api(
            f"create Lease {self}",
            lambda: self._objects.create_namespaced_custom_object(
                GROUP, VERSION, self._namespace, PLURAL, body, _request_timeout=seconds
            ),
            self._reload,
        )
        return _lease(raw)

    async def _replace(self, before: Lease, spec: Mapping[str, Any], seconds: float) -> Lease:
        # The body carries the resourceVersion that was read: whoever wrote since makes this a conflict.
        body = {**copy.deepcopy(dict(before.raw)), "spec": spec}
        raw = await call_api(
            f"write Lease {self}",
            lambda: self._objects.replace_namespaced_custom_object(
                GROUP, VERSION, self._namespace, PLURAL, self._name, body, _request_timeout=seconds
            ),
            self._reload,
        )
        return _lease(raw)


def _lease(raw: Mapping[str, Any]) -> Lease:
    spec = raw.get("spec") or {}
    return Lease(
        holder=spec.get("holderIdentity") or "",
        seconds=int(spec.get("leaseDurationSeconds") or 0),
        renewed=spec.get("renewTime") or "",
        transitions=int(spec.get("leaseTransitions") or 0),
        raw=raw,
    )
