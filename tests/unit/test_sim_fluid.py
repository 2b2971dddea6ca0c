"""The fluid replay against examples worked out by hand, one feature of a pool at a time."""

from dataclasses import replace

import numpy as np
from replays import STEP_SECONDS, Scripted, case, pool

from baseload.sim.case import Lead, SimPool, Span, View, Wanted
from baseload.sim.fluid import simulate
from baseload.sim.leads import draw_lead_steps, told_lead_seconds


def first(trajectory_part: np.ndarray) -> list[int]:
    """The first serving's numbers in the first pool, or its steps."""
    row = trajectory_part[0]
    return list(row[:, 0] if row.ndim == 2 else row)


def test_an_order_serves_after_its_lead_and_is_billed_from_the_next_step() -> None:
    """Ordered at the end of step 0 with a lead of two steps: pending in 1 and 2, serving from 3."""
    done = simulate(case([2, 5, 5, 5, 5], pools=[pool(2)]), Scripted([5]))
    assert first(done.ready) == [2, 2, 2, 5, 5]
    assert first(done.billed) == [2, 5, 5, 5, 5]
    assert first(done.unserved) == [0, 3, 3, 0, 0]


def test_what_is_given_back_is_gone_in_the_next_step() -> None:
    """Removal acts at once, and the first step starts with what its demand needs."""
    done = simulate(case([4.2, 1, 1], pools=[pool(1)]), Scripted([2, 1]))
    assert first(done.ready) == first(done.billed) == [5, 2, 1]


def test_without_a_lead_an_order_serves_in_the_next_step() -> None:
    """A lead of zero steps leaves nothing pending."""
    done = simulate(case([1, 3, 3], pools=[pool(0)]), Scripted([3]))
    assert first(done.ready) == [1, 3, 3]
    assert first(done.billed) == [1, 3, 3]


def test_pending_is_cancelled_newest_first() -> None:
    """Orders of 2 and then 3; cancelling 4 of them leaves one of the older order, which comes when it is due."""
    done = simulate(case([1] * 7, pools=[pool(3)]), Scripted([3, 6, 2], keep=[9]))
    assert first(done.billed) == [1, 3, 6, 2, 2, 2, 2]
    assert first(done.ready) == [1, 1, 1, 1, 2, 2, 2]


def test_pending_may_be_free() -> None:
    """Where billing begins with the replica, what is on its way costs nothing."""
    done = simulate(case([1, 3, 3, 3], pools=[pool(2, pending_billed=False)]), Scripted([3]))
    assert first(done.ready) == first(done.billed) == [1, 1, 1, 3]


def test_a_replica_is_held_after_it_came() -> None:
    """Two steps of hold: at the end of step 2 the old replica may go, the two that came in it only one step later."""
    pools = [pool(1, hold_seconds=2 * STEP_SECONDS)]
    done = simulate(case([1, 1, 1, 1, 1], pools=pools), Scripted([3, 3, 1], keep=[3, 3, 1]))
    assert first(done.ready) == [1, 1, 3, 2, 1]


def test_a_minimum_is_billed_to_its_end() -> None:
    """Two replicas, billed from the order for four steps, are given back after two of service."""
    pools = [pool(1, min_billing_seconds=4 * STEP_SECONDS)]
    done = simulate(case([1] * 7, pools=pools), Scripted([3, 3, 1], keep=[3, 3, 1]))
    assert first(done.ready) == [1, 1, 3, 1, 1, 1, 1]
    assert first(done.billed) == [1, 3, 3, 2, 2, 1, 1]


def test_a_cancelled_order_is_billed_to_its_minimum() -> None:
    """An order of two that is cancelled before it comes still costs its three steps, beside the replica that stays."""
    pools = [pool(4, min_billing_seconds=3 * STEP_SECONDS)]
    done = simulate(case([1] * 6, pools=pools), Scripted([3, 1]))
    assert first(done.ready) == [1] * 6
    assert first(done.billed) == [1, 3, 3, 3, 1, 1]


def test_a_minimum_without_billed_pending_begins_when_the_replica_comes() -> None:
    """The order is free; the replica that came in step 2 and went at its end costs two steps."""
    pools = [pool(1, pending_billed=False, min_billing_seconds=2 * STEP_SECONDS)]
    done = simulate(case([1] * 5, pools=pools), Scripted([2, 2, 0], keep=[2, 2, 0]))
    assert first(done.ready) == [1, 1, 2, 0, 0]
    assert first(done.billed) == [1, 1, 2, 1, 0]


def test_a_stockout_refuses_orders() -> None:
    """Orders at the ends of steps 0 and 1 are refused; that of step 2 is placed."""
    out = Span(0.0, 2 * STEP_SECONDS + 1)
    done = simulate(case([1, 2, 2, 2, 2, 2], pools=[pool(1, stockouts=(out,))]), Scripted([2]))
    assert first(done.billed) == [1, 1, 1, 2, 2, 2]
    assert first(done.ready) == [1, 1, 1, 1, 2, 2]


def test_a_limit_is_shared_by_all_servings_in_proportion_to_what_they_ask() -> None:
    """Room for three of nine that are asked: 1 for who asked 3, 2 for who asked 6."""
    done = simulate(case([1, 9, 9], [1, 9, 9], pools=[pool(0, limit=5)]), Scripted([[4, 7]]))
    assert done.ready[:, 1, 0].tolist() == [2, 3]


