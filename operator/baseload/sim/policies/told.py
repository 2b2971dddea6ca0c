"""A policy that is told something else than the truth: what a replica carries, or what a missing replica costs.

The one knob that every rule has, whatever its fields are called: an HPA's target of 0.7 with replicas said to carry
half is a target of 0.35. Policies that plan in money have the price of a shortage as theirs.
"""

from dataclasses import replace

from baseload.sim.case import Case, Policy, View, Wanted


class Told:
    """The policy with `carries` (of a replica's true capacity) and `penalty_factor` (of the true penalty) to believe.

    Orders and bills stay the world's: only what the policy reads is changed.
    """

    def __init__(self, policy: Policy, carries: float = 1.0, penalty_factor: float = 1.0) -> None:
        self.name = policy.name
        self._policy, self._carries, self._penalty_factor = policy, carries, penalty_factor

    def begin(self, case: Case) -> None:
        """Begin with the case as it is told."""
        self._policy.begin(
            replace(
                case,
                demand=case.demand / self._carries,
                world=case.world / self._carries,
                history=None if case.history is None else case.history / self._carries,
                penalty=case.penalty * self._penalty_factor,
            )
        )

    def decide(self, view: View) -> Wanted:
        """Decide on the view as it is told."""
        if self._carries == 1.0:
            return self._policy.decide(view)
        return self._policy.decide(
            replace(
                view,
                demand=view.demand / self._carries,
                unserved=view.unserved / self._carries,
                backlog=view.backlog / self._carries,
            )
        )
