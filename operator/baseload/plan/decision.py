"""The output of the decision: a number, how it came about, in words and in values."""

from dataclasses import dataclass
from enum import StrEnum

from baseload.api.reasons import Reason
from baseload.plan.ask import Ask
from baseload.plan.memory import ServingMemory
from baseload.plan.outlook import Outlook
from baseload.plan.placement.cascade import PoolOrder
from baseload.plan.snapshot import ServingKey


@dataclass(frozen=True, slots=True)
class Observed:
    """A signal the decision looked at: `value` and `target` in `unit`, None when missing; `time` of the sample."""

    signal: str
    unit: str
    value: float | None
    target: float | None
    time: float | None
    missing: Reason | None = None


@dataclass(frozen=True, slots=True)
class Limit:
    """One limiter that changed the number from `before` to `after`."""

    reason: Reason
    message: str
    before: int
    after: int


@dataclass(frozen=True, slots=True)
class Considered:
    """One pool looked at: chosen or why not, with numbers; `reason` is why it may not be used at all."""

    pool: str
    chosen: bool
    message: str
    reason: Reason | None = None


@dataclass(frozen=True, slots=True)
class Shortage:
    """Wanted replicas that have no accelerator, and the requests per second that so stay outside the objective.

    `requests_per_second` is None while the rate or the capacity of a replica is not known.
    """

    replicas: int
    requests_per_second: float | None


class Status(StrEnum):
    """The value of a condition."""

    TRUE = "True"
    FALSE = "False"
    UNKNOWN = "Unknown"


@dataclass(frozen=True, slots=True)
class Condition:
    """A condition without its times, which the writer adds."""

    type: str
    status: Status
    reason: Reason
    message: str


@dataclass(frozen=True, slots=True)
class Decision:
    """What to do with one serving and why.

    `current` is the target's wanted replicas now, `raw` what demand asks for, `final` what the limiters allow.
    `write` says whether `final` must be written to the target's scale. `breach_since` is the sample time of the
    first reading that called for more replicas than are wanted now (None when none did). `ask` is what it asked of
    the free accelerators, None when it needs none. `outlook` is the one that was followed, None when the
    decision is reactive. `pools` are the orders in pools that Baseload orders from, empty without such.
    """

    key: ServingKey
    generation: int
    time: float
    current: int
    raw: int
    final: int
    write: bool
    reason: Reason
    message: str
    observed: tuple[Observed, ...]
    limited_by: tuple[Limit, ...]
    considered: tuple[Considered, ...]
    conditions: tuple[Condition, ...]
    memory: ServingMemory
    capacity_rps_per_replica: float | None = None
    start_up_seconds: float = 0.0
    breach_since: float | None = None
    shortage: Shortage | None = None
    ask: Ask | None = None
    outlook: Outlook | None = None
    pools: tuple[PoolOrder, ...] = ()
