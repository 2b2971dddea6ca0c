"""Kinds that can be scaled: how they are read, how they are found, and which of them are watched when."""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any

import orjson
import pytest
from kinds import leader_worker_set, widget, widget_crd

from baseload.api.reasons import Reason
from baseload.errors import ApiError, ForbiddenError, NotFoundError, UnavailableError
from baseload.observe import discovery, optional_watch
from baseload.observe.catalog import Catalog
from baseload.observe.discovery import Right, discover
from baseload.observe.objects import Autoscaler, WorkloadKey, autoscaler, scaled_object, serving_object
from baseload.observe.optional_watch import Collection, OptionalWatch
from baseload.observe.pods import workload_of
from baseload.observe.target_kinds import (
    ALWAYS_THERE,
    DEPLOYMENTS,
    KindRef,
    ScalePaths,
    TargetKind,
    json_path,
    target_kind,
)
from baseload.observe.watch import Watch
from baseload.plan.snapshot import Refusal

WIDGETS = KindRef("example.com/v1", "Widget")
SETS = KindRef("leaderworkerset.x-k8s.io/v1", "LeaderWorkerSet")
PATHS = ScalePaths(("spec", "scaling", "count"), ("status", "running"))


def stored(raw: dict[str, Any], **status: Any) -> dict[str, Any]:
    """An object as the API server gives it."""
    return {**raw, "metadata": {**raw["metadata"], "uid": "u", "resourceVersion": "7"}, "status": status}


def test_a_set_is_read_as_groups() -> None:
    """Leader and workers are one replica; without a template of its own the leader is like a worker."""
    raw = stored(leader_worker_set("team", "chat", {"chip": "x"}, size=3), readyReplicas=1, replicas=2)
    read = target_kind(SETS, "leaderworkersets", ScalePaths()).read(raw)
    assert read.key == WorkloadKey("LeaderWorkerSet", "team", "chat", "leaderworkerset.x-k8s.io")
    assert (read.wanted, read.ready, read.rolling_out) == (1, 1, False)
    assert read.shape.request("nvidia.com/gpu") == 2
    assert [worker.request("nvidia.com/gpu") for worker in read.shape.workers] == [2, 2]
    raw["spec"]["leaderWorkerTemplate"]["leaderTemplate"] = {"spec": {"containers": [], "priorityClassName": "high"}}
    raw["status"]["conditions"] = [{"type": "UpdateInProgress", "status": "True"}]
    read = target_kind(SETS, "leaderworkersets", ScalePaths()).read(raw)
    assert (read.shape.request("nvidia.com/gpu"), read.priority_class, read.rolling_out) == (0, "high", True)


@pytest.mark.parametrize(
    ("status", "ready", "rolling_out"),
    [
        ({}, 0, False),
        ({"running": 2}, 2, False),
        ({"running": 2, "readyReplicas": 1}, 1, False),
        ({"running": 2, "readyReplicas": 2, "updatedReplicas": 1}, 2, True),
        ({"running": "two"}, 0, False),
    ],
)
def test_any_kind_is_read_by_its_paths(status: dict[str, Any], ready: int, rolling_out: bool) -> None:
    """The replicas that exist stand for ready ones only where the kind does not tell those."""
    kind = target_kind(WIDGETS, "widgets", PATHS)
    read = kind.read(stored(widget("team", "chat", 3), **status))
    assert (read.wanted, read.ready, read.rolling_out) == (3, ready, rolling_out)
    assert (kind.collection, read.collection) == ("/apis/example.com/v1/widgets",) * 2


def test_a_number_that_is_missing_is_no_zero() -> None:
    """An object without a number at the path of its kind says which field is missing."""
    read = target_kind(WIDGETS, "widgets", ScalePaths()).read(stored(widget("team", "chat")))
    assert read.number_missing == ".spec.replicas"
    assert target_kind(WIDGETS, "widgets", PATHS).read(stored(widget("team", "chat"))).number_missing == ""
    assert json_path(".spec.scaling.count") == PATHS.wanted


class FakeApi:
    """GETs from a table, and rights from a set; `fails` is raised by every GET."""

    def __init__(self, **answers: Any) -> None:
        self.answers = answers
        self.denied: set[Right] = set()
        self.fails: ApiError | None = None

    async def get(self, path: str) -> bytes:
        """An answer or NotFoundError."""
        if self.fails is not None:
            raise self.fails
        if path not in self.answers:
            raise NotFoundError(path, status=404)
        return orjson.dumps(self.answers[path])


