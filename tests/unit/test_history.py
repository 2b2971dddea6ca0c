"""Demand of the past: from Prometheus in slices, from a file, and how it is kept beside what is seen."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from baseload.errors import ConfigError, MetricsError
from baseload.observe.demand_book import DemandBook
from baseload.observe.fleet import SignalRequest
from baseload.observe.history import HistoryReader, Past, Slice
from baseload.observe.history_file import read_history
from baseload.observe.metrics_source import RangeSeries
from baseload.observe.profiles import load_profiles
from baseload.plan.forecast.demand_block import Grid
from baseload.plan.snapshot import ServingKey

CHAT, CODE = ServingKey("team", "chat"), ServingKey("team", "code")
BUCKET = 600.0
SCRAPES = 40.0


class Prometheus:
    """Answers range queries by a function of the query and the bucket, for some workloads; remembers what was asked."""

    def __init__(self, value: Callable[[str, int], float], workloads: tuple[str, ...] = ("Deployment/chat",)) -> None:
        self.value = value
        self.workloads = workloads
        self.pods: tuple[str, ...] = ()
        self.asked: list[tuple[str, float, float]] = []
        self.failures = 0
        self.most_points = 10_000

    async def query_range(self, promql: str, start: float, end: float, step_seconds: float) -> tuple[RangeSeries, ...]:
        """Rows by label; none of pods."""
        self.asked.append((promql, start, end))
        times = np.arange(start, end + 1, step_seconds)
        if self.failures or times.size > self.most_points:
            self.failures = max(self.failures - 1, 0)
            raise MetricsError("query processing would load too many samples into memory")
        values = np.array([self.value(signal_of(promql), round(at / step_seconds) - 1) for at in times])
        if 'baseload_workload=""' in promql:
            return tuple(RangeSeries({"namespace": "team", "pod": pod}, times, values) for pod in self.pods)
        labels = [{"namespace": "team", "baseload_workload": workload} for workload in self.workloads]
        return tuple(RangeSeries(row, times, values) for row in labels)


def signal_of(promql: str) -> str:
    """Which signal of the vLLM profile a query asks for."""
    if "count_over_time" in promql:
        return "samples"
    if "resets" in promql:
        return "growth"
    if "generation_tokens" in promql:
        return "each" if "request_success" in promql else "tokens"
    return "done"


def steady(signal: str, _index: int) -> float:
    """5 requests of 200 tokens end each second, and a queue grows by one a second."""
    return {"samples": SCRAPES, "growth": 1.0, "each": 200.0, "tokens": 1000.0, "done": 5.0}[signal]


def about(demand: object) -> object:
    """Demand as the book keeps it."""
    return pytest.approx(demand, rel=1e-3, abs=1e-3)


def request(key: ServingKey) -> SignalRequest:
    """What to ask of a serving's Deployment of the same name."""
    return SignalRequest(key, "Deployment", key.name, "vllm")


async def read(
    source: Prometheus, whole: Slice, *keys: ServingKey, patience: int = 144
) -> dict[ServingKey, list[float]]:
    """All buckets of a slice as lists."""
    pauses: list[float] = []

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)

    reader = HistoryReader(source, load_profiles(), scrape_seconds=15.0, bucket_seconds=BUCKET, sleep=sleep)
    book = DemandBook(Grid(), kept_days=21)
    book.move_on(whole.end * BUCKET)
    async for past in reader.read([request(key) for key in keys or (CHAT,)], whole, 144):
        book.fill(past)
    block = book.block(keys or (CHAT,), with_running=False)
    return {key: block.demand[row].tolist() for row, key in enumerate(keys or (CHAT,))}


async def test_demand_is_what_was_asked_for_not_what_was_served() -> None:
    """Five requests of 200 tokens ended and one more waits each second: 1,200 tokens a second were asked for."""
    assert await read(Prometheus(steady), Slice(10_000, 10_006)) == {CHAT: about([1200.0] * 6)}


async def test_the_number_of_queries_does_not_depend_on_the_number_of_servings() -> None:
    """One query per signal and slice, however many servings ask."""
    one, many = Prometheus(steady), Prometheus(steady, ("Deployment/chat", "Deployment/code"))
    await read(one, Slice(10_000, 10_144))
    await read(many, Slice(10_000, 10_144), CHAT, CODE)
    assert len(one.asked) == len(many.asked) == 5


async def test_a_long_past_is_read_in_slices_the_newest_first() -> None:
    """No query asks for more points than a server allows."""
    source = Prometheus(steady)
    found = await read(source, Slice(10_000, 12_500))
    assert found == {CHAT: about([1200.0] * 2500)}
    starts = [start for _, start, _ in source.asked]
    assert starts == sorted(starts, reverse=True)
    assert max((end - start) / BUCKET for _, start, end in source.asked) < 1000


