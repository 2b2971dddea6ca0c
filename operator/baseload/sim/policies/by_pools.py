"""`baseload` for any case: what the operator does depends on the pools that there are."""

from baseload.plan.placement.cascade import pools_by_speed
from baseload.sim.case import Case, Policy, View, Wanted
from baseload.sim.leads import told_lead_seconds
from baseload.sim.policies.baseload import Baseload
from baseload.sim.policies.shared_pools import SharedPools
from baseload.sim.policies.two_pools import TwoPools


class ByPools:
    """Placement where servings share a limited pool, the cascade where a faster, dearer pool is beside the cheapest.

    Everywhere else `plan()` on the first pool alone.
    """

    name = "baseload"
    _chosen: Policy

    def begin(self, case: Case) -> None:
        """Choose by the pools, then prepare."""
        leads = [told_lead_seconds(case, pool) for pool in case.pools]
        if len(case.world) > 1 and any(pool.limit is not None for pool in case.pools):
            self._chosen = SharedPools()
        elif pools_by_speed(leads, [pool.price for pool in case.pools]) is not None:
            self._chosen = TwoPools()
        else:
            self._chosen = Baseload()
        self._chosen.begin(case)

    def decide(self, view: View) -> Wanted:
        """What the chosen policy wants."""
        return self._chosen.decide(view)
