"""`static-peak`: what the highest step of the whole trace needs, all the time.

The usual practice without an autoscaler, and what planning for the peak costs. The peak is known from the trace
itself, which is more than a planner would know; it is there one lead after the first step, like any order.
"""

import numpy as np

from baseload.sim.case import Case, IntArray, View, Wanted
from baseload.sim.leads import EDGE
from baseload.sim.policies.seen import most_replicas, scale_to, within_limits


class StaticPeak:
    """A constant number of replicas per serving."""

    name = "static-peak"
    _peak: IntArray

    def begin(self, case: Case) -> None:
        """Find the peak of each serving."""
        self._peak = within_limits(np.ceil(case.world.max(axis=1) - EDGE).astype(np.int64), most_replicas(case))

    def decide(self, view: View) -> Wanted:
        """Ask for the peak again."""
        return scale_to(view, self._peak)
