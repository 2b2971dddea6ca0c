"""The gathered objects as the operator would understand them, by the operator's own code."""

from collections.abc import Mapping
from dataclasses import dataclass

from baseload.doctor.access import Raw, Unread
from baseload.doctor.facts import Facts, Objects
from baseload.observe.accelerators import AcceleratorBook
from baseload.observe.catalog import Catalog, Entry
from baseload.observe.objects import Node, Workload, WorkloadKey, node, pool_object, serving_object
from baseload.observe.pods import PodCensus
from baseload.observe.target_kinds import KindRef
from baseload.observe.translate import Accepted


@dataclass(frozen=True, slots=True)
class World:
    """Servings with who claims which workload, the workloads they name, and the pools with their nodes.

    `listed` are the kinds whose workloads are all known, so that one that is not there does not exist.
    """

    catalog: Catalog
    raw_servings: Mapping[str, Raw]
    raw_workloads: Mapping[WorkloadKey, Raw]
    workloads: Mapping[WorkloadKey, Workload]
    listed: frozenset[KindRef]
    nodes: tuple[Node, ...]
    book: AcceleratorBook

    def usable(self) -> list[tuple[Entry, Accepted]]:
        """The servings whose spec can be used, by name."""
        rows = [(e, e.accepted) for e in self.catalog.entries.values() if isinstance(e.accepted, Accepted)]
        return sorted(rows, key=lambda row: str(row[0].key))

    def scaled(self) -> list[tuple[Entry, Accepted, Workload]]:
        """Those of them whose workload is there."""
        found = [(entry, accepted, self.workloads.get(accepted.target)) for entry, accepted in self.usable()]
        return [(entry, accepted, workload) for entry, accepted, workload in found if workload is not None]


def world_of(facts: Facts) -> World:
    """Understand what was read; what could not be read is left out, and the checks that need it say so."""
    catalog = catalog_of(facts.servings)
    for raw in read(facts.pools):
        catalog.put_pool(pool_object(raw))
    raws: dict[WorkloadKey, Raw] = {}
    workloads: dict[WorkloadKey, Workload] = {}
    listed: set[KindRef] = set()
    for ref, found in ({} if isinstance(facts.targets, Unread) else facts.targets).items():
        if isinstance(found, tuple) and not isinstance(found[1], Unread):
            listed.add(ref)
            for raw in found[1]:
                workload = found[0].read(raw)
                workloads[workload.key], raws[workload.key] = workload, raw
    nodes = tuple(node(raw) for raw in read(facts.nodes))
    return World(
        catalog=catalog,
        raw_servings={f"{s['metadata']['namespace']}/{s['metadata']['name']}": s for s in read(facts.servings)},
        raw_workloads=raws,
        workloads=workloads,
        listed=frozenset(listed),
        nodes=nodes,
        book=AcceleratorBook(catalog.usable_pools(), nodes, PodCensus(time=facts.now), facts.now),
    )


def catalog_of(servings: Objects) -> Catalog:
    """The servings as the operator would take them."""
    catalog = Catalog(lambda _: None)
    for raw in read(servings):
        catalog.put_serving(serving_object(raw))
    return catalog


def unread(*objects: object) -> Unread | None:
    """The first of some facts that could not be read."""
    return next((found for found in objects if isinstance(found, Unread)), None)


def read(objects: Objects) -> tuple[Raw, ...]:
    """What was read, nothing where it could not be."""
    return () if isinstance(objects, Unread) else objects
