"""Benchmarks: each measures one thing and what it is compared with in the same run, on the same machine.

Those that need no cluster live in `sim`, the others in `lab`. Times differ between machines; ratios to a fixed piece of
Python work much less so.
"""

import json
import os
import platform
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from baseload import __version__

Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Bench:
    """One benchmark: its name (of the file, too), what it answers, and the function that measures."""

    name: str
    question: str
    measure: Callable[[Progress], Mapping[str, Any]]


def run_bench(bench: Bench, directory: Path, progress: Progress) -> Path:
    """Run one benchmark and write `directory/NAME.json`: facts of the machine, then the results."""
    progress(f"{bench.name}: {bench.question}")
    report = {
        "name": bench.name,
        "question": bench.question,
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine(),
        "results": dict(bench.measure(progress)),
    }
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / f"{bench.name}.json"
    path.write_text(json.dumps(report, indent=2) + "\n")
    return path


def machine() -> dict[str, Any]:
    """Return what a reader needs to judge a time: processor, cores, load, versions."""
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "load_average": [round(value, 2) for value in os.getloadavg()],
        "memory_gib": round(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30, 1),
        "system": f"{platform.system()} {platform.release()}",
        "python": sys.version.split()[0],
        "baseload": __version__,
        "reference_seconds": round(best_seconds(_reference_work, 3), 4),
    }


def best_seconds(work: Callable[[], object], repeats: int) -> float:
    """Return the least CPU time of `repeats` calls: what the work costs without what else the machine did."""
    return min(_cpu_seconds(work) for _ in range(repeats))


def _cpu_seconds(work: Callable[[], object]) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start


def _reference_work() -> int:
    """A million steps of plain Python: the unit in which machines can be compared."""
    total = 0
    for number in range(1_000_000):
        total += number & 7
    return total


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()
