"""`baseload simulate`: what the operator would do for a ModelServing, decision by decision. No cluster."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Final

import click
from rich.table import Table

from baseload.cli._objects import Simulated, read_simulated
from baseload.cli._pools import pools_of
from baseload.cli._reading import FILE, POSITIVE, console
from baseload.cli._replay_table import table_of
from baseload.cli._replaying import errors_console, read_with_progress, replayed, write_json, write_pictures
from baseload.plan.decision import Decision
from baseload.sim.case import Case, SimPool
from baseload.sim.policies.baseload import Baseload
from baseload.sim.traces.as_case import case_of, interpolated
from baseload.sim.traces.generator import Shape, generate
from baseload.sim.traces.trace import Trace

_SEED: Final = 1
_DAYS_BEFORE: Final = 7
_PEAK_SHARE: Final = 0.75
_MOST_SHOWN: Final = 40


@dataclass(frozen=True, slots=True)
class _Change:
    """A change of the number of replicas, and why."""

    time_seconds: float
    before: int
    after: int
    reason: str
    message: str


@click.command()
@click.option("-f", "files", type=FILE, multiple=True, required=True, help="YAML with the ModelServing and its pools.")
@click.option("--trace", type=FILE, help="Recorded demand, see docs/how-to/traces.md. [default: a synthetic day]")
@click.option("--lead-minutes", type=POSITIVE, default=10.0, show_default=True, help="Of pools that do not say theirs.")
@click.option("--step-minutes", type=POSITIVE, default=10.0, show_default=True, help="How often is decided.")
@click.option(
    "--replica-share", type=POSITIVE, help="Of mean demand that one serves. [default: peak at 3/4 of the most]"
)
@click.option("--penalty", type=POSITIVE, default=20.0, show_default=True, help="Of a missing replica, in its prices.")
@click.option("--json", "json_path", type=click.Path(path_type=Path, dir_okay=False), help="File for the results.")
@click.option("--report", type=click.Path(path_type=Path, file_okay=False), help="Folder for simulate.png and .html.")
def simulate(
    *,
    files: tuple[Path, ...],
    trace: Path | None,
    lead_minutes: float,
    step_minutes: float,
    replica_share: float | None,
    penalty: float,
    json_path: Path | None,
    report: Path | None,
) -> None:
    """Say what the operator would do for a ModelServing over a day of demand, or over a trace.

    -f may be repeated: the ModelServing, its CapacityPools, and its Deployment for the accelerators of a replica. The
    decisions are those of the operator's own plan(), with the bounds and the pace of the ModelServing, and with price
    and lead of the first pool; a replica serves the same at any load. The synthetic day has a week of history before
    it.
    """
    given = read_simulated(files)
    errors = errors_console()
    recorded = None if trace is None else read_with_progress(trace, 60 * step_minutes, errors)
    pools, money = pools_of(given.pools, 60 * lead_minutes, given.accelerators)
    case = _case(given, recorded, step_seconds=60 * step_minutes, share=replica_share, pools=pools[:1])
    changes: list[_Change] = []
    policy = Baseload(spec=given.spec, seen=lambda now, decisions: _note(changes, now, decisions[0]))
    replay = replayed(replace(case, penalty=penalty), [policy], errors)
    screen = console()
    screen.print(table_of(replay, money, accelerators=given.accelerators))
    screen.print(_changes_table(changes))
    if json_path is not None:
        results = [score.record() for score in replay.scores]
        write_json(json_path, {"results": results, "changes": [asdict(change) for change in changes]})
    if report is not None:
        picture, page = write_pictures(report, "simulate", replay, money)
        screen.print(f"picture {picture}, interactive {page}")


def _note(changes: list[_Change], now_seconds: float, decision: Decision) -> None:
    if decision.final != decision.current:
        change = _Change(now_seconds, decision.current, decision.final, decision.reason.value, decision.message)
        changes.append(change)


def _case(
    given: Simulated, recorded: Trace | None, *, step_seconds: float, share: float | None, pools: Sequence[SimPool]
) -> Case:
    """The replay of a trace, or of the last of eight made days with the others as its history."""
    shape = Shape(days=_DAYS_BEFORE + 1, step_seconds=step_seconds)
    trace = generate(shape, _SEED) if recorded is None else recorded
    work = interpolated(trace.work)
    peak = float(work.max() / work.mean())
    case = case_of(trace, share or peak / (_PEAK_SHARE * given.spec.max_replicas), pools=pools)
    case = replace(case, name=f"{given.name} on {trace.name}")
    if recorded is not None:
        return case
    first = _DAYS_BEFORE * case.steps_per_day
    return replace(case, demand=case.demand[:, first:], world=case.world[:, first:], history=case.demand[:, :first])


def _changes_table(changes: Sequence[_Change]) -> Table:
    title = f"{len(changes)} changes" + (f", the first {_MOST_SHOWN}" if len(changes) > _MOST_SHOWN else "")
    table = Table(title=title, title_justify="left", box=None)
    table.add_column("at", justify="right", no_wrap=True)
    table.add_column("replicas", justify="right", no_wrap=True)
    table.add_column("why", style="dim")
    for change in changes[:_MOST_SHOWN]:
        hours, minutes = divmod(round(change.time_seconds / 60), 60)
        why = f"{change.reason}: {change.message}"
        table.add_row(f"{hours}:{minutes:02d} h", f"{change.before} -> {change.after}", why)
    return table
