"""One day of a recording as a run: what is sent, what counts, and what the operator gets as history."""

import csv
from pathlib import Path

import pytest

from baseload.errors import ConfigError
from baseload.lab.bench_day import DAY, made_week
from baseload.lab.bench_day import SPEED as BENCH_SPEED
from baseload.lab.day_search import HpaRule, Rehearsal
from baseload.lab.demand import demand_of
from baseload.lab.demo_day import LEAD_IN_SECONDS, bucket_seconds, read_day, write_history
from baseload.lab.profiles import engine_profile
from baseload.lab.scenario import DemoOptions

SPEED = 432.0
"""A day in 200 s."""


@pytest.fixture
def week(tmp_path: Path) -> Path:
    """Three days, each at its own rate: 1, 2 and 3 requests a second in every row of an hour."""
    path = tmp_path / "days.csv"
    rows = "".join(f"{3600 * hour},{hour // 24 + 1}\n" for hour in range(73))
    path.write_text("t_seconds,requests_per_second\n" + rows)
    return path


def options(week: Path, day: int, **given: object) -> DemoOptions:
    """The options of a run of one day, its peak worth two replicas."""
    return DemoOptions(trace=week, day=day, speed=SPEED, peak_replicas=2.0, **given)  # type: ignore[arg-type]


def test_a_day_begins_with_the_end_of_the_day_before(week: Path) -> None:
    """The lead-in has the rate of the evening before, the counted part that of the day, earlier days come before."""
    trace = read_day(options(week, 3))
    assert (trace.seconds, trace.lead_in_seconds) == (200, LEAD_IN_SECONDS)
    assert trace.rates is not None
    assert trace.earlier is not None
    assert trace.rates.rate_at(10.0) == pytest.approx(2.0)
    assert trace.rates.rate_at(LEAD_IN_SECONDS + 100.0) == pytest.approx(3.0)
    assert trace.earlier.duration_seconds == pytest.approx(400.0 - LEAD_IN_SECONDS)
    assert trace.earlier.rate_at(100.0) == pytest.approx(1.0)


def test_the_made_week_has_the_day_of_the_bench(tmp_path: Path) -> None:
    """Without a recording the bench plays a week that is made, with five days of history."""
    trace = read_day(DemoOptions(trace=made_week(tmp_path), day=DAY, speed=BENCH_SPEED))
    assert trace.seconds == 400
    assert trace.earlier is not None
    assert trace.earlier.duration_seconds == pytest.approx(5 * 400.0 - LEAD_IN_SECONDS)


@pytest.mark.parametrize("day", [1, 4])
def test_a_day_that_is_not_there_is_refused(week: Path, day: int) -> None:
    """The first day has nothing before it, the fourth was not recorded."""
    with pytest.raises(ConfigError, match=f"--day {day} is not in days.csv: it has 3 whole days"):
        read_day(options(week, day))


def test_loads_count_from_midnight_and_requests_from_the_lead_in(week: Path) -> None:
    """Two replicas' worth at the peak; the requests of the lead-in come on top of the counted ones."""
    demand = demand_of(read_day(options(week, 3)), capacity_rps=3.0, seed=1)
    assert len(demand.loads) == 200
    assert max(demand.loads) == pytest.approx(2.0)
    counted = [request for request in demand.requests if request.time_seconds >= LEAD_IN_SECONDS]
    assert len(counted) == pytest.approx(200 * 6.0, rel=0.1)
    assert len(demand.requests) - len(counted) == pytest.approx(LEAD_IN_SECONDS * 4.0, rel=0.25)


def test_history_is_what_earlier_days_asked_for_on_the_operators_grid(week: Path, tmp_path: Path) -> None:
    """Whole buckets at multiples of their length, none after the first request that is sent, tokens all there."""
    demand = demand_of(read_day(options(week, 3)), capacity_rps=3.0, seed=1)
    length, started = bucket_seconds(SPEED), 1_700_000_001.3
    write_history(tmp_path / "history.csv", demand, started, length)
    with (tmp_path / "history.csv").open() as file:
        rows = list(csv.DictReader(file))
    times = [float(row["t_seconds"]) for row in rows]
    # The file says the time to the millisecond.
    assert all(abs(time / length % 1 - 0.5) < 0.01 for time in times)
    assert times[-1] < started < times[-1] + 2 * length
    assert times[0] > started - demand.earlier_seconds
    tokens = sum(float(row["tokens_per_second"]) for row in rows) * length
    assert tokens == pytest.approx(sum(r.output_tokens for r in demand.earlier), rel=0.03)
    assert {(row["namespace"], row["name"]) for row in rows} == {("demo", "chat-8b")}


def test_the_least_fixed_number_keeps_the_objective_and_one_less_does_not(week: Path) -> None:
    """Virtual time: two replicas' worth of demand need two, and an HPA with room keeps the objective as well."""
    given = options(week, 3)
    profile = engine_profile("L40S", "meta-llama/Llama-3.1-8B")
    demand = demand_of(read_day(given), capacity_rps=3.7, seed=1)
    rehearsal = Rehearsal(demand, profile, given.objective, start_up_seconds=10.0, most_replicas=6)
    assert rehearsal.least_fixed() == 2
    assert rehearsal.fixed(1).attainment < given.attainment
    assert rehearsal.fixed(2).replica_seconds == 400.0
    assert rehearsal.hpa(2, target=15.0, hold_seconds=30, sync_seconds=2.0).attainment >= given.attainment


def test_the_hpa_of_a_rehearsal_follows_the_controllers_rule() -> None:
    """Pods that start count as idle on the way up and as full on the way down; 4 pods or twofold in 15 s; a window."""
    rule = HpaRule(target=10.0, hold_seconds=20.0, most=20, first_replicas=2)
    assert rule.wanted(2.0, [10, 11], 2) == 2  # inside the tolerance
    assert rule.wanted(4.0, [15, 15], 2) == 3
    assert rule.wanted(6.0, [15, 15], 3) == 3  # 30 over three pods: what was ordered is enough
    assert rule.wanted(8.0, [90, 90], 3) == 6  # 18 asked for; four more than the 2 of 15 s before
    assert rule.wanted(24.0, [15, 15, 15, 15, 15, 15], 6) == 9
    assert rule.wanted(26.0, [1, 1, 1, 1, 1, 1, 1, 1, 1], 9) == 9  # 18 was recommended within the window
    assert rule.wanted(50.0, [1, 1, 1, 1, 1, 1, 1, 1, 1], 9) == 1
    assert rule.wanted(52.0, [], 3) == 3  # no metric, no change
