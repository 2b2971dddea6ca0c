"""Single requests counted step by step as they are read, and how unevenly they come inside a step."""

from collections.abc import Iterable
from typing import Final

import numpy as np

from baseload.errors import ConfigError
from baseload.sim.traces.rows import FloatArray, RequestRows, in_order, joined, unknown
from baseload.sim.traces.trace import Trace, too_short, work_of

_LONGEST_DAYS: Final = 400
_DAY_SECONDS: Final = 86_400
_WINDOW_SECONDS: Final = 600
"""Dispersion is taken inside windows so short that the rate hardly changes in them."""
_WHOLE_ENOUGH: Final = 0.9
"""A last step that is covered less than this is left out."""


def requests_to_steps(
    name: str, chunks: Iterable[RequestRows], step_seconds: float, *, keep_requests: bool = False
) -> Trace:
    """Count requests and tokens in steps of `step_seconds` from the first request on; a step without any is 0."""
    counts: tuple[_Sums, ...] = (_Sums(), _Sums(), _Sums())
    by_second, kept = _Sums(), []
    start, last = None, 0.0
    for chunk in chunks:
        start = float(chunk.time_seconds[0]) if start is None else start
        times = chunk.time_seconds - start
        last = max(last, float(times.max()))
        if last >= _LONGEST_DAYS * _DAY_SECONDS:
            raise ConfigError(f"{name}: it spans more than {_LONGEST_DAYS} days; are its times in the right unit?")
        by_second.add(times, np.ones(len(times)))
        for sums, weights in zip(counts, (np.ones(len(times)), chunk.prompt_tokens, chunk.output_tokens), strict=True):
            sums.add(times / step_seconds, weights)
        if keep_requests:
            kept.append(RequestRows(times, chunk.prompt_tokens, chunk.output_tokens))
    if start is None:
        raise ConfigError(f"{name}: there is no request in it")
    steps = int(last / step_seconds + 1 - _WHOLE_ENOUGH)
    if steps < 1:
        raise too_short(name, last, step_seconds)
    number, prompt, output = (sums.upto(steps) for sums in counts)
    return Trace(
        name,
        step_seconds,
        rate_rps=number / step_seconds,
        prompt_tokens=np.divide(prompt, number, out=unknown(steps), where=number > 0),
        output_tokens=np.divide(output, number, out=unknown(steps), where=number > 0),
        work=work_of(prompt, output) / step_seconds,
        dispersion=_dispersion(by_second, last),
        requests=in_order(joined(kept)) if kept else None,
    )


class _Sums:
    """Sums by whole number, for numbers that mostly grow."""

    def __init__(self) -> None:
        self._sums = np.zeros(1024)

    def add(self, places: FloatArray, weights: FloatArray) -> None:
        more = np.bincount(places.astype(np.int64), weights)
        if len(more) > len(self._sums):
            # Twice as long each time, so that growing costs little.
            room = max(len(more), 2 * len(self._sums))
            self._sums = np.concatenate([self._sums, np.zeros(room - len(self._sums))])
        self._sums[: len(more)] += more

    def upto(self, count: int) -> FloatArray:
        """Return the first `count` sums."""
        missing = max(count - len(self._sums), 0)
        return np.concatenate([self._sums[:count], np.zeros(missing)])


def _dispersion(by_second: _Sums, last_seconds: float) -> float | None:
    """Return the variance of the counts in a second over their mean, inside windows of ten minutes."""
    window = int(min(_WINDOW_SECONDS, last_seconds))
    if window < 2:
        return None
    windows = by_second.upto(int(last_seconds // window) * window).reshape(-1, window)
    mean = float(windows.mean())
    return float(windows.var(axis=1).mean()) / mean if mean > 0 else None
