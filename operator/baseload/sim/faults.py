"""What goes wrong in a replay, drawn once for a case: refused orders and replicas that are taken away."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from baseload.sim.case import Case, FloatArray, IntArray, SimPool, Span


@dataclass(frozen=True, slots=True, eq=False)
class Faults:
    """`refused` and `all_lost` have the shape (steps, pools), the chances of a single loss per step (pools,)."""

    refused: NDArray[np.bool_]
    all_lost: NDArray[np.bool_]
    loss_chance: FloatArray


def draw_faults(case: Case, random: np.random.Generator) -> Faults:
    """Stockouts by their spans, joint losses by a Poisson process; both are the same for every policy."""
    steps = case.world.shape[1]
    # An order is placed at the end of its step.
    placed_seconds = (np.arange(steps) + 1) * case.step_seconds
    refused = [_inside(placed_seconds, pool.stockouts) for pool in case.pools]
    joint = [random.random(steps) < _chance(case, pool, pool.joint_loss_share) for pool in case.pools]
    single = [_chance(case, pool, 1.0 - pool.joint_loss_share) for pool in case.pools]
    return Faults(np.stack(refused, axis=-1), np.stack(joint, axis=-1), np.array(single))


def losses(faults: Faults, step: int, ready: IntArray, random: np.random.Generator) -> IntArray | None:
    """Replicas taken away at the start of a step, shape (servings, pools); None when no pool ever loses any."""
    if not faults.loss_chance.any() and not faults.all_lost[step].any():
        return None
    lost = random.binomial(ready, faults.loss_chance)
    return np.where(faults.all_lost[step], ready, lost)


def _inside(times: NDArray[np.floating], spans: tuple[Span, ...]) -> NDArray[np.bool_]:
    """Which times are inside any of the spans."""
    inside = np.zeros(times.shape, dtype=np.bool_)
    for span in spans:
        inside |= (times >= span.start_seconds) & (times < span.end_seconds)
    return inside


def _chance(case: Case, pool: SimPool, share: float) -> float:
    """Chance that a loss of this share of all happens within a step."""
    return float(-np.expm1(-pool.preemptions_per_hour * share * case.step_seconds / 3600.0))
