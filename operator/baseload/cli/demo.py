"""`baseload demo`: the whole of Baseload on this machine in a few minutes."""

from pathlib import Path

import click
from rich.console import Console

from baseload.cli.lab import _progress, _stoppable
from baseload.lab.demo import run_demo
from baseload.lab.scenario import DemoOptions, EngineKind


@click.command()
@click.option(
    "--trace",
    type=click.Path(path_type=Path),
    help="Replay this trace: t_seconds,requests_per_second, or any other form that `baseload backtest` reads.",
)
@click.option(
    "--speed",
    type=float,
    default=10.0,
    show_default=True,
    help="Divides trace time, start-up time and scale-down hold; never an objective or the scrape interval.",
)
@click.option(
    "--peak-replicas",
    type=float,
    help="Scale the rates so that the peak needs this many replicas. [default: 8 with --trace, else as drawn]",
)
@click.option(
    "--slo-ms",
    "slo_milliseconds",
    type=int,
    default=1000,
    show_default=True,
    help="Objective for the time to the first token, in milliseconds.",
)
@click.option("--seed", type=int, default=1, show_default=True, help="Seed of arrivals and token lengths.")
@click.option(
    "--engine",
    type=click.Choice([kind.value for kind in EngineKind]),
    default=EngineKind.EMULATED.value,
    show_default=True,
    help="Servers with the timing of a real accelerator, or real llama.cpp servers on this machine's CPU.",
)
@click.option("--day", type=int, help="Play this day of the trace, the days before it being the operator's history.")
@click.option(
    "--history/--no-history", default=True, show_default=True, help="With --day: hand over the days before it."
)
@click.option(
    "--lengths", type=click.Path(path_type=Path), help="With --day: a file of requests, for their token lengths."
)
@click.option("--start-up-seconds", type=float, help="Seconds until a replica serves. [default: 240 / speed]")
@click.option("--duration", "duration_seconds", type=float, help="Stop the demand after this many seconds.")
@click.option(
    "--policy",
    default="baseload",
    show_default=True,
    help="Who decides: baseload, hpa for Kubernetes' own autoscaler, or static-N for N replicas throughout.",
)
@click.option(
    "--report",
    type=click.Path(path_type=Path),
    default=Path("build/demo"),
    show_default=True,
    help="Folder for report.json, timeline.png and timeline.html.",
)
@click.option("--lab", default="demo", show_default=True, help="Lab to use; one that runs already is left running.")
def demo(
    *,
    trace: Path | None,
    speed: float,
    peak_replicas: float | None,
    slo_milliseconds: int,
    seed: int,
    engine: str,
    day: int | None,
    history: bool,
    lengths: Path | None,
    start_up_seconds: float | None,
    duration_seconds: float | None,
    policy: str,
    report: Path,
    lab: str,
) -> None:
    """Replay a demand curve against model servers that Baseload scales, and report what it came to.

    Starts a lab, runs the operator in it under its own ServiceAccount, sends real requests, and shows demand, latency,
    replicas and the last decision while it runs. Exit code 1 if the operator ended, nothing was scaled or the run is
    invalid.
    """
    options = DemoOptions(
        trace=trace,
        speed=speed,
        peak_replicas=peak_replicas,
        slo_milliseconds=slo_milliseconds,
        seed=seed,
        engine=EngineKind(engine),
        day=day,
        history=history,
        lengths=lengths,
        start_up_seconds=start_up_seconds,
        duration_seconds=duration_seconds,
        policy=policy,
        report=report,
        lab=lab,
    )
    with _stoppable():
        run_demo(options, Console(), _progress)
