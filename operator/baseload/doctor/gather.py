"""Gathering the facts from the cluster and from Prometheus: reads only, many at once, no judgement."""

import asyncio
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, replace
from datetime import UTC
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any, Final

import aiohttp
import orjson

from baseload.api.base import GROUP
from baseload.api.crdgen import KINDS
from baseload.api.reasons import Reason
from baseload.control.settings import LEASE_NAME
from baseload.doctor.access import Access, Raw, Unread, brief, opened
from baseload.doctor.facts import NOT_ASKED, Facts, Found, Metrics, Objects, Server, Trouble
from baseload.doctor.gather_metrics import gather_metrics
from baseload.doctor.manifests import ACCOUNT, NAMESPACE, Right, rights
from baseload.doctor.probe import Door, probe
from baseload.doctor.reviews import review
from baseload.doctor.world import catalog_of, world_of
from baseload.errors import ApiError, ConfigError, ForbiddenError
from baseload.observe.discovery import discover
from baseload.observe.profile_book import SELECTOR, ProfileBook, documents_of
from baseload.observe.profiles import load_profiles
from baseload.observe.prometheus import PrometheusSource
from baseload.observe.resync import GROUP_PATH, POOLS_PATH
from baseload.observe.target_kinds import ALWAYS_THERE, KindRef
from baseload.observe.translate import Accepted
from baseload.observe.watch import key_of
from baseload.plan.snapshot import Refusal

ADMISSION: Final = "/apis/admissionregistration.k8s.io/v1"
DEFINITIONS: Final = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
NOT_INSTALLED: Final = Unread("the kind is not installed, see above")
NO_PROMETHEUS: Final = Unread("no --prometheus-url was given")


@dataclass(frozen=True, slots=True)
class Asked:
    """What `baseload doctor` was asked to look at; `namespace` None means the servings of all namespaces."""

    namespace: str | None = None
    kubeconfig: Path | None = None
    context: str | None = None
    operator_namespace: str = NAMESPACE
    scrape_seconds: float = 15.0
    prometheus: Door | None = None


async def gather(asked: Asked) -> Facts:
    """Everything that the checks look at; raises ConfigError for what the caller wrote wrongly about Prometheus."""
    nothing = Facts(time.time(), asked.operator_namespace, asked.scrape_seconds, Server(""))
    try:
        async with opened(asked.kubeconfig, asked.context) as access:
            facts = await _cluster(access, asked, nothing)
    except ConfigError as error:
        facts = _without_cluster(nothing, Server("", trouble=Trouble.CREDENTIALS, detail=str(error)))
    if asked.prometheus is None:
        return replace(facts, metrics=NO_PROMETHEUS)
    return replace(facts, metrics=await _metrics(asked.prometheus, facts))


async def _cluster(access: Access, asked: Asked, nothing: Facts) -> Facts:
    api, now = await _api_server(access)
    if api.trouble is not None:
        return _without_cluster(nothing, api)
    scope = "" if asked.namespace is None else f"/namespaces/{asked.namespace}"
    servings, installed, world = await asyncio.gather(
        access.every(f"{GROUP_PATH}{scope}/modelservings", absent=NOT_INSTALLED),
        _installed(access, asked.operator_namespace),
        _world(access, scope),
    )
    targets = await _targets(access, servings, scope)
    wanted = (*rights(asked.operator_namespace), *_rights_on(targets))
    reviews = await review(access.connection.api_client, asked.operator_namespace, wanted)
    return replace(nothing, now=now, api=api, servings=servings, targets=targets, reviews=reviews, **installed, **world)


async def _installed(access: Access, operator_namespace: str) -> dict[str, Any]:
    """What an admin installed, and the traces of the operator."""
    own = f"/namespaces/{operator_namespace}"
    definitions, policies, bindings, account, lease, profiles = await asyncio.gather(
        _definitions(access),
        access.every(f"{ADMISSION}/validatingadmissionpolicies"),
        access.every(f"{ADMISSION}/validatingadmissionpolicybindings"),
        access.one(f"/api/v1{own}/serviceaccounts/{ACCOUNT}"),
        access.one(f"/apis/coordination.k8s.io/v1{own}/leases/{LEASE_NAME}"),
        _profiles(access, own),
    )
    found = {"definitions": definitions, "policies": policies, "bindings": bindings}
    return {**found, "account": account, "lease": lease, "profiles": profiles}


async def _profiles(access: Access, own: str) -> ProfileBook | Unread:
    """The profiles that come along and the admin's own."""
    found = await access.every(f"/api/v1{own}/configmaps", {"labelSelector": SELECTOR})
    if isinstance(found, Unread):
        return found
    book = ProfileBook(load_profiles())
    for raw in found:
        book.changed(key_of(raw["metadata"]), None, documents_of(raw))
    return book


