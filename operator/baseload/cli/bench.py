"""`baseload bench`: measure Baseload on this machine."""

from pathlib import Path

import click

from baseload.errors import ConfigError
from baseload.lab import (
    bench_agreement,
    bench_day,
    bench_engine,
    bench_ha,
    bench_lab_agreement,
    bench_operator,
    bench_plan,
    bench_replica_model,
    bench_two_pools,
)
from baseload.sim import bench_backtest, bench_fluid, bench_forecast, bench_placement
from baseload.sim.bench import run_bench

_BENCHES = {
    bench.name: bench
    for bench in (
        bench_plan.BENCH,
        bench_forecast.BENCH,
        bench_placement.BENCH,
        bench_fluid.BENCH,
        bench_backtest.BENCH,
        bench_two_pools.BENCH,
        bench_agreement.BENCH,
        bench_engine.BENCH,
        bench_replica_model.BENCH,
        bench_operator.BENCH,
        bench_ha.BENCH,
        bench_lab_agreement.BENCH,
        bench_day.BENCH,
    )
}


@click.command()
@click.argument("names", metavar="[NAME]...", nargs=-1)
@click.option(
    "--output",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("build/bench"),
    show_default=True,
    help="Folder for NAME.json.",
)
def bench(names: tuple[str, ...], output: Path) -> None:
    """Run benchmarks, all without NAME, and write one JSON file each.

    Each file holds facts of the machine and results side by side from the same run.
    """
    for name in names:
        if name not in _BENCHES:
            raise ConfigError(f"NAME {name!r} is no benchmark; it is one of {', '.join(sorted(_BENCHES))}")
    for name in names or tuple(_BENCHES):
        path = run_bench(_BENCHES[name], output, lambda message: click.echo(message, err=True))
        click.echo(path)
