"""Rates cut into steps: each row holds until the next one, and a step that is hardly known is a gap."""

from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from baseload.sim.traces.rows import FloatArray, RateRows, unknown
from baseload.sim.traces.tables import usual_spacing
from baseload.sim.traces.trace import Trace, too_short, work_of

_LEAST_COVERED: Final = 0.5
"""Share of a step that must be known for its mean to be known."""
_REGULAR: Final = 0.01
_GAP_SPANS: Final = 1.5
_PARTS_OF_STEP: Final = 32


def rates_to_steps(name: str, rows: RateRows, step_seconds: float) -> Trace:
    """Return the mean of each step of `step_seconds` from the first row on.

    Corners at equal distances are means of spans, as one writes them from a dashboard; others are straight lines.
    """
    if rows.span_seconds is None:
        span = _regular_spacing(rows.time_seconds)
        rows = _straight_lines(rows, step_seconds) if span is None else replace(rows, span_seconds=span)
    start, ends = rows.time_seconds[0], _ends(rows)
    steps = round(float(ends[-1] - start) / step_seconds)
    if steps < 1:
        raise too_short(name, float(ends[-1] - start), step_seconds)
    cuts = _Cuts(rows.time_seconds, ends, start + step_seconds * np.arange(steps + 1))
    counts, seconds = cuts.sums(rows.rate_rps)
    rate = np.divide(counts, seconds, out=unknown(steps), where=seconds >= _LEAST_COVERED * step_seconds)
    prompt, output = (cuts.means(values, rows.rate_rps) for values in (rows.prompt_tokens, rows.output_tokens))
    busy = rate > 0
    work = rate
    if rows.of_all and busy.any() and not np.isnan((prompt + output)[busy]).any():
        work = np.where(busy, rate * work_of(prompt, output), rate)
    return Trace(name, step_seconds, rate, prompt, output, work, _usual_dispersion(rows))


@dataclass(frozen=True, slots=True, eq=False)
class _Cuts:
    """Spans from `starts` to `ends`, and the edges of the steps that they are cut into."""

    starts: FloatArray
    ends: FloatArray
    edges: FloatArray

    def sums(self, values: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return the integral over each step of what is known of `values`, and the seconds that are known."""
        known = ~np.isnan(values)
        return self._integral(np.where(known, values, 0.0)), self._integral(known.astype(np.float64))

    def means(self, values: FloatArray, weights: FloatArray) -> FloatArray:
        """Return the weighted mean of each step, NaN where nothing is known."""
        sums, _ = self.sums(values * weights)
        total, _ = self.sums(np.where(np.isnan(values), np.nan, weights))
        return np.divide(sums, total, out=unknown(len(sums)), where=total > 0)

    def _integral(self, values: FloatArray) -> FloatArray:
        upto = np.concatenate([[0.0], np.cumsum(values * (self.ends - self.starts))])
        corners = np.stack([self.starts, self.ends], axis=1).ravel()
        reached = np.stack([upto[:-1], upto[1:]], axis=1).ravel()
        return np.diff(np.interp(self.edges, corners, reached))


def _ends(rows: RateRows) -> FloatArray:
    """Return when each row ends: where the next one begins, or after its span if that is a gap away."""
    span = rows.span_seconds or 0.0
    ends = rows.time_seconds + span
    following = rows.time_seconds[1:]
    near = following - rows.time_seconds[:-1] <= _GAP_SPANS * span
    ends[:-1] = np.where(near, following, ends[:-1])
    return ends


def _regular_spacing(times: FloatArray) -> float | None:
    """Return the distance of the rows if all of them stand on one grid of it, else None."""
    span = usual_spacing(times)
    steps = np.diff(times) / span
    return span if bool((np.abs(steps - np.round(steps)) <= _REGULAR).all() and (np.round(steps) >= 1).all()) else None


def _straight_lines(rows: RateRows, step_seconds: float) -> RateRows:
    """Return straight lines between the corners as short spans."""
    known = ~np.isnan(rows.rate_rps)
    times = rows.time_seconds[known]
    span = step_seconds / _PARTS_OF_STEP
    starts = np.arange(times[0], times[-1] - span / 2, span)

    def along(values: FloatArray) -> FloatArray:
        return np.interp(starts + span / 2, times, values[known])

    return replace(
        rows,
        time_seconds=starts,
        span_seconds=span,
        rate_rps=along(rows.rate_rps),
        prompt_tokens=along(rows.prompt_tokens),
        output_tokens=along(rows.output_tokens),
        dispersion=along(rows.dispersion),
    )


def _usual_dispersion(rows: RateRows) -> float | None:
    """Return the median: a burst of one minute has a hundred times the dispersion of all others."""
    known = ~np.isnan(rows.rate_rps * rows.dispersion)
    return float(np.median(rows.dispersion[known])) if known.any() else None
