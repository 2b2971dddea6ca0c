"""The weeks to measure on: recorded ones if there is a folder of them, and always some that are made."""

import os
from pathlib import Path

from baseload.sim.case import Span
from baseload.sim.traces.cutting import read_trace
from baseload.sim.traces.generator import Launch, LevelShift, Shape, generate
from baseload.sim.traces.trace import Trace

FOLDER_VARIABLE = "BASELOAD_TRACES"
"""Environment variable with a folder of trace files; else `../shared/traces` is looked at."""

_SUFFIXES = (".csv", ".csv.gz", ".jsonl", ".jsonl.gz")
_LEAST_DAYS = 3.0
_DAY_SECONDS = 86_400.0


def recorded_weeks(step_seconds: float = 600.0) -> tuple[Trace, ...]:
    """Return the traces of the folder that are long enough to learn a day from, by name; none without a folder."""
    folder = Path(os.environ.get(FOLDER_VARIABLE, "../shared/traces"))
    if not folder.is_dir():
        return ()
    files = sorted(path for path in folder.iterdir() if path.name.endswith(_SUFFIXES))
    traces = (read_trace(path, step_seconds) for path in files)
    return tuple(trace for trace in traces if trace.duration_seconds >= _LEAST_DAYS * _DAY_SECONDS)


def made_weeks(step_seconds: float = 600.0) -> tuple[Trace, ...]:
    """Return two weeks without trouble, with a level shift and a launch, and with a gap: the same on any machine."""
    calm = Shape(days=14.0, step_seconds=step_seconds)
    shifted = Shape(
        days=14.0,
        step_seconds=step_seconds,
        launches=(Launch(4.5 * _DAY_SECONDS),),
        shifts=(LevelShift(9.4 * _DAY_SECONDS),),
    )
    torn = Shape(
        days=14.0, step_seconds=step_seconds, wander=0.15, gaps=(Span(8.2 * _DAY_SECONDS, 8.5 * _DAY_SECONDS),)
    )
    return (
        generate(calm, 1, "synthetic calm"),
        generate(shifted, 2, "synthetic shift and launch"),
        generate(torn, 3, "synthetic wandering with a gap"),
    )
