"""Means and maxima over windows of columns, for many servings at once."""

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def trailing_mean(values: Array, width: int) -> Array:
    """Return the mean of the last `width` columns, of fewer at the start."""
    sums = np.cumsum(values, axis=1)
    sums[:, width:] -= sums[:, :-width].copy()
    return sums / np.minimum(np.arange(1, values.shape[1] + 1), width)


def trailing_maximum(values: Array, width: int) -> Array:
    """Return the maximum of the last `width` columns, of fewer at the start, by doubling: log2(width) passes."""
    result, covered = values.copy(), 1
    while covered < width:
        step = min(covered, width - covered)
        result[:, step:] = np.maximum(result[:, step:], result[:, :-step].copy())
        covered += step
    return result


def centred_sum(values: Array, reach: int) -> Array:
    """Return the sum of `reach` columns either side and the column itself."""
    width = 2 * reach + 1
    sums = np.cumsum(np.pad(values, ((0, 0), (reach + 1, reach))), axis=1)
    return sums[:, width:] - sums[:, :-width]


def centred_maximum(values: Array, reach: int) -> Array:
    """Return the maximum of `reach` columns either side and the column itself."""
    padded = np.pad(values, ((0, 0), (0, reach)), mode="edge")
    return trailing_maximum(padded, 2 * reach + 1)[:, reach:]
