"""`clairvoyant`: plays the schedule behind the bound of the case, as somebody would who knew all demand before.

With one pool its cost equals the bound where nothing is refused or taken away and the first steps ask for no order that
would have had to be placed before the replay. With several it plays the linear programme's replicas, rounded. What it
shows is that the bound can be reached; how demand is served that replicas are missing for is the same for everybody.
"""

import numpy as np

from baseload.sim.case import Case, IntArray, View, Wanted
from baseload.sim.compare import bound_of
from baseload.sim.leads import EDGE, median_lead_steps


class Clairvoyant:
    """The cheapest schedule of every pool; `_ahead` are steps from an order to the step in which it serves."""

    name = "clairvoyant"
    _ready: IntArray
    _ahead: list[int]

    def begin(self, case: Case) -> None:
        """Find the schedule, and hold its end for as long as orders may still be placed."""
        self._ahead = [median_lead_steps(case, pool) + 1 for pool in case.pools]
        ready = np.floor(bound_of(case).ready + 0.5 + EDGE).astype(np.int64)
        self._ready = np.concatenate([ready, np.repeat(ready[:, -1:], max(self._ahead), axis=1)], axis=1)

    def decide(self, view: View) -> Wanted:
        """Order each rise of the schedule one lead before it, give back at each fall."""
        window = self._ready[:, view.step : view.step + max(self._ahead) + 1]
        rises = np.maximum(np.diff(window, axis=1), 0)
        due = np.stack([rises[:, :ahead, pool].sum(axis=1) for pool, ahead in enumerate(self._ahead)], axis=1)
        # Replicas that a late start still lacks are ordered as well.
        order = np.maximum(view.ready, window[:, 0]) + due
        return Wanted(order=order, keep=np.minimum(window[:, 0], window[:, 1]))
