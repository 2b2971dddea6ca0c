"""The replica model, the capacity it implies and the expected demand, against known truths."""

from math import sqrt
from random import Random

import pytest
import worlds

from baseload.plan.capacity import Latency, capacity_of, replicas_for_rate, replicas_for_running
from baseload.plan.demand import expected, remember
from baseload.plan.memory import RateSample, ReplicaModel
from baseload.plan.replica_model import Prior, fit, learn, prior_of
from baseload.plan.signals import NoTraffic, ServingSignals, Value
from baseload.plan.snapshot import LatencyTarget


def train(model: ReplicaModel, running: list[float], noise: float = 0.02) -> ReplicaModel:
    """Feed one replica sample per 15 s window of the law ITL = 22 ms + 0.5 ms * B with relative noise."""
    random = Random(7)
    now = worlds.NOW
    for value in running:
        now += 15.0
        latency = (worlds.ALPHA_SECONDS + worlds.SLOPE_SECONDS * value) * (1 + random.gauss(0, noise))
        signals = worlds.signals(replicas=(worlds.replica(value, latency),))
        model = learn(model, signals, now, 15.0)
    return model


def test_the_law_is_found_from_fluctuating_concurrency() -> None:
    """Forty windows around half load give the unloaded time and the slope within a tenth."""
    random = Random(3)
    model = train(ReplicaModel(), [max(random.gauss(18, 5), 1) for _ in range(40)])
    law = fit(model)
    assert law is not None
    assert law.alpha_seconds == pytest.approx(worlds.ALPHA_SECONDS, rel=0.1)
    assert law.slope_seconds == pytest.approx(worlds.SLOPE_SECONDS, rel=0.25)


def test_the_line_is_cautious_while_little_is_known() -> None:
    """With few samples the latency that is sized on lies above the truth, and comes closer as they add up."""
    random = Random(3)
    values = [max(random.gauss(18, 5), 1) for _ in range(60)]
    early, late = fit(train(ReplicaModel(), values[:4])), fit(train(ReplicaModel(), values))
    assert early is not None
    assert late is not None
    truth = worlds.ALPHA_SECONDS + 50 * worlds.SLOPE_SECONDS
    assert early.high_latency_at(50.0) > truth
    assert late.high_latency_at(50.0) == pytest.approx(truth, rel=0.1)
    assert late.high_latency_at(50.0) > late.latency_at(50.0)


@pytest.mark.parametrize("factor", [0.6, 1.0, 1.4])
def test_a_prior_that_is_wrong_gives_way_to_what_is_seen(factor: float) -> None:
    """A prior 40 % off decides alone at first; after an hour of one replica the capacity is within 8 % of the truth."""
    random = Random(5)
    prior = Prior(factor * worlds.ALPHA_SECONDS, factor * worlds.SLOPE_SECONDS)
    alone = fit(ReplicaModel(), prior)
    assert alone is not None
    assert (alone.alpha_seconds, alone.slope_seconds) == (prior.alpha_seconds, prior.slope_seconds)
    seen = train(ReplicaModel(), [max(random.gauss(14, 4), 1) for _ in range(240)], noise=0.01)
    law = fit(seen, prior)
    assert law is not None
    limit = (0.05 - law.alpha_seconds) / law.slope_seconds
    assert limit == pytest.approx((0.05 - worlds.ALPHA_SECONDS) / worlds.SLOPE_SECONDS, rel=0.08)


def test_a_prior_weighs_less_with_every_sample() -> None:
    """The distance that a wrong prior keeps from the truth shrinks as the information of the samples grows."""
    random = Random(5)
    values = [max(random.gauss(14, 4), 1) for _ in range(200)]
    prior = Prior(1.4 * worlds.ALPHA_SECONDS, 1.4 * worlds.SLOPE_SECONDS)
    pulls = []
    for count in (3, 20, 200):
        seen = train(ReplicaModel(), values[:count])
        with_prior, without = fit(seen, prior), fit(seen, Prior(worlds.ALPHA_SECONDS, worlds.SLOPE_SECONDS))
        assert with_prior is not None
        assert without is not None
        pulls.append(abs(with_prior.slope_seconds - without.slope_seconds))
    assert pulls[0] > pulls[1] > pulls[2]