async def test_a_slice_that_is_too_large_for_the_server_is_halved() -> None:
    """The same buckets come, in more queries."""
    source = Prometheus(steady)
    source.most_points = 40
    assert await read(source, Slice(10_000, 10_144)) == {CHAT: about([1200.0] * 144)}


async def test_a_server_that_goes_on_failing_is_left_alone() -> None:
    """After some tries with growing pauses the reading ends with the error."""
    source = Prometheus(steady)
    source.failures = 1000
    with pytest.raises(MetricsError, match="too many samples"):
        await read(source, Slice(10_000, 10_144))
    assert len(source.asked) == 6


async def test_pods_without_a_label_count_where_their_names_mean_one_workload() -> None:
    """Two pods of one Deployment add up; a name that fits no workload, or more than one, counts for nobody."""
    source = Prometheus(steady, ())
    source.pods = ("chat-5d9f7-bcdfg", "chat-5d9f7-hjklm", "other-5d9f7-bcdfg")
    assert await read(source, Slice(10_000, 10_003)) == {CHAT: about([2400.0] * 3)}


async def test_an_outage_of_prometheus_is_a_gap() -> None:
    """Rates over a bucket that was scraped too seldom are far too low, so they are not taken."""
    found = await read(
        Prometheus(lambda signal, index: 20.0 if signal == "samples" and index == 10_002 else steady(signal, index)),
        Slice(10_000, 10_004),
    )
    assert np.isnan(found[CHAT]).tolist() == [False, False, True, False]


async def test_a_bucket_that_prometheus_saw_in_part_is_put_right() -> None:
    """With nine scrapes of ten a rate comes out a tenth too low: it is divided by the whole bucket."""

    def partly(signal: str, index: int) -> float:
        share = 0.9 if index == 10_002 and signal != "each" else 1.0
        return share * steady(signal, index)

    found = await read(Prometheus(partly), Slice(10_000, 10_004))
    assert found[CHAT] == about([1200.0] * 4)


async def test_a_bucket_without_requests_is_zero_and_one_without_series_is_a_gap() -> None:
    """Counters that did not move prove that nobody asked; no counters prove nothing."""

    def quiet(signal: str, index: int) -> float:
        if index == 10_000 and signal != "samples":
            return float("nan") if signal == "each" else 0.0
        return float("nan") if index == 10_001 else steady(signal, index)

    found = await read(Prometheus(quiet), Slice(10_000, 10_003))
    assert found[CHAT][0] == 0.0
    assert np.isnan(found[CHAT][1])
    assert found[CHAT][2] == about(1200.0)


async def test_reading_ends_where_retention_ends() -> None:
    """After a day of buckets with nothing at all nothing older is asked for."""
    source = Prometheus(lambda signal, index: steady(signal, index) if index >= 13_000 else float("nan"))
    found = await read(source, Slice(10_500, 13_024))
    assert np.isfinite(found[CHAT]).sum() == 24
    assert len({start for _, start, _ in source.asked}) == 2


@pytest.mark.parametrize("demand", [0.0, 0.01, 1.0, 37.5, 1200.0, 5e5, 1e9])
def test_what_is_kept_is_exact_to_a_thousandth(demand: float) -> None:
    """Two bytes hold any demand there is, and nothing stays nothing."""
    book = keep(kept_days=1)
    book.fill(Past(Slice(9_999, 10_000), {CHAT: np.array([demand])}))
    assert book.block([CHAT], with_running=False).demand[0, -1] == pytest.approx(demand, rel=1e-3, abs=3e-4)


def keep(**days: int) -> DemandBook:
    """A book at the end of bucket 9,999."""
    book = DemandBook(Grid(), **days)
    book.move_on(10_000 * BUCKET)
    return book


def test_what_is_seen_becomes_buckets() -> None:
    """A bucket is the mean of what was seen in it, weighted by time; one that was hardly seen is a gap."""
    book = keep()
    for seconds in range(0, 600, 60):
        book.record(CHAT, 10_000 * BUCKET + seconds, 100.0 + seconds, 60.0)
    book.record(CODE, 10_000 * BUCKET + 30, 5.0, 60.0)
    assert book.block([CHAT], with_running=True).demand[0, -1] == pytest.approx(370.0)
    assert book.move_on(10_001 * BUCKET)
    block = book.block([CHAT, CODE], with_running=False)
    assert block.end_index == 10_001
    assert block.demand[0, -1] == about(370.0)
    assert np.isnan(block.demand[1, -1])


