"""One watch of one resource: always a complete picture, whatever the API server does meanwhile.

Starts with a watch-list (initial events, then a bookmark), or a paged list where the server has none; goes on from
the last bookmark; a 410 starts over and removes what is gone, as after every restart of an API server.
"""

import asyncio
import logging
import random
import time
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from typing import Any, Generic, TypeVar

import aiohttp
import orjson

from baseload.errors import ApiError, ForbiddenError, UnavailableError
from baseload.observe.connection import KubeConnection

logger = logging.getLogger(__name__)

INACTIVITY_SECONDS = 70.0
SERVER_TIMEOUT_SECONDS = 290
PAGE_SIZE = 500
YIELD_EVERY_LINES = 20
FIRST_BACKOFF_SECONDS = 0.5
LONGEST_BACKOFF_SECONDS = 10.0

INITIAL_EVENTS = {"sendInitialEvents": "true", "resourceVersionMatch": "NotOlderThan"}

Key = tuple[str, str]
"""Namespace (empty for cluster-scoped) and name."""

Lean = TypeVar("Lean")
Raw = Mapping[str, Any]
Change = Callable[[Key, Lean | None, Lean | None], None]


class Watch(Generic[Lean]):
    """Keeps `objects` equal to the server's, as the lean values that `lean` makes of raw objects.

    `path` is the collection, such as `/apis/apps/v1/deployments`. `changed(key, old, new)` is called in the event
    loop for every difference, `new` None for a deletion. `synced` is set after the first complete picture.
    `ends_on` are HTTP statuses after which `run()` raises instead of trying again.
    """

    def __init__(
        self,
        connection: KubeConnection,
        path: str,
        lean: Callable[[Raw], Lean],
        changed: Change[Lean],
        *,
        clock: Callable[[], float] = time.time,
        inactivity_seconds: float = INACTIVITY_SECONDS,
        ends_on: Collection[int] = (),
        label_selector: str = "",
    ) -> None:
        self.path = path
        self.objects: dict[Key, Lean] = {}
        self.synced = asyncio.Event()
        self.relists = 0
        self.changes = 0
        """How often `changed` was called."""
        self.last_contact = 0.0
        self._connection = connection
        self._lean = lean
        self._changed = changed
        self._clock = clock
        self._ends_on = ends_on
        self._timeout = aiohttp.ClientTimeout(total=None, sock_connect=5.0, sock_read=inactivity_seconds)
        self._selection = {"labelSelector": label_selector} if label_selector else {}
        self._version: str | None = None
        self._has_watch_list = True

    async def run(self) -> None:
        """Watch until cancelled; nothing the server does ends it but an answer with a status of `ends_on`."""
        failures = 0
        while True:
            began = self._clock()
            try:
                await self._once()
                failures = 0
                continue
            except ApiError as error:
                if error.status in self._ends_on:
                    raise
                self._note(error)
                if _was_silent(error):
                    # The server answered and then had nothing to tell: no failure, and the next look must not wait.
                    failures = 0
                    continue
                # A stream that lived for a while and broke is a fresh start, not one more failure.
                failures = 1 if self._clock() - began > LONGEST_BACKOFF_SECONDS else failures + 1
                delay = backoff_seconds(failures, error)
            await asyncio.sleep(delay)

    async def _once(self) -> None:
        """One connection: the whole picture first if needed, then changes until the server ends the stream."""
        if self._version is None and not self._has_watch_list:
            await self._list()
        parameters = {"watch": "true", "allowWatchBookmarks": "true", "timeoutSeconds": str(SERVER_TIMEOUT_SECONDS)}
        parameters |= self._selection
        seen: set[Key] | None = None
        if self._version is None:
            seen = set()
            parameters |= INITIAL_EVENTS
        else:
            parameters["resourceVersion"] = self._version
        async for event in events(self._connection, self.path, parameters, self._timeout, opened=self._touch):
            self._touch()
            if self._take(event, seen):
                seen = None

    def _touch(self) -> None:
        """The server is there and would tell of changes: an opened stream counts as much as an event."""
        self.last_contact = self._clock()

    def _take(self, event: Raw, seen: set[Key] | None) -> bool:
        """Apply one event; True when it ends the initial picture."""
        kind, raw = event["type"], event["object"]
        if kind == "ERROR":
            raise _error_of(self.path, raw)
        metadata = raw["metadata"]
        if kind == "BOOKMARK":
            self._version = metadata["resourceVersion"] if seen is None or _ends_initial(metadata) else None
            if seen is not None and _ends_initial(metadata):
                self._complete(seen)
                return True
            return False
        key = key_of(metadata)
        if kind == "DELETED":
            self._remove(key)
        else:
            self._put(key, raw)
            if seen is not None:
                seen.add(key)
        if seen is None:
            self._version = metadata["resourceVersion"]
        return False

    async def _list(self) -> None:
        """The whole picture by pages, for servers without watch-list."""
        seen: set[Key] = set()
        parameters = {"limit": str(PAGE_SIZE), **self._selection}
        while True:
            page = orjson.loads(await self._connection.get(self.path, parameters))
            for raw in page["items"]:
                key = key_of(raw["metadata"])
                seen.add(key)
                self._put(key, raw)
            token = page["metadata"].get("continue")
            if not token:
                break
            parameters["continue"] = token
            await asyncio.sleep(0)
        self._version = page["metadata"]["resourceVersion"]
        self.last_contact = self._clock()
        self._complete(seen)

    def _complete(self, seen: set[Key]) -> None:
        """Remove what the complete picture does not contain: deletions that no event told of."""
        for key in self.objects.keys() - seen:
            self._remove(key)
        self.relists += 1
        self.synced.set()
        logger.info("complete picture", extra={"path": self.path, "objects": len(self.objects)})

    def _put(self, key: Key, raw: Raw) -> None:
        old = self.objects.get(key)
        try:
            new = self._lean(raw)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            # One object nobody can read must not blind us for all the others.
            logger.error("object not understood", extra={"path": self.path, "object": key, "error": repr(error)})  # noqa: TRY400
            return
        self.objects[key] = new
        if old != new:
            self.changes += 1
            self._changed(key, old, new)

    def _remove(self, key: Key) -> None:
        old = self.objects.pop(key, None)
        if old is not None:
            self.changes += 1
            self._changed(key, old, None)

    def _note(self, error: ApiError) -> None:
        """Decide where to go on after an error."""
        if error.status == 410:
            self._version = None
            logger.info("watch starts over", extra={"path": self.path})
            return
        if self._version is None and self._has_watch_list and error.status in (400, 422):
            self._has_watch_list = False
            logger.info("server has no watch-list, listing instead", extra={"path": self.path})
            return
        if _was_silent(error):
            # Bookmarks come each 60 to 75 s, so a quiet resource may well be silent for longer than we wait.
            logger.info("watch was silent and is opened again", extra={"path": self.path})
            return
        level = logging.ERROR if isinstance(error, ForbiddenError) else logging.WARNING
        logger.log(level, "watch broke", extra={"path": self.path, "status": error.status, "error": str(error)})


