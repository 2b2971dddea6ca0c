"""What a trace file holds, before it is cut into steps: single requests, or rates."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class RequestRows:
    """Single requests, arrays of shape (requests,): seconds in the file's own time, lengths in tokens."""

    time_seconds: FloatArray
    prompt_tokens: FloatArray
    output_tokens: FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class RateRows:
    """Request rates, arrays of shape (rows,), times rising; NaN is a gap, or a token mean that is not known.

    Each row is the mean over the `span_seconds` from its time on. Without a span the rows are corners of straight
    lines. `dispersion` is the variance of counts over their mean, NaN where the file does not say. Token means
    `of_all` requests can be reckoned with; others were counted on a part of the traffic.
    """

    time_seconds: FloatArray
    span_seconds: float | None
    rate_rps: FloatArray
    prompt_tokens: FloatArray
    output_tokens: FloatArray
    dispersion: FloatArray
    of_all: bool = True


def rates_only(time_seconds: FloatArray, span_seconds: float | None, rate_rps: FloatArray) -> RateRows:
    """Return rates of a file that knows nothing else."""
    nothing = unknown(len(rate_rps))
    return RateRows(time_seconds, span_seconds, rate_rps, nothing, nothing, nothing)


def unknown(count: int) -> FloatArray:
    """Return `count` values that are not known."""
    return np.full(count, np.nan)


def joined(chunks: list[RequestRows]) -> RequestRows:
    """Return the requests of all chunks, in their order."""
    names = ("time_seconds", "prompt_tokens", "output_tokens")
    return RequestRows(*(np.concatenate([getattr(chunk, name) for chunk in chunks]) for name in names))


def in_order(rows: RequestRows) -> RequestRows:
    """Return the requests in the order of their times."""
    order = np.argsort(rows.time_seconds, kind="stable")
    return RequestRows(rows.time_seconds[order], rows.prompt_tokens[order], rows.output_tokens[order])
