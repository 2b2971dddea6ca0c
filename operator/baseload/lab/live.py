"""The live view of a run: a small board on a terminal, one plain line now and then elsewhere."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import ceil
from types import TracebackType
from typing import Final, Self

from rich.console import Console, Group
from rich.live import Live
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from baseload.lab.demo_record import Objective

_BLOCKS: Final = " ▁▂▃▄▅▆▇█"
_PLAIN_SECONDS: Final = 10.0
_REFRESH_PER_SECOND: Final = 2


@dataclass(frozen=True, slots=True)
class Moment:
    """What is shown of one moment; None is "nothing measured".

    `load` is the demand in replicas' worth; `p95_milliseconds` and `attainment` are over the last ten seconds. The two
    histories hold one number a second since the start: demand in replicas' worth and ready replicas.
    """

    seconds: float
    total_seconds: int
    load: float
    offered_rps: float | None
    p95_milliseconds: float | None
    attainment: float | None
    failed: int
    wanted: int
    ready: int
    free_accelerators: int
    accelerators: int
    decision: str
    demand_history: Sequence[float] = ()
    ready_history: Sequence[float] = ()


class LiveView:
    """Shows moments on a console; a context manager that gives the terminal back."""

    def __init__(self, console: Console, objective: Objective, title: str) -> None:
        self._console, self._objective, self._title = console, objective, title
        self._live = Live(console=console, refresh_per_second=_REFRESH_PER_SECOND) if console.is_terminal else None
        self._next_line_seconds = 0.0
        self._last_decision = ""

    def __enter__(self) -> Self:
        if self._live is not None:
            self._live.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.__exit__(kind, error, trace)

    def show(self, moment: Moment) -> None:
        """Show a moment; without a terminal a line each ten seconds and for each new decision."""
        if self._live is not None:
            self._live.update(self._board(moment))
            return
        if moment.decision != self._last_decision:
            self._last_decision = moment.decision
            self._console.print(f"{moment.seconds:4.0f} s  {moment.decision}", highlight=False, soft_wrap=True)
        if moment.seconds >= self._next_line_seconds:
            self._next_line_seconds = moment.seconds + _PLAIN_SECONDS
            self._console.print(line_of(moment), highlight=False, soft_wrap=True)

    def _board(self, moment: Moment) -> Panel:
        width = max(min(self._console.width - 64, 100), 10)
        highest = max([1.0, *moment.demand_history, *moment.ready_history])
        table = Table.grid(padding=(0, 2))
        table.add_column(style="bold", min_width=12)
        table.add_column(min_width=14)
        table.add_column()
        objective_ms = 1000 * self._objective.time_to_first_token_seconds
        p95 = _graded(moment.p95_milliseconds, "{:.0f} ms", lambda value: value <= objective_ms)
        share = _graded(moment.attainment, "{:.1%}", lambda value: value >= self._objective.attainment)
        rate = "" if moment.offered_rps is None else f" ({moment.offered_rps:.1f} req/s)"
        demand = Text(spark(moment.demand_history, width, highest), style="blue")
        table.add_row("demand", f"{moment.load:.1f} replicas", Text(f"{rate.strip():<16} ").append_text(demand))
        ready = Text(spark(moment.ready_history, width, highest), style="green")
        counts = f"{moment.wanted} wanted, {moment.ready} ready"
        table.add_row("replicas", counts, Text(" " * 17).append_text(ready))
        table.add_row("first token", p95, Text(f"p95 of the last 10 s; objective {objective_ms:.0f} ms", style="dim"))
        table.add_row("attainment", share, Text(f"last 10 s; objective {self._objective.attainment:.0%}", style="dim"))
        table.add_row(
            "accelerators", f"{moment.free_accelerators} free", Text(f"of {moment.accelerators}", style="dim")
        )
        if moment.failed:
            table.add_row("failed", Text(f"{moment.failed} requests", style="red"), "")
        bar = ProgressBar(total=moment.total_seconds, completed=moment.seconds, width=max(self._console.width - 4, 20))
        decision = Text(moment.decision, style="italic")
        title = f"{self._title}   {moment.seconds:.0f} of {moment.total_seconds} s"
        return Panel(Group(table, decision, bar), title=title, title_align="left")


def line_of(moment: Moment) -> str:
    """Return a moment as one line of text."""
    p95 = "-" if moment.p95_milliseconds is None else f"{moment.p95_milliseconds:.0f} ms"
    share = "-" if moment.attainment is None else f"{moment.attainment:.1%}"
    failed = f", {moment.failed} failed" if moment.failed else ""
    return (
        f"{moment.seconds:4.0f} s  demand {moment.load:.1f} replicas, wanted {moment.wanted}, ready {moment.ready}, "
        f"first token p95 {p95}, attainment {share}, {moment.free_accelerators} of {moment.accelerators} accelerators "
        f"free{failed}"
    )


def spark(values: Sequence[float], width: int, highest: float) -> str:
    """Return values as a row of block characters, the last `width` groups of equal length, `highest` being full."""
    if not values:
        return ""
    group = ceil(len(values) / width)
    groups = [values[start : start + group] for start in range(0, len(values), group)]
    return "".join(_BLOCKS[min(ceil(8 * max(part) / highest), 8)] for part in groups)


def _graded(value: float | None, form: str, good: Callable[[float], bool]) -> Text:
    if value is None:
        return Text("-")
    return Text(form.format(value), style="green" if good(value) else "red")
