"""Whose pod a series is from when it carries no workload label, and series that are not to be believed."""

from collections.abc import Mapping

import pytest
from table_source import NAMESPACE, NOW, SCRAPE_SECONDS, healthy, reader_of, rows

from baseload.api.reasons import Reason
from baseload.errors import MetricsError
from baseload.observe.fleet import SignalRequest
from baseload.observe.identity import assign
from baseload.observe.metrics_source import Series
from baseload.plan.signals import Identity, Missing, ServingSignals, Value
from baseload.plan.snapshot import ServingKey

KEY = ServingKey(NAMESPACE, "chat")
REQUEST = SignalRequest(KEY, "Deployment", "chat-8b", "vllm", 0.4, 0.04)
CHAT = (NAMESPACE, "Deployment/chat-8b")
PODS = ("chat-8b-7d4b9c6f5d-x2x4z", "chat-8b-7d4b9c6f5d-bbbbb")


def by_pod(*values: float, **labels: str) -> tuple[Series, ...]:
    """A row of each pod, without a workload label."""
    return tuple(
        Series({"namespace": NAMESPACE, "pod": pod, **labels}, value, NOW)
        for pod, value in zip(PODS, values, strict=False)
    )


def owner(pod: str, kind: str, name: str) -> Series:
    """What kube-state-metrics says of a pod, joined."""
    return Series({"namespace": NAMESPACE, "pod": pod, "owner_kind": kind, "owner_name": name}, 1.0, NOW)


def unlabelled() -> dict[str, tuple[Series, ...]]:
    """Answers of two pods without a label, and none with one."""
    return {
        "unlabelled": by_pod(1.0, 1.0),
        "pod:freshness": by_pod(NOW - 1.5, NOW - 3.5),
        "pod:samples": by_pod(5.0, 2.0),
        "pod:running": by_pod(4.0, 2.0),
        "pod:waiting": by_pod(2.0, 0.0),
        "pod:completions": by_pod(2.0, 1.0),
        "pod:in_flight_growth": by_pod(1.5, 0.0),
        "pod:output_tokens": by_pod(200.0, 100.0),
        "pod:output_tokens_per_request": by_pod(50.0, 100.0),
        "pod:time_to_first_token_boundaries": tuple(Series({"le": le}, 2.0, NOW) for le in ("0.25", "0.5", "+Inf")),
        "pod:time_to_first_token_buckets": by_pod(1.0, 0.0, le="0.25")
        + by_pod(2.0, 1.0, le="0.5")
        + by_pod(2.0, 2.0, le="+Inf"),
        "pod:replica_running": by_pod(4.0, 2.0),
        "pod:replica_inter_token_seconds": by_pod(0.04, 0.03),
    }


async def read(answers: Mapping[str, object]) -> ServingSignals:
    """The signals of the one request."""
    reader, _ = reader_of(answers)
    return (await reader.read(NOW, [REQUEST]))[KEY]


OWNED = {"owners": tuple(owner(pod, "Deployment", "chat-8b") for pod in PODS)}
UNREACHED = {"owners": MetricsError("no such metric")}


@pytest.mark.parametrize(
    ("owners", "way"), [(OWNED, Identity.OWNER), ({}, Identity.POD_NAME), (UNREACHED, Identity.POD_NAME)]
)
async def test_pods_without_a_label_add_up_to_their_workload(owners: dict[str, object], way: Identity) -> None:
    """By the owner that kube-state-metrics tells, or by their names: the numbers are those that a label would give."""
    signals = await read({**unlabelled(), **owners})
    time = NOW - 1.5
    assert signals.identified_by is way
    assert (signals.running, signals.waiting) == (Value(6.0, time), Value(2.0, time))
    assert signals.offered_rps == Value(4.5, time)
    assert signals.output_tokens_per_second == Value(300.0, time)
    # 200 tokens of 4 requests and 100 of one.
    assert signals.output_tokens_per_request == Value(60.0, time)
    assert signals.time_to_first_token_attainment == Value(pytest.approx((1 + 2 * 0.6) / 4), time)
    assert [(r.pod, r.running, r.inter_token_seconds) for r in signals.replicas] == [
        (PODS[1], 2.0, 0.03),
        (PODS[0], 4.0, 0.04),
    ]


async def test_labelled_and_owned_pods_of_one_workload_add_up() -> None:
    """Half of the pods are scraped by a job that sets the label: nobody's load is left out."""
    signals = await read({**healthy(), **unlabelled(), **OWNED})
    assert signals.running == Value(12.0, NOW - 1.5)
    assert signals.identified_by is Identity.OWNER


async def test_names_say_nothing_of_a_labelled_workload() -> None:
    """Whoever labels its pods would have labelled this one, so a stranger with a similar name counts for nothing."""
    signals = await read({**healthy(), **unlabelled()})
    assert signals.running == Value(6.0, NOW - 1.5)
    assert signals.identified_by is Identity.LABEL


