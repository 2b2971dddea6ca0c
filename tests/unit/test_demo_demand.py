"""The demand of a run: wall time, scaling to the peak, loads in replicas' worth."""

import gzip
from pathlib import Path
from statistics import mean

import pytest

from baseload.errors import ConfigError
from baseload.lab.demand import demand_of, read_demand_trace, smoothed_counts
from baseload.lab.scenario import DemoOptions, EngineKind
from baseload.lab.schedule import clairvoyant
from baseload.sim.requests.arrivals import TimedRequest

CAPACITY_RPS = 4.0
START_UP_SECONDS = 24.0


def rate_file(directory: Path, rows: str = "100,5\n400,10\n") -> Path:
    """A rate that rises from 5 to 10 requests/s in five minutes of trace time."""
    path = directory / "rate.csv"
    path.write_text("t_seconds,requests_per_second\n" + rows)
    return path


def request_file(directory: Path, per_second: int = 2) -> Path:
    """Six hundred seconds of recorded requests, compressed, starting at second 50."""
    path = directory / "requests.csv.gz"
    rows = "".join(
        f"{50 + index / per_second},{100 + index % 7},{10 + index % 5}\n" for index in range(600 * per_second)
    )
    with gzip.open(path, "wt") as file:
        file.write("t_s,prompt_tokens,output_tokens\n" + rows)
    return path


def test_the_shipped_curve_is_what_the_demo_promises() -> None:
    """From one to at least five replicas' worth in 90 s, a spike of x2 for 45 s, and static peak costs 1.8 times."""
    trace = read_demand_trace(DemoOptions())
    demand = demand_of(trace, CAPACITY_RPS, seed=1)
    loads = demand.loads
    assert 240 <= len(loads) <= 360
    assert max(loads) == pytest.approx(5.4, abs=0.01)
    last_quiet = max(second for second, load in enumerate(loads[: loads.index(max(loads))]) if load <= 1.1)
    first_steep = next(second for second, load in enumerate(loads) if load >= 5.0)
    assert first_steep - last_quiet <= 90
    spike = [second for second in range(205, 275) if loads[second] >= 2 * loads[205] - 0.01]
    assert spike[-1] - spike[0] + 1 in range(44, 47)
    schedule = clairvoyant(loads, START_UP_SECONDS)
    assert schedule.static_peak_replica_seconds >= 1.8 * schedule.replica_seconds


def test_a_rate_is_divided_by_speed_and_scaled_to_the_peak(tmp_path: Path) -> None:
    """Time starts at the first point; rates keep their shape; arrivals follow them."""
    options = DemoOptions(trace=rate_file(tmp_path), speed=5.0, peak_replicas=6.0)
    trace = read_demand_trace(options)
    demand = demand_of(trace, CAPACITY_RPS, seed=3)
    assert trace.seconds == len(demand.loads) == 60
    assert max(demand.loads) == pytest.approx(6.0)
    assert demand.loads[0] == pytest.approx(3.0, abs=0.1)
    expected = CAPACITY_RPS * sum(demand.loads)
    assert len(demand.requests) == pytest.approx(expected, rel=0.1)
    assert demand_of(trace, CAPACITY_RPS, seed=3) == demand
    assert demand_of(trace, CAPACITY_RPS, seed=4).requests != demand.requests


@pytest.mark.parametrize("per_second", [1, 8])
def test_recorded_requests_are_dropped_or_repeated_to_the_peak(tmp_path: Path, per_second: int) -> None:
    """The load is the count of what is really sent; lengths stay those that were recorded."""
    options = DemoOptions(trace=request_file(tmp_path, per_second), speed=10.0)
    trace = read_demand_trace(options)
    demand = demand_of(trace, CAPACITY_RPS, seed=1)
    assert len(demand.loads) == 59
    assert mean(demand.loads) == pytest.approx(8.0, rel=0.1)
    assert len(demand.requests) == pytest.approx(59 * 8.0 * CAPACITY_RPS, rel=0.1)
    assert {request.output_tokens for request in demand.requests} == {10, 11, 12, 13, 14}
    times = [request.time_seconds for request in demand.requests]
    assert times == sorted(times)
    assert all(0 <= time < 59 for time in times)


def test_llama_servers_get_short_requests(tmp_path: Path) -> None:
    """Recorded lengths of a large model would keep a small one busy for minutes."""
    options = DemoOptions(trace=request_file(tmp_path), engine=EngineKind.LLAMA_CPP, peak_replicas=2.0)
    demand = demand_of(read_demand_trace(options), CAPACITY_RPS, seed=1)
    assert mean(request.prompt_tokens for request in demand.requests) == pytest.approx(32, rel=0.1)


def test_duration_cuts_the_demand_and_the_peak_is_that_of_what_is_left(tmp_path: Path) -> None:
    """The cut part does not count for the scale."""
    options = DemoOptions(trace=rate_file(tmp_path), speed=5.0, duration_seconds=30.0)
    demand = demand_of(read_demand_trace(options), CAPACITY_RPS, seed=1)
    assert len(demand.loads) == 30
    assert max(demand.loads) == pytest.approx(8.0)
    assert all(request.time_seconds < 30 for request in demand.requests)


@pytest.mark.parametrize(
    ("rows", "speed", "message"),
    [
        ("0,1\n600,1\n", 100.0, "--speed 100 leaves 6 s of rate.csv: use a lower one"),
        ("0,0\n600,0\n", 10.0, "rate.csv: the rate is 0 throughout the run"),
        ("0,1\n600,x\n", 10.0, "line 3, column requests_per_second: 'x' is not a number"),
    ],
)
def test_a_trace_that_cannot_be_played_is_refused(tmp_path: Path, rows: str, speed: float, message: str) -> None:
    """The message names the file and what to change."""
    options = DemoOptions(trace=rate_file(tmp_path, rows), speed=speed)
    with pytest.raises(ConfigError) as caught:
        demand_of(read_demand_trace(options), CAPACITY_RPS, seed=1)
    assert message in str(caught.value)


def test_counts_are_averaged_over_five_seconds_to_either_side() -> None:
    """Eleven requests in one second are one a second around it, and the ends have shorter windows."""
    counts = smoothed_counts([TimedRequest(10.5, 1, 1)] * 11, 21)
    assert counts[5:16] == [1.0] * 11
    assert counts[4] == counts[16] == 0.0
    assert smoothed_counts([TimedRequest(0.0, 1, 1)] * 6, 20)[0] == 1.0
