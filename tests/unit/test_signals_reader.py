"""Every kind of gap, and the number of queries, with a source that answers from a table."""

from collections.abc import Mapping
from math import inf, nan

import pytest
from table_source import NAMESPACE, NOW, SCRAPE_SECONDS, healthy, histogram, reader_of, rows

from baseload.api.reasons import Reason
from baseload.errors import MetricsError
from baseload.observe import signals as signals_module
from baseload.observe.fleet import SignalRequest
from baseload.observe.metrics_source import PartialAnswerError, Series
from baseload.plan.signals import NOT_OBSERVED, Missing, NoTraffic, ServingSignals, Signal, Value
from baseload.plan.snapshot import ServingKey

KEY = ServingKey(NAMESPACE, "chat")
REQUEST = SignalRequest(KEY, "Deployment", "chat-8b", "vllm", 0.4, 0.04)
SIGNALS = [name for name in ServingSignals.__dataclass_fields__ if name not in ("replicas", "identified_by")]


async def read(answers: Mapping[str, object], request: SignalRequest = REQUEST) -> ServingSignals:
    """The signals of the one request."""
    reader, _ = reader_of(answers, request.profile)
    return (await reader.read(NOW, [request]))[request.key]


def every(signals: ServingSignals) -> dict[str, Signal]:
    """All signals by name."""
    return {name: getattr(signals, name) for name in SIGNALS}


def reason(signal: Signal) -> Reason:
    """Why a signal is missing."""
    assert isinstance(signal, Missing), signal
    assert signal.message
    return signal.reason


async def test_values_carry_the_time_of_the_scrape() -> None:
    """Arrivals are completions plus growth, attainment is interpolated, and all have the sample's time."""
    signals = await read(healthy())
    time = NOW - 1.5
    assert signals.offered_rps == Value(4.5, time)
    assert (signals.running, signals.waiting) == (Value(6.0, time), Value(2.0, time))
    assert signals.output_tokens_per_request == Value(100.0, time)
    assert signals.time_to_first_token_attainment == Value(pytest.approx(0.55), time)
    assert signals.inter_token_attainment == Value(pytest.approx(3.0 / 4.0 * 0.04 / 0.25), time)


async def test_replicas_are_the_live_pods_and_broken_ratios_are_none() -> None:
    """A pod without running sequences in the answer is gone; 0/0 of an idle pod is no sample."""
    replicas = (await read(healthy())).replicas
    assert [(r.pod, r.running, r.inter_token_seconds, r.cache_usage) for r in replicas] == [
        ("chat-8b-a", 2.0, 0.03, 0.5),
        ("chat-8b-b", 4.0, None, None),
    ]


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"freshness": ()}, Reason.NO_SERIES),
        ({"freshness": rows(0.0)}, Reason.STALE),
        ({"freshness": rows(NOW - 5.5)}, Reason.STALE),
        ({"freshness": rows(nan)}, Reason.NOT_A_NUMBER),
        ({"freshness": MetricsError("connection refused")}, Reason.UNREACHABLE),
        ({"freshness": PartialAnswerError("a store is missing")}, Reason.PARTIAL),
        (
            {"freshness": (), "unlabelled": (Series({"namespace": "team-a", "pod": "chat-8b-5d-x"}, 1, NOW),)},
            Reason.AMBIGUOUS,
        ),
        ({"freshness": (), "unlabelled": (Series({}, 1, NOW),)}, Reason.AMBIGUOUS),
        (
            {"freshness": (), "unlabelled": (Series({"namespace": "team-a", "pod": "other-5d-x"}, 1, NOW),)},
            Reason.NO_SERIES,
        ),
        (
            {"freshness": (), "unlabelled": (Series({"namespace": "team-b", "pod": "chat-8b-5d-x"}, 1, NOW),)},
            Reason.NO_SERIES,
        ),
    ],
    ids=[
        "empty",
        "scrapes fail",
        "old",
        "NaN",
        "down",
        "partial",
        "unlabelled",
        "no labels",
        "other pod",
        "other team",
    ],
)
async def test_without_a_fresh_sample_everything_is_missing(change: dict[str, object], why: Reason) -> None:
    """Rates outlive their pods by a window, so no other signal counts then, and none is ever zero."""
    signals = await read({**healthy(), **change})
    assert {reason(signal) for signal in every(signals).values()} == {why}
    assert signals.replicas == ()


