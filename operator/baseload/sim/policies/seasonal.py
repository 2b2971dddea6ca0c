"""`seasonal`: the load at the same time last week, one lead ahead, as a second trigger beside the load now.

Source: grafana/mimir#7775 (`max_over_time(...[30m] offset 6d23h30m)` beside the current value, the HPA takes the
larger): here the look-back reaches over the lead, since that is how long an order takes. Until a week was seen
yesterday stands in for it, and before that only the load now counts. Otherwise as `keda`.
"""

import numpy as np

from baseload.sim.case import Case, FloatArray, View, Wanted
from baseload.sim.leads import steps_of, told_lead_seconds
from baseload.sim.policies.hpa_rule import (
    STABILIZATION_SECONDS,
    TOLERANCE,
    Behaviour,
    begin_behaviour,
    replicas_by_total,
)
from baseload.sim.policies.keda import TARGET
from baseload.sim.policies.seen import look, scale_to

DAYS = (7, 1)
"""How many days ago to look, the first that was seen."""


class Seasonal:
    """One pair of triggers per serving."""

    name = "seasonal"
    _behaviour: Behaviour
    _ahead: int
    _steps_per_day: int

    def begin(self, case: Case) -> None:
        """Learn the lead and the length of a day."""
        self._behaviour = begin_behaviour(case, np.array([STABILIZATION_SECONDS]))
        self._ahead = steps_of(told_lead_seconds(case, case.pools[0]), case.step_seconds) + 1
        self._steps_per_day = case.steps_per_day

    def decide(self, view: View) -> Wanted:
        """Sync on the larger of both triggers."""
        seen = look(view)
        if not self._behaviour.is_due(view.step):
            return scale_to(view, seen.current)
        load = np.maximum(seen.load, self._ago(view.demand))
        return scale_to(view, self._behaviour.settle(seen, replicas_by_total(load, seen.current, TARGET, TOLERANCE)))

    def _ago(self, demand: FloatArray) -> FloatArray:
        """The highest load of the steps that come within the lead, a week or a day ago; 0 where none was seen."""
        for days in DAYS:
            first = demand.shape[1] - days * self._steps_per_day
            if first >= 0:
                return np.asarray(np.nan_to_num(demand[:, first : first + self._ahead]).max(axis=1))
        return np.zeros(len(demand))
