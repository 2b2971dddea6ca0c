"""Fill a lab with the benchmark's fleet, and be its Deployment controller: a process inside the lab's network."""

import argparse
import asyncio
import itertools
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from baseload.errors import ConflictError, LabError, NotFoundError
from baseload.lab.bench_world import Create, frame, model_servings, patch_of, workloads
from baseload.lab.kube_client import Changed, KubeClient, connect

_CONCURRENCY: Final = 24
_MERGE_PATCH: Final = "application/merge-patch+json"


async def fill(client: KubeClient, servings: int) -> None:
    """Create everything, statuses included; prints how long each kind of object took."""
    for name, objects in (
        ("frame", frame(servings)),
        ("workloads", workloads(servings)),
        ("servings", model_servings(servings)),
    ):
        began = time.monotonic()
        count = await _create_all(client, objects)
        print(f"{name}: {count} objects in {time.monotonic() - began:.0f} s", flush=True)  # noqa: T201


async def follow(client: KubeClient) -> None:
    """Set each Deployment's status to what its spec asks for, for ever."""
    async for news in client.follow("/apis/apps/v1/deployments", {"resourceVersion": "0"}):
        if not isinstance(news, Changed) or news.kind != "MODIFIED":
            continue
        wanted, ready = news.item["spec"]["replicas"], news.item["status"].get("readyReplicas")
        if wanted != ready:
            metadata = news.item["metadata"]
            path = f"/apis/apps/v1/namespaces/{metadata['namespace']}/deployments/{metadata['name']}/status"
            try:
                await client.call("PATCH", path, body=dict(patch_of(wanted)), content_type=_MERGE_PATCH)
            except (ConflictError, NotFoundError):
                continue


async def _create_all(client: KubeClient, objects: Iterable[Create]) -> int:
    """Create objects by a few workers that share one iterator."""
    counted = itertools.count()
    shared = iter(objects)

    async def work() -> None:
        for item in shared:
            next(counted)
            await _create(client, item)
            path = f"{item.path}/{item.body['metadata']['name']}"
            if item.status is not None:
                await client.call("PATCH", f"{path}/status", body={"status": item.status}, content_type=_MERGE_PATCH)
            if item.patch is not None:
                await client.call("PATCH", path, body=item.patch, content_type=_MERGE_PATCH)

    await asyncio.gather(*(work() for _ in range(_CONCURRENCY)))
    return next(counted)


async def _create(client: KubeClient, item: Create) -> None:
    """Create one object; its namespace may be a moment behind, since several workers share the list."""
    for _ in range(20):
        try:
            await client.call("POST", item.path, body=item.body)
        except NotFoundError:
            await asyncio.sleep(0.1)
        else:
            return
    raise LabError(f"{item.path} does not exist")


async def _main(kubeconfig: Path, servings: int | None) -> None:
    async with connect(kubeconfig) as client:
        await (follow(client) if servings is None else fill(client, servings))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kubeconfig", type=Path)
    parser.add_argument("--fill", type=int, metavar="SERVINGS", help="create so many servings; else follow for ever")
    arguments = parser.parse_args()
    sys.exit(asyncio.run(_main(arguments.kubeconfig, arguments.fill)))
