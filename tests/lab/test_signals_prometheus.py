"""Signals read by a real Prometheus from engines whose arrivals are known: what is told must be what happened."""

import asyncio
import itertools
import signal
import time
from pathlib import Path

import numpy as np
import pytest
from metrics_world import NAMESPACE, TOKENS_PER_REQUEST, Engine, MetricsWorld
from real_prometheus import prometheus

from baseload.api.reasons import Reason
from baseload.observe.fleet import SignalRequest
from baseload.observe.history import HistoryReader, Past, Slice
from baseload.observe.profiles import load_profiles
from baseload.observe.prometheus import PrometheusSource
from baseload.observe.signals import SignalReader
from baseload.plan.signals import Missing, NoTraffic, ServingSignals, Value
from baseload.plan.snapshot import ServingKey

pytestmark = pytest.mark.lab

WORKLOADS = (
    "steady",
    "saturated",
    "growing",
    "shrinking",
    "restarting",
    "idle",
    "gone",
    "broken",
    "plain",
    "renamed",
    "nowhere",
    "llama",
)
FULL_SECONDS = 11.0
"""When the windows of rates are full; all times count from the first sample."""

CHANGE_SECONDS = 14.0
"""When replicas come, go and restart."""

END_SECONDS = 26.0

Record = list[tuple[float, dict[str, ServingSignals]]]


BUCKET_SECONDS = 5.0


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> tuple[Record, Past]:
    """All signals once a second over the whole story, and what Prometheus says of it at its end."""
    return asyncio.run(_story(tmp_path_factory.mktemp("prometheus")))


@pytest.fixture(scope="module")
def record(story: tuple[Record, Past]) -> Record:
    """The signals as they were read, at last with Prometheus stopped and with Prometheus killed."""
    return story[0]


async def _story(directory: Path) -> tuple[Record, Past]:
    world, record = MetricsWorld(), []
    runner = await world.serve()
    living = asyncio.create_task(world.live())
    with prometheus(directory, world.scrape_config()) as (process, url):
        _begin(world)
        source = PrometheusSource(url)
        reader = SignalReader(source, load_profiles(), scrape_seconds=1.0)
        await _first_sample(reader)
        start, changes = time.time(), _changes(world)
        while (elapsed := time.time() - start) < END_SECONDS:
            while changes and elapsed >= changes[0][0]:
                changes.pop(0)[1]()
            record.append((elapsed, await _read(reader)))
            await asyncio.sleep(max(start + elapsed + 1 - time.time(), 0))
        past = await _past(source)
        process.send_signal(signal.SIGSTOP)
        record.append((1000.0, await _read(reader)))
        process.kill()
        process.wait()
        record.append((2000.0, await _read(reader)))
        source.close()
    living.cancel()
    await runner.cleanup()
    return record, past


