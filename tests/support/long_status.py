"""Statuses as they are as a rule, and the longest that can be."""

from dataclasses import replace
from typing import Any

from worlds import NOW, learned_model, signals, spec

from baseload.act.status import StatusInput, build_status
from baseload.api.reasons import Reason
from baseload.plan.decision import Condition, Considered, Decision, Limit, Observed, Status
from baseload.plan.limiters import CHAIN
from baseload.plan.memory import ServingMemory
from baseload.plan.outlook import Answer, Band, Outlook
from baseload.plan.planner import plan
from baseload.plan.snapshot import PoolState, Reach, ServingKey, ServingState, Snapshot, TargetState

BAND = Band(1200.0, 512.3, 801.2, 1377.9)
OUTLOOK = Outlook(NOW - 20, NOW - 60, 1033.7, 912.4, 1801.0, 1200.0, 0.93, BAND, Answer.MIXTURE)
LONG = "every word of this message matters to somebody who looks for the reason of a number; " * 12
HISTORY = [
    {"time": "2026-01-01T00:00:00Z", "from": 99_990 + row, "to": 99_991 + row, "reason": "ObjectiveMissed"}
    for row in range(5)
]


def decision() -> Decision:
    """A decision of the real planner that saw eight pools."""
    pools = tuple(PoolState(f"pool-{number}", "H100", 40, 320, 12, 2.5) for number in range(8))
    state = ServingState(
        key=ServingKey("team", "chat"),
        generation=3,
        spec=spec(),
        target=TargetState("Deployment", "chat", "u", 2, 2),
        signals=signals(4.0),
        memory=ServingMemory(model=learned_model()),
        pools=pools,
        reach=Reach((0,), 1),
        placed_replicas=2,
        outlook=OUTLOOK,
    )
    return plan(Snapshot(now=NOW, warm_since=NOW - 9000, world_time=NOW, servings=(state,)))[0]


def typical_status() -> dict[str, Any]:
    """A learned model, eight pools, five rows of history, ordinary messages."""
    return build_status(StatusInput(decision(), spec(), ready=2, pending=1, desired=3), {"history": HISTORY})


def longest_status(pool_name: str = "p" * 63) -> dict[str, Any]:
    """All conditions bad, all limits applied, eight pools of long names, and each message as long as it can be."""
    usual = decision()
    longest = replace(
        usual,
        message=LONG,
        observed=tuple(Observed("TimeToFirstTokenAttainment", "requests/s", 12345.678, 0.9999, NOW) for _ in range(8)),
        limited_by=tuple(Limit(Reason.FOREIGN_AUTOSCALER, LONG, 99_999, 99_998) for _ in CHAIN[:12]),
        considered=tuple(
            Considered(f"{number}{pool_name[1:]}", chosen=False, message=LONG, reason=Reason.POOL_NOT_SELECTED)
            for number in range(8)
        ),
        conditions=tuple(Condition(c.type, Status.FALSE, Reason.FOREIGN_AUTOSCALER, LONG) for c in usual.conditions),
        breach_since=NOW,
    )
    return build_status(
        StatusInput(longest, spec(), ready=99_999, pending=99_999, desired=99_999), {"history": HISTORY}
    )
