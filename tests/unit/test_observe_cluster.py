"""What is read from raw Kubernetes objects: requests, placement, free accelerators, start-up times, pauses."""

from dataclasses import replace
from typing import Any

import orjson
import pytest

from baseload.observe.accelerators import AcceleratorBook
from baseload.observe.objects import Node, WorkloadKey, deployment, label_selector, node, stateful_set
from baseload.observe.pause import pause_of
from baseload.observe.placement import PodShape, effective_requests, pod_shape, whole
from baseload.observe.pods import PodCensus, PodFacts, StartUpTimes, list_pods, pod_facts, workload_of
from baseload.observe.pool import Pool
from baseload.plan.pool_offer import PoolOffer

GPU = "nvidia.com/gpu"
NOW = 1_000_000.0
CHAT = WorkloadKey("Deployment", "team", "chat")
POOL = Pool("owned", (("chip", "l40s"),), GPU, "L40S", PoolOffer(accelerators_per_node=4, hourly=2.0))


def container(count: int, **more: Any) -> dict[str, Any]:
    """A raw container with accelerators."""
    return {"name": "c", "resources": {"limits": {GPU: str(count), "cpu": "4"}}, **more}


def gpu_node(name: str, free: str = "4", **spec: Any) -> Node:
    """A Ready node of the pool."""
    return node(
        {
            "metadata": {"name": name, "labels": {"chip": "l40s"}},
            "spec": spec,
            "status": {
                "allocatable": {GPU: free, "cpu": "64"},
                "conditions": [{"type": "Ready", "status": "True"}],
            },
        }
    )


def test_effective_requests_count_init_containers_and_sidecars() -> None:
    """A pod holds what runs and its sidecars, or the largest init step beside the sidecars before it."""
    sidecar = container(1, restartPolicy="Always")
    spec = {"containers": [container(2)], "initContainers": [sidecar, container(4)]}
    assert effective_requests(spec) == {GPU: 5}
    assert effective_requests({"containers": [container(2), container(1)]}) == {GPU: 3}
    assert effective_requests({"containers": [{"name": "c"}]}) == {}


@pytest.mark.parametrize(("text", "count"), [("8", 8), ("2k", 2000), ("500m", None), ("x", None), (3, 3)])
def test_whole_quantities(text: object, count: int | None) -> None:
    """Counts of extended resources are whole; anything else is not understood."""
    assert whole(text) == count


@pytest.mark.parametrize(
    ("spec", "accepted"),
    [
        ({}, False),
        ({"tolerations": [{"key": "gpu", "operator": "Exists"}]}, True),
        ({"tolerations": [{"key": "gpu", "value": "yes", "effect": "NoSchedule"}]}, True),
        ({"tolerations": [{"key": "gpu", "value": "no"}]}, False),
        ({"tolerations": [{"operator": "Exists"}], "nodeSelector": {"chip": "l40s"}}, True),
        ({"tolerations": [{"operator": "Exists"}], "nodeSelector": {"chip": "h100"}}, False),
    ],
)
def test_nodes_accept_pods_by_selector_and_taints(spec: dict[str, Any], accepted: bool) -> None:
    """Node selectors must match and every blocking taint must be tolerated."""
    tainted = gpu_node("n", taints=[{"key": "gpu", "value": "yes", "effect": "NoSchedule"}])
    assert pod_shape(spec).accepts(dict(tainted.labels), tainted.taints) is accepted


@pytest.mark.parametrize(
    ("operator", "values", "accepted"),
    [
        ("In", ["l40s"], True),
        ("NotIn", ["l40s"], False),
        ("Exists", [], True),
        ("DoesNotExist", [], False),
        ("Gt", ["3"], False),
        ("Unknown", [], False),
    ],
)
def test_required_node_affinity(operator: str, values: list[str], accepted: bool) -> None:
    """Required node affinity is read; an operator that is not known accepts nothing."""
    term = {"matchExpressions": [{"key": "chip", "operator": operator, "values": values}]}
    required = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [term]}}
    shape = pod_shape({"affinity": {"nodeAffinity": required}})
    assert shape.accepts({"chip": "l40s"}, ()) is accepted


