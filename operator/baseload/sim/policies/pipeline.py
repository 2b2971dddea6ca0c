"""What a policy knows of its own orders: how many of the pending replicas serve when."""

import numpy as np

from baseload.sim.case import FloatArray, IntArray


class Pipeline:
    """Orders by the step that they are due in, (servings, pools, steps); the first are those of the next step.

    A policy sees only how many are pending. What is gone from them came, or was never taken; what has not come when it
    was due may come any time.
    """

    def __init__(self, servings: int, lead_steps: IntArray) -> None:
        self._last = np.maximum(lead_steps - 1, 0)
        self._due = np.zeros((servings, lead_steps.size, int(self._last.max()) + 1), dtype=np.int64)

    def due(self, pending: IntArray) -> IntArray:
        """Pending replicas (servings, pools) by the step they are due in; those that went are taken off the oldest."""
        missing = np.maximum(self._due.sum(axis=2) - pending, 0)[..., None]
        before = np.cumsum(self._due, axis=2) - self._due
        self._due = self._due - np.clip(missing - before, 0, self._due)
        return self._due

    def end_step(self, more: IntArray) -> None:
        """Cancel the newest of what is ordered no longer, note what is ordered more, and move on by a step."""
        newest_first = self._due[..., ::-1]
        before = np.cumsum(newest_first, axis=2) - newest_first
        left = (newest_first - np.clip(np.maximum(-more, 0)[..., None] - before, 0, newest_first))[..., ::-1]
        self._due = np.zeros_like(left)
        self._due[..., :-1] = left[..., 1:]
        self._due[..., 0] += left[..., 0]
        pools = np.arange(self._last.size)
        self._due[:, pools, self._last] += np.maximum(more, 0)


def whole_buckets(steps: FloatArray, size: int) -> FloatArray:
    """Mean of each `size` steps of (servings, steps), NaN where none is known; the last bucket may still be running."""
    count = -(-steps.shape[1] // size)
    padded = np.full((len(steps), count * size), np.nan)
    padded[:, : steps.shape[1]] = steps
    parts = padded.reshape(len(steps), count, size)
    known = ~np.isnan(parts)
    total = np.where(known, parts, 0.0).sum(axis=2)
    return np.where(known.any(axis=2), total / np.maximum(known.sum(axis=2), 1), np.nan)
