"""Find out whether a kind can be scaled here: is it served, has it a scale, may we use it, where are its numbers.

Nothing is denied on the way: what we may do is asked by access reviews, which every account may create.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import aiohttp
import orjson
from kubernetes.aio import client

from baseload.api.reasons import Reason
from baseload.errors import NotFoundError, api_error
from baseload.observe.connection import REQUEST_TIMEOUT_SECONDS, KubeConnection
from baseload.observe.target_kinds import ALWAYS_THERE, KindRef, ScalePaths, TargetKind, json_path, target_kind
from baseload.plan.snapshot import Refusal

CRDS_PATH = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
AGGREGATION_LABEL = 'rbac.baseload.dev/aggregate-to-operator: "true"'

Right = tuple[str, str, str]
"""Verb, plural and subresource (empty: the object itself)."""


async def discover(connection: KubeConnection, ref: KindRef) -> TargetKind | Refusal:
    """How to read and scale a kind, or why that cannot be done now; raises ApiError when nobody could say."""
    known = ALWAYS_THERE.get(ref)
    if known is not None:
        return known
    found = await _resource(connection, ref)
    if isinstance(found, Refusal):
        return found
    wanted: tuple[Right, ...] = (("list", found, ""), ("watch", found, ""), ("get", found, "scale"))
    missing = await denied(connection, ref.group, (*wanted, ("patch", found, "scale")))
    if missing:
        return Refusal(Reason.TARGET_FORBIDDEN, _grant(ref, missing))
    return target_kind(ref, found, await _paths(connection, ref, found))


async def denied(connection: KubeConnection, group: str, rights: Sequence[Right]) -> list[Right]:
    """Those of the rights that the operator does not have in every namespace; raises ApiError."""
    return [right for right in rights if not await _allowed(connection, group, right)]


async def served(connection: KubeConnection, api_version: str) -> Sequence[Mapping[str, Any]]:
    """What the API server serves of a group and version, subresources too; nothing when it knows none."""
    try:
        answer = orjson.loads(await connection.get(f"/apis/{api_version}"))
    except NotFoundError:
        return ()
    resources: Sequence[Mapping[str, Any]] = answer.get("resources") or ()
    return resources


async def _resource(connection: KubeConnection, ref: KindRef) -> str | Refusal:
    """The plural of a kind that has a scale."""
    if not ref.group:
        message = f"`spec.targetRef` names a {ref}; kinds of the core group are not scaled"
        return Refusal(Reason.TARGET_NOT_SCALABLE, f"{message}, use a Deployment or a StatefulSet")
    resources = await served(connection, ref.api_version)
    names = {str(r["name"]): r for r in resources}
    plural = next((name for name, r in names.items() if r["kind"] == ref.kind and "/" not in name), None)
    if plural is None:
        message = f"`spec.targetRef` names a {ref}, which this API server does not serve"
        return Refusal(
            Reason.TARGET_KIND_UNKNOWN, f"{message}; install its CustomResourceDefinition or change the kind"
        )
    if f"{plural}/scale" not in names or not names[plural]["namespaced"]:
        message = f"`spec.targetRef` names a {ref}, and {plural}.{ref.group} have no scale subresource"
        return Refusal(Reason.TARGET_NOT_SCALABLE, f"{message}; name the workload that has the replicas")
    return plural


def _grant(ref: KindRef, missing: Sequence[Right]) -> str:
    """What to grant, short enough for a condition."""
    rights = ", ".join(f"{verb} {plural}{f'/{part}' if part else ''}" for verb, plural, part in missing)
    return (
        f"the operator lacks rights on {ref}: {rights} (group {ref.group}); apply a ClusterRole with them and the label"
        f" {AGGREGATION_LABEL}, as manifests/targets/ shows; it is taken up within seconds"
    )


async def _allowed(connection: KubeConnection, group: str, right: Right, name: str = "") -> bool:
    attributes = dict(zip(("verb", "resource", "subresource"), right, strict=True)) | {"group": group, "name": name}
    body = {"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview"}
    reviews = client.CustomObjectsApi(connection.api_client)
    answer: Any
    try:
        answer = await reviews.create_cluster_custom_object(
            "authorization.k8s.io",
            "v1",
            "selfsubjectaccessreviews",
            {**body, "spec": {"resourceAttributes": attributes}},
            _request_timeout=REQUEST_TIMEOUT_SECONDS,
        )
    except client.ApiException as error:
        if error.status == 401:
            await connection.reload()
        raise api_error(int(error.status or 0), f"access review: {error.status} {error.reason}") from error
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        raise api_error(0, f"access review: {type(error).__name__}: {error}") from error
    return bool(answer["status"].get("allowed"))


async def _paths(connection: KubeConnection, ref: KindRef, plural: str) -> ScalePaths:
    """The paths that the CRD declares where we may read it; else those that nearly every kind has."""
    name = f"{plural}.{ref.group}"
    if not await _allowed(connection, "apiextensions.k8s.io", ("get", "customresourcedefinitions", ""), name):
        return ScalePaths()
    try:
        crd = orjson.loads(await connection.get(f"{CRDS_PATH}/{name}"))
    except NotFoundError:
        # Served by an API server of its own, such as an aggregated one.
        return ScalePaths()
    version = ref.api_version.rpartition("/")[2]
    for row in crd["spec"]["versions"]:
        scale = (row.get("subresources") or {}).get("scale")
        if row["name"] == version and scale:
            return ScalePaths(json_path(scale["specReplicasPath"]), json_path(scale["statusReplicasPath"]))
    return ScalePaths()
