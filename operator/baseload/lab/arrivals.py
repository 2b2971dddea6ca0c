"""Trace files of the lab: `baseload.sim.traces` reads them, here they become a rate or single requests."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from baseload.sim.requests.arrivals import RateProfile, TimedRequest
from baseload.sim.traces.reading import read_rows
from baseload.sim.traces.rows import RateRows


@dataclass(frozen=True, slots=True)
class RequestTrace:
    """Recorded requests, in the order of their times, the first at its recorded time."""

    requests: tuple[TimedRequest, ...]


def read_trace(path: Path) -> RateProfile | RequestTrace:
    """Read a trace file of any form; ConfigError names line and column of what cannot be read."""
    rows = read_rows(path)
    if isinstance(rows, RateRows):
        return _rate_profile(rows)
    # Recorded answers of no token are real (refused, stopped); an engine cannot run them.
    lengths = (np.maximum(tokens, 1).astype(int).tolist() for tokens in (rows.prompt_tokens, rows.output_tokens))
    return RequestTrace(tuple(map(TimedRequest, rows.time_seconds.tolist(), *lengths)))


def _rate_profile(rows: RateRows) -> RateProfile:
    """Return straight lines through the corners, or through the middles of spans, and over the gaps."""
    known = ~np.isnan(rows.rate_rps)
    times = rows.time_seconds + (rows.span_seconds or 0.0) / 2
    return RateProfile(tuple(zip(times[known].tolist(), rows.rate_rps[known].tolist(), strict=True)))
