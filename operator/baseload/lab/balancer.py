"""Chooses the server of a request: of the ready endpoints the one with the fewest outstanding requests."""

import asyncio
from collections.abc import Callable, Iterable
from random import Random
from typing import Any

from baseload.lab.kube_client import KubeClient, Listed

Address = tuple[str, int]


class Balancer:
    """Least outstanding requests; ties are broken at random by seed."""

    def __init__(self, seed: int, on_ready: Callable[[], None]) -> None:
        self._random = Random(seed)  # noqa: S311 (a reproducible load, no secret)
        self._on_ready = on_ready
        self._outstanding: dict[Address, int] = {}
        self._ready: tuple[Address, ...] = ()
        self.known = asyncio.Event()
        """Set once the endpoints, or that there are none, have been told."""

    @property
    def ready(self) -> tuple[Address, ...]:
        """The ready endpoints."""
        return self._ready

    def set_ready(self, addresses: Iterable[Address]) -> None:
        """Replace the ready endpoints; requests to others go on."""
        self._ready = tuple(sorted(set(addresses)))
        for address in self._ready:
            self._outstanding.setdefault(address, 0)
        self.known.set()
        if self._ready:
            self._on_ready()

    def take(self) -> Address | None:
        """Return the endpoint for a request and count it as outstanding; None when none is ready."""
        if not self._ready:
            return None
        least = min(self._outstanding[address] for address in self._ready)
        address = self._random.choice([a for a in self._ready if self._outstanding[a] == least])
        self._outstanding[address] += 1
        return address

    def release(self, address: Address) -> None:
        """Count a request as no longer outstanding."""
        self._outstanding[address] -= 1
        if self._outstanding[address] == 0 and address not in self._ready:
            del self._outstanding[address]


async def follow_service(api: KubeClient, namespace: str, service: str, port_name: str, balancer: Balancer) -> None:
    """Keep the balancer's endpoints those of a Service's EndpointSlices, for ever."""
    slices: dict[str, dict[str, Any]] = {}
    path = f"/apis/discovery.k8s.io/v1/namespaces/{namespace}/endpointslices"
    async for news in api.follow(path, {"labelSelector": f"kubernetes.io/service-name={service}"}):
        if isinstance(news, Listed):
            slices = {item["metadata"]["name"]: item for item in news.items}
        elif news.kind == "DELETED":
            slices.pop(news.item["metadata"]["name"], None)
        else:
            slices[news.item["metadata"]["name"]] = news.item
        balancer.set_ready(address for item in slices.values() for address in ready_addresses(item, port_name))


def ready_addresses(endpoint_slice: dict[str, Any], port_name: str) -> list[Address]:
    """Return the ready endpoints of one EndpointSlice; an absent condition means ready, as the API says."""
    ports = endpoint_slice.get("ports") or []
    port = next((p["port"] for p in ports if p.get("name") == port_name), None)
    if port is None:
        return []
    return [
        (address, int(port))
        for endpoint in endpoint_slice.get("endpoints") or []
        if (endpoint.get("conditions") or {}).get("ready") is not False
        for address in endpoint["addresses"][:1]
    ]
