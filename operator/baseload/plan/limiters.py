"""What may change a wanted number, in order: a chain of small named rules that reads as a table.

Each rule takes the number so far and answers with the number allowed, the reason and the message; a rule that does
not object answers None. The first rule to speak is applied first and all that spoke stand in `limitedBy`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import ceil

from baseload.api.reasons import Reason
from baseload.plan.decision import Limit
from baseload.plan.memory import ServingMemory
from baseload.plan.signals import Missing
from baseload.plan.snapshot import ServingState, Snapshot, TargetState

STALE_WORLD_SECONDS = 90.0
"""A view of the cluster older than this (its watches are silent for 70 s at most) is not decided on."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What the rules look at beside the number."""

    snapshot: Snapshot
    state: ServingState
    target: TargetState
    memory: ServingMemory

    @property
    def held(self) -> int:
        """The number there is, inside the bounds: what a rule answers that lets nothing move."""
        spec = self.state.spec
        return min(max(self.target.wanted, spec.min_replicas), spec.max_replicas)


Answer = tuple[int, Reason, str] | None
Rule = Callable[[Asked, int], Answer]


def at_least_min(asked: Asked, wanted: int) -> Answer:
    """`spec.replicas.min` is a floor."""
    least = asked.state.spec.min_replicas
    return None if wanted >= least else (least, Reason.MIN_REPLICAS, f"replicas.min is {least}")


def at_most_max(asked: Asked, wanted: int) -> Answer:
    """`spec.replicas.max` is a ceiling."""
    most = asked.state.spec.max_replicas
    return None if wanted <= most else (most, Reason.MAX_REPLICAS, f"replicas.max is {most}")


def metrics_are_there(asked: Asked, wanted: int) -> Answer:
    """Missing signals hold: never down on a gap; up only if a live signal says so."""
    gap = missing_signal(asked.state)
    if gap is None or wanted >= asked.held:
        return None
    name, missing = gap
    return asked.held, Reason.METRICS_MISSING, f"{name} is missing ({missing.reason}): {missing.message}"


def world_is_fresh(asked: Asked, wanted: int) -> Answer:
    """A cluster view that is too old holds the number in both directions."""
    age = asked.snapshot.now - min(asked.snapshot.world_time, asked.state.target_seen_time)
    if age <= STALE_WORLD_SECONDS or wanted == asked.held:
        return None
    return asked.held, Reason.SNAPSHOT_STALE, f"the cluster was last seen {age:.0f} s ago"


def operator_is_warm(asked: Asked, wanted: int) -> Answer:
    """After a start or a change of leader nothing goes down for one full scale-down window."""
    window = asked.state.spec.stabilization_seconds
    watched = asked.snapshot.now - asked.snapshot.warm_since
    if wanted >= asked.held or watched >= window:
        return None
    return asked.held, Reason.WARMING_UP, f"a full scale-down window of {window:.0f} s was not watched yet"


def nothing_higher_was_wanted_lately(asked: Asked, wanted: int) -> Answer:
    """Going down takes the highest number wanted inside the scale-down window."""
    if wanted >= asked.held:
        return None
    highest = max((w.replicas for w in asked.memory.wishes), default=wanted)
    allowed = min(max(highest, wanted), asked.held)
    if allowed == wanted:
        return None
    window = asked.state.spec.stabilization_seconds
    return allowed, Reason.STABILIZATION, f"{highest} were wanted within the last {window:.0f} s"


def one_step_down(asked: Asked, wanted: int) -> Answer:
    """A step down takes at most `maxStepPercent` of the replicas, rounded up, at least one."""
    percent = asked.state.spec.max_step_percent
    step = max(ceil(asked.held * percent / 100), 1)
    allowed = asked.held - step
    return None if wanted >= allowed else (allowed, Reason.STEP_LIMITED, f"a step down is at most {step}")


def not_paused(asked: Asked, wanted: int) -> Answer:
    """Pause annotations: a pinned number wins, else the paused direction holds exactly what is there."""
    pause, current = asked.state.pause, asked.target.wanted
    if pause.replicas is not None:
        return None if wanted == pause.replicas else (pause.replicas, Reason.PAUSED, pause.why)
    if (wanted < current and pause.scale_in) or (wanted > current and pause.scale_out):
        return current, Reason.PAUSED, pause.why
    return None


CHAIN: tuple[Rule, ...] = (
    at_least_min,
    at_most_max,
    metrics_are_there,
    world_is_fresh,
    operator_is_warm,
    nothing_higher_was_wanted_lately,
    one_step_down,
    not_paused,
)


def limit(asked: Asked, wanted: int) -> tuple[int, tuple[Limit, ...]]:
    """Run the chain; the number allowed and every change on the way."""
    limits: list[Limit] = []
    for rule in CHAIN:
        answer = rule(asked, wanted)
        if answer is not None:
            allowed, reason, message = answer
            limits.append(Limit(reason, message, wanted, allowed))
            wanted = allowed
    return wanted, tuple(limits)


def missing_signal(state: ServingState) -> tuple[str, Missing] | None:
    """The first signal whose absence forbids going down: what runs always, the others unless never exposed."""
    signals = state.signals
    if isinstance(signals.running, Missing):
        return "running sequences", signals.running
    others = (
        ("waiting requests", signals.waiting),
        ("offered rate", signals.offered_rps),
        ("time to first token attainment", signals.time_to_first_token_attainment),
        ("inter-token attainment", signals.inter_token_attainment),
    )
    for name, signal in others:
        if isinstance(signal, Missing) and signal.reason not in (Reason.NO_SERIES, Reason.NOT_OBSERVED):
            return name, signal
    return None
