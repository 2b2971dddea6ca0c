"""`kpa`: Knative's pod autoscaler on concurrency, with its stable and panic windows.

Source: knative/serving `pkg/autoscaler/scaling/autoscaler.go` (`Scale`, `newAutoscaler`) and `config-autoscaler`: tick
2 s, stable window 60 s, panic window 10 % of it, panic threshold 200 %, up at most x1000 and down at most to a half per
tick, target 70 % of a container's concurrency, no scale-down delay, panic at the start with more than one pod.

In steps longer than a window both windows hold the step's mean; panic then begins when a step's mean needs twice the
ready pods, and ends with the next step that does not, since its stable window is over. A step holds many ticks, so a
fleet may halve as often. Activator and burst capacity move requests, not replicas, and are left out.
"""

from collections import deque

import numpy as np
from numpy.typing import NDArray

from baseload.sim.case import Case, FloatArray, View, Wanted
from baseload.sim.leads import EDGE
from baseload.sim.policies.seen import first_replicas, look, most_replicas, scale_to, steps_within, within_limits

TICK_SECONDS = 2.0
"""How often it decides."""

STABLE_SECONDS = 60.0
"""stable-window, and how long the load must stay below the threshold before panic ends."""

PANIC_SECONDS = 6.0
"""panic-window-percentage of the stable window."""

PANIC_THRESHOLD = 2.0
"""panic-threshold-percentage: pods that the panic window needs over those that are ready."""

MAX_UP_RATE = 1000.0
"""max-scale-up-rate of a tick."""

MAX_DOWN_RATE = 2.0
"""max-scale-down-rate of a tick."""

TARGET = 0.7
"""container-concurrency-target-percentage; a container's concurrency is one replica's worth of work."""

MOST_HALVINGS = 60
"""More than any fleet survives."""


class Kpa:
    """One autoscaler per serving."""

    name = "kpa"
    _loads: deque[FloatArray]
    _panic_steps: int
    _down_divisor: float
    _panic_since: FloatArray
    _panic_pods: FloatArray
    _most: int | None

    def begin(self, case: Case) -> None:
        """Start in panic where more than one pod is ready, so that nothing is lost before there are data."""
        self._loads = deque(maxlen=steps_within(STABLE_SECONDS, case.step_seconds))
        self._panic_steps = steps_within(PANIC_SECONDS, case.step_seconds)
        ticks = max(int(case.step_seconds / TICK_SECONDS + EDGE), 1)
        self._down_divisor = MAX_DOWN_RATE ** min(ticks, MOST_HALVINGS)
        ready = first_replicas(case)
        self._panic_since = np.where(ready > 1, 0.0, np.nan)
        self._panic_pods = ready.astype(float)
        self._most = most_replicas(case)

    def decide(self, view: View) -> Wanted:
        """Scale by the stable window, or by both in panic, and then never down."""
        seen = look(view)
        self._loads.append(seen.load)
        ready = np.maximum(seen.ready, 1).astype(float)
        stable_pods = self._pods(len(self._loads))
        panic_pods = self._pods(self._panic_steps)
        is_panic = self._panics(view.now_seconds, seen.is_known & (panic_pods / ready >= PANIC_THRESHOLD - EDGE))
        low, high = np.floor(ready / self._down_divisor), np.ceil(MAX_UP_RATE * ready)
        stable, panic = np.clip(stable_pods, low, high), np.clip(panic_pods, low, high)
        raised = np.maximum(self._panic_pods, np.maximum(stable, panic))
        self._panic_pods = np.where(is_panic & seen.is_known, raised, self._panic_pods)
        desired = np.where(is_panic, self._panic_pods, stable).astype(np.int64)
        return scale_to(view, np.where(seen.is_known, within_limits(desired, self._most), seen.current))

    def _pods(self, steps: int) -> FloatArray:
        """Pods for the mean concurrency of the newest steps; steps without data do not count."""
        window = np.array(list(self._loads)[-steps:])
        known = ~np.isnan(window)
        mean = np.where(known, window, 0.0).sum(axis=0) / np.maximum(known.sum(axis=0), 1)
        return np.asarray(np.ceil(mean / TARGET - EDGE))

    def _panics(self, now_seconds: float, is_over: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Who is in panic: since the threshold was last crossed, and until a whole stable window has passed below."""
        is_past = self._panic_since + STABLE_SECONDS < now_seconds - EDGE
        ends = ~is_over & is_past
        self._panic_since = np.where(is_over, now_seconds, np.where(ends, np.nan, self._panic_since))
        self._panic_pods = np.where(ends, 0.0, self._panic_pods)
        return ~np.isnan(self._panic_since)
