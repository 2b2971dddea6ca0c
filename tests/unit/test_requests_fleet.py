"""Replicas of one serving in virtual time: coasting is exact, orders keep their terms, no request is lost."""

from dataclasses import replace
from random import Random

import pytest

from baseload.sim.case import Lead, SimPool, Span
from baseload.sim.requests.arrivals import (
    LogNormalLengths,
    RateProfile,
    SampledLengths,
    TimedRequest,
    renewal_requests,
    stepped_rates,
)
from baseload.sim.requests.engine import Engine, EngineProfile, Sequence
from baseload.sim.requests.fleet import Fleet, FleetPool
from baseload.sim.requests.objective import Objective
from baseload.sim.requests.outcome import outcome_of
from baseload.sim.requests.router import by_lot

PROFILE = EngineProfile(10e-3, 50e-6, 100e-9, 20e-6, 1e-9, cache_tokens=100_000)
OBJECTIVE = Objective(1.0, 0.05, 0.95)
POOL = FleetPool(SimPool(lead=Lead(30.0, 30.0)), PROFILE)
SHORT = SampledLengths(((100, 50),))


def requests(rate: float, seconds: float, seed: int = 1) -> list[TimedRequest]:
    """Poisson arrivals of mixed lengths."""
    lengths = LogNormalLengths(prompt_mean=300.0, prompt_cv=0.8, output_mean=80.0, output_cv=0.8)
    return list(renewal_requests(RateProfile(((0.0, rate), (seconds, rate))), lengths, seed))


def stepped(profile: EngineProfile, arrivals: list[TimedRequest]) -> tuple[list[float | None], int]:
    """Finish times by running every iteration one by one, and the preemptions."""
    engine, now, due = Engine(profile), 0.0, 0
    sequences = [Sequence(n, r.prompt_tokens, r.output_tokens, r.time_seconds) for n, r in enumerate(arrivals)]
    while due < len(sequences) or not engine.idle:
        if engine.idle:
            now = max(now, sequences[due].arrival_time)
        while due < len(sequences) and sequences[due].arrival_time <= now:
            engine.submit(sequences[due], now)
            due += 1
        iteration = engine.step(now)
        now += iteration.duration_seconds if iteration else 0.0
    return [s.finish_time for s in sequences], engine.preemptions


@pytest.mark.parametrize("cache_tokens", [100_000, 4_000])
def test_coasting_gives_the_times_of_single_iterations(cache_tokens: int) -> None:
    """With and without preemptions each request ends when it would if every iteration were run by itself."""
    profile = replace(PROFILE, cache_tokens=cache_tokens, max_sequences=40)
    arrivals = requests(9.0, 120.0)
    fleet = Fleet((FleetPool(SimPool(), profile),), OBJECTIVE, arrivals)
    fleet.start(0, 1)
    fleet.finish()
    truth, preemptions = stepped(profile, arrivals)
    assert (preemptions > 0) == (cache_tokens == 4_000)
    by_arrival = {v.arrival_seconds: v for v in fleet.verdicts}
    assert len(by_arrival) == len(arrivals)
    for request, finish in zip(arrivals, truth, strict=True):
        verdict = by_arrival[request.time_seconds]
        assert verdict.time_to_first_token_seconds is not None
        between = (verdict.inter_token_seconds or 0.0) * max(request.output_tokens - 1, 1)
        assert request.time_seconds + verdict.time_to_first_token_seconds + between == pytest.approx(finish, abs=1e-6)


def test_looking_at_the_counters_changes_nothing() -> None:
    """A scrape each second and none at all give the same verdicts, and every token is counted once."""
    arrivals = requests(6.0, 60.0)
    watched, alone = (Fleet((POOL,), OBJECTIVE, arrivals) for _ in range(2))
    for fleet in (watched, alone):
        fleet.start(0, 2)
    for second in range(1, 100):
        watched.run(float(second))
        watched.catch_up()
    alone.finish()
    assert [v.is_inside for v in watched.verdicts] == [v.is_inside for v in alone.verdicts]
    assert watched.generated_tokens == alone.generated_tokens == sum(r.output_tokens for r in arrivals)
    assert sum(r.counters.firsts for r in watched.replicas) == len(arrivals)


