"""A Kubernetes API in memory for faults that a real one cannot be made to have at a chosen moment.

It keeps what the operator relies on: one counter of resource versions, refused stale writes (409), generations,
status and scale subresources, watches with initial events, bookmarks and 410. What Kubernetes itself does is proved on
the lab's real API server; here only the order of things matters. `mishaps` decides what goes wrong with a request.
"""

import asyncio
import copy
from bisect import bisect_right
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import orjson

Raw = dict[str, Any]
Key = tuple[str, str]
BOOKMARK_SECONDS = 20.0
INITIAL_END = {"k8s.io/initial-events-end": "true"}


@dataclass(frozen=True, slots=True)
class Request:
    """One request: the collection it is about (`/apis/apps/v1/deployments`), and what of it."""

    actor: str
    method: str
    collection: str
    key: Key
    subresource: str
    body: Any = None

    @property
    def writes(self) -> bool:
        """Whether it changes something."""
        return self.method != "GET"

    @property
    def what(self) -> str:
        """In short, as the audit log would say it: `patch deployments/scale chat`."""
        resource = self.collection.rsplit("/", 1)[-1]
        return f"{self.method.lower()} {resource}{'/' if self.subresource else ''}{self.subresource} {self.key[1]}"


@dataclass(frozen=True, slots=True)
class Answer:
    """Status code, body and headers."""

    code: int
    body: Raw
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Change:
    """One entry of the history that watches read."""

    revision: int
    kind: str
    raw: Raw