def resources(*names: str, namespaced: bool = True) -> dict[str, Any]:
    """What discovery says of Widgets."""
    kinds = {"widgets": "Widget", "widgets/scale": "Scale", "widgets/status": "Widget"}
    return {"resources": [{"name": name, "kind": kinds[name], "namespaced": namespaced} for name in names]}


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> FakeApi:
    """An API server with Widgets, whose every right is granted."""
    found = FakeApi(
        **{
            "/apis/example.com/v1": resources("widgets/status", "widgets", "widgets/scale"),
            f"{discovery.CRDS_PATH}/widgets.example.com": widget_crd(),
        }
    )

    async def allowed(_: object, _group: str, right: Right, _name: str = "") -> bool:
        return right not in found.denied

    monkeypatch.setattr(discovery, "_allowed", allowed)
    return found


def found(api: FakeApi, ref: KindRef = WIDGETS) -> TargetKind | Refusal:
    """What is found out about a kind."""
    return asyncio.run(discover(api, ref))  # type: ignore[arg-type]


def test_the_paths_are_those_of_the_crd(api: FakeApi) -> None:
    """Declared paths are used where the CRD may be read, the usual ones where not or where there is none."""
    kind = found(api)
    assert isinstance(kind, TargetKind)
    assert kind.read(stored(widget("team", "chat", 4))).wanted == 4
    api.denied = {("get", "customresourcedefinitions", "")}
    kind = found(api)
    assert isinstance(kind, TargetKind)
    assert kind.read(stored(widget("team", "chat", 4))).number_missing == ".spec.replicas"
    api.denied = set()
    del api.answers[f"{discovery.CRDS_PATH}/widgets.example.com"]
    assert isinstance(found(api), TargetKind)


def test_kinds_of_every_cluster_are_not_looked_for() -> None:
    """Deployments and StatefulSets cost no request."""
    assert found(FakeApi(), DEPLOYMENTS) == ALWAYS_THERE[DEPLOYMENTS]


@pytest.mark.parametrize(
    ("names", "ref", "reason", "words"),
    [
        ((), WIDGETS, Reason.TARGET_KIND_UNKNOWN, "install its CustomResourceDefinition"),
        (("widgets/scale",), WIDGETS, Reason.TARGET_KIND_UNKNOWN, "does not serve"),
        (("widgets",), WIDGETS, Reason.TARGET_NOT_SCALABLE, "widgets.example.com have no scale subresource"),
        (("widgets",), KindRef("v1", "ReplicationController"), Reason.TARGET_NOT_SCALABLE, "core group"),
    ],
)
def test_what_cannot_be_scaled_says_why(
    api: FakeApi, names: tuple[str, ...], ref: KindRef, reason: Reason, words: str
) -> None:
    """A kind that is not there and one without a scale are different things."""
    api.answers["/apis/example.com/v1"] = resources(*names)
    refusal = found(api, ref)
    assert isinstance(refusal, Refusal)
    assert refusal.reason is reason
    assert words in refusal.message


def test_missing_rights_are_named_all_at_once(api: FakeApi) -> None:
    """The message says what to grant and how, and fits into a condition."""
    api.denied = {("watch", "widgets", ""), ("patch", "widgets", "scale")}
    refusal = found(api)
    assert isinstance(refusal, Refusal)
    assert refusal.reason is Reason.TARGET_FORBIDDEN
    assert "watch widgets, patch widgets/scale (group example.com)" in refusal.message
    assert discovery.AGGREGATION_LABEL in refusal.message
    assert len(refusal.message) <= 512


class FakeWatch(Watch[str]):
    """A watch that holds one object and ends when the test says how."""

    ends: "asyncio.Queue[ApiError]"

    async def run(self) -> None:
        """Show the object, then end with what the test puts in."""
        self.objects["team", "chat"] = "seen"
        self.synced.set()
        raise await self.ends.get()


async def until(look: Callable[[], bool]) -> None:
    """Wait until a look says yes."""
    async with asyncio.timeout(5.0):
        while not look():  # noqa: ASYNC110 - the watch runs beside
            await asyncio.sleep(0.005)


async def test_a_kind_comes_goes_and_comes_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """While it is refused nothing of it is seen; an interruption alone takes nothing away."""
    ends: asyncio.Queue[ApiError] = asyncio.Queue()
    monkeypatch.setattr(optional_watch, "Watch", FakeWatch)
    FakeWatch.ends = ends
    answers: list[Collection[str] | Refusal] = [Refusal(Reason.TARGET_KIND_UNKNOWN, "not there")]
    told: list[tuple[str | None, str | None]] = []

    async def find() -> Collection[str] | Refusal:
        if isinstance(answers[0], ApiError):
            raise answers[0]
        return answers[0]

    def changed(_: object, old: str | None, new: str | None) -> None:
        told.append((old, new))

    def clock() -> float:
        return 0.0

    nothing: Any = None
    kind: OptionalWatch[str] = OptionalWatch(nothing, "Widget", find, changed, clock=clock, retry_seconds=0.01)
    task = asyncio.create_task(kind.run())
    await until(lambda: kind.refusal is not None)
    assert kind.settled
    answers[0] = Collection("/apis/example.com/v1/widgets", str)
    await until(lambda: kind.synced)
    assert kind.refusal is None
    assert kind.get(("team", "chat")) == "seen"
    ends.put_nowait(ForbiddenError("no right", status=403))
    await until(lambda: ("seen", None) in told)
    await until(lambda: kind.synced)
    ends.put_nowait(NotFoundError("gone", status=404))
    answers[0] = Refusal(Reason.TARGET_KIND_UNKNOWN, "gone")
    await until(lambda: kind.refusal is not None and kind.watch is None)
    assert kind.get(("team", "chat")) is None
    task.cancel()


