"""Which of several operators leads: a Lease that is taken, renewed in time, and given up at the end.

The deadline counts from before the request that renewed the lease, and a candidate counts from after it saw the
renewal, each on its own clock. So the old leader's deadline passes `lease - renew` seconds before the new one begins,
however the clocks are set. Whatever fails is a renewal that did not happen.

A leader whose deadline passes writes nothing, but it has lost nothing yet: if its next renewal replaces the very
version that it wrote last, nobody led in between, and it goes on. An outage of the API server ends no process. It has
lost when it finds that somebody else wrote the Lease.
"""

import asyncio
import logging
import math
import random
import secrets
import socket
from collections.abc import Callable
from dataclasses import dataclass

from baseload.act.fence import Fence, boot_seconds
from baseload.act.lease import Lease, LeaseStore
from baseload.errors import ApiError, ConfigError, ConflictError, NotFoundError

logger = logging.getLogger(__name__)

JITTER = 1.2
"""Candidates wait up to this many retry times, so that they do not ask in step."""

READY_POLL_SECONDS = 0.1
RELEASE_SECONDS = 3.0
WARN_SPACING_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class LeaseTimes:
    """`lease`: how long others wait after a renewal; `renew`: how long we lead after one; `retry`: between requests."""

    lease_seconds: float = 15.0
    renew_seconds: float = 10.0
    retry_seconds: float = 2.0

    def __post_init__(self) -> None:
        """Refuse times that let two processes lead at once, or leave no second attempt."""
        if not self.lease_seconds > self.renew_seconds >= 2 * self.retry_seconds > 0:
            given = f"{self.lease_seconds:g}, {self.renew_seconds:g} and {self.retry_seconds:g}"
            raise ConfigError(
                f"--lease-seconds, --lease-renew-seconds and --lease-retry-seconds are {given}; "
                "the first must be more than the second, and that at least twice the third"
            )

    @property
    def call_seconds(self) -> float:
        """The longest a single request may take, so that a slow one leaves time for another."""
        return self.renew_seconds / 2


def new_identity() -> str:
    """The name of this process in the Lease: in a pod the host name is the pod's."""
    return f"{socket.gethostname()}_{secrets.token_hex(4)}"


