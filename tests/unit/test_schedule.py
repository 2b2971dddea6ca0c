"""The clairvoyant schedule: known cases, and equal to brute force on every small one tried."""

from functools import cache
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from baseload.lab.schedule import clairvoyant


def cheapest_by_search(needed: tuple[int, ...], lead: int) -> int:
    """Return the least replica-seconds over every order and release at every second."""
    most = max(needed, default=0)

    @cache
    def least(second: int, ready: int, pending: tuple[int, ...]) -> int:
        # pending[i] replicas will be ready in i + 1 seconds.
        if second == len(needed):
            return 0
        best = 10**9
        for keep in product(range(ready + 1), *(range(count + 1) for count in pending)):
            for order in range(most + 1 - min(most, sum(keep))):
                serving, queue = (keep[0], [*keep[1:], order]) if lead else (keep[0] + order, [])
                if serving < needed[second]:
                    continue
                arriving = queue.pop(0) if queue else 0
                paid = sum(keep) + order
                best = min(best, paid + least(second + 1, serving + arriving, tuple(queue)))
        return best

    # What is ordered before the first second is free there, so any number may arrive at each of the next seconds.
    starts = product(range(most + 1), repeat=max(lead - 1, 0))
    return min(least(0, needed[0], pending) for pending in starts) if needed else 0


def test_a_constant_load_pays_for_nothing_but_itself() -> None:
    """Replicas needed from the first second on have been there before, so no start-up is paid."""
    schedule = clairvoyant([2.0] * 10, 3)
    assert schedule.paid == (2,) * 10
    assert schedule.static_peak_replica_seconds == schedule.replica_seconds == 20


def test_a_replica_is_ordered_one_start_up_ahead() -> None:
    """A step at second 5 with a start-up of 3 s is paid from second 2 on."""
    schedule = clairvoyant([0.5] * 5 + [1.5] * 3 + [0.5] * 2, 3)
    assert schedule.needed == (1,) * 5 + (2,) * 3 + (1,) * 2
    assert schedule.paid == (1, 1, 2, 2, 2, 2, 2, 2, 1, 1)


def test_a_gap_shorter_than_the_start_up_is_bridged() -> None:
    """Keeping a replica through two quiet seconds is cheaper than three seconds of start-up."""
    schedule = clairvoyant([1.5, 1.5, 0.5, 0.5, 1.5, 0.5, 0.5, 0.5, 0.5, 1.5], 3)
    assert schedule.paid == (2, 2, 2, 2, 2, 1, 2, 2, 2, 2)


def test_rounding_of_loads_does_not_order_a_replica() -> None:
    """A load that is whole but for floating-point noise needs just that many replicas."""
    assert clairvoyant([0.1 * 3 / 0.1], 1).needed == (3,)


@pytest.mark.parametrize("start_up_seconds", [0.0, 24.0])
def test_no_load_costs_nothing(start_up_seconds: float) -> None:
    """An empty span and a span without load cost nothing."""
    assert clairvoyant([], start_up_seconds).replica_seconds == 0
    assert clairvoyant([0.0, 0.0], start_up_seconds).static_peak_replica_seconds == 0


@settings(max_examples=150, deadline=None)
@given(st.lists(st.integers(0, 2), min_size=1, max_size=7), st.integers(0, 3))
def test_it_equals_brute_force(needed: list[int], lead: int) -> None:
    """No order and release at any second is cheaper, and the schedule itself covers the load."""
    schedule = clairvoyant([float(count) for count in needed], lead)
    assert schedule.needed == tuple(needed)
    assert all(paid >= count for paid, count in zip(schedule.paid, needed, strict=True))
    assert schedule.replica_seconds == cheapest_by_search(tuple(needed), lead)