async def test_nobody_waits_for_ever_for_an_answer() -> None:
    """A kind that nobody can tell anything of is not known, and after a while it counts as settled."""
    now = [0.0]

    async def find() -> Collection[str] | Refusal:
        raise UnavailableError("away", status=503)

    nothing: Any = None
    kind: OptionalWatch[str] = OptionalWatch(
        nothing, "Widget", find, lambda *_: None, clock=lambda: now[0], retry_seconds=0.01
    )
    task = asyncio.create_task(kind.run())
    await asyncio.sleep(0.05)
    assert not kind.settled
    now[0] = 11.0
    assert kind.settled
    assert kind.refusal is None
    task.cancel()


def named(name: str, api_version: str, kind: str) -> Any:
    """A stored ModelServing."""
    metadata = {"namespace": "team", "name": name, "uid": name, "resourceVersion": "1", "generation": 1}
    spec = {
        "targetRef": {"apiVersion": api_version, "kind": kind, "name": "chat"},
        "objective": {"timeToFirstToken": {"targetMilliseconds": 800}},
        "replicas": {"min": 1, "max": 9},
    }
    return serving_object({"metadata": {**metadata, "annotations": {"baseload.dev/x": kind}}, "spec": spec})


def test_a_kind_is_watched_while_some_serving_names_it() -> None:
    """The first to name a kind and the last to leave it are told of; a retargeting in between is not."""
    told: list[tuple[str, bool]] = []
    catalog = Catalog(lambda _: None, lambda ref, wanted: told.append((ref.kind, wanted)))
    catalog.put_serving(named("a", "apps/v1", "Deployment"))
    catalog.put_serving(named("b", "apps/v1", "Deployment"))
    catalog.put_serving(named("b", "example.com/v1", "Widget"))
    catalog.put_serving(named("a", "example.com/v1", "Widget"))
    for key, entry in list(catalog.entries.items()):
        catalog.remove_serving(key, entry.stored.uid)
    assert told == [("Deployment", True), ("Widget", True), ("Deployment", False), ("Widget", False)]


def test_two_versions_of_a_group_name_the_same_object() -> None:
    """A claim is on the object, whichever version it is named by; another group's kind of the same name is another."""
    catalog = Catalog(lambda _: None)
    for name, version in (("a", "example.com/v1"), ("b", "example.com/v2"), ("c", "example.org/v1")):
        catalog.put_serving(named(name, version, "Widget"))
    refused = [entry.key.name for entry in catalog.entries.values() if catalog.conflict(entry) is not None]
    assert refused == ["b"]


@pytest.mark.parametrize(
    ("read", "reference", "expected"),
    [
        (autoscaler, {"kind": "Widget", "apiVersion": "example.com/v1"}, ("Widget", "example.com")),
        (autoscaler, {"kind": "Deployment", "apiVersion": "apps/v1"}, ("Deployment", "apps")),
        (scaled_object, {}, ("Deployment", "apps")),
    ],
)
def test_autoscalers_say_what_they_scale(
    read: Callable[[Any], Autoscaler], reference: dict[str, str], expected: tuple[str, str]
) -> None:
    """KEDA leaves kind and version out for a Deployment."""
    raw = {"metadata": {"namespace": "team", "name": "x"}, "spec": {"scaleTargetRef": {"name": "chat", **reference}}}
    assert read(raw).target == WorkloadKey(expected[0], "team", "chat", expected[1])


@pytest.mark.parametrize("set_of_pods", ["chat", "chat-1"], ids=["leaders", "workers of group 1"])
def test_pods_of_a_set_are_the_sets_own(set_of_pods: str) -> None:
    """A group's StatefulSet has the name of its leader, which could be any other StatefulSet's."""
    owner = {"apiVersion": "apps/v1", "kind": "StatefulSet", "name": set_of_pods, "controller": True}
    metadata = {"namespace": "team", "ownerReferences": [owner]}
    assert workload_of(metadata) == WorkloadKey("StatefulSet", "team", set_of_pods)
    labels = {"leaderworkerset.sigs.k8s.io/name": "chat"}
    key = partial(WorkloadKey, "LeaderWorkerSet", "team", "chat")
    assert workload_of({**metadata, "labels": labels}) == key("leaderworkerset.x-k8s.io")