@pytest.mark.parametrize("dispersion", [0.5, 1.0, 13.0])
def test_arrivals_have_the_rate_and_the_dispersion_asked_for(dispersion: float) -> None:
    """Counts in windows of 20 s around a line have its mean, and the variance of Poisson times the dispersion."""
    profile = RateProfile(((0.0, 10.0), (20_000.0, 30.0)))
    counts = [0] * 1000
    for request in renewal_requests(profile, SHORT, 3, dispersion):
        counts[int(request.time_seconds // 20)] += 1
    expected = [20 * profile.rate_at(20 * n + 10) for n in range(1000)]
    assert sum(counts) == pytest.approx(sum(expected), rel=0.03)
    spread = sum((c - e) ** 2 / e for c, e in zip(counts, expected, strict=True)) / 1000
    assert spread == pytest.approx(dispersion, rel=0.2)


def test_steps_are_held() -> None:
    """A stepped rate is that of its step up to the next one."""
    profile = stepped_rates([1.0, 5.0], 120.0)
    assert [profile.rate_at(t) for t in (0.0, 119.0, 121.0, 239.0)] == pytest.approx([1.0, 1.0, 5.0, 5.0])
    assert profile.duration_seconds == pytest.approx(240.0)


def test_an_order_serves_after_its_lead_and_is_billed_from_its_start() -> None:
    """A replica ordered at 10 s with a lead of 30 s serves at 40 s and has cost 90 s by second 100."""
    fleet = Fleet((POOL,), OBJECTIVE, ())
    fleet.run(10.0)
    assert fleet.order(0, 1) == 1
    fleet.run(39.9)
    assert (len(fleet.serving), len(fleet.pending(0))) == (0, 1)
    fleet.run(40.0)
    assert (len(fleet.serving), len(fleet.pending(0))) == (1, 0)
    assert outcome_of(fleet, 100.0).replica_seconds == (90.0,)


def test_pending_that_is_not_billed_costs_from_when_it_serves() -> None:
    """Where pending is free, the same order costs 60 s, and one that is cancelled before it came costs nothing."""
    free = replace(POOL, pool=replace(POOL.pool, pending_billed=False))
    fleet = Fleet((free,), OBJECTIVE, ())
    fleet.run(10.0)
    fleet.order(0, 2)
    fleet.run(20.0)
    fleet.remove(0, 1)
    fleet.run(100.0)
    assert outcome_of(fleet, 100.0).replica_seconds == (60.0,)


def test_stockouts_limits_and_partial_fills_are_kept() -> None:
    """Nothing comes in a stockout, no more than the limit at any time, half of an order where half is filled."""
    terms = replace(POOL.pool, limit=3, stockouts=(Span(0.0, 50.0),))
    fleet = Fleet((replace(POOL, pool=terms),), OBJECTIVE, ())
    assert fleet.order(0, 2) == 0
    fleet.run(50.0)
    assert fleet.order(0, 5) == 3
    half = Fleet((replace(POOL, pool=replace(POOL.pool, fill_share=0.5)),), OBJECTIVE, ())
    assert half.order(0, 4) == 2


def test_pending_goes_first_then_the_youngest_and_none_before_its_hold() -> None:
    """A removal takes what is not there yet, then the newest replica whose hold is over."""
    fleet = Fleet((replace(POOL, pool=replace(POOL.pool, hold_seconds=100.0)),), OBJECTIVE, ())
    fleet.start(0, 1)
    fleet.order(0, 1)
    fleet.run(120.0)
    fleet.order(0, 1)
    assert fleet.remove(0, 1) == 1
    assert [r.removed for r in fleet.replicas] == [None, None, 120.0]
    assert fleet.remove(0, 2) == 1
    assert [r.removed for r in fleet.replicas] == [120.0, None, 120.0]


def test_leads_are_drawn_through_their_quantiles() -> None:
    """Half of the leads are below the median and one in twenty above the 95th percentile."""
    pool = replace(POOL, pool=SimPool(lead=Lead(100.0, 300.0)))
    fleet = Fleet((pool,), OBJECTIVE, (), seed=5)
    fleet.order(0, 2000)
    leads = sorted(r.ready for r in fleet.replicas)
    assert leads[1000] == pytest.approx(100.0, rel=0.1)
    assert leads[1900] == pytest.approx(300.0, rel=0.15)


def test_requests_without_a_replica_wait_and_count() -> None:
    """A request that comes before the first replica waits for it; one that never finds any is outside."""
    fleet = Fleet((POOL,), OBJECTIVE, [TimedRequest(1.0, 100, 10), TimedRequest(50.0, 100, 10)])
    fleet.order(0, 1)
    fleet.finish()
    assert [v.is_inside for v in fleet.verdicts] == [False, True]
    nobody = Fleet((POOL,), OBJECTIVE, [TimedRequest(1.0, 100, 10)])
    nobody.finish()
    assert outcome_of(nobody, 10.0).attainment == 0.0
    assert outcome_of(nobody, 10.0).requests == 1


def test_a_full_replica_sheds_and_that_counts() -> None:
    """Beyond the queue limit requests are refused at once and lower the attainment."""
    arrivals = [TimedRequest(1.0 + n * 1e-4, 100, 50) for n in range(10)]
    fleet = Fleet((POOL,), OBJECTIVE, arrivals, queue_limit=6, router=by_lot)
    fleet.start(0, 1)
    fleet.finish()
    outcome = outcome_of(fleet, 10.0)
    assert (outcome.requests, outcome.shed, outcome.attainment) == (10, 4, 0.6)


def test_an_emptied_replica_is_billed_until_its_last_answer() -> None:
    """A replica that is told to go serves what it has, takes nothing more and is billed until then."""
    fleet = Fleet((POOL,), OBJECTIVE, [TimedRequest(1.0, 100, 200), TimedRequest(1.5, 100, 10)])
    fleet.start(0, 2)
    fleet.run(1.2)
    busy = next(r for r in fleet.replicas if r.outstanding)
    idle = next(r for r in fleet.replicas if not r.outstanding)
    fleet.remove(0, 2)
    assert idle.gone == pytest.approx(1.2)
    assert busy.gone is None
    fleet.finish()
    assert busy.gone is not None
    assert busy.gone == pytest.approx(1.0 + 0.012 + 199 * 0.0100, rel=0.02)
    assert fleet.waiting_without_replica == 1


def test_counts_survive_any_order_of_scaling() -> None:
    """Random orders and removals lose no request and no token."""
    random, arrivals = Random(2), requests(8.0, 120.0)
    fleet = Fleet((POOL, POOL), OBJECTIVE, arrivals, seed=2)
    fleet.start(0, 1)
    for second in range(1, 140):
        fleet.run(float(second))
        action = random.choice([fleet.order, fleet.remove, fleet.order])
        action(random.randrange(2), random.randrange(2))
    fleet.order(0, 1)
    fleet.finish()
    assert len(fleet.verdicts) == len(arrivals)
    assert fleet.generated_tokens == sum(r.output_tokens for r in arrivals)