class Elector:
    """Waits for the lease and keeps it; `leading` is set once it is held, the fence says whether it surely still is.

    A free lease is not taken before `ready()`: another may be. `lost(why)` is called when somebody else has it. In
    the operator that ends the process: a leader that became a follower would have to forget everything, and a new
    process has forgotten it.
    """

    def __init__(
        self,
        store: LeaseStore,
        fence: Fence,
        times: LeaseTimes,
        *,
        lost: Callable[[str], None],
        ready: Callable[[], bool] = lambda: True,
        identity: str | None = None,
        clock: Callable[[], float] = boot_seconds,
    ) -> None:
        self.leading = asyncio.Event()
        self.identity = identity or new_identity()
        self._store = store
        self._fence = fence
        self._times = times
        self._lost = lost
        self._ready = ready
        self._clock = clock
        self._lease: Lease | None = None
        self._seen: tuple[object, ...] = ()
        self._free_from = -math.inf
        self._standing_by_for = ""
        self._silent = False
        self._warned = -math.inf

    async def run(self) -> None:
        """Take the lease when it is free and renew it until cancelled; returns only after `lost` was called."""
        while not await self._acquired():  # noqa: ASYNC110 - the Lease is changed by other processes
            await asyncio.sleep(self._pause())
        logger.info("leading", extra={"lease": str(self._store), "identity": self.identity})
        self.leading.set()
        while self.leading.is_set():
            await asyncio.sleep(self._times.retry_seconds)
            await self._renew()

    async def release(self) -> None:
        """Write no more and give the lease up, so that another need not wait for its end; never raises."""
        held = self.leading.is_set()
        self.leading.clear()
        self._fence.shut()
        if not held:
            return
        try:
            # Read again: a renewal that was cut off may have arrived.
            lease = await self._store.read(RELEASE_SECONDS)
            if lease is not None and lease.holder == self.identity:
                await self._store.give_up(lease, RELEASE_SECONDS)
                logger.info("lease released", extra={"lease": str(self._store)})
        except ApiError as error:
            logger.warning("lease not released", extra={"lease": str(self._store), "error": str(error)})

    async def _acquired(self) -> bool:
        """One look at the lease; True when it is ours now."""
        try:
            lease = await self._store.read(self._times.call_seconds)
            self._look(lease)
            if self._clock() < self._free_from:
                return False
            while not self._ready():  # noqa: ASYNC110 - many watches make it true
                await asyncio.sleep(READY_POLL_SECONDS)
            await self._take(lease)
        except ConflictError:
            return False
        except ApiError as error:
            self._warn("lease not read or taken", error)
            return False
        return True

    def _look(self, lease: Lease | None) -> None:
        """Note when another's lease ends: its whole time after we saw it change, for its clock says nothing here.

        A Lease that was deleted ends no sooner: its holder writes on until his deadline.
        """
        if lease is None or lease.record == self._seen:
            return
        self._seen = lease.record
        if lease.holder in ("", self.identity):
            self._free_from = -math.inf
            return
        own = self._times.lease_seconds
        # Ours is exact, theirs in whole seconds; they differ only when the settings do.
        self._free_from = self._clock() + (own if math.ceil(own) == lease.seconds else max(own, lease.seconds))
        if lease.holder != self._standing_by_for:
            self._standing_by_for = lease.holder
            logger.info("standing by", extra={"lease": str(self._store), "leader": lease.holder})

    def _pause(self) -> float:
        retry = self._times.retry_seconds * random.uniform(1.0, JITTER)  # noqa: S311 - spreads load, hides nothing
        until_free = self._free_from - self._clock()
        return min(retry, until_free) if until_free > 0.0 else retry

    async def _renew(self) -> None:
        """One attempt to renew; what fails is tried again."""
        try:
            await self._take(self._lease)
        except ConflictError:
            await self._read_again()
        except NotFoundError:
            self._make_anew()
        except ApiError as error:
            self._warn("lease not renewed", error)
        if self.leading.is_set() and not self._fence.is_open and not self._silent:
            self._silent = True
            logger.warning("nothing is written until the lease is renewed", extra={"lease": str(self._store)})

    async def _read_again(self) -> None:
        """Somebody wrote the Lease: perhaps we, in a request that seemed to fail."""
        try:
            lease = await self._store.read(self._times.call_seconds)
        except ApiError as error:
            self._warn("lease not renewed", error)
            return
        if lease is None:
            self._make_anew()
        elif lease.holder != self.identity:
            self._step_down(f"the lease is held by '{lease.holder}' now" if lease.holder else "the lease was released")
        else:
            self._lease = lease

    def _make_anew(self) -> None:
        """The Lease was deleted: before our deadline nobody can have led since, after it nobody can say."""
        if self._fence.is_open:
            self._lease = None
        else:
            self._step_down("the lease was deleted while it could not be renewed")

    async def _take(self, before: Lease | None) -> None:
        began = self._clock()
        times = self._times
        self._lease = await self._store.take(before, self.identity, times.lease_seconds, times.call_seconds)
        self._fence.open_until(began + times.renew_seconds)
        if self._silent and self._fence.is_open:
            self._silent = False
            logger.info("lease renewed again", extra={"lease": str(self._store)})

    def _step_down(self, why: str) -> None:
        self.leading.clear()
        self._fence.shut()
        self._lost(why)

    def _warn(self, what: str, error: ApiError) -> None:
        if self._clock() - self._warned >= WARN_SPACING_SECONDS:
            self._warned = self._clock()
            logger.warning(what, extra={"lease": str(self._store), "status": error.status, "error": str(error)})
