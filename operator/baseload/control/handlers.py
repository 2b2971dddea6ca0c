"""All that kopf does for us: login, the watch of our own two kinds, signals and the liveness probe.

Events only change the catalog, which marks a serving dirty. No timers, daemons, indices, or create, update and
delete handlers: they write to the objects and hide state. A test walks the registry.
"""

import itertools
import logging
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import kopf

from baseload.api.models import GROUP, VERSION
from baseload.control.health import Health
from baseload.observe.catalog import Catalog
from baseload.observe.objects import pool_object, serving_object
from baseload.observe.watch import PAGE_SIZE
from baseload.plan.snapshot import ServingKey

logger = logging.getLogger(__name__)

INACTIVITY_SECONDS = 70
GRACE_SECONDS = 20


class CappedForever:
    """Pauses between kopf's attempts, without an end: an outage of the API server must not end the process."""

    def __iter__(self) -> Iterator[float]:
        """Iterate anew for each request."""
        yield from (0.5, 1.0, 2.0, 5.0)
        yield from itertools.repeat(10.0)


class NoDiffBase(kopf.DiffBaseStorage):
    """Remembers nothing: nothing of kopf's is ever written to our objects."""

    def build(self, **_: object) -> Any:  # noqa: ANN401 - kopf's signature
        """No essence to compare."""
        return {}

    def fetch(self, **_: object) -> Any:  # noqa: ANN401 - kopf's signature
        """Nothing was stored."""
        return None

    def store(self, **_: object) -> None:
        """Store nothing."""


class NoProgress(kopf.ProgressStorage):
    """Remembers nothing: no handler of ours has progress."""

    def fetch(self, **_: object) -> Any:  # noqa: ANN401 - kopf's signature
        """Nothing was stored."""
        return None

    def store(self, **_: object) -> None:
        """Store nothing."""

    def purge(self, **_: object) -> None:
        """Nothing to purge."""

    def touch(self, **_: object) -> None:
        """Nothing to touch."""

    def clear(self, *, essence: Any, **_: object) -> Any:  # noqa: ANN401 - kopf's signature
        """Nothing of ours is in the essence."""
        return essence


def build_registry(
    catalog: Catalog,
    login: Callable[[], Awaitable[kopf.ConnectionInfo]],
    health: Health,
    *,
    start: Callable[[], Awaitable[None]],
    stop: Callable[[], Awaitable[None]],
    relisted: Callable[[], None],
    streams_lists: bool = True,
) -> kopf.OperatorRegistry:
    """The registry of one operator: `start` and `stop` run at its edges, `relisted` when kopf listed again.

    `streams_lists` says whether the API server has watch-list, without which kopf would end.
    """
    registry = kopf.OperatorRegistry()
    _at_the_edges(registry, start, stop, streams_lists=streams_lists)

    @kopf.on.login(registry=registry, errors=kopf.ErrorsMode.TEMPORARY, backoff=2.0)
    async def log_in(**_: object) -> kopf.ConnectionInfo:
        return await login()

    @kopf.on.probe(registry=registry, id="ticks")
    async def probe(**_: object) -> str:
        illness = health.illness()
        if illness is not None:
            raise kopf.PermanentError(illness)
        return "ok"

    @kopf.on.event(GROUP, VERSION, "modelservings", registry=registry)
    async def on_serving(event: kopf.RawEvent, **_: object) -> None:
        take_serving(catalog, event, relisted)

    @kopf.on.event(GROUP, VERSION, "capacitypools", registry=registry)
    async def on_pool(event: kopf.RawEvent, **_: object) -> None:
        take_pool(catalog, event, relisted)

    return registry


def _at_the_edges(
    registry: kopf.OperatorRegistry,
    start: Callable[[], Awaitable[None]],
    stop: Callable[[], Awaitable[None]],
    *,
    streams_lists: bool,
) -> None:
    @kopf.on.startup(registry=registry)
    async def begin(settings: kopf.OperatorSettings, **_: object) -> None:
        configure(settings)
        settings.watching.initial_streaming = streams_lists
        await start()

    @kopf.on.cleanup(registry=registry)
    async def end(**_: object) -> None:
        await stop()


def take_serving(catalog: Catalog, event: kopf.RawEvent, relisted: Callable[[], None]) -> None:
    """Put what an event shows into the catalog; an event without a type is part of a listing."""
    raw: Any = event["object"]
    if event["type"] == "DELETED":
        metadata = raw["metadata"]
        catalog.remove_serving(ServingKey(metadata["namespace"], metadata["name"]), metadata["uid"])
        return
    if event["type"] is None:
        relisted()
    catalog.put_serving(serving_object(raw))


def take_pool(catalog: Catalog, event: kopf.RawEvent, relisted: Callable[[], None]) -> None:
    """The same for a CapacityPool."""
    raw: Any = event["object"]
    if event["type"] == "DELETED":
        catalog.remove_pool(raw["metadata"]["name"], raw["metadata"]["uid"])
        return
    if event["type"] is None:
        relisted()
    catalog.put_pool(pool_object(raw))


def configure(settings: kopf.OperatorSettings) -> None:
    """Kopf's settings: it stores nothing, posts nothing, scans nothing and never gives up."""
    settings.peering.standalone = True
    settings.scanning.disabled = True
    settings.posting.enabled = False
    settings.networking.request_timeout, settings.networking.connect_timeout = 15, 3
    settings.networking.error_backoffs = CappedForever()
    settings.watching.connect_timeout = 5
    settings.watching.initial_streaming = True
    settings.watching.chunk_size = PAGE_SIZE
    settings.watching.reconnect_backoff = 0.5
    settings.watching.inactivity_timeout = INACTIVITY_SECONDS
    settings.queueing.idle_timeout = 0.5
    settings.queueing.exit_timeout = 0.5
    settings.persistence.diffbase_storage = NoDiffBase()
    settings.persistence.progress_storage = NoProgress()
    settings.persistence.finalizer = "baseload.dev/unused"
    settings.process.ultimate_exiting_timeout = GRACE_SECONDS
