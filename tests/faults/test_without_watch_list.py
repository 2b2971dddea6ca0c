"""An API server that cannot stream a list: what needs one lists by pages instead, from the first moment."""

import asyncio
from collections.abc import Iterator

import pytest
from api_server_flags import api_server_flags
from fake_prometheus import FakePrometheus, Load
from operator_lab import OperatorProcess, View, deployment, install, refused, serving, wait_until

from baseload.lab.cluster import Lab
from baseload.observe.connection import KubeConnection
from baseload.observe.resync import SERVINGS_PATH, metadata_of
from baseload.observe.watch import Raw, Watch


@pytest.fixture(scope="module")
def old_server(lab: Lab) -> Iterator[Lab]:
    """The lab while its API server has no watch-list."""
    install(lab)
    with api_server_flags(lab, "--feature-gates=WatchList=false"):
        yield lab


async def test_a_watch_lists_and_follows(old_server: Lab, namespace: str) -> None:
    """The picture is complete by pages, changes and deletions are followed, identities are listed."""
    connection = await KubeConnection.open(old_server.kubeconfig)

    def lean(raw: Raw) -> str:
        return str(raw["metadata"]["uid"])

    watch = Watch(connection, f"/api/v1/namespaces/{namespace}/configmaps", lean, lambda _key, _old, _new: None)
    await asyncio.to_thread(old_server.kubectl, "create", "configmap", "before", "-n", namespace)
    task = asyncio.create_task(watch.run())
    try:
        async with asyncio.timeout(60):
            await watch.synced.wait()
            assert (namespace, "before") in watch.objects
            assert not watch._has_watch_list
            await asyncio.to_thread(old_server.kubectl, "create", "configmap", "after", "-n", namespace)
            await asyncio.to_thread(old_server.kubectl, "delete", "configmap", "before", "-n", namespace)
            while {(namespace, "after")} != {key for key in watch.objects if "kube-root" not in key[1]}:  # noqa: ASYNC110 - the server makes it true
                await asyncio.sleep(0.05)
        await asyncio.to_thread(old_server.apply, serving(namespace, "chat"))
        assert (namespace, "chat") in await metadata_of(connection, SERVINGS_PATH)
    finally:
        task.cancel()
        await connection.close()


def test_the_operator_works_without_watch_list(old_server: Lab, namespace: str) -> None:
    """The whole operator reads, decides and writes, sees a deletion, and asks for nothing it may not."""
    view = View(old_server, namespace)
    with FakePrometheus() as prometheus:
        prometheus.loads[namespace, "Deployment/chat"] = Load()
        old_server.apply(deployment(namespace, "chat"), serving(namespace, "chat", least=3))
        operator = OperatorProcess(old_server, prometheus.url, "operator-without-watch-list")
        operator.start()
        try:
            view.wait_replicas("chat", 3, 60.0)
            wait_until(lambda: view.status("chat").get("display", {}).get("replicas") == "3/3", "3/3", 60.0)
            view.patch("modelserving.baseload.dev", "chat", {"spec": {"replicas": {"min": 4}}})
            view.wait_replicas("chat", 4, 60.0)
        finally:
            operator.stop()
    assert refused(old_server) == []