async def events(
    connection: KubeConnection,
    path: str,
    parameters: Mapping[str, str],
    timeout: aiohttp.ClientTimeout,  # noqa: ASYNC109 - aiohttp's own, with a separate limit on silence
    *,
    accept: str = "application/json",
    opened: Callable[[], None] = lambda: None,
) -> AsyncIterator[Raw]:
    """The events of one watch request as parsed lines, giving way to other tasks every few lines.

    `opened` is called when the server has accepted the request.
    """
    count = 0
    async with connection.stream(path, parameters, timeout=timeout, accept=accept) as response:
        opened()
        async for line in response.content:
            if line.isspace():
                continue
            try:
                event = orjson.loads(line)
            except orjson.JSONDecodeError as error:
                # A server that is shut down may cut the last line.
                raise UnavailableError(f"GET {path}: cut off in the middle of an event") from error
            yield event
            count += 1
            if count % YIELD_EVERY_LINES == 0:
                await asyncio.sleep(0)


async def has_watch_list(connection: KubeConnection, path: str) -> bool:
    """Whether the server sends what exists as the first events of a watch; servers before 1.34 may not."""
    timeout = aiohttp.ClientTimeout(total=5.0)
    parameters = {**INITIAL_EVENTS, "watch": "true", "allowWatchBookmarks": "true", "timeoutSeconds": "1"}
    try:
        async with connection.stream(path, parameters, timeout=timeout):
            return True
    except ApiError as error:
        return error.status not in (400, 422)


def key_of(metadata: Raw) -> Key:
    """Namespace and name of an object's metadata."""
    return metadata.get("namespace", ""), metadata["name"]


def backoff_seconds(failures: int, error: ApiError) -> float:
    """Exponential with full jitter, never earlier than the server asked; nothing at all after a 410."""
    if error.status == 410 and failures <= 1:
        return 0.0
    asked = error.retry_after_seconds or 0.0 if isinstance(error, UnavailableError) else 0.0
    longest = min(FIRST_BACKOFF_SECONDS * 2.0 ** (failures - 1), LONGEST_BACKOFF_SECONDS)
    return max(asked, random.uniform(0.1 * longest, longest))  # noqa: S311 - spreads load, hides nothing


def _was_silent(error: ApiError) -> bool:
    """Whether a connection that was made ended because nothing came for the inactivity limit."""
    return isinstance(error.__cause__, aiohttp.SocketTimeoutError)


def _ends_initial(metadata: Raw) -> bool:
    return bool(metadata.get("annotations", {}).get("k8s.io/initial-events-end") == "true")


def _error_of(path: str, status: Raw) -> ApiError:
    code = int(status.get("code", 0))
    message = f"watch {path}: {status.get('message', status)}"
    return ApiError(message, status=code) if code == 410 else UnavailableError(message, status=code)
