"""Which replica gets a request."""

from collections.abc import Callable, Sequence
from random import Random

from baseload.sim.requests.replica import Replica

Router = Callable[[Sequence[Replica], Random], Replica]
"""Chooses one of at least one serving replica."""


def least_outstanding(replicas: Sequence[Replica], random: Random) -> Replica:
    """Choose one with the fewest outstanding requests, by lot between equals: what the lab's balancer does."""
    least = min([replica.outstanding for replica in replicas])
    return random.choice([replica for replica in replicas if replica.outstanding == least])


def by_lot(replicas: Sequence[Replica], random: Random) -> Replica:
    """Choose any: what kube-proxy does with connections of one request each."""
    return replicas[random.randrange(len(replicas))]