async def test_a_gap_in_the_second_set_of_queries_is_a_gap() -> None:
    """A sum over the labelled half would be too low."""
    signals = await read({**healthy(), **unlabelled(), **OWNED, "pod:running": MetricsError("timed out")})
    assert isinstance(signals.running, Missing)
    assert signals.running.reason is Reason.UNREACHABLE
    assert isinstance(signals.waiting, Value)


async def test_the_second_set_costs_nothing_when_every_pod_is_labelled() -> None:
    """And when strangers are scraped in namespaces without a serving."""
    elsewhere = (Series({"namespace": "team-b", "pod": "x-1"}, 1.0, NOW),)
    reader, source = reader_of({**healthy(), "unlabelled": elsewhere})
    await reader.read(NOW, [REQUEST])
    assert not [name for name in source.asked if name.startswith("pod:") or name == "owners"]


async def test_a_fixed_number_of_queries_answers_for_any_number_of_pods_without_label() -> None:
    """One more set for the whole fleet and one query for all owners."""
    reader, source = reader_of({**unlabelled(), **OWNED})
    await reader.read(NOW, [REQUEST])
    source.asked.clear()
    many = [SignalRequest(ServingKey(NAMESPACE, str(i)), "Deployment", f"d-{i}", "vllm", 0.4, 0.04) for i in range(500)]
    await reader.read(NOW + SCRAPE_SECONDS, [REQUEST, *many])
    assert len(source.asked) == 15 + 14 + 1
    assert len(set(source.asked)) == len(source.asked)


CUT = "a-service-with-a-name-of-more-than-forty-six-characters-in-it"


@pytest.mark.parametrize(
    ("pod", "wanted", "found"),
    [
        (PODS[0], ["Deployment/chat-8b"], "Deployment/chat-8b"),
        ("chat-8b-big-7d4b9c6f5d-x2x4z", ["Deployment/chat-8b", "Deployment/chat-8b-big"], "Deployment/chat-8b-big"),
        ("chat-0", ["StatefulSet/chat"], "StatefulSet/chat"),
        ("chat-0", ["LeaderWorkerSet/chat"], "LeaderWorkerSet/chat"),
        ("foo-1-1", ["StatefulSet/foo-1"], None),
        ("foo-1-1", ["LeaderWorkerSet/foo"], None),
        ("foo-1-1", ["StatefulSet/foo-1", "LeaderWorkerSet/foo"], None),
        (f"{CUT[:58]}k2m4x", [f"Deployment/{CUT}"], None),
        ("chat-8b-debug", ["Deployment/chat-8b"], None),
        ("chat-0", ["Engine.example.com/chat"], None),
    ],
    ids=["hash", "longer name", "ordinal", "leader", "set of a set", "worker", "both", "cut", "no hash", "other kind"],
)
def test_a_name_is_believed_only_when_it_can_mean_one_workload(pod: str, wanted: list[str], found: str | None) -> None:
    """Names are cut at 58 characters, and `foo-1-1` is of the StatefulSet `foo-1` or of the LeaderWorkerSet `foo`."""
    given = assign([("n", pod)], [], [("n", label) for label in wanted])
    assert given.pods.get(("n", pod)) == (None if found is None else ("n", found))
    if pod not in ("chat-8b-debug",) and found is None:
        assert set(given.doubtful) == {("n", label) for label in wanted}


def test_an_owner_decides_what_a_name_leaves_open() -> None:
    """And an owner that nobody asked for makes the pod nobody's, whatever its name."""
    wanted = [(NAMESPACE, "StatefulSet/foo-1"), (NAMESPACE, "LeaderWorkerSet/foo")]
    of_set = assign([(NAMESPACE, "foo-1-1")], [owner("foo-1-1", "StatefulSet", "foo-1")], wanted)
    assert of_set.pods == {(NAMESPACE, "foo-1-1"): wanted[0]}
    leader = assign([(NAMESPACE, "foo-1")], [owner("foo-1", "StatefulSet", "foo")], wanted)
    assert leader.pods == {(NAMESPACE, "foo-1"): wanted[1]}
    stranger = assign([(NAMESPACE, PODS[0])], [owner(PODS[0], "Job", "chat-8b")], [CHAT])
    assert stranger == assign([], [], [])


async def test_a_doubtful_pod_makes_its_workload_ambiguous_with_the_remedy() -> None:
    """Nobody guesses: the number is held and the condition says which label to set."""
    pod = Series({"namespace": NAMESPACE, "pod": "foo-1-1"}, 1.0, NOW)
    reader, _ = reader_of({"unlabelled": (pod,), "pod:freshness": (pod,)})
    request = SignalRequest(KEY, "StatefulSet", "foo-1", "vllm")
    running = (await reader.read(NOW, [request]))[KEY].running
    assert isinstance(running, Missing)
    assert running.reason is Reason.AMBIGUOUS
    assert 'baseload_workload to "StatefulSet/foo-1"' in running.message


