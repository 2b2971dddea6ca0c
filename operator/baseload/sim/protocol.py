"""How a replay is judged: the honest protocol, and the published one that earlier figures come from."""

from dataclasses import replace
from enum import StrEnum
from typing import Final

from baseload.sim.case import Case

PUBLISHED_DAYS: Final = 3
"""Days at the beginning that the published protocol does not count."""


class Protocol(StrEnum):
    """Which steps count, and what is paid."""

    HONEST = "honest"
    """Every step from the first on, and an order is billed from the moment it is placed."""
    PUBLISHED = "published"
    """The first three days are history, and an order costs nothing before it comes: this can be gamed by ordering
    more than is needed and cancelling."""


def under(protocol: Protocol, case: Case) -> Case:
    """Return a case as the protocol has it; a trace of three days or less has nothing to leave out."""
    if protocol is Protocol.HONEST:
        return case
    first = PUBLISHED_DAYS * case.steps_per_day
    pools = tuple(replace(pool, pending_billed=False) for pool in case.pools)
    if case.world.shape[1] <= first:
        return replace(case, pools=pools)
    return replace(
        case, demand=case.demand[:, first:], world=case.world[:, first:], history=case.demand[:, :first], pools=pools
    )