@pytest.mark.parametrize("name", ["running", "waiting", "output_tokens", "completions", "in_flight_growth"])
@pytest.mark.parametrize(
    ("answer", "why"),
    [
        ((), Reason.NO_SERIES),
        (rows(nan), Reason.NOT_A_NUMBER),
        (rows(inf), Reason.NOT_A_NUMBER),
        (rows(-inf), Reason.NOT_A_NUMBER),
        (MetricsError("timed out"), Reason.UNREACHABLE),
        (PartialAnswerError("cut"), Reason.PARTIAL),
    ],
    ids=["empty", "NaN", "inf", "-inf", "error", "partial"],
)
async def test_a_gap_in_one_signal_is_a_gap_in_that_signal(name: str, answer: object, why: Reason) -> None:
    """The others stay readable, and the one is missing with its own reason."""
    field = {
        "output_tokens": "output_tokens_per_second",
        "completions": "offered_rps",
        "in_flight_growth": "offered_rps",
    }
    signals = every(await read({**healthy(), name: answer}))
    assert reason(signals.pop(field.get(name, name))) is why
    assert all(isinstance(signal, Value) for signal in signals.values())


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        ((), Reason.NO_SERIES),
        (histogram(1.0, nan, 4.0), Reason.NOT_A_NUMBER),
        (histogram(1.0, 2.0, 4.0)[:2], Reason.NO_SERIES),
        (MetricsError("timed out"), Reason.UNREACHABLE),
    ],
    ids=["empty", "NaN", "no total", "error"],
)
async def test_attainment_gaps(answer: object, why: Reason) -> None:
    """A histogram that is not whole has no share."""
    signals = await read({**healthy(), "time_to_first_token_buckets": answer})
    assert reason(signals.time_to_first_token_attainment) is why
    assert isinstance(signals.inter_token_attainment, Value)


async def test_boundaries_that_cannot_be_read_make_attainment_missing() -> None:
    """Without the boundaries no bucket can be asked for."""
    signals = await read({**healthy(), "time_to_first_token_boundaries": MetricsError("timed out")})
    assert reason(signals.time_to_first_token_attainment) is Reason.UNREACHABLE


async def test_counters_that_stand_still_are_no_traffic() -> None:
    """Idle is known: NoTraffic where a ratio would be 0/0, and the gauges say zero."""
    still = {"completions": rows(0.0), "in_flight_growth": rows(0.0), "output_tokens": rows(0.0), "running": rows(0.0)}
    buckets = {name: histogram(0.0, 0.0, 0.0) for name in ("time_to_first_token_buckets", "inter_token_buckets")}
    signals = await read({**healthy(), **still, **buckets, "output_tokens_per_request": rows(nan)})
    assert signals.running == Value(0.0, NOW - 1.5)
    ratios = (signals.output_tokens_per_request, signals.time_to_first_token_attainment, signals.inter_token_attainment)
    for signal in (signals.offered_rps, signals.output_tokens_per_second, *ratios):
        assert signal == NoTraffic(NOW - 1.5)


async def test_lost_requests_never_make_the_offered_rate_negative() -> None:
    """Requests that vanish uncounted shrink what is in flight; arrivals below zero do not exist."""
    signals = await read({**healthy(), "completions": rows(1.0), "in_flight_growth": rows(-4.0)})
    assert signals.offered_rps == Value(0.0, NOW - 1.5)


