"""What waits to be written: the newest entry of each serving, in order; those that keep failing share few workers.

So a serving whose writes hang or are refused each time holds up nobody: at most SLOW_LANES workers wait for such ones.
"""

import asyncio
from typing import Generic, TypeVar

from baseload.plan.snapshot import ServingKey

SLOW_LANES = 2

Order = TypeVar("Order")


class WriteQueue(Generic[Order]):
    """Orders by serving; who picked one reports with `done`, and until then the serving is under way."""

    def __init__(self) -> None:
        self.caught_up = asyncio.Event()
        """Set while no order waits, those of failing servings left out."""
        self._waiting: dict[ServingKey, Order] = {}
        self._slow: dict[ServingKey, Order] = {}
        self._failing: set[ServingKey] = set()
        self._under_way: set[ServingKey] = set()
        self._arrived = asyncio.Event()
        self.caught_up.set()

    def put(self, key: ServingKey, order: Order) -> None:
        """Let an order wait, in the place of an older one; ignored while the serving is under way."""
        if key in self._under_way:
            return
        (self._slow if key in self._failing else self._waiting)[key] = order
        self._notice()

    def drop(self, key: ServingKey) -> None:
        """Forget what waits for a serving."""
        self._waiting.pop(key, None)
        self._slow.pop(key, None)
        self._notice()

    def forget(self, key: ServingKey) -> None:
        """Forget all about a serving that is gone."""
        self.drop(key)
        self._failing.discard(key)

    def drop_all(self) -> None:
        """Forget everything that waits."""
        self._waiting.clear()
        self._slow.clear()
        self._notice()

    def is_under_way(self, key: ServingKey) -> bool:
        """Whether an order of the serving was picked and is not done."""
        return key in self._under_way

    @property
    def nothing_under_way(self) -> bool:
        """Whether every picked order is done."""
        return not self._under_way

    async def wait(self) -> None:
        """Wait until there is something to pick."""
        while not self._pickable():
            self._arrived.clear()
            await self._arrived.wait()

    def pick(self) -> tuple[ServingKey, Order] | None:
        """Take the oldest order; one of a failing serving when a slow lane is free."""
        table = self._pickable()
        if not table:
            return None
        key = next(iter(table))
        self._under_way.add(key)
        order = table.pop(key)
        self._notice()
        return key, order

    def done(self, key: ServingKey, *, failed: bool) -> None:
        """An order picked before has ended, well or not."""
        self._under_way.discard(key)
        (self._failing.add if failed else self._failing.discard)(key)
        self._notice()

    def _pickable(self) -> dict[ServingKey, Order]:
        """The table to pick from next, empty when none may be picked from."""
        slow = len(self._under_way & self._failing)
        if self._slow and slow < SLOW_LANES:
            return self._slow
        return self._waiting

    def _notice(self) -> None:
        (self.caught_up.clear if self._waiting else self.caught_up.set)()
        if self._pickable():
            self._arrived.set()