def test_free_replicas_are_counted_per_node() -> None:
    """Accelerators left over on different nodes do not add up to a replica; cordoned nodes do not count."""
    census = PodCensus(NOW, {"a": {GPU: 3}, "b": {GPU: 3}})
    nodes = [gpu_node("a"), gpu_node("b"), gpu_node("c"), gpu_node("d", unschedulable=True)]
    shape = PodShape(requests=((GPU, 2),))
    (state,) = AcceleratorBook([POOL], nodes, census, NOW).pools_for(shape).pools
    assert (state.free_replicas, state.nodes, state.total_accelerators) == (2, 3, 12)
    assert state.cost_per_replica_hour == pytest.approx(1.0)


def test_a_group_needs_a_place_for_each_of_its_pods() -> None:
    """Accelerators of all pods are paid for; a leader without any is no matter of the pool."""
    census = PodCensus(NOW, {"a": {GPU: 3}})
    nodes = [gpu_node("a"), gpu_node("b"), gpu_node("c")]
    worker = PodShape(requests=((GPU, 2),))
    group = PodShape(requests=((GPU, 2),), workers=(worker, worker))
    (state,) = AcceleratorBook([POOL], nodes, census, NOW).pools_for(group).pools
    assert (state.free_replicas, state.cost_per_replica_hour) == (1, pytest.approx(3.0))
    led = PodShape(workers=(worker, worker))
    (state,) = AcceleratorBook([POOL], nodes, census, NOW).pools_for(led).pools
    assert (state.free_replicas, state.cost_per_replica_hour) == (2, pytest.approx(2.0))
    elsewhere = PodShape(requests=((GPU, 2),), workers=(PodShape(worker.requests, (("chip", "h100"),)),))
    assert AcceleratorBook([POOL], nodes, census, NOW).pools_for(elsewhere).pools == ()


def test_a_group_is_one_replica_for_the_census() -> None:
    """Its pods share their replica, and only its leader tells when the replica was ready."""
    labels = {"leaderworkerset.sigs.k8s.io/group-index": "1", "leaderworkerset.sigs.k8s.io/worker-index": "2"}
    raw = {"metadata": {"uid": "u", "namespace": "team", "name": "p", "labels": labels}, "spec": {}}
    worker = pod_facts(raw)
    assert (worker.replica, worker.leads) == ("1", False)
    times, key = StartUpTimes(), WorkloadKey("LeaderWorkerSet", "team", "chat")
    times.observe(PodFacts("u", "n", key, {}, NOW, NOW + 5.0, leads=False))
    assert times.seconds(key) is None


async def test_homeless_pods_of_one_group_are_one_replica() -> None:
    """A replica waits for accelerators once, however many of its pods do; a plain pod is a replica of its own."""

    def pod(uid: str, kind: str, labels: dict[str, str]) -> dict[str, Any]:
        owner = {"apiVersion": "apps/v1", "kind": kind, "name": "chat", "controller": True}
        metadata = {"uid": uid, "namespace": "team", "name": uid, "labels": labels, "ownerReferences": [owner]}
        return {"metadata": metadata, "spec": {"containers": [container(1)]}}

    def member(uid: str, group: str) -> dict[str, Any]:
        prefix = "leaderworkerset.sigs.k8s.io"
        return pod(uid, "StatefulSet", {f"{prefix}/name": "chat", f"{prefix}/group-index": group})

    class Pods:
        async def get(self, _path: str, _parameters: object) -> bytes:
            items = [member("a", "0"), member("b", "0"), member("c", "1")]
            items += [pod("d", "StatefulSet", {}), pod("e", "StatefulSet", {})]
            return orjson.dumps({"items": items, "metadata": {}})

    connection: Any = Pods()
    census = await list_pods(connection, NOW, StartUpTimes())
    group = WorkloadKey("LeaderWorkerSet", "team", "chat", "leaderworkerset.x-k8s.io")
    assert census.unplaced == {group: 2, WorkloadKey("StatefulSet", "team", "chat"): 2}


def test_old_census_means_unknown_and_not_zero() -> None:
    """Without a recent listing of the pods nothing is known to be free, or taken."""
    book = AcceleratorBook([POOL], [gpu_node("a")], PodCensus(NOW - 500, {}), NOW)
    assert book.pools_for(PodShape(requests=((GPU, 1),))).pools[0].free_replicas is None


