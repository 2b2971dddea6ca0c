"""What a replay is given: demand, pools and what things cost; and what a policy sees and answers."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Lead:
    """Time from an order to a replica that serves: log-normal by median and 95th percentile; equal ones are exact."""

    p50_seconds: float
    p95_seconds: float


@dataclass(frozen=True, slots=True)
class Span:
    """A time span, seconds after the first step, the end excluded."""

    start_seconds: float
    end_seconds: float


@dataclass(frozen=True, slots=True)
class SimPool:
    """Replicas of one kind of capacity, shared by all servings of the case.

    `price` is per replica-hour, in prices of the dearest thing that needs no unit: only ratios matter. An order is
    billed from the moment it is placed (`pending_billed`) and for `min_billing_seconds` at least; a replica is held
    `hold_seconds` after it came. `limit` bounds the replicas of all servings together. In `stockouts` an order is
    refused; `fill_share` is the share of an order that comes when one comes partly; `preemptions_per_hour` is the rate
    at which a replica is taken away, all of the pool at once in `joint_loss_share` of the cases.
    """

    name: str = "base"
    price: float = 1.0
    lead: Lead = Lead(600.0, 600.0)
    pending_billed: bool = True
    min_billing_seconds: float = 0.0
    hold_seconds: float = 0.0
    limit: int | None = None
    stockouts: tuple[Span, ...] = ()
    fill_share: float = 1.0
    preemptions_per_hour: float = 0.0
    joint_loss_share: float = 0.0


@dataclass(frozen=True, slots=True, eq=False)
class Case:
    """One replay. `demand` has the shape (servings, steps), in replicas' worth of work, NaN where the trace has a gap.

    The world itself has no gaps: there the demand is `world` (the gap interpolated); policies see `demand`.
    `penalty` is the cost of a missing replica-hour in prices of `pools[0]`. `history` are earlier steps that policies
    may look at, shape (servings, earlier steps). `lead_told_factor` is what a policy believes of the leads, in
    multiples of the truth.
    """

    name: str
    step_seconds: float
    demand: FloatArray
    world: FloatArray
    pools: Sequence[SimPool] = (SimPool(),)
    penalty: float = 20.0
    history: FloatArray | None = None
    steps_per_day: int = 144
    lead_told_factor: float = 1.0
    seed: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """What a policy knows at the end of step `step`: demand of all steps so far and the state of its replicas.

    `demand` has the shape (servings, earlier steps + step + 1); `ready`, `pending` have (servings, pools). `unserved`
    is the work of this step that no replica took, `backlog` what of it still waits, in replica-steps.
    """

    step: int
    now_seconds: float
    demand: FloatArray
    ready: IntArray
    pending: IntArray
    unserved: FloatArray
    backlog: FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class Wanted:
    """A policy's answer, arrays of shape (servings, pools).

    Ready and pending together are ordered up to `order`; pending beyond it is cancelled, newest first; ready ones
    beyond `keep` go at once.
    """

    order: IntArray
    keep: IntArray


class Policy(Protocol):
    """Anything that decides how many replicas each serving has in each pool."""

    name: str

    def begin(self, case: Case) -> None:
        """Forget everything and prepare for a case."""

    def decide(self, view: View) -> Wanted:
        """Answer at the end of a step."""


@dataclass(frozen=True, slots=True, eq=False)
class Trajectory:
    """What happened, step by step: arrays of shape (servings, steps) or (servings, steps, pools); CPU seconds."""

    case: Case
    policy: str
    ready: IntArray
    billed: IntArray
    unserved: FloatArray
    policy_seconds: float = field(default=0.0)
    simulator_seconds: float = field(default=0.0)