SUSPECT = {"suspects": rows(1.0)}


def fault(kind: str, **labels: str) -> tuple[Series, ...]:
    """A finding about the workload under test."""
    return rows(2.0, fault=kind, job="evil", instance="10.0.0.9:80", pod="chat-8b-a", **labels)


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("Forged", "come from the target 10.0.0.9:80 of job evil"),
        ("Mixed", "pod chat-8b-a of Deployment/chat-8b were not all scraped from it"),
        ("Duplicated", "is there 2 times"),
    ],
)
async def test_series_that_cannot_be_trusted_make_the_workload_ambiguous(kind: str, said: str) -> None:
    """A tenant's pod, or a second Prometheus, must not move another's replicas; the message names the culprit."""
    signals = await read({**healthy(), **SUSPECT, "faults": fault(kind)})
    for name in ("running", "offered_rps", "time_to_first_token_attainment"):
        signal = getattr(signals, name)
        assert isinstance(signal, Missing)
        assert signal.reason is Reason.AMBIGUOUS
        assert said in signal.message
    assert signals.replicas == ()


async def test_a_fault_of_one_workload_is_no_fault_of_another() -> None:
    """Others go on."""
    signals = await read({**healthy(), **SUSPECT, "faults": fault("Forged", baseload_workload="Deployment/other")})
    assert isinstance(signals.running, Value)


async def test_faults_are_searched_now_and_then_and_a_failed_search_changes_nothing() -> None:
    """The search joins the fleet with `up`; what it found stands until it is done again."""
    answers: dict[str, object] = {**healthy(), **SUSPECT, "faults": fault("Forged")}
    reader, source = reader_of(answers)

    async def at(later: float) -> object:
        return (await reader.read(NOW + later, [REQUEST]))[KEY].running

    assert isinstance(await at(0.0), Missing)
    source._answers = {**answers, "suspects": ()}
    assert isinstance(await at(1.0), Missing)
    assert source.asked.count("suspects") == source.asked.count("faults") == 1
    source._answers = {**answers, "faults": MetricsError("timed out")}
    assert isinstance(await at(61.0), Missing)
    assert isinstance(await at(62.0), Missing)
    assert source.asked.count("faults") == 2
    source._answers = {**healthy(), "freshness": rows(NOW + 122.0)}
    assert isinstance(await at(122.0), Value)
    assert source.asked.count("faults") == 2


@pytest.mark.parametrize(("samples", "believed"), [(3.0, False), (4.0, True)])
async def test_rates_are_missing_until_there_are_enough_fresh_samples(samples: float, believed: bool) -> None:
    """After a restart of Prometheus or a gap PromQL divides by the whole window; what runs and waits is known."""
    signals = await read({**healthy(), "samples": rows(samples)})
    assert isinstance(signals.running, Value)
    assert isinstance(signals.waiting, Value)
    for rate in (signals.offered_rps, signals.output_tokens_per_second):
        assert isinstance(rate, Value) is believed
        if isinstance(rate, Missing):
            assert rate.reason is Reason.STALE
            assert "a rate needs 4" in rate.message


@pytest.mark.parametrize("offset", [30.0, -30.0])
async def test_a_clock_that_differs_is_corrected(offset: float) -> None:
    """Queries are asked for the instant of Prometheus' clock, and the times of samples come back in ours."""
    reader, source = reader_of({**healthy(), "freshness": rows(NOW - 1.5 + offset)})
    source.clock_offset_seconds = offset
    signals = (await reader.read(NOW, [REQUEST]))[KEY]
    assert signals.running == Value(6.0, NOW - 1.5)
    assert source.times == {NOW + offset}


@pytest.mark.parametrize(
    ("offset", "freshness", "said"),
    [(90.0, NOW + 88.5, "90 s ahead of"), (-90.0, NOW - 91.5, "90 s behind"), (0.0, NOW + 20.0, "20 s in the future")],
)
async def test_a_clock_that_cannot_be_right_makes_everything_stale(offset: float, freshness: float, said: str) -> None:
    """A person must look at the clocks; until then nothing is decided on, and nothing is zero."""
    reader, source = reader_of({**healthy(), "freshness": rows(freshness)})
    source.clock_offset_seconds = offset
    running = (await reader.read(NOW, [REQUEST]))[KEY].running
    assert isinstance(running, Missing)
    assert running.reason is Reason.STALE
    assert said in running.message


async def test_arrivals_that_are_counted_replace_conservation() -> None:
    """A gateway knows what it was asked; running and waiting need not be added up."""
    epp = SignalRequest(KEY, "Deployment", "chat-8b", "epp", 0.4, 0.04)
    answers = {**healthy(), "arrivals": rows(7.0), "completions": rows(1.0)}
    reader, _ = reader_of(answers, "epp")
    assert (await reader.read(NOW, [epp]))[KEY].offered_rps == Value(7.0, NOW - 1.5)
