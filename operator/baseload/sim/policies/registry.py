"""Policies by name, as the command line and the JSON of a replay call them."""

from collections.abc import Callable, Mapping, Sequence

from baseload.errors import ConfigError
from baseload.sim.case import Policy
from baseload.sim.policies.by_pools import ByPools
from baseload.sim.policies.clairvoyant import Clairvoyant
from baseload.sim.policies.dynamo import Dynamo
from baseload.sim.policies.hpa import Hpa
from baseload.sim.policies.hpa_hindsight import HpaHindsight
from baseload.sim.policies.keda import Keda
from baseload.sim.policies.kpa import Kpa
from baseload.sim.policies.point import Point
from baseload.sim.policies.seasonal import Seasonal
from baseload.sim.policies.static_peak import StaticPeak
from baseload.sim.policies.wva import Wva

POLICIES: Mapping[str, Callable[[], Policy]] = {
    "baseload": ByPools,
    "static-peak": StaticPeak,
    "hpa": Hpa,
    "hpa-hindsight": HpaHindsight,
    "keda": Keda,
    "kpa": Kpa,
    "wva": Wva,
    "dynamo": Dynamo,
    "point": Point,
    "seasonal": Seasonal,
    "clairvoyant": Clairvoyant,
}
"""Makes each policy with its published defaults, in the order in which tables show them."""


def make_policy(name: str) -> Policy:
    """Make the policy of this name with its defaults."""
    factory = POLICIES.get(name)
    if factory is None:
        raise ConfigError(f"policy {name!r} is not known; use one of {', '.join(POLICIES)}")
    return factory()


def make_policies(names: Sequence[str]) -> tuple[Policy, ...]:
    """Make policies by name, each once, in the order given."""
    return tuple(make_policy(name) for name in dict.fromkeys(names))
