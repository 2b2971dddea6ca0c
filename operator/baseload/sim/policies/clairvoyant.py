"""`clairvoyant`: plays the schedule behind the bound of `sim.bound`, as somebody would who knew all demand before.

Its cost equals the bound where nothing is refused or taken away and the first steps ask for no order that would have
had to be placed before the replay. What it shows is that the bound can be reached.
"""

import numpy as np

from baseload.sim.bound import clairvoyant
from baseload.sim.case import Case, IntArray, View, Wanted
from baseload.sim.leads import median_lead_steps
from baseload.sim.policies.seen import look, scale_to


class Clairvoyant:
    """The cheapest schedule of the first pool; `_ahead` are steps from an order to the step in which it serves."""

    name = "clairvoyant"
    _ready: IntArray
    _ahead: int

    def begin(self, case: Case) -> None:
        """Find the schedule, and hold its end for as long as orders may still be placed."""
        self._ahead = median_lead_steps(case, case.pools[0]) + 1
        ready = clairvoyant(case).ready[:, :, 0].astype(np.int64)
        self._ready = np.concatenate([ready, np.repeat(ready[:, -1:], self._ahead, axis=1)], axis=1)

    def decide(self, view: View) -> Wanted:
        """Order each rise of the schedule one lead before it, give back at each fall."""
        seen = look(view)
        window = self._ready[:, view.step : view.step + self._ahead + 1]
        rises = np.maximum(np.diff(window, axis=1), 0).sum(axis=1)
        # Replicas that a late start still lacks are ordered as well.
        base = np.maximum(seen.ready, window[:, 0])
        return scale_to(view, base + rises, np.minimum(window[:, 0], window[:, 1]))
