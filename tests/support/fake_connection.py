"""The operator's connection to the fake API, with everything that can go wrong on the way."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from random import Random
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import orjson
from fake_api import Answer, FakeApi, Raw, Request, parse
from kubernetes.aio import client

from baseload.errors import UnavailableError, api_error
from baseload.observe.connection import KubeConnection, retry_after

LATENCY_SECONDS = 0.004
REFUSALS = {"conflict": 409, "throttled": 429, "broken": 500, "refused": 401, "forbidden": 403}
MISHAPS = ("crash", "lost", "unreached", "conflict", "throttled", "broken", "refused")
"""After the write and before its answer: the process dies, or the answer is lost. Instead of the write: no connection,
or an error."""


@dataclass
class Mishaps:
    """What happens to which write, counted from 1 over all the operator sends, leases aside.

    `first` happens to the first write that is called so, `always` to each.
    """

    at: dict[int, str] = field(default_factory=dict)
    first: dict[str, str] = field(default_factory=dict)
    always: str | None = None
    sent: list[Request] = field(default_factory=list)
    crashed: asyncio.Event = field(default_factory=asyncio.Event)
    retry_after_seconds: int = 3

    def next(self, request: Request) -> str | None:
        """What happens to the write that is sent now."""
        self.sent.append(request)
        return self.first.pop(request.what, None) or self.at.get(len(self.sent), self.always)


@dataclass
class Delivery:
    """How watch events travel: shares of them that come twice, late, after their successor, or die with the stream."""

    random: Random = field(default_factory=lambda: Random(0))
    twice: float = 0.0
    late: float = 0.0
    swapped: float = 0.0
    cut: float = 0.0
    late_seconds: float = 20.0

    async def through(self, events: AsyncIterator[Raw]) -> AsyncIterator[Raw]:
        """Pass events on; a cut raises what aiohttp raises, and the event that was due is lost with the connection."""
        held: Raw | None = None
        async for event in events:
            if event["type"] in ("BOOKMARK", "ERROR"):
                if held is not None:
                    yield held
                    held = None
                yield event
                continue
            if self.random.random() < self.late:
                await asyncio.sleep(self.random.uniform(0.0, self.late_seconds))
            if self.random.random() < self.cut:
                raise aiohttp.ClientPayloadError("connection lost")
            if held is None and self.random.random() < self.swapped:
                held = event
                continue
            first, second = (event, held) if held is None or _other(event, held) else (held, event)
            held = None
            for row in (first, second):
                if row is not None:
                    yield row
                    if self.random.random() < self.twice:
                        yield row


def _other(one: Raw, two: Raw) -> bool:
    """Only events of different objects may swap: the API keeps the order of one object's."""
    return bool(one["object"]["metadata"]["name"] != two["object"]["metadata"]["name"])


