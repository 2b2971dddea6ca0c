"""Compare what we believe with what the server has, by metadata only.

kopf never reports what was deleted while it relisted, so each relist is followed by this.
"""

import asyncio
import logging
from collections.abc import Mapping

import aiohttp
import orjson

from baseload.errors import ApiError, NotFoundError
from baseload.observe.catalog import Catalog
from baseload.observe.connection import KubeConnection
from baseload.observe.objects import pool_object, serving_object
from baseload.observe.watch import PAGE_SIZE, Key, events, key_of
from baseload.plan.snapshot import ServingKey

logger = logging.getLogger(__name__)

GROUP_PATH = "/apis/baseload.dev/v1alpha1"
SERVINGS_PATH = f"{GROUP_PATH}/modelservings"
POOLS_PATH = f"{GROUP_PATH}/capacitypools"
METADATA_ONLY = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
METADATA_LIST_ONLY = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
TIMEOUT = aiohttp.ClientTimeout(total=60.0, sock_connect=5.0)

Identity = tuple[str, str]
"""uid and resourceVersion."""


async def metadata_of(connection: KubeConnection, path: str) -> dict[Key, Identity]:
    """Identity of every object of a collection; raises ApiError."""
    parameters = {
        "watch": "true",
        "allowWatchBookmarks": "true",
        "sendInitialEvents": "true",
        "resourceVersionMatch": "NotOlderThan",
        "timeoutSeconds": "60",
    }
    found: dict[Key, Identity] = {}
    try:
        async for event in events(connection, path, parameters, TIMEOUT, accept=METADATA_ONLY):
            if event["type"] == "BOOKMARK":
                return found
            if event["type"] == "ERROR":
                break
            _note(found, event["object"]["metadata"])
    except ApiError as error:
        if error.status not in (400, 422):
            raise
    return await _listed(connection, path)


async def resync(connection: KubeConnection, catalog: Catalog) -> int:
    """Bring the catalog in line with the server; the number of differences found. Raises ApiError."""
    return await _servings(connection, catalog) + await _pools(connection, catalog)


async def _servings(connection: KubeConnection, catalog: Catalog) -> int:
    # Only what was known before the picture was taken can be missing from it.
    known = {key: entry.stored.uid for key, entry in catalog.entries.items()}
    found = await metadata_of(connection, SERVINGS_PATH)
    ghosts = [key for key in known if (key.namespace, key.name) not in found]
    for key in ghosts:
        catalog.remove_serving(key, known[key])
    changed = 0
    for (namespace, name), identity in found.items():
        entry = catalog.entries.get(ServingKey(namespace, name))
        if entry is not None and (entry.stored.uid, entry.stored.resource_version) == identity:
            continue
        changed += 1
        raw = await _get(connection, f"{GROUP_PATH}/namespaces/{namespace}/modelservings/{name}")
        if raw is not None:
            catalog.put_serving(serving_object(raw))
    return len(ghosts) + changed


async def _pools(connection: KubeConnection, catalog: Catalog) -> int:
    known = {name: stored.uid for name, (stored, _) in catalog.pools.items()}
    found = await metadata_of(connection, POOLS_PATH)
    ghosts = [name for name in known if ("", name) not in found]
    for name in ghosts:
        catalog.remove_pool(name, known[name])
    changed = 0
    for (_, name), identity in found.items():
        stored = catalog.pools.get(name)
        if stored is not None and (stored[0].uid, stored[0].resource_version) == identity:
            continue
        changed += 1
        raw = await _get(connection, f"{POOLS_PATH}/{name}")
        if raw is not None:
            catalog.put_pool(pool_object(raw))
    return len(ghosts) + changed


async def _get(connection: KubeConnection, path: str) -> Mapping[str, object] | None:
    try:
        return dict(orjson.loads(await connection.get(path)))
    except NotFoundError:
        return None


async def _listed(connection: KubeConnection, path: str) -> dict[Key, Identity]:
    """The same by pages, for servers without watch-list."""
    found: dict[Key, Identity] = {}
    parameters = {"limit": str(PAGE_SIZE)}
    while True:
        async with connection.stream(path, parameters, timeout=TIMEOUT, accept=METADATA_LIST_ONLY) as response:
            page = orjson.loads(await response.read())
        for item in page["items"]:
            _note(found, item["metadata"])
        token = page["metadata"].get("continue")
        if not token:
            return found
        parameters["continue"] = token
        await asyncio.sleep(0)


def _note(found: dict[Key, Identity], metadata: Mapping[str, str]) -> None:
    found[key_of(metadata)] = (metadata["uid"], metadata["resourceVersion"])
