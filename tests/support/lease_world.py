"""A Lease in memory behind a network that fails on demand, and an event loop whose time is virtual."""

import asyncio
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import dataclass
from itertools import chain, repeat
from typing import Any

from baseload.act.fence import Fence
from baseload.act.lease import Lease
from baseload.control.elector import Elector, LeaseTimes
from baseload.errors import ConflictError, NotFoundError, UnavailableError


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop that jumps to the next timer instead of waiting for it."""

    def __init__(self) -> None:
        super().__init__()
        self._now = 0.0

    def time(self) -> float:
        """Virtual seconds."""
        return self._now

    def _run_once(self) -> None:
        loop: Any = self
        if not loop._ready and loop._scheduled:
            self._now = max(self._now, loop._scheduled[0]._when)
        super()._run_once()  # type: ignore[misc]


def run_virtually(main: Coroutine[Any, Any, None]) -> None:
    """Run a coroutine in virtual time."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        runner.run(main)


@dataclass(frozen=True, slots=True)
class Trouble:
    """What happens to one request: seconds until the server has it, seconds until the answer is back, and how it ends.

    `lost_before` never reaches the server; `lost_after` is carried out and its answer is lost.
    """

    there_seconds: float = 0.0
    back_seconds: float = 0.0
    lost_before: bool = False
    lost_after: bool = False


class Server:
    """Keeps one Lease and counts its versions."""

    def __init__(self) -> None:
        self.lease: Lease | None = None
        self.version = 0

    def write(self, before: Lease | None, spec: tuple[str, int, int]) -> Lease:
        """Create or replace, as the API server would."""
        if before is None and self.lease is not None:
            raise ConflictError("exists", status=409)
        if before is not None:
            if self.lease is None:
                raise NotFoundError("gone", status=404)
            if self.lease.raw != before.raw:
                raise ConflictError("stale", status=409)
        self.version += 1
        holder, seconds, transitions = spec
        self.lease = Lease(holder, seconds, f"t{self.version}", transitions, {"version": self.version})
        return self.lease


class FlakyStore:
    """A LeaseStore of one candidate over its own network."""

    def __init__(self, server: Server, troubles: Iterable[Trouble] = ()) -> None:
        self.server = server
        self.troubles = chain(troubles, repeat(Trouble()))
        self.calls: list[str] = []

    async def _request(self, name: str, seconds: float, work: Callable[[], Any]) -> Any:
        self.calls.append(name)
        trouble = next(self.troubles)
        task = asyncio.ensure_future(self._travel(trouble, work))
        # As with a real request, giving up waiting does not call back what is on its way.
        done, _ = await asyncio.wait({task}, timeout=seconds)
        if not done:
            raise UnavailableError("timeout")
        return task.result()

    async def _travel(self, trouble: Trouble, work: Callable[[], Any]) -> Any:
        await asyncio.sleep(trouble.there_seconds)
        if trouble.lost_before:
            raise UnavailableError("connection lost")
        answer = work()
        await asyncio.sleep(trouble.back_seconds)
        if trouble.lost_after:
            raise UnavailableError("answer lost")
        return answer

    async def read(self, seconds: float) -> Lease | None:
        """The Lease now."""
        lease: Lease | None = await self._request("read", seconds, lambda: self.server.lease)
        return lease

    async def take(self, before: Lease | None, holder: str, lease_seconds: float, seconds: float) -> Lease:
        """Become or stay the holder."""
        transitions = 0 if before is None else before.transitions + (before.holder != holder)
        spec = (holder, int(lease_seconds), transitions)
        lease: Lease = await self._request("take", seconds, lambda: self.server.write(before, spec))
        return lease

    async def give_up(self, held: Lease, seconds: float) -> None:
        """Leave it without a holder."""
        await self._request("give up", seconds, lambda: self.server.write(held, ("", 1, held.transitions)))


class Candidate:
    """An elector with its fence, its own clock offset and network; `ended` says why it lost."""

    def __init__(self, name: str, server: Server, troubles: Iterable[Trouble] = (), offset: float = 0.0) -> None:
        self.ended: list[str] = []
        loop = asyncio.get_running_loop()

        def clock() -> float:
            return loop.time() + offset

        self.fence = Fence(clock)
        self.store = FlakyStore(server, troubles)
        store: Any = self.store
        self.elector = Elector(store, self.fence, LeaseTimes(), lost=self.ended.append, identity=name, clock=clock)
        self.task = asyncio.ensure_future(self.elector.run())

    @property
    def may_write(self) -> bool:
        """Whether a write sent now would pass."""
        return self.fence.is_open

    def end(self) -> None:
        """As a killed process: it does nothing more."""
        self.task.cancel()
