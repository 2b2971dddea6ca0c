"""Which pools a serving may use: those that its `poolSelector` finds and its `burst` policy allows."""

from collections.abc import Mapping
from dataclasses import dataclass

from baseload.api.models import BurstPolicy, ModelServingSpec, SelectorOperator
from baseload.api.reasons import Reason
from baseload.observe.placement import Pairs
from baseload.observe.pool import Pool
from baseload.plan.snapshot import BarredPool


@dataclass(frozen=True, slots=True)
class Expression:
    """One comparison of a label."""

    key: str
    operator: SelectorOperator
    values: tuple[str, ...]

    def holds(self, labels: Mapping[str, str]) -> bool:
        """Whether labels satisfy it; as in Kubernetes, NotIn holds where the label is absent."""
        match self.operator:
            case SelectorOperator.IN:
                return labels.get(self.key) in self.values
            case SelectorOperator.NOT_IN:
                return labels.get(self.key) not in self.values
            case SelectorOperator.EXISTS:
                return self.key in labels
            case SelectorOperator.DOES_NOT_EXIST:
                return self.key not in labels


@dataclass(frozen=True, slots=True)
class PoolRule:
    """What one spec says of pools; servings with equal rules share what is worked out for them."""

    labels: Pairs = ()
    expressions: tuple[Expression, ...] = ()
    may_rent: bool = False

    @property
    def selects(self) -> bool:
        """Whether pools must have labels at all: then a node that is in no pool is out, too."""
        return bool(self.labels or self.expressions)

    def bars(self, pool: Pool) -> BarredPool | None:
        """Why a pool may not be used; None when it may."""
        found = dict(pool.labels)
        wrong = next((f"{key}={value}" for key, value in self.labels if found.get(key) != value), None)
        wrong = wrong or next((_in_words(e) for e in self.expressions if not e.holds(found)), None)
        if wrong is not None:
            return BarredPool(pool.name, Reason.POOL_NOT_SELECTED, f"`spec.poolSelector` asks for {wrong}")
        if pool.offer.billing.is_rented and not self.may_rent:
            message = f"its billing is {pool.offer.billing} and `spec.burst.policy` is Never"
            return BarredPool(pool.name, Reason.BURST_NOT_ALLOWED, message)
        return None


OWN_POOLS = PoolRule()
EVERY_POOL = PoolRule(may_rent=True)


def rule_of(spec: ModelServingSpec) -> PoolRule:
    """The rule of a spec."""
    selector = spec.pool_selector
    may_rent = spec.burst.policy is BurstPolicy.AUTO
    if selector is None:
        return PoolRule(may_rent=may_rent)
    expressions = tuple(Expression(e.key, e.operator, e.values) for e in selector.match_expressions)
    return PoolRule(tuple(sorted(selector.match_labels.items())), expressions, may_rent)


def _in_words(given: Expression) -> str:
    values = f" {', '.join(given.values)}" if given.values else ""
    return f"{given.key} {given.operator}{values}"
