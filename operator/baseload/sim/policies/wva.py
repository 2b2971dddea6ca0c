"""`wva`: llm-d's Workload Variant Autoscaler, saturation analyzer V2, and the HPA behind it.

Source: llm-d-workload-variant-autoscaler `internal/engines/analyzers/saturation_v2` and
`internal/engines/pipeline/cost_aware_optimizer.go`: in tokens, required capacity = demand / 0.85 - (ready + pending),
spare capacity = ready - demand / 0.70; up by required / capacity of a replica rounded up, else down by spare / capacity
rounded down, one replica kept. It emits `wva_desired_replicas`; an HPA follows with AverageValue 1 and its defaults.

In the fluid world tokens in use are running work, and queued tokens are waiting work. A replica's capacity is what it
holds when it is saturated (k2 observed), which is 1 replica's worth from the start: the analyzer's best case, since
before the first saturation it takes the KV cache's size, several times too much where compute binds.
"""

import numpy as np

from baseload.sim.case import Case, IntArray, View, Wanted
from baseload.sim.leads import EDGE
from baseload.sim.policies.hpa_rule import (
    STABILIZATION_SECONDS,
    TOLERANCE,
    Behaviour,
    begin_behaviour,
    replicas_by_total,
)
from baseload.sim.policies.seen import LEAST_REPLICAS, Seen, look, scale_to

UP_AT = 0.85
"""Demand over supply, pending replicas included, above which capacity is required."""

DOWN_AT = 0.70
"""Demand over ready supply below which capacity is spare."""


def desired_replicas(seen: Seen) -> IntArray:
    """The gauge `wva_desired_replicas` of each serving; what it has where there are no metrics."""
    demand = np.nan_to_num(seen.load)
    required = np.ceil(np.maximum(demand / UP_AT - seen.current, 0.0) - EDGE).astype(np.int64)
    spare = np.floor(np.maximum(seen.ready - demand / DOWN_AT, 0.0) + EDGE).astype(np.int64)
    moved = np.where(required > 0, seen.current + required, np.maximum(seen.current - spare, LEAST_REPLICAS))
    return np.where(seen.is_known, moved, seen.current)


class Wva:
    """One variant per serving."""

    name = "wva"
    _behaviour: Behaviour

    def begin(self, case: Case) -> None:
        """Forget the HPA's recommendations."""
        self._behaviour = begin_behaviour(case, np.array([STABILIZATION_SECONDS]))

    def decide(self, view: View) -> Wanted:
        """Let the HPA follow the gauge; both run every 15 s."""
        seen = look(view)
        if not self._behaviour.is_due(view.step):
            return scale_to(view, seen.current)
        gauge = desired_replicas(seen).astype(float)
        return scale_to(view, self._behaviour.settle(seen, replicas_by_total(gauge, seen.current, 1.0, TOLERANCE)))
