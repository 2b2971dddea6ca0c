"""The pieces of a forecast, each against numbers worked out by hand or by a slower way."""

import numpy as np
import pytest

from baseload.plan.forecast import experts, features, mixture, replay, seasons
from baseload.plan.forecast.quantile_regression import TAUS, fit
from baseload.plan.forecast.windows import centred_maximum, centred_sum, trailing_maximum, trailing_mean

DAY = 24
ONE = np.ones(1)


def test_windows_by_hand() -> None:
    """Means and maxima over windows that are cut at the start, and at both ends when centred."""
    values = np.array([[1.0, 5.0, 2.0, 3.0, 0.0]])
    assert trailing_maximum(values, 3).tolist() == [[1, 5, 5, 5, 3]]
    assert trailing_mean(values, 2).tolist() == [[1, 3, 3.5, 2.5, 1.5]]
    assert centred_maximum(values, 1).tolist() == [[5, 5, 5, 3, 3]]
    assert centred_sum(values, 1).tolist() == [[6, 8, 10, 5, 3]]


def test_a_gap_has_the_value_before_it() -> None:
    """Gaps are filled for the features and known as gaps; one at the start has the first value after it."""
    log, known = features.log_demand(np.array([[np.nan, 3.0, np.nan, 1.0], [np.nan] * 4]), np.array([1.0, 1.0]))
    assert np.expm1(log[0]).tolist() == pytest.approx([3.0, 3.0, 3.0, 1.0])
    assert known.tolist() == [[False, True, False, True], [False] * 4]
    assert log[1].tolist() == [0.0] * 4


def test_features_by_hand() -> None:
    """On a line in logs every feature is a small number that one can write down."""
    log = 0.01 * np.arange(3 * DAY)
    past = seasons.whole_past(np.expm1(log)[None], ONE, DAY)
    x = features.design(past, np.array([60]), 2)[0, :, 0]
    assert x[0] == 1.0
    assert x[1:4] == pytest.approx([0.01, 0.03, 0.06])
    yesterday, before = log[62 - DAY] - log[60], log[62 - 2 * DAY] - log[60]
    assert x[4] == pytest.approx((yesterday + 0.8 * before) / 1.8)
    assert x[5] == pytest.approx(yesterday)
    assert x[7] == pytest.approx(0.0)
    assert x[8] == pytest.approx(np.mean(log[60 - DAY + 1 : 61]) - log[60])
    assert x[9] == pytest.approx(0.01)
    assert x[10:14] == pytest.approx([0.0] * 4)
    assert x[14] == pytest.approx(log[62 - DAY + 3] - log[60])


def test_the_first_day_has_no_opinion_on_yesterday() -> None:
    """Features that need a day that was not seen are zero: no opinion."""
    past = seasons.whole_past(np.linspace(1.0, 9.0, DAY)[None], ONE, DAY)
    assert features.design(past, np.array([10]), 2)[0, [4, 5, 6, 14], 0].tolist() == [0.0] * 4


@pytest.mark.parametrize("gap", [None, slice(30, 34), slice(0, 5)], ids=["whole", "gap", "late start"])
def test_bucket_by_bucket_is_the_whole_past_at_once(gap: slice | None) -> None:
    """Rings advanced one bucket at a time give the features that the whole past gives."""
    demand = 5.0 + 3.0 * np.random.default_rng(1).random((2, 4 * DAY + 7))
    if gap is not None:
        demand[1, gap] = np.nan
    unit = np.ones(2)
    rings = seasons.nothing_seen(2, DAY)
    for end in range(1, demand.shape[1] + 1):
        rings = seasons.advance(rings, demand[:, :end], unit, 1000 + end)
    last = demand.shape[1] - 1
    end_index = 1000 + demand.shape[1]
    window = demand[:, -features.window_buckets(DAY) :]
    whole = seasons.whole_past(demand, unit, DAY)
    for state in (rings, seasons.after(demand, unit, DAY, end_index)):
        newest = seasons.newest_window(state, window, unit, end_index)
        for horizon in (1, 4, features.LOOK_AHEAD + 9):
            expected = features.design(whole, np.array([last]), horizon)
            found = features.design(newest, np.array([window.shape[1] - 1]), horizon)
            assert found == pytest.approx(expected, abs=1e-5)


def test_quantiles_of_a_known_distribution() -> None:
    """With an exponential noise around a line, the fitted quantiles are the line plus -log(1 - tau)."""
    random = np.random.default_rng(3)
    slope = random.random(4000)
    x = np.zeros((1, features.FEATURES, 4000))
    x[0, 0], x[0, 1] = 1.0, slope
    z = 2.0 * slope + random.exponential(size=4000)
    beta = fit(x, z[None], np.ones((1, 4000)), None, 30)[0]
    assert beta[:, 0] + 0.5 * beta[:, 1] == pytest.approx(1.0 - np.log(1.0 - TAUS), abs=0.12)
    again = fit(x, z[None], np.ones((1, 4000)), beta[None], 2)[0]
    assert again == pytest.approx(beta, abs=0.02)