def test_the_reach_of_a_pod_is_every_usable_node_that_takes_it() -> None:
    """Nodes outside the pool count too, since the scheduler uses them; what is cordoned or too full has no room."""
    outside = replace(gpu_node("outside"), labels=(("chip", "other"),))
    nodes = [gpu_node("a"), gpu_node("b", unschedulable=True), outside]
    book = AcceleratorBook([POOL], nodes, PodCensus(NOW, {"a": {GPU: 3}}), NOW)
    reach = book.reach_of(CHAT, PodShape(requests=((GPU, 2),)))
    assert reach is not None
    assert (reach.each, [book.free[row] for row in reach.rows]) == (2, [1, 4])


def test_pods_alike_share_one_reach() -> None:
    """Two shapes that fit the same nodes with as many accelerators are one to whom shares out."""
    book = AcceleratorBook([POOL], [gpu_node("a")], PodCensus(NOW, {}), NOW)
    one, other = PodShape(requests=((GPU, 1),)), PodShape(requests=((GPU, 1),), node_selector=(("chip", "l40s"),))
    assert book.reach_of(CHAT, one) is book.reach_of(CHAT, other)


@pytest.mark.parametrize(
    ("pools", "nodes", "age"),
    [
        ([], ["a"], 0.0),
        ([POOL], [], 0.0),
        ([POOL], ["a"], 500.0),
    ],
)
def test_an_unknown_reach_is_not_an_empty_one(pools: list[Pool], nodes: list[str], age: float) -> None:
    """Without a pool, without a node in the pool or without a recent listing of the pods nothing is known."""
    book = AcceleratorBook(pools, [gpu_node(name) for name in nodes], PodCensus(NOW - age, {}), NOW)
    assert book.reach_of(CHAT, PodShape(requests=((GPU, 1),))) is None


def test_a_pool_whose_nodes_are_all_away_has_no_room() -> None:
    """Nodes that are there and not Ready are known to have nothing free."""
    book = AcceleratorBook([POOL], [gpu_node("a", unschedulable=True)], PodCensus(NOW, {}), NOW)
    reach = book.reach_of(CHAT, PodShape(requests=((GPU, 1),)))
    assert reach is not None
    assert reach.rows == ()


def test_pods_that_are_not_counted_have_no_known_reach() -> None:
    """Of a kind whose pods are not told apart, and of groups of pods, it is not known how many have a place."""
    book, shape = AcceleratorBook([POOL], [gpu_node("a")], PodCensus(NOW, {}), NOW), PodShape(requests=((GPU, 1),))
    rollout = WorkloadKey("Rollout", "team", "chat", "argoproj.io")
    assert book.reach_of(rollout, shape) is None
    assert book.reach_of(CHAT, replace(shape, workers=(shape,))) is None


def test_pools_without_the_accelerator_do_not_count() -> None:
    """A pod that asks for no accelerator of the pool cannot use the pool."""
    book = AcceleratorBook([POOL], [gpu_node("a")], PodCensus(NOW, {}), NOW)
    assert book.pools_for(PodShape(requests=(("amd.com/gpu", 1),))).pools == ()


def test_pods_belong_to_the_deployment_of_their_replica_set() -> None:
    """The template hash is cut off the ReplicaSet's name; a StatefulSet's pod belongs to the StatefulSet."""
    owner = {"kind": "ReplicaSet", "name": "chat-8b-7b86c", "controller": True}
    metadata = {"namespace": "team", "ownerReferences": [owner], "labels": {"pod-template-hash": "7b86c"}}
    assert workload_of(metadata) == WorkloadKey("Deployment", "team", "chat-8b")
    sts = {"namespace": "team", "ownerReferences": [{"kind": "StatefulSet", "name": "chat", "controller": True}]}
    assert workload_of(sts) == WorkloadKey("StatefulSet", "team", "chat")
    assert workload_of({"namespace": "team"}) is None


def test_start_up_time_is_the_upper_quartile_of_first_readiness() -> None:
    """A pod counts once, so that a later flap of its readiness is no start-up."""
    times, key = StartUpTimes(), WorkloadKey("Deployment", "team", "chat")
    for index, seconds in enumerate((20.0, 22.0, 24.0, 60.0)):
        times.observe(PodFacts(str(index), "n", key, {}, NOW, NOW + seconds))
    times.observe(PodFacts("0", "n", key, {}, NOW, NOW + 5000.0))
    assert times.seconds(key) == 60.0
    times.keep(set())
    assert times.seconds(key) is None