def test_what_a_serving_gives_back_is_room_for_another_at_once() -> None:
    """One gives two back and the other gets both, inside a limit of four."""
    done = simulate(case([3, 1, 1], [1, 3, 3], pools=[pool(0, limit=4)]), Scripted([[1, 3]]))
    assert done.ready[:, :, 0].tolist() == [[3, 1, 1], [1, 3, 3]]


def test_a_part_of_an_order_comes() -> None:
    """Half of four come; the rest is gone, and ordered again at the end of the step in which that was seen."""
    done = simulate(case([0, 4, 4, 4, 4, 4], pools=[pool(1, fill_share=0.5)]), Scripted([4]))
    assert first(done.ready) == [0, 0, 2, 2, 3, 3]
    assert first(done.billed) == [0, 4, 2, 4, 3, 4]


def test_a_joint_loss_takes_all_of_a_pool_and_spares_the_other() -> None:
    """Spot replicas that are lost every hour or so go together, those of the other pool stay."""
    spot = replace(pool(0, preemptions_per_hour=1.0, joint_loss_share=1.0), name="spot")
    done = simulate(case([5] * 200, [5] * 200, pools=[pool(0), spot]), Scripted([[5, 4]]))
    assert (done.ready[:, 1:, 0] == 5).all()
    lost = done.ready[:, 1:, 1] == 0
    assert (lost[0] == lost[1]).all()
    assert set(np.unique(done.ready[:, 1:, 1])) == {0, 4}
    assert 0.05 < lost.mean() < 0.35


def test_single_losses_come_at_their_rate() -> None:
    """Six replicas an hour of sixty are taken at a rate of 0.1 an hour, one by one."""
    done = simulate(case([60] * 1000, pools=[pool(0, preemptions_per_hour=0.1)]), Scripted([60]))
    lost = 60 - done.ready[0, 1:, 0]
    assert 0.75 < lost.mean() < 1.25
    assert lost.max() <= 8


def test_pools_of_different_leads_are_separate() -> None:
    """The burst pool bridges until the base pool has come, and goes then."""
    done = simulate(case([2, 4, 4, 4, 4], pools=[pool(2), pool(0)]), Scripted([[4, 2], [4, 2], [4, 0]]))
    assert done.ready[0].tolist() == [[2, 0], [2, 2], [2, 2], [4, 0], [4, 0]]
    assert done.unserved.sum() == 0


def test_steps_may_be_shorter_than_a_lead() -> None:
    """With steps of two minutes an order of five minutes is pending for three steps."""
    short = replace(case([1] * 6, pools=[SimPool(lead=Lead(300.0, 300.0))]), step_seconds=120.0)
    assert first(simulate(short, Scripted([2])).ready) == [1, 1, 1, 1, 2, 2]


def test_a_told_lead_differs_from_the_true_one() -> None:
    """What policies believe is a factor of the truth; the world keeps to the truth."""
    told = replace(case([1, 2, 2, 2, 2], pools=[pool(2)]), lead_told_factor=0.5)
    assert told_lead_seconds(told, told.pools[0]) == STEP_SECONDS
    assert first(simulate(told, Scripted([2])).ready) == [1, 1, 1, 2, 2]


def test_random_leads_have_the_quantiles_asked_for_and_are_the_same_for_every_policy() -> None:
    """Log-normal by median and 95th percentile, drawn by the seed of the case alone."""
    shaped = case([1.0] * 4000, pools=[SimPool(lead=Lead(6000.0, 12000.0))], seed=3)
    steps = draw_lead_steps(shaped, np.random.default_rng(3))[:, 0, 0]
    assert abs(np.quantile(steps, 0.5) - 10.5) <= 0.5
    assert abs(np.quantile(steps, 0.95) - 20.5) <= 1.5
    a, b = (simulate(shaped, Scripted([2, 2, 2, 1, 2])) for _ in range(2))
    assert (a.ready == b.ready).all()


def test_policies_see_gaps_and_the_world_has_none() -> None:
    """A gap of the trace is NaN to the policy, and earlier steps stand before those of the case."""
    seen: list[View] = []

    class Watching(Scripted):
        """Keeps what it is shown."""

        def decide(self, view: View) -> Wanted:
            """Remember the view."""
            seen.append(view)
            return super().decide(view)

    gap = replace(case([2, 3, 2]), demand=np.array([[2, np.nan, 2.0]]), history=np.array([[7.0, 8.0]]))
    done = simulate(gap, Watching([2]))
    assert done.unserved.tolist() == [[0, 1, 0]]
    assert seen[1].demand.shape == (1, 4)
    assert seen[0].demand.tolist() == [[7.0, 8.0, 2.0]]
    assert np.isnan(seen[1].demand[0, -1])
    assert (seen[1].unserved, seen[1].now_seconds) == (1.0, 1200.0)


def test_progress_is_told_until_the_end() -> None:
    """The last call says that all steps are done."""
    told: list[tuple[int, int]] = []
    simulate(case([1.0] * 250), Scripted([1]), lambda done, total: told.append((done, total)))
    assert told[-1] == (250, 250)
    assert len(told) < 130
