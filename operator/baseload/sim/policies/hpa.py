"""`hpa`: Kubernetes' HorizontalPodAutoscaler on running and waiting requests per pod.

The rule is in `hpa_rule`; its defaults are the controller's (tolerance 0.1, 300 s window for the way down, 100 % or
4 pods in 15 s), the target 0.7 of what a replica carries inside the objective is the usual one.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from baseload.sim.case import Case, View, Wanted
from baseload.sim.policies.hpa_rule import (
    STABILIZATION_SECONDS,
    TOLERANCE,
    Behaviour,
    begin_behaviour,
    replicas_by_pods,
)
from baseload.sim.policies.seen import look, scale_to

TARGET = 0.7
"""Share of a replica's capacity that the usual HPA leaves in use."""


@dataclass(frozen=True, slots=True)
class HpaOptions:
    """What an admin sets of an HPA: target (replicas' worth of load per pod), tolerance and window for the way down."""

    target: float = TARGET
    tolerance: float = TOLERANCE
    stabilization_seconds: float = STABILIZATION_SECONDS


class Hpa:
    """One HPA per serving, with options for all or one set for each."""

    name = "hpa"
    _behaviour: Behaviour

    def __init__(self, options: Sequence[HpaOptions] = (HpaOptions(),)) -> None:
        self._target = np.array([o.target for o in options])
        self._tolerance = np.array([o.tolerance for o in options])
        self._windows = np.array([o.stabilization_seconds for o in options])

    def begin(self, case: Case) -> None:
        """Forget all recommendations."""
        self._behaviour = begin_behaviour(case, self._windows)

    def decide(self, view: View) -> Wanted:
        """Sync if a sync is due."""
        seen = look(view)
        if not self._behaviour.is_due(view.step):
            return scale_to(view, seen.current)
        desired = replicas_by_pods(seen, self._target, self._tolerance)
        return scale_to(view, self._behaviour.settle(seen, desired))