def test_pod_facts_read_condition_times() -> None:
    """Times come from the conditions that are True."""
    raw = {
        "metadata": {"uid": "u", "namespace": "team", "name": "p", "deletionTimestamp": "2026-01-01T00:00:00Z"},
        "spec": {"nodeName": "n", "containers": [container(1)]},
        "status": {
            "conditions": [
                {"type": "PodScheduled", "status": "True", "lastTransitionTime": "2026-01-01T00:00:00Z"},
                {"type": "Ready", "status": "False", "lastTransitionTime": "2026-01-01T00:01:00Z"},
            ]
        },
    }
    facts = pod_facts(raw)
    assert facts.scheduled_time == 1767225600.0
    assert facts.ready_time is None
    assert facts.terminating
    assert facts.requests == {GPU: 1}


def test_rollouts_are_seen() -> None:
    """Pods of an older template, or two revisions, are a rollout in progress."""
    raw = {
        "metadata": {"namespace": "team", "name": "chat", "uid": "u", "resourceVersion": "1"},
        "spec": {"template": {"spec": {}}},
        "status": {"replicas": 3, "updatedReplicas": 1, "readyReplicas": 3},
    }
    assert deployment(raw).rolling_out
    assert deployment(raw).wanted == 1
    assert (deployment(raw).pods, deployment(raw).updated, deployment(raw).surplus) == (3, 1, 2)
    assert not deployment(raw).rollout_failed
    raw["status"]["conditions"] = [{"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded"}]
    assert deployment(raw).rollout_failed
    raw["status"] = {"currentRevision": "a", "updateRevision": "b"}
    assert stateful_set(raw).rolling_out


@pytest.mark.parametrize(
    ("selector", "text"),
    [
        ({}, ""),
        ({"matchLabels": {"b": "2", "a": "1"}}, "a=1,b=2"),
        ({"matchExpressions": [{"key": "k", "operator": "In", "values": ["x", "y"]}]}, "k in (x,y)"),
        ({"matchExpressions": [{"key": "k", "operator": "NotIn", "values": ["x"]}]}, "k notin (x)"),
        ({"matchExpressions": [{"key": "k", "operator": "Exists"}]}, "k"),
        ({"matchLabels": {"a": "1"}, "matchExpressions": [{"key": "k", "operator": "DoesNotExist"}]}, "a=1,!k"),
        ({"matchLabels": {"a": "1"}, "matchExpressions": [{"key": "k", "operator": "Newer"}]}, ""),
    ],
)
def test_label_selectors_become_query_parameters(selector: dict[str, Any], text: str) -> None:
    """As kubectl would write them; an operator that is not known gives up."""
    assert label_selector(selector) == text


def test_terminating_pods_drain_until_their_grace_is_over() -> None:
    """They hold their accelerators and finish requests; one that outlived its grace is stuck and finishes none."""
    key = WorkloadKey("Deployment", "team", "chat")
    census = PodCensus(NOW, leaving={key: (NOW + 50, NOW - 10, NOW - 40)})
    assert census.draining(key, NOW) == 2
    assert census.draining(key, NOW + 100) == 0
    assert census.draining(WorkloadKey("Deployment", "team", "other"), NOW) == 0


@pytest.mark.parametrize(
    ("annotations", "expected"),
    [
        ({}, (False, False, None)),
        ({"baseload.dev/paused": "true"}, (True, True, None)),
        ({"baseload.dev/paused": "false"}, (False, False, None)),
        ({"baseload.dev/paused": "maybe"}, (True, True, None)),
        ({"baseload.dev/paused-scale-in": ""}, (True, False, None)),
        ({"baseload.dev/paused-scale-out": "yes"}, (False, True, None)),
        ({"baseload.dev/paused-replicas": "5"}, (False, False, 5)),
        ({"baseload.dev/paused-replicas": "five"}, (True, True, None)),
        ({"baseload.dev/paused-replicas": "0"}, (True, True, None)),
    ],
)
def test_pause_annotations(annotations: dict[str, str], expected: tuple[bool, bool, int | None]) -> None:
    """Each annotation holds its direction; what cannot be read means paused and is named."""
    pause = pause_of(annotations)
    assert (pause.scale_in, pause.scale_out, pause.replicas) == expected
    if any(expected):
        assert next(iter(annotations)) in pause.why
