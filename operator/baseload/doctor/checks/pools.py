"""Checks of CapacityPools: that each describes nodes that exist, once, and that the servings' pods fit on some."""

from collections.abc import Iterator
from itertools import combinations

from baseload.doctor.facts import Facts
from baseload.doctor.finding import Finding, fault, skipped, warning
from baseload.doctor.world import World, unread
from baseload.observe.objects import Node
from baseload.observe.pool import Pool


def pools_have_nodes(facts: Facts, world: World) -> Iterator[Finding]:
    """Each pool finds nodes that are usable and have its accelerator."""
    gap = unread(facts.pools, facts.nodes)
    if gap is not None:
        yield skipped(gap.why)
        return
    for name, message in world.catalog.refused_pools.items():
        yield fault(name, message, f"kubectl edit cpool {name}")
    for pool in world.catalog.usable_pools():
        yield from _pool(pool, world)


def _pool(pool: Pool, world: World) -> Iterator[Finding]:
    nodes = _nodes_of(pool, world.nodes)
    labels = ",".join(f"{key}={value}" for key, value in pool.node_selector)
    if not nodes:
        yield fault(pool.name, f"no node carries the labels {labels}", f"kubectl get nodes -l {labels}")
        return
    usable = [node for node in nodes if node.usable]
    if not usable:
        found = f"none of its {len(nodes)} nodes is Ready and schedulable"
        yield fault(pool.name, found, f"kubectl describe nodes -l {labels}")
        return
    bare = [node.name for node in usable if not dict(node.allocatable).get(pool.resource)]
    if bare:
        found = f"{len(bare)} of {len(usable)} usable nodes have no {pool.resource}, among them '{min(bare)}'"
        remedy = f"kubectl describe node {min(bare)}: see whether the device plugin runs there"
        yield (fault if len(bare) == len(usable) else warning)(pool.name, found, remedy)


def pools_do_not_overlap(facts: Facts, world: World) -> Iterator[Finding]:
    """No node counts for two pools with the same resource."""
    gap = unread(facts.pools, facts.nodes)
    if gap is not None:
        yield skipped(gap.why)
        return
    pools = sorted(world.catalog.usable_pools(), key=lambda pool: pool.name)
    for first, second in combinations(pools, 2):
        shared = {n.name for n in _nodes_of(first, world.nodes)} & {n.name for n in _nodes_of(second, world.nodes)}
        if shared and first.resource == second.resource:
            found = f"takes {len(shared)} nodes that pool '{first.name}' takes too, among them '{min(shared)}'"
            remedy = f"kubectl edit cpool {second.name}: make spec.nodeSelector choose other nodes"
            yield fault(second.name, f"{found}: their accelerators count twice", remedy)


def pods_find_a_pool(facts: Facts, world: World) -> Iterator[Finding]:
    """The pods of each serving ask for an accelerator that some pool has, on nodes that take them."""
    gap = unread(facts.servings, facts.targets, facts.pools, facts.nodes)
    if gap is not None:
        yield skipped(gap.why)
        return
    pools = world.catalog.usable_pools()
    if not pools and world.catalog.entries:
        found = "there is none, so whether accelerators are free is not known (CapacityAvailable stays Unknown)"
        yield warning("CapacityPool", found, "kubectl apply -f manifests/examples/capacitypool.yaml, after an edit")
        return
    for entry, accepted, workload in world.scaled():
        choice = world.book.pools_for(workload.shape, accepted.pool_rule)
        if choice.pools:
            continue
        if choice.barred:
            first = choice.barred[0]
            found = f"may use none of the {len(choice.barred)} pools that take its pods, such as '{first.name}'"
            remedy = f"kubectl edit msv {entry.key.name} -n {entry.key.namespace}: spec.poolSelector and spec.burst"
            yield fault(str(entry.key), f"{found}: {first.message}", remedy)
            continue
        asked = ", ".join(name for name, _ in workload.shape.requests)
        where = f"{accepted.target.kind} '{accepted.target.name}'"
        edit = f"kubectl edit {accepted.target.kind.lower()} {accepted.target.name} -n {accepted.target.namespace}"
        if not asked:
            found = f"the pods of {where} ask for no accelerator"
            yield warning(str(entry.key), found, f"{edit}: set resources.limits of the container")
        elif not any(workload.shape.request(pool.resource) for pool in pools):
            there = ", ".join(sorted({pool.resource for pool in pools}))
            found = f"the pods of {where} ask for {asked}, and the pools have {there}"
            yield fault(str(entry.key), found, f"{edit}, or write a CapacityPool for that resource")
        else:
            found = f"no node of a pool with {asked} takes the pods of {where}: its selector, affinity or taints"
            yield fault(str(entry.key), found, f"{edit}: see nodeSelector, affinity and tolerations")


def _nodes_of(pool: Pool, nodes: tuple[Node, ...]) -> list[Node]:
    return [node for node in nodes if set(pool.node_selector) <= set(node.labels)]
