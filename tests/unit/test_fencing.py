"""Every write asks the fence and carries what lets the API server refuse it when another leader wrote first."""

import ast
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from baseload.act.fence import Fence
from baseload.act.victims import COST, MARK, Candidate
from baseload.act.writer import KubeWriter
from baseload.errors import NotLeaderError

SOURCE = Path(__file__).resolve().parents[2] / "operator" / "baseload"
SENDERS = ("patch_", "create_", "replace_", "delete_")
# The third one asks the API server whether it may do something, which is a create that changes nothing.
MAY_SEND = {"act/writer.py", "act/lease.py", "observe/discovery.py"}
DEPLOYMENTS = "/apis/apps/v1/deployments"

Write = Callable[[KubeWriter], Awaitable[object]]
WRITES: dict[str, Write] = {
    "scale": lambda writer: writer.scale(DEPLOYMENTS, "team", "chat", 3, "7"),
    "status": lambda writer: writer.status("team", "chat", {}, "7"),
    "pool_status": lambda writer: writer.pool_status("owned", {}, "7"),
    "create_event": lambda writer: writer.create_event("team", {"metadata": {"name": "chat.1"}}),
    "annotate_pod": lambda writer: writer.annotate_pod("team", Candidate("chat-1", "7", True, None), COST, MARK),  # noqa: FBT003
    "patch_event": lambda writer: writer.patch_event("team", "chat.1", {"series": {"count": 2}}, "7"),
}
READS = {"serving_version", "workload", "pods"}


class FakeClient:
    """The client below the custom objects: what the core API is called by."""

    def __init__(self, objects: "FakeObjects") -> None:
        self._objects = objects

    async def param_serialize(self, *, body: dict[str, Any], **_: Any) -> tuple[dict[str, Any]]:
        """The parts of a request, of which only the body matters here."""
        return (body,)

    async def call_api(self, body: dict[str, Any], *, _request_timeout: float) -> "FakeClient":
        """Remember a request; the answer is the client itself."""
        self._objects.bodies.append(body)
        self._objects.seconds.append(_request_timeout)
        return self

    async def read(self) -> None:
        """Nothing to read."""

    def response_deserialize(self, *_: Any) -> "FakeClient":
        """The answer's data."""
        return self

    data: Any = None


class FakeObjects:
    """The official client's custom objects, remembering bodies and time limits."""

    def __init__(self) -> None:
        self.bodies: list[dict[str, Any]] = []
        self.seconds: list[float] = []
        self.api_client = FakeClient(self)

    def __getattr__(self, name: str) -> Callable[..., Awaitable[dict[str, Any]]]:
        async def call(*arguments: Any, _request_timeout: float, **_: Any) -> dict[str, Any]:
            assert name.startswith(SENDERS)
            self.bodies.append(arguments[-1])
            self.seconds.append(_request_timeout)
            return {"metadata": {"resourceVersion": "8"}}

        return call


def writer_with(fence: Fence) -> tuple[KubeWriter, FakeObjects, list[tuple[str, str]]]:
    """A writer over fake objects, and what it counts."""

    async def reload() -> None: ...

    counts: list[tuple[str, str]] = []
    client: Any = None
    writer = KubeWriter(client, lambda kind, outcome: counts.append((kind, outcome)), reload, fence)
    objects: Any = FakeObjects()
    writer._objects = objects
    return writer, objects, counts


@pytest.mark.parametrize("name", WRITES)
async def test_no_write_is_sent_by_a_process_that_does_not_lead(name: str) -> None:
    """A shut fence stops every kind of write before anything is sent."""
    writer, objects, counts = writer_with(Fence())
    with pytest.raises(NotLeaderError):
        await WRITES[name](writer)
    assert objects.bodies == []
    assert [outcome for _, outcome in counts] == ["failed"]


@pytest.mark.parametrize("name", WRITES)
async def test_every_write_carries_a_version_or_creates_by_a_fixed_name(name: str) -> None:
    """What another leader wrote first is never written over."""
    writer, objects, _ = writer_with(Fence.always_open())
    await WRITES[name](writer)
    metadata = objects.bodies[0]["metadata"]
    metadata.pop("annotations", None)
    assert metadata == ({"name": "chat.1"} if name == "create_event" else {"resourceVersion": "7"})


async def test_a_write_lasts_no_longer_than_the_lease() -> None:
    """What waits for a connection or an answer is given up when the lease ends, not after the usual ten seconds."""
    now = [100.0]
    fence = Fence(lambda: now[0])
    writer, objects, _ = writer_with(fence)
    fence.open_until(103.0)
    await WRITES["scale"](writer)
    fence.open_until(500.0)
    await WRITES["scale"](writer)
    assert objects.seconds == [3.0, 10.0]


def test_all_writes_are_listed_here() -> None:
    """A new method of the writer must be added to these tests."""
    methods = {name for name in vars(KubeWriter) if not name.startswith("_")}
    assert methods == WRITES.keys() | READS


def test_nothing_else_sends_writes() -> None:
    """Only the writer and the Lease call the client's functions that change something."""
    found = set()
    for path in SOURCE.rglob("*.py"):
        name = path.relative_to(SOURCE).as_posix()
        if name.split("/")[0] in ("lab", "cli"):
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Attribute) and node.attr.startswith(SENDERS) and "_custom_object" in node.attr:
                found.add(name)
            if isinstance(node, ast.Attribute) and node.attr == "param_serialize":
                found.add(name)
    assert found == MAY_SEND
