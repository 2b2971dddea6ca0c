"""`baseload backtest`: what each way of scaling would have cost on a recorded trace. No cluster."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

import click
from rich.console import Console

from baseload.cli._pools import read_pools
from baseload.cli._reading import FILE, POSITIVE, console
from baseload.cli._replay_table import table_of
from baseload.cli._replaying import errors_console, read_with_progress, replayed, write_json, write_pictures
from baseload.errors import ConfigError
from baseload.sim.money import Money
from baseload.sim.policies.registry import POLICIES, make_policies
from baseload.sim.protocol import Protocol, under
from baseload.sim.traces.as_case import case_of
from baseload.sim.traces.generator import Launch, Shape, generate
from baseload.sim.traces.trace import Trace

_DEMO_SEED: Final = 1
_DEMO_PRICE: Final = 6.88
"""List price of an hour of an H100 on demand at a large cloud (AWS p5, October 2026)."""
_DEMO_REPORT: Final = Path("build/backtest")
_DAY_SECONDS: Final = 86_400.0
_DEMO_WEEK: Final = Shape(launches=(Launch(3.4 * _DAY_SECONDS, factor=1.5),))


@click.command()
@click.option("--demo", is_flag=True, help="A synthetic week with a launch on Thursday, at the price of an H100.")
@click.option("--trace", type=FILE, help="Recorded demand in any form of docs/how-to/traces.md, plain or gzip.")
@click.option("--pools", type=FILE, help="YAML with CapacityPools; replicas of one accelerator. [default: one pool]")
@click.option("--policies", metavar="A,B", help=f"Of {', '.join(POLICIES)}. [default: all]")
@click.option("--lead-minutes", type=POSITIVE, default=10.0, show_default=True, help="Of pools that do not say theirs.")
@click.option("--step-minutes", type=POSITIVE, default=10.0, show_default=True, help="How often is decided.")
@click.option("--replica-share", type=POSITIVE, default=0.05, show_default=True, help="Of mean demand that one serves.")
@click.option("--penalty", type=POSITIVE, default=20.0, show_default=True, help="Of a missing replica, in its prices.")
@click.option(
    "--protocol",
    type=click.Choice([protocol.value for protocol in Protocol]),
    default=Protocol.HONEST.value,
    show_default=True,
    help="honest: every step counts, orders are billed at once. published: three days are left out, orders are free.",
)
@click.option("--json", "json_path", type=click.Path(path_type=Path, dir_okay=False), help="File for the results.")
@click.option("--report", type=click.Path(path_type=Path, file_okay=False), help="Folder for backtest.png and .html.")
def backtest(
    *,
    demo: bool,
    trace: Path | None,
    pools: Path | None,
    policies: str | None,
    lead_minutes: float,
    step_minutes: float,
    replica_share: float,
    penalty: float,
    protocol: str,
    json_path: Path | None,
    report: Path | None,
) -> None:
    """Replay demand against each policy and say what it cost and how well it served. Needs no cluster.

    Each policy sees a step only at its end; what it orders comes after the lead time. Demand is scaled so that one
    replica serves --replica-share of the mean. Costs stand beside the least that somebody would have paid who knew all
    demand before.
    """
    if demo == (trace is not None):
        raise ConfigError("give either --trace FILE or --demo")
    chosen = make_policies(tuple(POLICIES) if policies is None else _names(policies))
    chosen_pools, money = read_pools(pools, 60 * lead_minutes)
    if demo and pools is None:
        money = Money(_DEMO_PRICE, "$")
    errors = errors_console()
    recorded = _recorded(trace, 60 * step_minutes, errors)
    case = under(Protocol(protocol), case_of(recorded, replica_share, pools=chosen_pools, penalty=penalty))
    replay = replayed(case, chosen, errors)
    screen = console()
    screen.print(table_of(replay, money))
    if json_path is not None:
        options = {"step_minutes": recorded.step_seconds / 60, "replica_share": replica_share, "penalty": penalty}
        results = [{**score.record(), "protocol": protocol, **options} for score in replay.scores]
        write_json(json_path, {"results": results})
    folder = report or (_DEMO_REPORT if demo else None)
    if folder is not None:
        picture, page = write_pictures(folder, "backtest", replay, money)
        screen.print(f"picture {picture}, interactive {page}")


def _recorded(trace: Path | None, step_seconds: float, errors: Console) -> Trace:
    """The demand of a file, or of the synthetic week without one."""
    if trace is None:
        return generate(replace(_DEMO_WEEK, step_seconds=step_seconds), _DEMO_SEED)
    return read_with_progress(trace, step_seconds, errors)


def _names(policies: str) -> Sequence[str]:
    return [name.strip() for name in policies.split(",") if name.strip()]
