"""`keda`: a ScaledObject with a Prometheus trigger on running and waiting requests, and the HPA that KEDA makes for it.

Source: KEDA 2.20 `pkg/scaling/executor/scale_scaledobjects.go` and its documentation. Between 1 and N replicas the HPA
decides at its own sync, on the value as AverageValue over all pods, ready or not; the polling interval and the cooldown
matter only between 0 and 1. KEDA's maxReplicaCount of 100 is replaced by the pool's limit.
"""

from dataclasses import dataclass

import numpy as np

from baseload.sim.case import Case, FloatArray, IntArray, View, Wanted
from baseload.sim.leads import EDGE
from baseload.sim.policies.hpa_rule import (
    STABILIZATION_SECONDS,
    TOLERANCE,
    Behaviour,
    begin_behaviour,
    replicas_by_total,
)
from baseload.sim.policies.seen import Seen, look, scale_to, steps_within

TARGET = 0.7
"""Threshold of the trigger, in replicas' worth of load per pod: the same headroom as the usual HPA's."""


@dataclass(frozen=True, slots=True)
class KedaOptions:
    """Fields of a ScaledObject with their defaults; `min_replicas` is 1 here, since 0 needs a gateway that waits."""

    threshold: float = TARGET
    polling_seconds: float = 30.0
    cooldown_seconds: float = 300.0
    min_replicas: int = 1


class Keda:
    """One ScaledObject per serving."""

    name = "keda"
    _behaviour: Behaviour
    _steps_in_poll: int
    _active_at: FloatArray

    def __init__(self, options: KedaOptions = KedaOptions()) -> None:
        self._options = options

    def begin(self, case: Case) -> None:
        """Forget everything."""
        self._behaviour = begin_behaviour(case, np.array([STABILIZATION_SECONDS]))
        self._steps_in_poll = steps_within(self._options.polling_seconds, case.step_seconds)
        self._active_at = np.zeros(len(case.world))

    def decide(self, view: View) -> Wanted:
        """Sync the HPA, then poll for activity where the fleet may be empty."""
        seen = look(view)
        replicas = seen.current
        if self._behaviour.is_due(view.step):
            wanted = replicas_by_total(seen.load, seen.current, self._options.threshold, TOLERANCE)
            replicas = self._behaviour.settle(seen, wanted)
        if self._options.min_replicas == 0:
            replicas = self._activated(view, seen, replicas)
        return scale_to(view, replicas)

    def _activated(self, view: View, seen: Seen, replicas: IntArray) -> IntArray:
        """To zero after the cooldown without load, from zero to one at the first poll with load."""
        is_empty = seen.current == 0
        if (view.step + 1) % self._steps_in_poll:
            return np.where(is_empty, 0, replicas)
        is_active = seen.load > 0
        self._active_at = np.where(is_active, view.now_seconds, self._active_at)
        idle = view.now_seconds - self._active_at
        rests = seen.is_known & ~is_active & (is_empty | (idle > self._options.cooldown_seconds + EDGE))
        return np.where(rests, 0, np.where(is_empty, np.where(is_active, 1, 0), replicas))
