"""From the rows of a file to a trace: means of each step, and where nothing is known a gap."""

from pathlib import Path

from baseload.sim.traces.counting import requests_to_steps
from baseload.sim.traces.holding import rates_to_steps
from baseload.sim.traces.reading import opened_rows
from baseload.sim.traces.rows import RateRows
from baseload.sim.traces.source import Progress
from baseload.sim.traces.trace import Trace


def read_trace(
    path: Path, step_seconds: float = 600.0, *, keep_requests: bool = False, progress: Progress | None = None
) -> Trace:
    """Read any trace file and cut it into steps from its first row on; ConfigError names file, line and column.

    Millions of single requests need little memory, unless they are kept.
    """
    with opened_rows(path, progress) as content:
        if isinstance(content, RateRows):
            return rates_to_steps(path.name, content, step_seconds)
        return requests_to_steps(path.name, content, step_seconds, keep_requests=keep_requests)