def test_a_sibling_lends_what_it_has_learned() -> None:
    """A serving without samples takes the law of another one on the same accelerator, with the doubt of a prior."""
    prior = prior_of(worlds.learned_model())
    assert prior is not None
    assert prior_of(ReplicaModel()) is None
    capacity = capacity_of(ReplicaModel(tokens_per_request=worlds.TOKENS), worlds.spec(), prior)
    learned = capacity_of(worlds.learned_model(), worlds.spec())
    assert capacity is not None
    assert learned is not None
    assert 0 < (capacity.rps_at(4) or 0) < (learned.rps_at(4) or 0)


def test_the_cache_bounds_the_sequences_of_a_replica() -> None:
    """Where each sequence takes a twentieth of the cache, no more than nine tenths of it are planned with."""
    capacity = capacity_of(worlds.learned_model(cache_per_sequence=0.05), worlds.spec())
    assert capacity is not None
    assert capacity.running_limit == pytest.approx(18.0)
    assert capacity.running_at(4) < 18.0


@pytest.mark.parametrize("imbalance", [0.0, 0.3, 1.0, 2.5])
@pytest.mark.parametrize("replicas", [1, 2, 3, 10, 100])
def test_at_its_capacity_the_slow_requests_just_keep_the_objective(imbalance: float, replicas: int) -> None:
    """The mean inter-token time that 95 % of requests stay under is the target, within 2 %, for any fleet."""
    model, spec = worlds.learned_model(imbalance=imbalance), worlds.spec()
    capacity, law = capacity_of(model, spec), fit(model)
    assert capacity is not None
    assert law is not None
    scatter = capacity.prompts * sqrt(law.alpha_seconds / law.latency_at(capacity.many))
    latency = Latency(law, scatter, capacity.z)
    swing = 1 / replicas + imbalance * (1 - 1 / replicas)
    assert latency.high_at(capacity.running_at(replicas), swing) == pytest.approx(0.05, rel=0.02)


def test_what_prompts_hide_from_the_line_is_added() -> None:
    """With long prompts the line is turned a little around its mean: less unloaded time, more for each sequence."""
    plain = fit(worlds.learned_model(time_to_first_token_unloaded_seconds=0.0))
    prompts = fit(worlds.learned_model(time_to_first_token_unloaded_seconds=0.3))
    assert plain is not None
    assert prompts is not None
    assert prompts.alpha_seconds == pytest.approx(plain.alpha_seconds * 0.972, rel=1e-3)
    assert prompts.latency_at(plain.mean_running) == pytest.approx(plain.latency_at(plain.mean_running))


def test_too_few_samples_are_no_model() -> None:
    """The first window of traffic, of engines that still fill up, is no lesson; the one after it is a model."""
    signals = worlds.signals(replicas=(worlds.replica(10.0, 0.03),))
    first = learn(ReplicaModel(), signals, worlds.NOW, 15.0)
    assert fit(first) is None
    filling = learn(first, signals, worlds.NOW + 13, 15.0)
    assert fit(filling) is None
    assert fit(learn(filling, signals, worlds.NOW + 15, 15.0)) is not None
    quiet = learn(filling, ServingSignals(), worlds.NOW + 14, 15.0)
    assert fit(learn(quiet, signals, worlds.NOW + 15, 15.0)) is None, "traffic that stopped begins anew"


def test_an_idle_night_does_not_unlearn_the_model() -> None:
    """Hours without samples leave enough information for a law."""
    model = train(ReplicaModel(), [10.0, 15.0, 20.0, 25.0] * 5)
    for hour in range(1, 13):
        model = learn(model, ServingSignals(), worlds.NOW + 3600.0 * hour, 15.0)
    assert fit(model) is not None


