"""A day of a recorded week in 400 s on the lab: a fixed number, the tuned HPA, Baseload without and with history."""

import csv
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from rich.console import Console

from baseload.lab.build import PROMETHEUS_ADAPTER, ensure_tool
from baseload.lab.cluster import Lab, LabOptions
from baseload.lab.day_search import Rehearsal
from baseload.lab.demand import demand_of
from baseload.lab.demo import run_demo
from baseload.lab.demo_day import read_day
from baseload.lab.demo_objects import ACCELERATOR, MODEL
from baseload.lab.profiles import engine_profile
from baseload.lab.replica_capacity import capacity_rps, requests_in_flight
from baseload.lab.scenario import ACCELERATORS_PER_NODE, HPA, SCRAPE_SECONDS, DemoOptions, nodes_for
from baseload.lab.schedule import clairvoyant
from baseload.sim.bench import Bench, Progress
from baseload.sim.trace_folder import FOLDER_VARIABLE
from baseload.sim.traces.generator import Shape, generate

LEAD_SECONDS: Final = 40.0
SPEED: Final = 216.0
"""A day in 400 s."""
HOLD_SECONDS: Final = 20
"""Half of the lead, as the default of 300 s is of the 10 minutes of a node and a server."""
PEAK_REPLICAS: Final = 8.6
"""Of 99 %, each for itself: together seven are the least that keep it, and six nearly do."""
DAY: Final = 6
ATTAINMENT: Final = 0.99

_LAB: Final = "bench-day"
_WEEK, _REQUESTS = "azure_llm_2024_conv_week_digitised.csv.gz", "azure_llm_2023_conv_requests.csv.gz"


def measure(progress: Progress) -> Mapping[str, Any]:
    """Rehearse in virtual time, then play each policy on the same arrivals; takes some 40 minutes."""
    with TemporaryDirectory() as folder:
        options = _options(Path(folder))
        rehearsal = _rehearsal(options)
        least = rehearsal.least_fixed()
        first = clairvoyant(rehearsal.demand.loads, LEAD_SECONDS).paid[0]
        held = requests_in_flight(
            rehearsal.profile, read_day(options).sample_lengths(), rehearsal.demand.capacity_rps, seed=1
        )
        tuned = rehearsal.tuned_hpa(first, held)
        progress(f"in virtual time {least} replicas are the least that keep the objective; the HPA's best is {tuned}")
        policies = {
            f"static-{least}": replace(options, policy=f"static-{least}"),
            "hpa": replace(options, policy=HPA, hpa_utilisation=tuned.utilisation, hold_seconds=tuned.hold_seconds),
            "baseload-without-history": replace(options, history=False),
            "baseload": options,
        }
        with _lab(tuned.sync_seconds, progress):
            reports = {name: _play(each, name, progress) for name, each in policies.items()}
    static_seconds = least * len(rehearsal.demand.loads)
    fewer = rehearsal.fixed(least - 1)
    return {
        "scenario": {
            "trace": reports["baseload"]["trace"],
            "lead_seconds": LEAD_SECONDS,
            "peak_replicas": PEAK_REPLICAS,
            "capacity_rps": round(rehearsal.demand.capacity_rps, 3),
            "requests": reports["baseload"]["requests"]["total"],
        },
        "rehearsed": {
            f"static-{least - 1}": asdict(fewer),
            f"static-{least}": asdict(rehearsal.fixed(least)),
            "hpa": asdict(tuned),
        },
        "policies": [_row(name, report, static_seconds) for name, report in reports.items()],
    }


def _options(folder: Path) -> DemoOptions:
    """Return what all policies share: the recorded week beside this checkout if it is there, else a made one."""
    shared = Path(os.environ.get(FOLDER_VARIABLE, "../shared/traces"))
    recorded = (shared / _WEEK).is_file() and (shared / _REQUESTS).is_file()
    return DemoOptions(
        trace=shared / _WEEK if recorded else made_week(folder),
        lengths=shared / _REQUESTS if recorded else None,
        day=DAY,
        speed=SPEED,
        peak_replicas=PEAK_REPLICAS,
        start_up_seconds=LEAD_SECONDS,
        hold_seconds=HOLD_SECONDS,
        attainment=ATTAINMENT,
        lab=_LAB,
    )


def made_week(folder: Path) -> Path:
    """Write a week of demand that is made into a folder and return the file."""
    trace, path = generate(Shape(days=7.0), seed=1), folder / "synthetic-week.csv"
    with path.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(("t_seconds", "requests_per_second"))
        rows.writerows((step * trace.step_seconds, f"{rate:.4f}") for step, rate in enumerate(trace.rate_rps.tolist()))
    return path


def _rehearsal(options: DemoOptions) -> Rehearsal:
    trace, profile = read_day(options), engine_profile(ACCELERATOR, MODEL)
    capacity = capacity_rps(profile, trace.sample_lengths(), options.objective, seed=1)
    return Rehearsal(
        demand=demand_of(trace, capacity, options.seed),
        profile=profile,
        objective=options.objective,
        start_up_seconds=LEAD_SECONDS,
        most_replicas=nodes_for(options, trace.peak_replicas) * ACCELERATORS_PER_NODE,
    )


@contextmanager
def _lab(sync_seconds: float, progress: Progress) -> Iterator[None]:
    lab = Lab(_LAB)
    lab.down()
    ensure_tool(PROMETHEUS_ADAPTER, progress)
    lab.up(LabOptions(scrape_seconds=SCRAPE_SECONDS, hpa_sync_seconds=sync_seconds), progress)
    try:
        yield
    finally:
        lab.down()


def _play(options: DemoOptions, name: str, progress: Progress) -> dict[str, Any]:
    heard = [""]

    def changed(message: str) -> None:
        # While it waits it says the same several times a second.
        if message != heard[-1]:
            heard.append(message)
            progress(f"{name}: {message}")

    @contextmanager
    def shown() -> Iterator[Progress]:
        yield changed

    report = Path("build/bench") / f"lab-day-{name}"
    return run_demo(replace(options, report=report), Console(stderr=True), shown)


def _row(name: str, report: Mapping[str, Any], static_seconds: float) -> dict[str, Any]:
    replicas = report["replicas"]
    return {
        "policy": name,
        "attainment": report["attainment"],
        "replica_seconds": replicas["replica_seconds"],
        "ratio_to_least_static": round(replicas["replica_seconds"] / static_seconds, 4),
        "replicas": [replicas["min"], replicas["max"]],
        "scale_writes": report["writes"]["scale"],
        "hpa": report["hpa"],
        "loop_lag_ms_p99": report["loop_lag_ms_p99"],
    }


BENCH: Final = Bench("lab-day", "what does a day with a lead of 2.4 hours cost, and is it kept?", measure)
