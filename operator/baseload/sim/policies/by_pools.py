"""`baseload` for any case: what the operator does depends on the pools that there are."""

from baseload.plan.placement.cascade import pools_by_speed
from baseload.sim.case import Case, Policy, View, Wanted
from baseload.sim.leads import told_lead_seconds
from baseload.sim.policies.baseload import Baseload
from baseload.sim.policies.two_pools import TwoPools


class ByPools:
    """The cascade where a faster, dearer pool stands beside the cheapest one, else `plan()` on the first pool alone."""

    name = "baseload"
    _chosen: Policy

    def begin(self, case: Case) -> None:
        """Choose by the pools, then prepare."""
        leads = [told_lead_seconds(case, pool) for pool in case.pools]
        cascaded = pools_by_speed(leads, [pool.price for pool in case.pools])
        self._chosen = Baseload() if cascaded is None else TwoPools()
        self._chosen.begin(case)

    def decide(self, view: View) -> Wanted:
        """What the chosen policy wants."""
        return self._chosen.decide(view)