def test_time_without_a_tick_is_a_gap() -> None:
    """Buckets that passed while nothing was seen are no zeros, and old ones leave the ring."""
    book = keep(kept_days=1)
    book.fill(Past(Slice(9_856, 10_000), {CHAT: np.ones(144)}))
    book.move_on(10_002 * BUCKET)
    demand = book.block([CHAT], with_running=False).demand[0]
    assert demand.size == 144
    assert np.isnan(demand[-2:]).all()
    assert demand[:-2] == about([1.0] * 142)


def test_what_was_seen_stays_when_the_past_is_read_later() -> None:
    """The past fills gaps; what lies outside of the ring or in the future is left out."""
    book = keep(kept_days=1)
    book.record(CHAT, 10_000 * BUCKET, 7.0, 600.0)
    book.move_on(10_001 * BUCKET)
    book.fill(Past(Slice(9_000, 11_000), {CHAT: np.full(2000, 3.0)}))
    demand = book.block([CHAT], with_running=False).demand[0]
    assert (demand[-1], demand[-2], demand.size) == (about(7.0), about(3.0), 144)
    assert book.known_days([CHAT]) == pytest.approx(1.0)


def test_rows_are_used_again() -> None:
    """A serving that is gone leaves nothing to the next one, and the book grows when it must."""
    book = keep(kept_days=1)
    keys = [ServingKey("team", f"s{number}") for number in range(100)]
    book.fill(Past(Slice(9_999, 10_000), {key: np.array([float(n)]) for n, key in enumerate(keys)}))
    assert book.block(keys, with_running=False).demand[:, -1] == about([float(n) for n in range(100)])
    for key in keys:
        book.forget(key)
    book.fill(Past(Slice(9_998, 9_999), {CHAT: np.array([1.0])}))
    assert np.isnan(book.block([CHAT], with_running=False).demand[0, -1])
    assert np.isnan(book.block([keys[3]], with_running=False).demand).all()


def write(folder: Path, text: str) -> Path:
    """A file with this text."""
    path = folder / "history.csv"
    path.write_text(text)
    return path


CSV = """namespace,name,t_seconds,tokens_per_second
team,chat,6000000,100
team,chat,6000300,300

team,code,6001200,5
"""


def test_a_file_of_either_form_is_read(tmp_path: Path) -> None:
    """Rows of one bucket are averaged, buckets without a row are gaps."""
    past = read_history(write(tmp_path, CSV), BUCKET)
    assert past.part == Slice(10_000, 10_003)
    assert past.demand[CHAT][0] == 200.0
    assert np.isnan(past.demand[CHAT][1:]).all()
    lines = '{"namespace": "team", "name": "code", "t_seconds": 6000000.5, "tokens_per_second": 5}\n\n'
    assert read_history(write(tmp_path, lines), BUCKET).demand[CODE].tolist() == [5.0]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", ["line 1", "namespace,name,t_seconds,tokens_per_second"]),
        (CSV.splitlines()[0], ["has no row"]),
        ("t_seconds,requests_per_second\n1,2", ["line 1", "'t_seconds,requests_per_second'"]),
        (CSV + "team,chat,6000000\n", ["line 6", "3 columns; the header has 4"]),
        (CSV + "team,chat,today,1\n", ["line 6, column 3", "`t_seconds`", "'today'", "at least 0"]),
        (CSV + "team,chat,6000000,-1\n", ["line 6, column 4", "`tokens_per_second`", "'-1'"]),
        (CSV + "team,chat,6000000,nan\n", ["line 6, column 4", "'nan'"]),
        (CSV + "team,,6000000,1\n", ["line 6, column 2", "`name`"]),
        (CSV + "team,chat,6000000000000,1\n", ["spans", "`t_seconds` in seconds"]),
        ('{"namespace": "a"}\n', ["line 1", "`t_seconds`", "None"]),
        ('{"namespace": \n', ["line 1, column", "no JSON object"]),
        ('{"namespace": "a", "name": "b", "t_seconds": true, "tokens_per_second": 1}', ["column 3", "True"]),
    ],
)
def test_a_bad_file_is_refused_by_line_and_column(tmp_path: Path, text: str, words: list[str]) -> None:
    """The message names the file, the place, the value and what is allowed."""
    with pytest.raises(ConfigError) as caught:
        read_history(write(tmp_path, text), BUCKET)
    assert all(word in str(caught.value) for word in ["history.csv", *words]), str(caught.value)


def test_a_file_that_is_not_there_is_said(tmp_path: Path) -> None:
    """An error of the system names the path."""
    with pytest.raises(ConfigError, match="cannot be read"):
        read_history(tmp_path / "none.csv", BUCKET)