class FakeApi:
    """Objects by collection and key; `accepted` are the writes that were carried out, in order.

    A stored object is never changed, only replaced, so that readers and watches may share it.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self.objects: dict[str, dict[Key, Raw]] = {}
        self.accepted: list[Request] = []
        self.served: list[tuple[Request, int]] = []
        self.revision = 100
        self.compacted = 0
        self.outage = False
        self.has_watch_list = True
        self.on_accepted: Callable[[Request, Raw | None, Raw], None] = lambda *_: None
        self._clock = clock
        self._history: dict[str, list[Change]] = defaultdict(list)
        self._wake: dict[str, set[asyncio.Event]] = defaultdict(set)
        self._uids = 0

    # What the test and the controllers of the world do.

    def put(self, collection: str, raw: Raw) -> Raw:
        """Create an object or replace it, as cluster-admin."""
        return self._store(collection, copy.deepcopy(raw))

    def _store(self, collection: str, new: Raw) -> Raw:
        metadata = new["metadata"]
        key = (metadata.get("namespace", ""), metadata["name"])
        old = self.objects.get(collection, {}).get(key)
        if old is None:
            self._uids += 1
            new["metadata"].setdefault("uid", f"uid-{self._uids}")
            new["metadata"].setdefault("creationTimestamp", _rfc3339(self._clock()))
            new["metadata"]["generation"] = 1
        else:
            new["metadata"] |= {n: old["metadata"][n] for n in ("uid", "creationTimestamp", "generation")}
            if new.get("spec") != old.get("spec"):
                new["metadata"]["generation"] += 1
            if "status" in old:
                new.setdefault("status", copy.deepcopy(old["status"]))
        return self._commit(collection, key, old, new)

    def change(self, collection: str, key: Key, edit: Callable[[Raw], None]) -> Raw:
        """Edit an object in place, as cluster-admin."""
        new = copy.deepcopy(self.objects[collection][key])
        edit(new)
        return self._store(collection, new)

    def delete(self, collection: str, key: Key) -> None:
        """Delete an object at once."""
        old = self.objects[collection].pop(key)
        self.revision += 1
        gone = {**old, "metadata": {**old["metadata"], "resourceVersion": str(self.revision)}}
        self._record(collection, "DELETED", gone)

    def get(self, collection: str, key: Key) -> Raw | None:
        """An object as it is."""
        return self.objects.get(collection, {}).get(key)

    def compact(self) -> None:
        """Forget the history: older versions are answered with 410, and streams that run end."""
        self.compacted = self.revision
        for collection in list(self._wake):
            self._history[collection].clear()
            self._notify(collection)

    # What the operator does.

    def handle(self, request: Request) -> Answer:
        """Carry out one request at once."""
        before = self.get(request.collection, request.key) if request.writes else None
        answer = self._handled(request)
        self.served.append((request, answer.code))
        if request.writes and answer.code < 300:
            self.accepted.append(request)
            self.on_accepted(request, before, answer.body)
        return answer

    def _handled(self, request: Request) -> Answer:
        stored = self.objects.get(request.collection, {})
        if request.method == "GET" and not request.key[1] and not request.collection.endswith("/"):
            items = list(stored.values())
            return Answer(200, {"items": items, "metadata": {"resourceVersion": str(self.revision)}})
        if request.method == "POST":
            return self._create(request, stored)
        old = stored.get(request.key)
        if old is None:
            # Also what is answered for the list of a group that is not served.
            return _failure(404, f"{request.what} not found")
        return Answer(200, old) if request.method == "GET" else self._update(request, old)

    def _create(self, request: Request, stored: dict[Key, Raw]) -> Answer:
        key = (request.key[0], request.body["metadata"]["name"])
        if key in stored:
            return _failure(409, f"{key} exists already")
        body = copy.deepcopy(request.body)
        body["metadata"]["namespace"] = key[0]
        return Answer(201, self.put(request.collection, body))

    def _update(self, request: Request, old: Raw) -> Answer:
        body = copy.deepcopy(request.body)
        given = body.get("metadata", {}).get("resourceVersion")
        if given not in (None, old["metadata"]["resourceVersion"]):
            return _failure(409, f"{request.what}: the object has been modified")
        if request.method == "PUT":
            new = body | {"metadata": {**old["metadata"], **body["metadata"]}}
        else:
            part = {"status": body.get("status", {})} if request.subresource == "status" else body
            part.pop("metadata", None) if request.subresource else None
            new = merge_patch(copy.deepcopy(old), part)
        new["metadata"]["resourceVersion"] = old["metadata"]["resourceVersion"]
        if new != old:
            if new.get("spec") != old.get("spec") and "generation" in old["metadata"]:
                new["metadata"]["generation"] = old["metadata"]["generation"] + 1
            new = self._commit(request.collection, request.key, old, new)
        return Answer(200, new)

    # Watches.

    async def watch(self, collection: str, since: int | None, seconds: float) -> AsyncIterator[Raw]:
        """The events of one watch: the whole picture first when `since` is None."""
        position = self.revision if since is None else since
        if since is None:
            for raw in list(self.objects.get(collection, {}).values()):
                yield {"type": "ADDED", "object": raw}
            yield _bookmark(position, INITIAL_END)
        wake = asyncio.Event()
        self._wake[collection].add(wake)
        end = asyncio.get_running_loop().time() + seconds
        try:
            while True:
                if position < self.compacted:
                    yield {"type": "ERROR", "object": {"code": 410, "message": "too old resource version"}}
                    return
                wake.clear()
                # More may be written while these are on their way.
                due, position = self._since(collection, position), self.revision
                for change in due:
                    yield {"type": change.kind, "object": change.raw}
                left = end - asyncio.get_running_loop().time()
                if left <= 0:
                    return
                try:
                    # Not `wait_for`, which before Python 3.12 loses a cancellation that comes with the event.
                    async with asyncio.timeout(min(left, BOOKMARK_SECONDS)):
                        await wake.wait()
                except TimeoutError:
                    yield _bookmark(position)
        finally:
            self._wake[collection].discard(wake)

    def _since(self, collection: str, position: int) -> list[Change]:
        history = self._history[collection]
        return history[bisect_right(history, position, key=lambda change: change.revision) :]

    def _commit(self, collection: str, key: Key, old: Raw | None, new: Raw) -> Raw:
        self.revision += 1
        new["metadata"]["resourceVersion"] = str(self.revision)
        self.objects.setdefault(collection, {})[key] = new
        self._record(collection, "ADDED" if old is None else "MODIFIED", new)
        return new

    def _record(self, collection: str, kind: str, raw: Raw) -> None:
        self._history[collection].append(Change(self.revision, kind, raw))
        self._notify(collection)

    def _notify(self, collection: str) -> None:
        for wake in self._wake[collection]:
            wake.set()


def merge_patch(target: Raw, patch: Raw) -> Raw:
    """RFC 7386."""
    for name, value in patch.items():
        if value is None:
            target.pop(name, None)
        elif isinstance(value, dict) and isinstance(target.get(name), dict):
            merge_patch(target[name], value)
        elif isinstance(value, dict):
            target[name] = merge_patch({}, value)
        else:
            target[name] = value
    return target


def parse(actor: str, method: str, path: str, body: Any) -> Request:
    """A request from its path: `/apis/GROUP/VERSION/[namespaces/NS/]PLURAL[/NAME[/SUBRESOURCE]]`."""
    parts = path.strip("/").split("/")
    length = 3 if parts[0] == "apis" else 2
    prefix, rest = "/" + "/".join(parts[:length]), parts[length:]
    namespace = ""
    if rest[:1] == ["namespaces"] and len(rest) > 2:
        namespace, rest = rest[1], rest[2:]
    plural, name, subresource = (*rest, "", "", "")[:3]
    parsed = orjson.loads(body) if isinstance(body, (bytes, str)) else body
    return Request(actor, method.upper(), f"{prefix}/{plural}", (namespace, name), subresource, parsed)


def _failure(code: int, message: str) -> Answer:
    return Answer(code, {"kind": "Status", "code": code, "message": message})


def _bookmark(revision: int, annotations: dict[str, str] | None = None) -> Raw:
    return {
        "type": "BOOKMARK",
        "object": {"metadata": {"resourceVersion": str(revision), "annotations": annotations or {}}},
    }


def _rfc3339(seconds: float) -> str:
    return datetime.fromtimestamp(int(seconds), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