def test_a_sample_without_weight_is_not_learned_from() -> None:
    """What stands in a gap changes no coefficient."""
    random = np.random.default_rng(4)
    x = random.random((1, features.FEATURES, 300))
    z, weights = random.random((1, 300)), np.ones((1, 300))
    weights[0, 100:150] = 0.0
    wild = z.copy()
    wild[0, 100:150] = 1e3
    assert fit(x, wild, weights, None, 5) == pytest.approx(fit(x, z, weights, None, 5))


def test_replay_by_hand() -> None:
    """One expert, lead of one bucket: an order is billed from the next bucket and serves in the one after."""
    lead, penalty = np.array([1]), np.array([20.0])
    fleets = replay.begin(np.array([2.0]), 1)
    order, keep = np.array([[5.0]], np.float32), np.array([[9.0]], np.float32)
    fleets = replay.decide(fleets, order, keep, lead)
    fleets, cost = replay.serve(fleets, np.array([2.5]), penalty)
    assert (fleets.ready.item(), cost.item()) == (2.0, 2 + 3 + 20 * 0.5)
    fleets = replay.decide(fleets, order - 2, keep, lead)
    assert [slot.item() for slot in fleets.pending] == [1.0, 0.0]
    fleets, cost = replay.serve(fleets, np.array([2.5]), penalty)
    assert (fleets.ready.item(), cost.item()) == (3.0, 3.0)
    fleets = replay.decide(fleets, order, keep - 8, lead)
    assert (fleets.ready.item(), sum(fleets.pending).item()) == (1.0, 2.0)


def test_replicas_are_rounded_with_a_quarter_to_spare() -> None:
    """`n(x) = ceil(x - 0.25)`, never below zero."""
    levels = np.array([0.0, 0.2, 0.26, 1.25, 1.3])
    assert replay.replicas_for(levels, np.ones(5)).tolist() == [0, 0, 1, 1, 2]


def test_levels_of_experts() -> None:
    """An expert orders for the highest quantile at its span after the lead and keeps for the span from now."""
    quantiles = np.arange(9.0)[None, :, None] + TAUS[None, None, :]
    quantiles[0, 3] += 10.0
    recent = np.r_[np.zeros(30), 1, 2, 3, 2, 1, 1.0][None]
    order, keep = experts.levels(quantiles, recent, 1)
    first, sizes = experts.SIZES[0], len(experts.SIZES)
    assert (order[0, 0], keep[0, 0]) == (1 + first, 0 + first)
    assert order[0, experts.TABLE.order == sizes][0] == 13 + first
    assert order[0, experts.TABLE.order == sizes - 1][0] == pytest.approx(1.0 + 1.5 * 0.97)
    rules = np.flatnonzero(experts.TABLE.is_rule)
    assert np.array_equal(order[0, rules], keep[0, rules])
    assert order[0, rules[0]] == pytest.approx(1.0 / experts.RULE_LOADS[0])
    assert order[0, rules[-1]] == pytest.approx(3.0 / experts.RULE_LOADS[-1])


def test_the_prior_is_a_newsvendors() -> None:
    """Before anything was seen, a dear shortage leans on high quantiles, a cheap one on low ones; rules have 0.3."""
    cheap, dear = mixture.prior(np.array([3.0, 100.0]))
    rules = experts.TABLE.is_rule
    assert (cheap[rules].sum(), dear[rules].sum()) == pytest.approx((0.3, 0.3))
    assert experts.TABLE.order_tau[cheap.argmax()] == 0.7
    assert experts.TABLE.order_tau[dear.argmax()] == 0.99


def test_weights_move_to_what_was_cheap_and_come_back() -> None:
    """The cheapest expert gains all but what the share gives back; a gap moves nothing."""
    count = experts.TABLE.size
    state, known = mixture.begin(1), np.array([True])
    live = np.ones((1, count), bool)
    cost = np.full((1, count), 2.0, np.float32)
    cost[0, 5] = 1.0
    before = mixture.prior(np.array([20.0]))
    state = mixture.started(state, before)
    assert state.weights.sum() == pytest.approx(1.0)
    assert mixture.judge(state, cost, before, live, ~known).weights == pytest.approx(state.weights)
    for _ in range(400):
        state = mixture.judge(state, cost, before, live, known)
    assert state.weights[0, 5] > 0.9
    assert state.weights.min() >= 0.0005 * before.min()
    blend = mixture.blend(state, np.where(np.arange(count) == 5, 7.0, 0.0)[None], live)
    assert blend.item() == pytest.approx(7.0 * state.weights[0, 5], rel=1e-5)
