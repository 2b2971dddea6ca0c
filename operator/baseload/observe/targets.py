"""The workloads of every kind that some serving names: each kind is found, watched and dropped by itself."""

import asyncio
import time
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from baseload.observe.connection import KubeConnection
from baseload.observe.discovery import discover
from baseload.observe.objects import Workload, WorkloadKey
from baseload.observe.optional_watch import Collection, OptionalWatch
from baseload.observe.target_kinds import ALWAYS_THERE, KindRef
from baseload.observe.watch import Change, Watch
from baseload.plan.snapshot import Refusal


class Targets:
    """Watches of the kinds that servings name; `changed` is told of every workload that changes."""

    def __init__(
        self, connection: KubeConnection, changed: Change[Workload], *, clock: Callable[[], float] = time.time
    ) -> None:
        self._connection = connection
        self._changed = changed
        self._clock = clock
        self._kinds: dict[KindRef, OptionalWatch[Workload]] = {}
        self._tasks: dict[KindRef, tuple[OptionalWatch[Workload], asyncio.Task[None]]] = {}
        self._named = asyncio.Event()

    def name(self, ref: KindRef, *, named: bool) -> None:
        """Some serving names a kind, or none does any more."""
        if named and ref not in self._kinds:
            find = partial(_find, self._connection, ref)
            self._kinds[ref] = OptionalWatch(self._connection, str(ref), find, self._changed, clock=self._clock)
        elif not named:
            self._kinds.pop(ref, None)
        self._named.set()

    async def run(self) -> None:
        """Watch what is named until cancelled."""
        async with asyncio.TaskGroup() as group:
            while True:
                await self._named.wait()
                self._named.clear()
                for ref, (kind, task) in list(self._tasks.items()):
                    # Dropped; or dropped and named again, as by a serving that was replaced: that is another watch.
                    if self._kinds.get(ref) is not kind:
                        del self._tasks[ref]
                        task.cancel()
                for ref, kind in self._kinds.items():
                    if ref not in self._tasks:
                        self._tasks[ref] = (kind, group.create_task(kind.run()))

    def is_known(self, ref: KindRef) -> bool:
        """Whether the workloads of a kind were listed, so that one not found does not exist; or why never is known."""
        kind = self._kinds.get(ref)
        return kind is not None and (kind.synced or kind.refusal is not None)

    def refusal(self, ref: KindRef) -> Refusal | None:
        """Why workloads of a kind cannot be scaled, None when they can."""
        kind = self._kinds.get(ref)
        return None if kind is None else kind.refusal

    def seen_time(self, ref: KindRef) -> float:
        """Unix time since when the watch of a kind has not been silent."""
        kind = self._kinds.get(ref)
        return 0.0 if kind is None or kind.watch is None else kind.watch.last_contact

    def workload(self, key: WorkloadKey) -> Workload | None:
        """A workload as last seen, by whichever version of its group."""
        for ref, kind in self._kinds.items():
            if (ref.kind, ref.group) == (key.kind, key.group):
                found = kind.get((key.namespace, key.name))
                if found is not None:
                    return found
        return None

    def watches(self, *, everywhere: bool = False) -> Iterable[Watch[Any]]:
        """The watches there are; `everywhere` only those of kinds that every cluster has.

        A kind of an extension that cannot be listed holds back its own servings and nobody else's.
        """
        for ref, kind in self._kinds.items():
            if kind.watch is not None and (not everywhere or ref in ALWAYS_THERE):
                yield kind.watch

    @property
    def pending(self) -> bool:
        """Whether a kind that every cluster has was named and is not being watched yet."""
        return any(ref in ALWAYS_THERE and k.watch is None and k.refusal is None for ref, k in self._kinds.items())


async def _find(connection: KubeConnection, ref: KindRef) -> Collection[Workload] | Refusal:
    found = await discover(connection, ref)
    return found if isinstance(found, Refusal) else Collection(found.collection, found.read)