class FakeConnection(KubeConnection):
    """One process's connection: once `dead`, nothing it sends arrives any more; `lease_lost`: nothing of the Lease."""

    def __init__(self, api: FakeApi, actor: str, mishaps: Mishaps, delivery: Delivery) -> None:
        self.api, self.actor, self.mishaps, self.delivery = api, actor, mishaps, delivery
        self.dead = self.lease_lost = False
        self.reloads = 0
        self.kubeconfig = None
        self.api_client = object.__new__(client.ApiClient)
        self.api_client.configuration = client.Configuration()
        self.api_client.configuration.host = "http://fake"
        self.api_client.rest_client = _Rest(self)
        self.api_client.default_headers = {}
        self.api_client.cookie = None
        self.api_client.client_side_validation = False

    async def close(self) -> None:
        """Nothing is open."""

    async def reload(self) -> None:
        """Count that the credentials were read again."""
        self.reloads += 1

    async def send(self, method: str, path: str, body: Any, timeout_seconds: float) -> Answer:
        """One request and its answer, or what the network makes of them."""
        self.check_alive()
        await asyncio.sleep(LATENCY_SECONDS)
        self.check_alive()
        request = parse(self.actor, method, path, body)
        if self.api.outage:
            raise aiohttp.ClientConnectionError("connection refused")
        of_lease = request.collection.endswith("/leases")
        if of_lease and self.lease_lost:
            raise aiohttp.ClientConnectionError("connection lost")
        counted = request.writes and not of_lease
        mishap = self.mishaps.next(request) if counted else None
        if mishap is not None and mishap not in ("crash", "lost"):
            return self._instead(request, mishap)
        answer = self.api.handle(request)
        if mishap == "crash":
            self.dead = True
            self.mishaps.crashed.set()
            raise asyncio.CancelledError
        if mishap == "lost":
            await asyncio.sleep(timeout_seconds)
            raise TimeoutError
        await asyncio.sleep(LATENCY_SECONDS)
        self.check_alive()
        return answer

    def _instead(self, request: Request, mishap: str) -> Answer:
        if mishap == "unreached":
            raise aiohttp.ClientConnectionError("connection lost")
        code = REFUSALS[mishap]
        self.api.served.append((request, code))
        headers = {"Retry-After": str(self.mishaps.retry_after_seconds)} if code == 429 else {}
        return Answer(code, {"kind": "Status", "code": code, "message": mishap}, headers)

    def check_alive(self) -> None:
        """Nothing that a dead process does has an effect."""
        if self.dead:
            raise asyncio.CancelledError

    @asynccontextmanager
    async def stream(  # type: ignore[override]
        self, path: str, parameters: Mapping[str, str] | None = None, *, accept: str = "application/json", **_: Any
    ) -> AsyncIterator[Any]:
        """As the real one, from the fake API."""
        given = dict(parameters or {})
        try:
            if given.get("watch") == "true":
                await asyncio.sleep(LATENCY_SECONDS)
                self.check_alive()
                if self.api.outage:
                    raise aiohttp.ClientConnectionError("connection refused")
                code = 200 if self.api.has_watch_list or "sendInitialEvents" not in given else 422
                self.api.served.append((parse(self.actor, "WATCH", path, None), code))
                if code == 422:
                    raise api_error(422, f"GET {path}: sendInitialEvents is forbidden")
                yield _Response(200, self._lines(path, given, accept), b"")
                return
            answer = await self.send("GET", path, None, 15.0)
            if answer.code >= 400:
                raise api_error(answer.code, f"GET {path}: {answer.body['message']}", retry_after(answer.headers))
            yield _Response(answer.code, _nothing(), orjson.dumps(answer.body))
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise UnavailableError(f"GET {path}: {type(error).__name__}: {error}") from error

    async def _lines(self, path: str, given: Mapping[str, str], accept: str) -> AsyncIterator[bytes]:
        request = parse(self.actor, "GET", path, None)
        since = int(given["resourceVersion"]) if given.get("resourceVersion") else None
        events = self.api.watch(request.collection, since, float(given["timeoutSeconds"]))
        metadata_only = "PartialObjectMetadata" in accept
        async for event in events if metadata_only else self.delivery.through(events):
            self.check_alive()
            if self.api.outage:
                raise aiohttp.ClientPayloadError("connection lost")
            if metadata_only and event["type"] != "ERROR":
                event = {"type": event["type"], "object": {"metadata": event["object"]["metadata"]}}  # noqa: PLW2901
            yield orjson.dumps(event)


async def _nothing() -> AsyncIterator[bytes]:
    return
    yield b""


class _Response:
    """As much of aiohttp's response as is read."""

    def __init__(self, status: int, content: AsyncIterator[bytes], body: bytes) -> None:
        self.status, self.content, self.headers = status, content, {"Content-Type": "application/json"}
        self._body = body

    async def read(self) -> bytes:
        return self._body

    async def text(self) -> str:
        return self._body.decode()


class _Rest:
    """Stands for the transport below the official client."""

    ssl_context = None

    def __init__(self, connection: FakeConnection) -> None:
        self._connection = connection

    async def request(
        self,
        method: str,
        url: str,
        headers: Any = None,
        body: Any = None,
        post_params: Any = None,
        _request_timeout: Any = None,
    ) -> Any:
        """One request of the official client."""
        path = urlsplit(url).path
        answer = await self._connection.send(method, path, body, float(_request_timeout or 300.0))
        return _RestAnswer(answer)

    async def close(self) -> None:
        """Nothing is open."""


class _RestAnswer:
    def __init__(self, answer: Answer) -> None:
        self.status, self.reason = answer.code, ""
        self.headers = {**answer.headers, "content-type": "application/json"}
        self.data = orjson.dumps(answer.body)

    async def read(self) -> bytes:
        return self.data

    def getheaders(self) -> Mapping[str, str]:
        return self.headers

    def getheader(self, name: str, default: str | None = None) -> str | None:
        return self.headers.get(name, default)
