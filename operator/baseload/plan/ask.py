"""What one serving asks of the free accelerators, beside all others that may use the same nodes."""

from collections.abc import Callable
from dataclasses import dataclass

from baseload.plan.snapshot import Mode, Reach, ServingKey, ServingState, TargetState

CLAIM_SECONDS = 60.0
"""A replica that no node took for this long, although one could, cannot use it: its claim then comes last."""


@dataclass(frozen=True, slots=True)
class Ask:
    """What one serving asks of the free accelerators, in replicas.

    `placed` have a node; `ordered` stand in the target's scale already; `unplaced` pods wait for a node; `wanted` is
    what its own limiters allow, `least` what is written in any case. `stale` says that its claim was passed over.
    """

    key: ServingKey
    priority: int
    reach: Reach
    placed: int
    unplaced: int
    ordered: int
    wanted: int
    least: int
    stale: bool = False

    @property
    def claimed(self) -> int:
        """Ordered before and not on a node yet: pods that wait, and orders whose pods were not seen yet."""
        return max(min(self.ordered, self.wanted) - self.placed, self.unplaced, 0)

    @property
    def growth(self) -> int:
        """Wanted beyond what was ordered."""
        return max(self.wanted - self.ordered, 0)


def ask_of(
    state: ServingState, target: TargetState, wanted: int, inside: Callable[[int], int], now: float
) -> Ask | None:
    """The ask of a serving; None when it needs nothing, writes nothing, or when free accelerators are not known.

    `inside` moves a number into the bounds that the user sets.
    """
    reach, placed = state.reach, state.placed_replicas
    if reach is None or state.spec.mode is Mode.RECOMMEND:
        return None
    if wanted <= placed and wanted <= target.wanted and not state.unplaced_replicas:
        return None
    pinned = state.pause.replicas or 0
    return Ask(
        key=state.key,
        priority=state.priority.value,
        reach=reach,
        placed=placed,
        unplaced=state.unplaced_replicas,
        ordered=target.wanted,
        wanted=wanted,
        least=max(inside(0), pinned),
        stale=_was_passed_over(state, target, now),
    )


def _was_passed_over(state: ServingState, target: TargetState, now: float) -> bool:
    waiting = state.memory.waiting
    if waiting is None or (waiting.ordered, waiting.placed) != (target.wanted, state.placed_replicas):
        return False
    # Some workloads make their pods one after the other, each when the one before is ready.
    due = target.wanted - state.placed_replicas > state.unplaced_replicas
    return now - waiting.since > CLAIM_SECONDS + (2 * state.start_up_seconds if due else 0.0)
