"""The watch and the writer against a real API server: expired versions, lost connections, stale writes."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable

import aiohttp
import pytest

from baseload.act.fence import Fence
from baseload.act.writer import KubeWriter
from baseload.errors import ConflictError
from baseload.lab.cluster import Lab
from baseload.observe.connection import KubeConnection
from baseload.observe.watch import Raw, Watch


@pytest.fixture
async def connection(lab: Lab) -> AsyncIterator[KubeConnection]:
    """A connection as cluster-admin."""
    opened = await KubeConnection.open(lab.kubeconfig)
    yield opened
    await opened.close()


def config_maps(connection: KubeConnection, namespace: str, seen: list[str]) -> Watch[str]:
    """A watch of the ConfigMaps of one namespace that notes what it is told."""

    def changed(key: tuple[str, str], _old: str | None, new: str | None) -> None:
        seen.append(f"{'-' if new is None else '+'}{key[1]}")

    def lean(raw: Raw) -> str:
        return str(raw["metadata"]["uid"])

    return Watch(connection, f"/api/v1/namespaces/{namespace}/configmaps", lean, changed)


async def until(look: Callable[[], bool], seconds: float = 30.0) -> None:
    """Wait until a look says yes."""
    async with asyncio.timeout(seconds):
        while not look():  # noqa: ASYNC110 - what is waited for happens outside this process
            await asyncio.sleep(0.1)


def create(lab: Lab, namespace: str, *names: str) -> None:
    """Create ConfigMaps."""
    for name in names:
        lab.kubectl("create", "configmap", name, "-n", namespace)


async def test_expired_version_starts_over_and_removes_what_is_gone(
    lab: Lab, namespace: str, connection: KubeConnection
) -> None:
    """After an outage longer than the server's memory (410) the picture is complete, deletions included."""
    seen: list[str] = []
    watch = config_maps(connection, namespace, seen)
    await asyncio.to_thread(create, lab, namespace, "stays", "goes")
    first = asyncio.create_task(watch.run())
    await until(lambda: {k[1] for k in watch.objects} >= {"stays", "goes"})
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    await asyncio.to_thread(lab.kubectl, "delete", "configmap", "goes", "-n", namespace)
    await asyncio.to_thread(create, lab, namespace, "comes")
    await asyncio.to_thread(lab.compact)
    # A restarted API server remembers nothing older, so the version of the watch is answered with 410.
    await asyncio.to_thread(lab.restart, "kube-apiserver")
    relists = watch.relists
    second = asyncio.create_task(watch.run())
    await until(lambda: (namespace, "comes") in watch.objects)
    await until(lambda: (namespace, "goes") not in watch.objects)
    second.cancel()
    assert watch.relists > relists
    assert "-goes" in seen
    assert (namespace, "stays") in watch.objects


async def test_lost_connections_lose_nothing(lab: Lab, namespace: str, connection: KubeConnection) -> None:
    """Connections that break under the watch are made again and no change is lost."""
    seen: list[str] = []
    watch = config_maps(connection, namespace, seen)
    task = asyncio.create_task(watch.run())
    await until(watch.synced.is_set)
    for name in ("a", "b", "c"):
        await asyncio.to_thread(create, lab, namespace, name)
        for transport in list(transports(connection)):
            transport.abort()
        await asyncio.to_thread(create, lab, namespace, f"{name}2")
    await until(lambda: {k[1] for k in watch.objects} >= {"a", "b", "c", "a2", "b2", "c2"})
    task.cancel()


async def test_servers_without_watch_list_are_listed(lab: Lab, namespace: str, connection: KubeConnection) -> None:
    """Where the server refuses the initial events, the list is taken by pages instead."""
    seen: list[str] = []
    await asyncio.to_thread(create, lab, namespace, "one", "two", "three")
    watch = config_maps(connection, namespace, seen)
    watch._has_watch_list = False
    task = asyncio.create_task(watch.run())
    await until(lambda: {k[1] for k in watch.objects} >= {"one", "two", "three"})
    await asyncio.to_thread(create, lab, namespace, "four")
    await until(lambda: (namespace, "four") in watch.objects)
    task.cancel()


async def test_silent_connection_is_given_up(lab: Lab, namespace: str, connection: KubeConnection) -> None:
    """A connection that says nothing for the inactivity limit is made again, which does not lose changes."""
    seen: list[str] = []
    watch = config_maps(connection, namespace, seen)
    watch._timeout = aiohttp.ClientTimeout(total=None, sock_connect=5.0, sock_read=1.0)
    task = asyncio.create_task(watch.run())
    await until(watch.synced.is_set)
    before = watch.last_contact
    await asyncio.sleep(3.0)
    await asyncio.to_thread(create, lab, namespace, "late")
    await until(lambda: (namespace, "late") in watch.objects)
    assert watch.last_contact > before
    task.cancel()


async def test_stale_version_is_refused(lab: Lab, namespace: str, connection: KubeConnection) -> None:
    """A scale with the version of before somebody's write is a ConflictError and changes nothing."""

    async def reload() -> None: ...

    counts: list[tuple[str, str]] = []
    fence = Fence.always_open()
    writer = KubeWriter(connection.api_client, lambda kind, outcome: counts.append((kind, outcome)), reload, fence)
    options = ("-n", namespace, "--image=example.org/plain:1", "--replicas=1")
    await asyncio.to_thread(lab.kubectl, "create", "deployment", "chat", *options)
    version, _ = await writer.workload("/apis/apps/v1/deployments", namespace, "chat")
    await asyncio.to_thread(lab.kubectl, "scale", "deployment", "chat", "-n", namespace, "--replicas=3")
    with pytest.raises(ConflictError):
        await writer.scale("/apis/apps/v1/deployments", namespace, "chat", 5, version)
    fresh, replicas = await writer.workload("/apis/apps/v1/deployments", namespace, "chat")
    assert replicas == 3
    assert fresh != version
    assert counts == [("scale", "conflict")]


def transports(connection: KubeConnection) -> list[asyncio.Transport]:
    """The transports of every connection in use."""
    connector = connection._session.connector
    assert connector is not None
    return [protocol.transport for protocol in connector._acquired if protocol.transport is not None]


async def test_quiet_watch_is_not_an_old_one(lab: Lab, namespace: str, connection: KubeConnection) -> None:
    """Where nothing happens the picture stays current: each opened stream is a sign of life."""
    watch = config_maps(connection, namespace, [])
    watch._timeout = aiohttp.ClientTimeout(total=None, sock_connect=5.0, sock_read=1.0)
    task = asyncio.create_task(watch.run())
    await until(watch.synced.is_set)
    opened: list[float] = []
    watch._touch = lambda: opened.append(time.monotonic())  # type: ignore[method-assign]
    # A silence is no failure: the stream is opened again after each, and no pause grows in between.
    await until(lambda: len(opened) >= 6)
    assert watch.relists == 1
    task.cancel()
