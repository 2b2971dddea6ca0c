"""What may change a wanted number, in order: a chain of small named rules that reads as a table.

Each rule takes the number so far and answers with the number allowed, the reason and the message; a rule that does
not object answers None. The first rule to speak is applied first and all that spoke stand in `limitedBy`.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from math import ceil

from baseload.api.reasons import Reason
from baseload.plan import metrics_loss, rollout
from baseload.plan.changes import leaving, may_go_now
from baseload.plan.decision import Limit
from baseload.plan.memory import ServingMemory
from baseload.plan.schedule import least_in_force, most_in_force
from baseload.plan.signals import Missing
from baseload.plan.snapshot import LossPolicy, ServingState, Snapshot, TargetState

STALE_WORLD_SECONDS = 90.0
"""A view of the cluster older than this (its watches are silent for 70 s at most) is not decided on."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What the rules look at beside the number.

    `held` is the number there is, inside all bounds: what a rule answers that lets nothing move.
    """

    snapshot: Snapshot
    state: ServingState
    target: TargetState
    memory: ServingMemory
    held: int = field(init=False)

    def __post_init__(self) -> None:
        """Work out `held` once; most rules ask for it."""
        object.__setattr__(self, "held", self.inside(self.target.wanted))

    def inside(self, number: int) -> int:
        """A number moved into all bounds."""
        for bound in BOUNDS:
            answer = bound(self, number)
            number = number if answer is None else answer[0]
        return number


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


def at_most_scheduled(asked: Asked, wanted: int) -> Answer:
    """A schedule that is in force caps the number, never below `spec.replicas.min`."""
    bound = most_in_force(asked.state.windows, asked.snapshot.now)
    if bound is None or wanted <= max(bound.replicas, asked.state.spec.min_replicas):
        return None
    most = max(bound.replicas, asked.state.spec.min_replicas)
    return most, Reason.SCHEDULED_MAX, f"schedule {bound.words} allows {bound.replicas}"


def at_least_scheduled(asked: Asked, wanted: int) -> Answer:
    """A schedule raises the number, one start-up time before it begins; never above `spec.replicas.max`."""
    lead_seconds = asked.state.start_up_seconds + asked.snapshot.tick_seconds
    bound = least_in_force(asked.state.windows, asked.snapshot.now, lead_seconds)
    if bound is None or wanted >= min(bound.replicas, asked.state.spec.max_replicas):
        return None
    least = min(bound.replicas, asked.state.spec.max_replicas)
    return least, Reason.SCHEDULED_MIN, f"schedule {bound.words} asks for {bound.replicas}"


BOUNDS: tuple[Rule, ...] = (at_least_min, at_most_max, at_most_scheduled, at_least_scheduled)
"""The bounds that a user sets. A number outside them moves into them at once, whatever other rules say."""


def metrics_are_there(asked: Asked, wanted: int) -> Answer:
    """Missing signals hold: never down on a gap; up only if a live signal says so."""
    gap = None if wanted >= asked.held else missing_signal(asked.state)
    if gap is None:
        return None
    name, missing = gap
    return asked.held, Reason.METRICS_MISSING, f"{name} is missing ({missing.reason}): {missing.message}"


def loss_policy(asked: Asked, wanted: int) -> Answer:
    """When nothing could be measured for three minutes, `onMetricsLoss` may raise the number; it never lowers it."""
    loss, policy = asked.memory.loss, asked.state.spec.on_loss
    if loss is None:
        return None
    now = asked.snapshot.now
    least = asked.inside(metrics_loss.least_while_lost(loss, policy, asked.state.start_up_seconds, now))
    if wanted >= least:
        return None
    reason = Reason.LOSS_FALLBACK if policy.policy is LossPolicy.FALLBACK else Reason.LOSS_SCALE_UP
    return least, reason, f"nothing could be measured for {metrics_loss.LOSS_SECONDS:.0f} s or more"


def world_is_fresh(asked: Asked, wanted: int) -> Answer:
    """A cluster view that is too old holds the number in both directions."""
    age = asked.snapshot.now - min(asked.snapshot.world_time, asked.state.target_seen_time)
    if age <= STALE_WORLD_SECONDS or wanted == asked.held:
        return None
    return asked.held, Reason.SNAPSHOT_STALE, f"the cluster was last seen {age:.0f} s ago"


def operator_is_warm(asked: Asked, wanted: int) -> Answer:
    """After a start, a change of leader, or a pause in scaling a target, nothing goes down for a scale-down window."""
    if wanted >= asked.held:
        return None
    window = asked.state.spec.stabilization_seconds
    since = asked.memory.watched.since if asked.memory.watched else asked.snapshot.now
    watched = asked.snapshot.now - max(asked.snapshot.warm_since, since)
    if watched >= window:
        return None
    return asked.held, Reason.WARMING_UP, f"a full scale-down window of {window:.0f} s was not watched yet"


def no_rollout_in_progress(asked: Asked, wanted: int) -> Answer:
    """While a rollout makes progress nothing goes down: what two revisions show together says little of either."""
    if wanted >= asked.held:
        return None
    start_up_seconds, now = asked.state.start_up_seconds, asked.snapshot.now
    if not rollout.makes_progress(asked.memory.rollout, asked.target, start_up_seconds, now):
        return None
    return asked.held, Reason.ROLLOUT_IN_PROGRESS, f"a rollout of {asked.target.kind} '{asked.target.name}' is going on"


def nothing_higher_was_wanted_lately(asked: Asked, wanted: int) -> Answer:
    """Going down takes the highest number wanted inside the scale-down window."""
    if wanted >= asked.held:
        return None
    highest = max([w.replicas for w in asked.memory.wishes], default=wanted)
    allowed = min(max(highest, wanted), asked.held)
    if allowed == wanted:
        return None
    window = asked.state.spec.stabilization_seconds
    return allowed, Reason.STABILIZATION, f"{highest} were wanted within the last {window:.0f} s"


def what_starts_may_start(asked: Asked, wanted: int) -> Answer:
    """What demand ordered is not cancelled before it is ready, or late by half a start-up time."""
    ordered = max([order.replicas for order in asked.memory.orders], default=0)
    allowed = min(ordered, asked.held)
    if wanted >= allowed:
        return None
    coming = allowed - asked.target.ready
    return allowed, Reason.STARTING_UP, f"{coming} replicas that demand asked for are still starting"


def one_step_down(asked: Asked, wanted: int) -> Answer:
    """A step down takes at most `maxStepPercent` of the replicas, rounded up, at least one."""
    percent = asked.state.spec.max_step_percent
    step = max(ceil(asked.held * percent / 100), 1)
    allowed = asked.held - step
    return None if wanted >= allowed else (allowed, Reason.STEP_LIMITED, f"a step down is at most {step}")


def last_step_has_drained(asked: Asked, wanted: int) -> Answer:
    """Replicas that leave at one time, those still draining included, are at most `maxStepPercent` of all that run."""
    gone = leaving(asked.state, asked.memory.fall)
    allowed = asked.held - may_go_now(asked.held, gone, asked.state.spec.max_step_percent)
    if gone == 0 or wanted >= allowed:
        return None
    return allowed, Reason.DRAINING, f"{gone} replicas are still finishing their requests"


def not_paused(asked: Asked, wanted: int) -> Answer:
    """Pause annotations: a pinned number wins, else the paused direction holds exactly what is there."""
    pause, current = asked.state.pause, asked.target.wanted
    if pause.replicas is not None:
        return None if wanted == pause.replicas else (pause.replicas, Reason.PAUSED, pause.why)
    if (wanted < current and pause.scale_in) or (wanted > current and pause.scale_out):
        return current, Reason.PAUSED, pause.why
    return None


CHAIN: tuple[Rule, ...] = (
    *BOUNDS,
    metrics_are_there,
    loss_policy,
    world_is_fresh,
    operator_is_warm,
    no_rollout_in_progress,
    nothing_higher_was_wanted_lately,
    what_starts_may_start,
    one_step_down,
    last_step_has_drained,
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
