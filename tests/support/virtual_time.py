"""An event loop whose time jumps to the next timer, and clocks of the operator's code that follow it.

Hours of waiting pass in milliseconds and the same run twice is the same run: nothing in it may use a socket or a
thread (what is handed to an executor is run on the spot).
"""

import asyncio
import inspect
import selectors
import sys
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from types import FunctionType, ModuleType
from typing import Any, TypeVar

T = TypeVar("T")
START_UNIX_SECONDS = 1_790_000_000.0
TURN_SECONDS = 1e-6
UNTOUCHED = ("baseload.lab", "baseload.cli")


class StuckError(RuntimeError):
    """Every task waits for something that no timer will bring about."""


class _JumpingSelector(selectors.DefaultSelector):  # type: ignore[misc, valid-type]
    """Instead of waiting, moves the loop's clock on."""

    def __init__(self, loop: "VirtualLoop") -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> list[Any]:
        if timeout is None:
            raise StuckError("no timer is set and nothing is ready")
        # Each turn takes a moment, or two clocks that differ by a rounding error would wait for each other for ever.
        self._loop.now += max(timeout, TURN_SECONDS)
        return list(super().select(0))


class VirtualLoop(asyncio.SelectorEventLoop):
    """Starts at zero; `now` is its time in seconds."""

    def __init__(self) -> None:
        self.now = 0.0
        super().__init__(_JumpingSelector(self))

    def time(self) -> float:
        """The virtual time."""
        return self.now

    def run_in_executor(self, executor: Any, func: Callable[..., T], *args: Any) -> "asyncio.Future[T]":  # type: ignore[override]
        """Run it here and now: a real thread would take no virtual time."""
        future: asyncio.Future[T] = self.create_future()
        try:
            future.set_result(func(*args))
        except Exception as error:
            future.set_exception(error)
        return future


class Clock:
    """Stands for the module `time` in the operator's code; `jump_seconds` is how far the wall clock was set."""

    def __init__(self, loop: VirtualLoop) -> None:
        self._loop = loop
        self.jump_seconds = 0.0

    def time(self) -> float:
        """Unix time."""
        return START_UNIX_SECONDS + self._loop.now + self.jump_seconds

    def monotonic(self) -> float:
        """Steady time, which no jump touches."""
        return self._loop.now

    def perf_counter(self) -> float:
        """The same."""
        return self._loop.now

    def clock_gettime(self, _: int) -> float:
        """Boot time, the same again."""
        return self._loop.now

    def __getattr__(self, name: str) -> Any:
        return getattr(time, name)


class Session:
    """A virtual loop that stands still between calls of `do`, with the operator's clocks following it."""

    def __init__(self) -> None:
        self.loop = VirtualLoop()
        self.clock = Clock(self.loop)
        self._clocks = operator_clocks(self.clock)
        self._clocks.__enter__()

    def do(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine to its end."""
        return self.loop.run_until_complete(work)

    def close(self) -> None:
        """End every task, and give the clocks back."""
        try:
            pending = asyncio.all_tasks(self.loop)
            for task in pending:
                task.cancel()
            self.do(_all_ended(pending))
            self.do(self.loop.shutdown_asyncgens())
        finally:
            self._clocks.__exit__(None, None, None)
            self.loop.close()


async def _all_ended(tasks: set["asyncio.Task[Any]"]) -> None:
    await asyncio.gather(*tasks, return_exceptions=True)


def run(main: Callable[[Clock], Coroutine[Any, Any, T]]) -> T:
    """Run a coroutine in virtual time."""
    session = Session()
    try:
        return session.do(main(session.clock))
    finally:
        session.close()


@contextmanager
def operator_clocks(clock: Clock) -> Iterator[None]:
    """Let every clock in the operator's modules be this one: `time.x()`, `from time import x`, and defaults."""
    by_real = {getattr(time, name): getattr(clock, name) for name in ("time", "monotonic", "perf_counter")}
    undo: list[tuple[Any, str, Any]] = []

    def put(owner: Any, name: str, value: Any) -> None:
        undo.append((owner, name, getattr(owner, name)))
        setattr(owner, name, value)

    for module in _operator_modules():
        for name, value in list(vars(module).items()):
            if value is time:
                put(module, name, clock)
            elif isinstance(value, Callable) and value in by_real:  # type: ignore[arg-type]
                put(module, name, by_real[value])
        for function in _functions_of(module):
            if any(d in by_real for d in function.__defaults__ or () if isinstance(d, Callable)):  # type: ignore[arg-type]
                put(function, "__defaults__", tuple(_swapped(d, by_real) for d in function.__defaults__ or ()))
            given = function.__kwdefaults__ or {}
            if any(d in by_real for d in given.values() if isinstance(d, Callable)):  # type: ignore[arg-type]
                put(function, "__kwdefaults__", {k: _swapped(d, by_real) for k, d in given.items()})
    try:
        yield
    finally:
        for owner, name, value in reversed(undo):
            setattr(owner, name, value)


def _swapped(value: Any, by_real: dict[Any, Any]) -> Any:
    return by_real.get(value, value) if inspect.isroutine(value) else value


def _operator_modules() -> list[ModuleType]:
    names = sorted(n for n in sys.modules if n.split(".")[0] == "baseload" and not n.startswith(UNTOUCHED))
    return [sys.modules[name] for name in names]


def _functions_of(module: ModuleType) -> Iterator[FunctionType]:
    for value in vars(module).values():
        if getattr(value, "__module__", None) != module.__name__:
            continue
        if isinstance(value, FunctionType):
            yield value
        elif isinstance(value, type):
            yield from (f for f in vars(value).values() if isinstance(f, FunctionType))
