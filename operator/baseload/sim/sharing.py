"""A pool's limit, shared out among the servings that ask for more than it has left."""

import numpy as np

from baseload.sim.case import IntArray


def share_room(asked: IntArray, room: int) -> IntArray:
    """Split `room` replicas in proportion to what each serving asked, whole ones, the largest remainders first."""
    total = int(asked.sum())
    if total <= room:
        return asked
    if room <= 0:
        return np.zeros_like(asked)
    exact = asked * (room / total)
    given: IntArray = np.floor(exact + 1e-9).astype(np.int64)
    rest = room - int(given.sum())
    if rest > 0:
        first = np.argsort(given - exact, kind="stable")[:rest]
        given[first] += 1
    return given
