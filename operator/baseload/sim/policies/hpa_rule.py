"""The arithmetic of Kubernetes' HorizontalPodAutoscaler, vectorised over servings.

Source: kubernetes v1.37 `pkg/controller/podautoscaler`: `replica_calculator.go` (`calcPlainMetricReplicas`,
`GetExternalPerPodMetricReplicas`), `horizontal.go` (`stabilizeRecommendationWithBehaviors`,
`calculateScaleUpLimitWithScalingRules`) and the default behaviour in `pkg/apis/autoscaling/v2/defaults.go`.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from baseload.sim.case import Case, FloatArray, IntArray
from baseload.sim.leads import EDGE
from baseload.sim.policies.seen import Seen, first_replicas, most_replicas, steps_within, within_limits
from baseload.sim.policies.sliding_maximum import SlidingMaximum

SYNC_SECONDS = 15.0
"""horizontal-pod-autoscaler-sync-period; also the period of the default behaviour's policies."""

STABILIZATION_SECONDS = 300.0
"""horizontal-pod-autoscaler-downscale-stabilization."""

TOLERANCE = 0.1
"""horizontal-pod-autoscaler-tolerance."""

UP_PODS = 4
"""The default behaviour adds as many pods in a period, or doubles the fleet, whichever is more; it removes all."""

BoolArray = NDArray[np.bool_]


def replicas_by_pods(seen: Seen, target: FloatArray | float, tolerance: FloatArray | float) -> IntArray:
    """A metric of type Pods: the mean over pods against the target, with the rule for pods that are not ready.

    On the way down pods that are not ready are left out; on the way up they count as idle, and nothing happens if that
    turns the direction. Nothing happens either without a ready pod: there is no metric.
    """
    ready, current = seen.ready, seen.current
    ratio = seen.load / (np.maximum(ready, 1) * target)
    spread = seen.load / (np.maximum(current, 1) * target)
    counts_unready = (seen.pending > 0) & (ratio > 1.0)
    used = np.where(counts_unready, spread, ratio)
    is_kept = _within(used, tolerance) | (counts_unready & (spread < 1.0)) | (ready == 0)
    return np.where(is_kept, current, _ceil(np.where(is_kept, 0.0, used) * np.where(counts_unready, current, ready)))


def replicas_by_total(
    total: FloatArray, current: IntArray, target: FloatArray | float, tolerance: FloatArray | float
) -> IntArray:
    """An external metric as AverageValue: its total over all pods of the spec, ready or not, against the target."""
    ratio = total / (np.maximum(current, 1) * target)
    return np.where(_within(ratio, tolerance), current, _ceil(total / target))


def _within(ratio: FloatArray, tolerance: FloatArray | float) -> BoolArray:
    return np.asarray(np.abs(ratio - 1.0) <= np.asarray(tolerance) + EDGE)


def _ceil(replicas: FloatArray) -> IntArray:
    return np.ceil(np.nan_to_num(replicas) - EDGE).astype(np.int64)


def up_limit(current: IntArray, desired: IntArray, syncs: int) -> IntArray:
    """What the default behaviour allows after as many syncs in a row: each adds 4 pods or doubles, the larger.

    The sync period equals the policies' period, so no earlier change is ever inside it.
    """
    allowed = current
    for _ in range(syncs):
        if (allowed >= desired).all():
            break
        allowed = np.maximum(allowed + UP_PODS, 2 * allowed)
    return np.minimum(desired, allowed)


@dataclass(slots=True, eq=False)
class Behaviour:
    """Memory of one HPA per serving: the highest recommendation of the window for the way down."""

    recommendations: SlidingMaximum
    syncs_in_step: int
    steps_in_sync: int
    most: int | None

    def is_due(self, step: int) -> bool:
        """Whether a sync ends with this step; between two syncs nothing is recommended."""
        return (step + 1) % self.steps_in_sync == 0

    def settle(self, seen: Seen, desired: IntArray) -> IntArray:
        """Replicas after stabilisation, rate limits and bounds; what a serving without metrics has stays."""
        known, current = seen.is_known, seen.current
        # Without metrics nothing is recommended, but older recommendations grow old all the same.
        highest = self.recommendations.push(np.where(known, desired, 0))
        stable = np.where(desired < current, np.minimum(current, highest), desired)
        limited = np.where(stable > current, up_limit(current, stable, self.syncs_in_step), stable)
        return np.where(known, within_limits(limited, self.most), current)


def begin_behaviour(case: Case, windows: FloatArray) -> Behaviour:
    """Start HPAs whose initial recommendation is what runs now; `windows` are seconds, one for each serving or for all.

    A step longer than the sync period holds several syncs that all read its mean; shorter steps share a sync.
    """
    steps_in_sync = steps_within(SYNC_SECONDS, case.step_seconds)
    syncs = np.array([steps_within(window, case.step_seconds * steps_in_sync) for window in windows])
    recommendations = SlidingMaximum(syncs, len(case.world))
    recommendations.push(first_replicas(case))
    return Behaviour(
        recommendations=recommendations,
        syncs_in_step=max(int(case.step_seconds / SYNC_SECONDS + EDGE), 1),
        steps_in_sync=steps_in_sync,
        most=most_replicas(case),
    )