async def test_no_objective_is_not_observed() -> None:
    """What nobody asked for is not missing, and its buckets are not fetched."""
    reader, source = reader_of(healthy())
    request = SignalRequest(KEY, "Deployment", "chat-8b", "vllm", ttft_target_seconds=0.4)
    assert (await reader.read(NOW, [request]))[KEY].inter_token_attainment == NOT_OBSERVED
    assert not any("inter_token" in query for query in source.asked if not query.startswith("replica_"))


async def test_llamacpp_has_no_attainment_and_no_offered_rate() -> None:
    """Signals that an engine cannot have are NoSeries and say so; the others work."""
    request = SignalRequest(KEY, "Deployment", "chat-8b", "llamacpp", 0.4, 0.04)
    signals = await read(healthy(), request)
    for signal in (signals.offered_rps, signals.time_to_first_token_attainment, signals.inter_token_attainment):
        assert reason(signal) is Reason.NO_SERIES
        assert "llamacpp" in signal.message  # type: ignore[union-attr]
    assert isinstance(signals.running, Value)
    assert signals.replicas[0].inter_token_seconds == 0.03


async def test_an_unknown_profile_is_said() -> None:
    """The name that nobody knows stands in the message."""
    signals = (await reader_of({})[0].read(NOW, [SignalRequest(KEY, "Deployment", "chat-8b", "nope")]))[KEY]
    assert reason(signals.running) is Reason.PROFILE_NOT_FOUND
    assert "'nope'" in signals.running.message  # type: ignore[union-attr]


async def test_a_source_that_hangs_ends_with_the_tick(monkeypatch: pytest.MonkeyPatch) -> None:
    """What answered in time counts, the rest is Unreachable, and the read returns."""
    monkeypatch.setattr(signals_module, "READ_SECONDS", 0.05)
    signals = await read({**healthy(), "waiting": "hang"})
    assert reason(signals.waiting) is Reason.UNREACHABLE
    assert isinstance(signals.running, Value)


async def test_the_number_of_queries_does_not_depend_on_the_number_of_servings() -> None:
    """Fifteen a tick for vLLM; two for bucket boundaries and one for faults come along now and then."""
    reader, source = reader_of(healthy())
    await reader.read(NOW, [REQUEST])
    first = len(source.asked)
    many = [SignalRequest(ServingKey("n", str(i)), "Deployment", str(i), "vllm", 0.4, 0.04) for i in range(500)]
    found = await reader.read(NOW + SCRAPE_SECONDS, [REQUEST, *many])
    assert len(found) == 501
    assert (first, len(source.asked) - first) == (18, 15)


async def test_rows_by_pod_are_asked_for_once_a_scrape() -> None:
    """They are most of all rows: between two scrapes the last ones stand, and an answer that failed is asked again."""
    answers: dict[str, object] = {**healthy()}
    reader, source = reader_of(answers)
    first = await reader.read(NOW, [REQUEST])
    source.asked.clear()
    second = await reader.read(NOW + 0.5 * SCRAPE_SECONDS, [REQUEST])
    assert not [name for name in source.asked if name.startswith("replica_")]
    assert first[KEY].replicas == second[KEY].replicas != ()
    answers["replica_running"] = MetricsError("timed out")
    await reader.read(NOW + SCRAPE_SECONDS, [REQUEST])
    source.asked.clear()
    await reader.read(NOW + 1.25 * SCRAPE_SECONDS, [REQUEST])
    assert [name for name in source.asked if name.startswith("replica_")] == ["replica_running"]


async def test_no_request_asks_nothing() -> None:
    """An operator without servings leaves Prometheus alone."""
    reader, source = reader_of(healthy())
    assert await reader.read(NOW, []) == {}
    assert source.asked == []


def test_the_lag_of_a_rate_is_half_its_window_and_a_scrape() -> None:
    """Seven seconds at the lab's scrape interval."""
    assert reader_of({})[0].signal_lag_seconds == 7.0