async def _past(source: PrometheusSource) -> Past:
    """The last four whole buckets, read as an operator does that has just started."""
    reader = HistoryReader(source, load_profiles(), scrape_seconds=1.0, bucket_seconds=BUCKET_SECONDS)
    end = int(time.time() // BUCKET_SECONDS)
    async for past in reader.read(_requests(), Slice(end - 4, end), 4):
        return past
    raise AssertionError


async def _first_sample(reader: SignalReader) -> None:
    """Prometheus passes targets that it discovered on only each five seconds."""
    for _ in range(75):
        if isinstance((await _read(reader))["steady"].running, Value):
            return
        await asyncio.sleep(0.2)
    pytest.fail("Prometheus did not scrape its targets within 15 s")


def _begin(world: MetricsWorld) -> None:
    world.add(
        *(Engine("steady", f"steady-{i}", 5.0) for i in range(2)),
        Engine("saturated", "saturated-0", 8.0, slots=8, token_histogram=False),
        Engine("growing", "growing-0", 12.0),
        # Like a pod that loads its weights: a target already, but nothing answers there yet.
        Engine("growing", "growing-1", 0.0, broken=True),
        *(Engine("shrinking", f"shrinking-{i}", 4.0) for i in range(3)),
        Engine("restarting", "restarting-0", 10.0),
        Engine("idle", "idle-0", 0.0),
        Engine("gone", "gone-0", 5.0),
        Engine("broken", "broken-0", 5.0, not_a_number=True),
        Engine("plain", "plain-5d9f7-abcde", 5.0, labelled=False),
        Engine("renamed", "renamed-0", 5.0, old_names=True),
        Engine("renamed", "renamed-1", 5.0, both_names=True),
        Engine("llama", "llama-0", 5.0, llamacpp=True),
        Engine("llama", "llama-1", 5.0, llamacpp=True, seconds_before=3e6),
    )


def _changes(world: MetricsWorld) -> list[tuple[float, object]]:
    """What happens when: a pod comes, one drains and goes, one restarts, one stops answering."""
    engines = world.engines

    def at_change() -> None:
        engines["growing-0"].arrivals_rps = 6.0
        engines["growing-1"].arrivals_rps = 6.0
        engines["growing-1"].broken = False
        engines["shrinking-2"].arrivals_rps = 0.0
        for pod in ("shrinking-0", "shrinking-1"):
            engines[pod].arrivals_rps = 6.0
        engines["restarting-0"].restart()
        engines["gone-0"].broken = True

    return [(CHANGE_SECONDS, at_change), (CHANGE_SECONDS + 2.5, lambda: engines.pop("shrinking-2"))]


async def _read(reader: SignalReader) -> dict[str, ServingSignals]:
    found = await reader.read(time.time(), _requests())
    return {key.name: signals for key, signals in found.items()}


def _requests() -> list[SignalRequest]:
    return [
        SignalRequest(ServingKey(NAMESPACE, name), "Deployment", name, _profile(name), 0.4, 0.04) for name in WORKLOADS
    ]


def _profile(workload: str) -> str:
    return "llamacpp" if workload == "llama" else "vllm"


def _offered(record: Record, name: str, since: float, until: float = END_SECONDS) -> list[float]:
    """The offered rates that were read of a workload between two instants, each of which must be a value."""
    signals = [signals[name].offered_rps for at, signals in record if since <= at < until]
    assert all(isinstance(signal, Value) for signal in signals), signals
    return [signal.value for signal in signals if isinstance(signal, Value)]


def _at(record: Record, seconds: float) -> dict[str, ServingSignals]:
    return next(signals for at, signals in record if at >= seconds)


@pytest.mark.parametrize(("name", "rps"), [("steady", 10.0), ("saturated", 8.0), ("llama", 10.0)])
def test_the_past_is_what_was_asked_for(story: tuple[Record, Past], name: str, rps: float) -> None:
    """Buckets of a steady rate, of one whose queue grows, and of another engine, from range queries."""
    buckets = story[1].demand[ServingKey(NAMESPACE, name)]
    known = buckets[np.isfinite(buckets)]
    assert known.size >= 3
    assert known == pytest.approx(rps * TOKENS_PER_REQUEST, rel=0.15)


def test_the_past_of_silence_is_zero_and_that_of_nobody_unknown(story: tuple[Record, Past]) -> None:
    """An idle engine was asked for nothing; a workload that Prometheus never saw has no past."""
    demand = story[1].demand
    assert np.nanmax(demand[ServingKey(NAMESPACE, "idle")]) == 0.0
    assert not np.isfinite(demand[ServingKey(NAMESPACE, "nowhere")]).any()


def test_constant_arrivals_are_read_within_five_percent(record: Record) -> None:
    """Ten requests a second over two pods read as ten, from the first full window on."""
    read = _offered(record, "steady", FULL_SECONDS)
    assert read == pytest.approx([10.0] * len(read), rel=0.05)


def test_saturation_does_not_flatten_the_offered_rate(record: Record) -> None:
    """Completions stay at four a second while eight arrive: the growth of the queue makes up the difference."""
    read = _offered(record, "saturated", FULL_SECONDS)
    assert read == pytest.approx([8.0] * len(read), rel=0.05)


def test_a_new_replica_does_not_dent_the_offered_rate(record: Record) -> None:
    """Half of the load moves to a pod that Prometheus has hardly seen; the total stays within ten percent."""
    read = _offered(record, "growing", FULL_SECONDS)
    assert read == pytest.approx([12.0] * len(read), rel=0.1)


def test_a_drained_replica_neither_adds_nor_takes_demand(record: Record) -> None:
    """One of three pods finishes its requests and goes; what arrives at the others stays what is read."""
    read = _offered(record, "shrinking", FULL_SECONDS)
    assert read == pytest.approx([12.0] * len(read), rel=0.1)


def test_a_restart_costs_no_more_than_what_no_scrape_saw(record: Record) -> None:
    """The only pod loses twenty running requests and begins to count at zero.

    What it completed since its last scrape nobody can know: one scrape of a window of ten, and a last digit.
    """
    read = _offered(record, "restarting", FULL_SECONDS)
    assert read == pytest.approx([10.0] * len(read), rel=0.2)


def test_nobody_asking_is_no_traffic(record: Record) -> None:
    """An idle engine says NoTraffic where a ratio would be 0/0, and zero where zero is known."""
    idle = _at(record, 20)["idle"]
    assert isinstance(idle.running, Value)
    assert idle.running.value == 0
    for reading in (
        idle.offered_rps,
        idle.output_tokens_per_second,
        idle.output_tokens_per_request,
        idle.time_to_first_token_attainment,
        idle.inter_token_attainment,
    ):
        assert isinstance(reading, NoTraffic), reading


def test_a_replica_that_stops_answering_is_stale_within_two_scrapes(record: Record) -> None:
    """Every scrape of the only pod fails: the rates of its last window are not used any more."""
    gone = _at(record, CHANGE_SECONDS + 3)["gone"]
    for reading in (gone.running, gone.offered_rps):
        assert isinstance(reading, Missing)
        assert reading.reason is Reason.STALE
    assert gone.replicas == ()


def test_series_without_the_label_are_ambiguous_and_say_the_remedy(record: Record) -> None:
    """A pod that could belong to the workload is there, but nothing says so."""
    reading = _at(record, 20)["plain"].running
    assert isinstance(reading, Missing)
    assert reading.reason is Reason.AMBIGUOUS
    assert "Deployment/plain" in reading.message


def test_no_pods_and_no_number_are_missing(record: Record) -> None:
    """A workload nobody scrapes is NoSeries and a NaN is NotANumber; neither is zero."""
    signals = _at(record, 20)
    nowhere, broken = signals["nowhere"].running, signals["broken"].running
    assert isinstance(nowhere, Missing)
    assert nowhere.reason is Reason.NO_SERIES
    assert isinstance(broken, Missing)
    assert broken.reason is Reason.NOT_A_NUMBER


def test_attainment_and_tokens_are_what_the_histograms_say(record: Record) -> None:
    """All first tokens took 0.3 s, between the boundaries 0.25 and 0.5; the target of 0.4 s is interpolated."""
    steady = _at(record, 20)["steady"]
    assert isinstance(steady.time_to_first_token_attainment, Value)
    assert steady.time_to_first_token_attainment.value == pytest.approx(0.6, abs=0.01)
    assert isinstance(steady.inter_token_attainment, Value)
    assert steady.inter_token_attainment.value == pytest.approx(0.6, abs=0.01)
    assert isinstance(steady.output_tokens_per_request, Value)
    assert steady.output_tokens_per_request.value == pytest.approx(TOKENS_PER_REQUEST, rel=0.02)
    assert isinstance(steady.output_tokens_per_second, Value)
    assert steady.output_tokens_per_second.value == pytest.approx(10 * TOKENS_PER_REQUEST, rel=0.05)


def test_tokens_of_a_request_are_known_without_their_histogram(record: Record) -> None:
    """Tokens over completions say the same once an engine is full."""
    reading = _at(record, 20)["saturated"].output_tokens_per_request
    assert isinstance(reading, Value)
    assert reading.value == pytest.approx(TOKENS_PER_REQUEST, rel=0.02)


def test_old_and_new_metric_names_count_each_pod_once(record: Record) -> None:
    """One pod has the old names and one has both: attainment, latency and cache come out as for one name."""
    renamed = _at(record, 20)["renamed"]
    assert isinstance(renamed.inter_token_attainment, Value)
    assert renamed.inter_token_attainment.value == pytest.approx(0.6, abs=0.01)
    assert [replica.pod for replica in renamed.replicas] == ["renamed-0", "renamed-1"]
    for replica in renamed.replicas:
        assert replica.inter_token_seconds == pytest.approx(0.04)
        assert replica.time_to_first_token_seconds == pytest.approx(0.3)
        assert replica.cache_usage == 0.25
        assert replica.running == pytest.approx(10.0, abs=1.0)


def test_llamacpp_replicas_have_latencies_from_counters(record: Record) -> None:
    """A young server by its seconds per token, an old one, whose seconds lost their last digits, by Little's law."""
    llama = _at(record, 20)["llama"]
    assert isinstance(llama.running, Value)
    assert llama.running.value == pytest.approx(20, abs=2)
    assert [replica.inter_token_seconds for replica in llama.replicas] == [
        pytest.approx(0.04, rel=0.001),
        pytest.approx(0.04, rel=0.1),
    ]
    assert isinstance(llama.offered_rps, Missing)
    assert llama.offered_rps.reason is Reason.NO_SERIES


def test_a_replica_that_went_away_leaves_the_sample(record: Record) -> None:
    """Range functions would keep a deleted pod for a whole window; the replica model must not learn from it."""
    pods = [replica.pod for replica in _at(record, CHANGE_SECONDS + 6)["shrinking"].replicas]
    assert pods == ["shrinking-0", "shrinking-1"]


def test_the_time_of_a_value_is_that_of_its_scrape(record: Record) -> None:
    """Values of one workload carry one sample time, which grows by the scrape interval and not by the reads."""
    times = [signals["steady"].running.time for at, signals in record if FULL_SECONDS <= at < END_SECONDS]  # type: ignore[union-attr]
    steps = [later - earlier for earlier, later in itertools.pairwise(times)]
    assert all(step == pytest.approx(round(step), abs=0.1) for step in steps), steps
    steady = _at(record, 20)["steady"]
    assert isinstance(steady.offered_rps, Value)
    assert isinstance(steady.running, Value)
    assert steady.offered_rps.time == steady.running.time


@pytest.mark.parametrize("when", [1000.0, 2000.0], ids=["hangs", "is gone"])
def test_prometheus_that_does_not_answer_is_unreachable(record: Record, when: float) -> None:
    """Whether it hangs or refuses connections, every signal of every workload says so."""
    for name, signals in _at(record, when).items():
        for reading in (signals.running, signals.offered_rps, signals.time_to_first_token_attainment):
            assert isinstance(reading, Missing), name
            assert reading.reason is Reason.UNREACHABLE, name