async def _world(access: Access, scope: str) -> dict[str, Any]:
    """Pools and nodes, and who else scales."""
    pools, nodes, autoscalers, scaled_objects = await asyncio.gather(
        access.every(POOLS_PATH, absent=NOT_INSTALLED),
        access.every("/api/v1/nodes"),
        access.every(f"/apis/autoscaling/v2{scope}/horizontalpodautoscalers"),
        access.every(f"/apis/keda.sh/v1alpha1{scope}/scaledobjects"),
    )
    return {"pools": pools, "nodes": nodes, "autoscalers": autoscalers, "scaled_objects": scaled_objects}


def _without_cluster(nothing: Facts, api: Server) -> Facts:
    gap = Unread("the API server could not be asked, see above")
    unread: dict[str, Any] = {field.name: gap for field in fields(Facts) if field.default is NOT_ASKED}
    return replace(nothing, api=api, **unread)


async def _api_server(access: Access) -> tuple[Server, float]:
    """The server and its time in Unix seconds."""
    url, began = str(access.connection.configuration.host), time.time()
    try:
        async with access.connection.stream("/version", timeout=aiohttp.ClientTimeout(total=15.0)) as response:
            middle = (began + time.time()) / 2
            version = str(orjson.loads(await response.read())["gitVersion"])
            skew = _skew(response.headers, middle)
    except ApiError as error:
        return Server(url, trouble=_trouble(error), detail=brief(error)), began
    except (orjson.JSONDecodeError, LookupError, TypeError):
        return Server(url, trouble=Trouble.NO_ANSWER, detail="what answers there is no API server"), began
    return Server(url, version=version, skew_seconds=skew), time.time() + (skew or 0.0)


def _skew(headers: Mapping[str, str], middle: float) -> float | None:
    """How far the server's clock is ahead, by its Date header, which is cut to whole seconds."""
    try:
        date = parsedate_to_datetime(headers["Date"]).replace(tzinfo=UTC).timestamp()
    except (KeyError, ValueError):
        return None
    earliest, latest = date - middle, date + 1.0 - middle
    return 0.0 if earliest <= 0.0 <= latest else (earliest if earliest > 0.0 else latest)


def _trouble(error: ApiError) -> Trouble:
    if isinstance(error, ForbiddenError):
        return Trouble.REFUSED
    chain = repr(error.__cause__)
    return Trouble.TLS if "SSL" in chain or "Certificate" in chain else Trouble.NO_ANSWER


async def _definitions(access: Access) -> Mapping[str, Raw | None] | Unread:
    found: dict[str, Raw | None] = {}
    for kind in KINDS:
        name = f"{kind.plural}.{GROUP}"
        raw = await access.one(f"{DEFINITIONS}/{name}")
        if isinstance(raw, Unread):
            return raw
        found[name] = raw
    return found


async def _targets(access: Access, servings: Objects, scope: str) -> Mapping[KindRef, Found] | Unread:
    """Each kind that some serving names, with its objects."""
    if isinstance(servings, Unread):
        return servings
    named = {e.accepted.kind for e in catalog_of(servings).entries.values() if isinstance(e.accepted, Accepted)}
    found = await asyncio.gather(*(_target(access, ref, scope) for ref in sorted(named)))
    return dict(zip(sorted(named), found, strict=True))


async def _target(access: Access, ref: KindRef, scope: str) -> Found:
    try:
        kind = await discover(access.connection, ref)
    except ApiError as error:
        return Unread(brief(error))
    if isinstance(kind, Refusal):
        # Discovery asks for the rights of whoever runs it; the operator's own are reviewed apart.
        return Unread(f"you have not the rights on {ref}") if kind.reason is Reason.TARGET_FORBIDDEN else kind
    version, _, plural = kind.collection.rpartition("/")
    return kind, await access.every(f"{version}{scope}/{plural}")


def _rights_on(targets: Mapping[KindRef, Found] | Unread) -> Iterator[Right]:
    """What the operator needs for the kinds that not every cluster has."""
    for ref, found in ({} if isinstance(targets, Unread) else targets).items():
        if ref in ALWAYS_THERE or not isinstance(found, tuple):
            continue
        plural = found[0].collection.rpartition("/")[2]
        for verb, subresource in (("list", ""), ("watch", ""), ("get", "scale"), ("patch", "scale")):
            yield Right(ref.group, plural, subresource, verb)


async def _metrics(door: Door, facts: Facts) -> Metrics:
    server = await probe(door)
    if server.trouble is not None or isinstance(facts.servings, Unread):
        return Metrics(server)
    profiles = load_profiles() if isinstance(facts.profiles, Unread) else facts.profiles
    source = PrometheusSource(door.url, door.credentials)
    now = time.time() + (server.skew_seconds or 0.0)
    try:
        return await gather_metrics(
            server, source, world_of(facts), profiles, now=now, scrape_seconds=facts.scrape_seconds
        )
    finally:
        source.close()