def test_a_tighter_objective_means_less_capacity() -> None:
    """Halving the allowed inter-token time over alpha lowers what a replica may carry."""
    model = worlds.learned_model()
    wide = capacity_of(model, worlds.spec())
    tight = capacity_of(model, worlds.spec(inter_token_latency=LatencyTarget(0.03, 0.95)))
    assert wide is not None
    assert tight is not None
    assert (tight.rps_at(4) or 0) < (wide.rps_at(4) or 0)


def test_more_replicas_share_bursts() -> None:
    """Behind a router that evens out, a larger fleet may carry more per replica; at random it may not."""
    even = capacity_of(worlds.learned_model(imbalance=0.0), worlds.spec())
    random = capacity_of(worlds.learned_model(imbalance=1.0), worlds.spec())
    assert even is not None
    assert random is not None
    assert even.running_at(16) > even.running_at(4) > even.running_at(1)
    assert random.running_at(16) == pytest.approx(random.running_at(1))


def test_an_unreachable_objective_still_gives_a_number() -> None:
    """An objective below the unloaded time asks for the most allowed and does not divide by zero."""
    spec = worlds.spec(inter_token_latency=LatencyTarget(0.001, 0.95))
    capacity = capacity_of(worlds.learned_model(), spec)
    assert capacity is not None
    assert replicas_for_rate(capacity, 10.0, 16) == 16


@pytest.mark.parametrize("rps", [0.1, 3.0, 17.0, 60.0])
def test_the_least_sufficient_number_is_found(rps: float) -> None:
    """The number found carries the rate and one less does not."""
    capacity = capacity_of(worlds.learned_model(), worlds.spec())
    assert capacity is not None
    count = replicas_for_rate(capacity, rps, 100)
    assert count * (capacity.rps_at(count) or 0) >= rps
    assert count == 1 or (count - 1) * (capacity.rps_at(count - 1) or 0) < rps


def test_running_sequences_are_spread_over_enough_replicas() -> None:
    """A hundred sequences need the replicas that hold them."""
    capacity = capacity_of(worlds.learned_model(), worlds.spec())
    assert capacity is not None
    count = replicas_for_running(capacity, 100.0, 100)
    assert count * capacity.running_at(count) >= 100.0


def test_saturation_seen_bounds_the_sequences_of_a_replica() -> None:
    """Where requests had to wait with eight running, eight is the limit whatever the line says."""
    capacity = capacity_of(worlds.learned_model(saturated_running=8.0), worlds.spec())
    assert capacity is not None
    assert capacity.running_limit == 8.0


def test_a_steady_ramp_is_continued_and_noise_is_not() -> None:
    """A straight rise counts in full, jitter around a level hardly at all."""
    ramp = tuple(RateSample(worlds.NOW - 60 + 3 * i, 10.0 + 0.3 * i) for i in range(21))
    noisy = tuple(RateSample(worlds.NOW - 60 + 3 * i, 16.0 + (-1) ** i) for i in range(21))
    assert 17.5 < expected(ramp, Value(16.0, worlds.NOW), 30.0).ahead_rps <= 19.0
    assert expected(noisy, Value(17.0, worlds.NOW), 30.0).ahead_rps < 18.5


def test_rates_are_kept_for_the_window_and_few() -> None:
    """A long watch keeps a bounded number of samples, all inside the window; gaps add nothing."""
    rates: tuple[RateSample, ...] = ()
    for second in range(2000):
        rates = remember(rates, Value(5.0, worlds.NOW + second), 300.0)
    assert len(rates) <= 26
    assert rates[0].time >= worlds.NOW + 1999 - 300.0
    assert remember(rates, NoTraffic(worlds.NOW + 3000), 300.0) == rates
