"""What a status weighs on the real API server: its JSON, and what the server notes about who wrote which field."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from long_status import longest_status, typical_status
from operator_lab import REPOSITORY, serving

from baseload.act.fence import Fence
from baseload.act.status_size import MOST_BYTES, TYPICAL_BYTES
from baseload.act.writer import KubeWriter
from baseload.lab.cluster import Lab
from baseload.observe.connection import KubeConnection

MOST_MANAGED_BYTES = 1500


@pytest.fixture
async def writer(lab: Lab) -> AsyncIterator[KubeWriter]:
    """The operator's writer, as cluster-admin."""
    connection = await KubeConnection.open(lab.kubeconfig)
    yield KubeWriter(connection.api_client, lambda _kind, _outcome: None, connection.reload, Fence.always_open())
    await connection.close()


@pytest.mark.parametrize(
    ("status", "most_bytes"),
    [(typical_status, TYPICAL_BYTES), (longest_status, MOST_BYTES)],
    ids=["typical", "longest"],
)
async def test_a_status_is_taken_and_stays_small(
    lab: Lab, namespace: str, writer: KubeWriter, status: Callable[[], dict[str, Any]], most_bytes: int
) -> None:
    """The server takes it as it is; with it come less than 1.5 kB of managedFields."""
    await asyncio.to_thread(lab.apply, REPOSITORY / "crds", serving(namespace, "chat"))
    _, version, _ = await writer.serving_version(namespace, "chat")
    await writer.status(namespace, "chat", status(), version)
    arguments = ("modelservings.baseload.dev", "chat", "--namespace", namespace, "--show-managed-fields")
    stored = await asyncio.to_thread(lab.kubectl.get, *arguments)
    assert len(_json(stored["status"])) <= most_bytes
    (ours,) = [entry for entry in stored["metadata"]["managedFields"] if entry.get("subresource") == "status"]
    assert ours["manager"] == "baseload"
    assert len(_json(ours)) < MOST_MANAGED_BYTES


def _json(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()
