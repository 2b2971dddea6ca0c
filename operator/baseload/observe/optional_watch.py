"""A watch of a kind that may be missing or forbidden now and be there later, or the other way round."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from baseload.api.reasons import Reason
from baseload.errors import ApiError, ForbiddenError, NotFoundError
from baseload.observe.connection import KubeConnection
from baseload.observe.watch import Change, Key, Raw, Watch
from baseload.plan.snapshot import Refusal

logger = logging.getLogger(__name__)

RETRY_SECONDS = 5.0
"""How soon a kind that was installed or granted is taken up."""

PATIENCE_SECONDS = 10.0
"""How long others wait for the first answer: a kind that nobody can tell anything of must not hold them up."""

GONE = (403, 404)
"""A collection that answers so is not ours to watch any more; whether it will be again, discovery says."""

Lean = TypeVar("Lean")


@dataclass(frozen=True, slots=True)
class Collection(Generic[Lean]):
    """What to watch, and how to read one object of it."""

    path: str
    read: Callable[[Raw], Lean]


Find = Callable[[], Awaitable[Collection[Lean] | Refusal]]
"""Says where the kind is now or why it is not; raises ApiError when nobody could say."""


class OptionalWatch(Generic[Lean]):
    """Finds a kind, watches it while it is there, and looks for it again each few seconds while it is not.

    What was seen of it is gone when the kind is: `changed` is told so of every object.
    """

    def __init__(
        self,
        connection: KubeConnection,
        name: str,
        find: Find[Lean],
        changed: Change[Lean],
        *,
        clock: Callable[[], float],
        retry_seconds: float = RETRY_SECONDS,
    ) -> None:
        self.watch: Watch[Lean] | None = None
        self._refusal: Refusal | None = None
        self._began: float | None = None
        self._connection = connection
        self._name = name
        self._find = find
        self._changed = changed
        self._clock = clock
        self._retry_seconds = retry_seconds

    async def run(self) -> None:
        """Watch until cancelled; then nothing of it is seen any more."""
        self._began = self._clock()
        try:
            while True:
                if not await self._once():
                    await asyncio.sleep(self._retry_seconds)
        finally:
            self._forget()

    @property
    def refusal(self) -> Refusal | None:
        """Why it is not watched, None when it is or when nothing is known yet."""
        return None if self.synced else self._refusal

    @property
    def settled(self) -> bool:
        """Whether all is known of it, or that there is nothing to know, or nobody should wait any longer."""
        waited = self._began is not None and self._clock() - self._began > PATIENCE_SECONDS
        return self.synced or self._refusal is not None or waited

    @property
    def synced(self) -> bool:
        """Whether all its objects are known."""
        return self.watch is not None and self.watch.synced.is_set()

    def get(self, key: Key) -> Lean | None:
        """An object as last seen."""
        return None if self.watch is None else self.watch.objects.get(key)

    async def _once(self) -> bool:
        """Find it and watch it; True when it was watched and must be looked for at once."""
        try:
            found = await self._find()
        except ApiError as error:
            logger.warning("kind not found out about", extra={"kind": self._name, "error": str(error)})
            return False
        if isinstance(found, Refusal):
            self._refuse(found)
            return False
        watch = Watch(self._connection, found.path, found.read, self._changed, clock=self._clock, ends_on=GONE)
        if self.watch is not None:
            # What was seen before the interruption and is not there after it must be told of as gone.
            watch.objects.update(self.watch.objects)
        self.watch = watch
        try:
            await watch.run()
        except ForbiddenError as error:
            self._refuse(Refusal(Reason.TARGET_FORBIDDEN, f"the operator may not watch {self._name}: {error}"))
        except NotFoundError:
            logger.warning("kind is gone", extra={"kind": self._name})
        return watch.synced.is_set()

    def _refuse(self, refusal: Refusal) -> None:
        if self._refusal != refusal:
            logger.info("kind not watched", extra={"kind": self._name, "detail": refusal.message})
        self._refusal = refusal
        self._forget()

    def _forget(self) -> None:
        seen, self.watch = self.watch, None
        for key, old in list(seen.objects.items()) if seen is not None else ():
            self._changed(key, old, None)
