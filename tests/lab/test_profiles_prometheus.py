"""Every profile, every way to know whose a pod is, and every series that lies, read through a real Prometheus."""

import asyncio
import time
from dataclasses import dataclass
from pathlib import Path

import engine_pages as pages
import pytest
from aiohttp import web
from engine_pages import CACHE, ITL_SECONDS, RPS, RUNNING, TOKENS, TTFT_SECONDS, WAITING, Page
from metrics_world import Engine
from real_prometheus import prometheus

from baseload.api.reasons import Reason
from baseload.observe.fleet import SignalRequest
from baseload.observe.profiles import load_profiles
from baseload.observe.prometheus import PrometheusSource
from baseload.observe.signals import SignalReader
from baseload.plan.signals import Identity, Missing, ServingSignals, Value
from baseload.plan.snapshot import ServingKey

pytestmark = pytest.mark.lab

NAMESPACE = "team-a"
WINDOW_SECONDS = 10.0
"""The window of a rate at a scrape a second."""

LONGEST_SECONDS = 90.0
"""When to give up and let the tests say what is wrong."""

GAP_SECONDS = 12.0
"""Longer than the window of a rate."""

GATEWAYS = {"dynamo", "dynamo-old", "epp", "epp-old"}
WHOLE = {"sglang", "sglang-old", "trtllm", "dynamo", "epp"}
"""Workloads whose profile has every signal."""


@dataclass(frozen=True)
class Target:
    """One scraped page; what stands in `labels` are target labels. Tenants' pages are scraped with honorLabels."""

    name: str
    page: Page
    labels: dict[str, str]
    tenant: bool = False


def pod(workload: str, page: Page, number: int = 0, **labels: str) -> Target:
    """A pod whose scrape sets the workload label."""
    name = f"{workload}-{number}"
    labels = {"namespace": NAMESPACE, "pod": name, "instance": name, "baseload_workload": workload, **labels}
    return Target(f"{name}{labels.get('prometheus_replica', '')}", page, labels)


def plain(name: str) -> Target:
    """A vLLM pod whose scrape sets no workload label."""
    return Target(name, engine(name), {"namespace": NAMESPACE, "pod": name, "instance": name})


def engine(name: str) -> Page:
    """A vLLM engine with five arrivals a second."""
    known = Engine("any", name, RPS)
    last: list[float] = []

    def page(t: float) -> list[str]:
        known.advance(t, t - last[0] if last else 0.0)
        last[:] = [t]
        return known.exposition().splitlines()

    return page  # type: ignore[return-value]


def forger(name: str, claimed: dict[str, str]) -> Target:
    """A pod of another team that claims to be somebody else, with ten times the load."""

    def page(_: float) -> list[str]:
        labels = ",".join(f'{key}="{value}"' for key, value in claimed.items())
        return [f"vllm:num_requests_running{{{labels}}} 100", f"vllm:num_requests_waiting{{{labels}}} 100"]

    return Target(name, page, {"namespace": "team-b", "pod": name, "instance": name}, tenant=True)  # type: ignore[arg-type]


def claim(workload: str, **more: str) -> dict[str, str]:
    """The labels of a workload's pod."""
    return {"namespace": NAMESPACE, "pod": f"{workload}-0", "baseload_workload": f"Deployment/{workload}", **more}


def world() -> list[Target]:
    """All targets."""
    targets = [
        pod("sglang", pages.sglang),
        pod("sglang-old", lambda t: pages.sglang(t, old=True)),
        pod("trtllm", pages.trtllm),
        pod("triton", pages.triton),
        pod("dynamo", pages.dynamo, 7),
        pod("dynamo-old", lambda t: pages.dynamo(t, old=True), 7),
        pod("epp", lambda t: pages.epp(t, share=0.8), 7),
        pod("epp", lambda t: pages.epp(t, share=0.2), 8),
        pod("epp-old", lambda t: pages.epp(t, old=True), 7),
        *(pod(gateway, pages.vllm) for gateway in ("dynamo", "epp")),
        *(plain(name) for name in ("weird-a", "weird-b", "named-7d4b9c6f5d-x2x4z")),
        Target("ksm", pages.owners(("weird-a", "rs-1", "owned"), ("weird-b", "rs-1", "owned")), {}, tenant=True),
        *(pod(name, engine(name)) for name in ("honest", "stolen", "invented", "mixed", "copied")),
        forger("thief", claim("stolen")),
        forger("inventor", claim("invented", pod="invented-9", instance="nowhere", job="nothing")),
        forger("mixer", claim("mixed", instance="mixed-0", job="engines", model_name="m")),
        forger("copier", claim("copied", instance="copied-0", job="engines")),
        *(pod("twice", engine("twice"), prometheus_replica=replica) for replica in ("a", "b")),
    ]
    for target in targets:
        if "baseload_workload" in target.labels:
            target.labels["baseload_workload"] = f"Deployment/{target.labels['baseload_workload']}"
    return targets


LIARS = ("stolen", "invented", "mixed", "copied", "twice")

WORKLOADS = {
    "sglang": "sglang",
    "sglang-old": "sglang",
    "trtllm": "trtllm",
    "triton": "triton-trtllm",
    "dynamo": "dynamo",
    "dynamo-old": "dynamo",
    "epp": "epp",
    "epp-old": "epp",
    **dict.fromkeys(("owned", "named", "honest", *LIARS), "vllm"),
}

Reading = dict[str, ServingSignals]


@dataclass(frozen=True)
class Story:
    """The signals with all windows full, and each second after Prometheus was away for longer than a window."""

    settled: Reading
    after_gap: list[Reading]


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Story:
    """One Prometheus for all tests of this file, stopped for a while and started again on its own data."""
    return asyncio.run(_story(tmp_path_factory.mktemp("prometheus")))


async def _story(directory: Path) -> Story:
    targets = {target.name: target for target in world()}
    began = time.time()

    async def answer(request: web.Request) -> web.Response:
        lines = targets[request.match_info["name"]].page(time.time() - began + 1000.0)
        return web.Response(text="\n".join(lines) + "\n")

    application = web.Application()
    application.router.add_get("/pages/{name}", answer)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    address = f"127.0.0.1:{runner.addresses[0][1]}"
    try:
        jobs = _jobs(targets.values(), address)
        with prometheus(directory, *jobs) as (_, url):
            settled = await _settled(url, began)
        await asyncio.sleep(GAP_SECONDS)
        with prometheus(directory, *jobs) as (_, url):
            return Story(settled, await _after_gap(url))
    finally:
        await runner.cleanup()


def _jobs(targets: object, address: str) -> list[dict[str, object]]:
    """Two scrape jobs, one of which trusts the labels of its pods."""
    return [
        {
            "job_name": job,
            "scrape_interval": "1s",
            "scrape_timeout": "1s",
            "honor_labels": tenant,
            "static_configs": [
                {"targets": [address], "labels": {"__metrics_path__": f"/pages/{target.name}", **target.labels}}
                for target in targets  # type: ignore[attr-defined]
                if target.tenant is tenant
            ],
        }
        for job, tenant in (("engines", False), ("tenants", True))
    ]


async def _settled(url: str, began: float) -> Reading:
    """Wait until every honest workload has been read for longer than a window and every fault has been found."""
    source = PrometheusSource(url)
    reader = SignalReader(source, load_profiles(), scrape_seconds=1.0)
    since = time.time()
    while time.time() < began + LONGEST_SECONDS:
        reading = await _read(reader)
        rates = [reading[name].offered_rps for name in WORKLOADS if name not in LIARS]
        if not all(isinstance(rate, Value) for rate in rates):
            since = time.time()
        found = [isinstance(reading[name].running, Missing) for name in LIARS]
        if all(found) and time.time() - since > WINDOW_SECONDS:
            break
        await asyncio.sleep(0.5)
    source.close()
    return reading


async def _after_gap(url: str) -> list[Reading]:
    """Read twice a second until the rate of the honest workload is back for a while."""
    source = PrometheusSource(url)
    reader = SignalReader(source, load_profiles(), scrape_seconds=1.0)
    readings: list[Reading] = []
    for _ in range(120):
        readings.append(await _read(reader))
        if [isinstance(reading["honest"].offered_rps, Value) for reading in readings[-4:]] == [True] * 4:
            break
        await asyncio.sleep(0.5)
    source.close()
    return readings


async def _read(reader: SignalReader) -> Reading:
    wanted = [
        SignalRequest(ServingKey(NAMESPACE, name), "Deployment", name, profile, 0.4, 0.04)
        for name, profile in WORKLOADS.items()
    ]
    return {key.name: signals for key, signals in (await reader.read(time.time(), wanted)).items()}


def value(signal: object) -> float:
    """The number of a signal that must be one."""
    assert isinstance(signal, Value), signal
    return signal.value


@pytest.mark.parametrize("name", sorted(WHOLE | GATEWAYS | {"triton"}))
def test_every_profile_reads_load_and_queue(story: Story, name: str) -> None:
    """Five requests a second, ten sequences running and two waiting, whatever the metrics are called."""
    signals = story.settled[name]
    assert value(signals.offered_rps) == pytest.approx(RPS, rel=0.1)
    assert value(signals.running) == pytest.approx(RUNNING)
    assert value(signals.waiting) == pytest.approx(WAITING)
    assert signals.identified_by is Identity.LABEL


@pytest.mark.parametrize("name", sorted(WHOLE))
def test_profiles_with_histograms_read_attainment_and_tokens(story: Story, name: str) -> None:
    """Shares under 0.4 s and 0.04 s, interpolated in the buckets that each engine has."""
    signals = story.settled[name]
    assert value(signals.time_to_first_token_attainment) == pytest.approx(1.0 if "sglang" in name else 0.6, abs=0.02)
    assert value(signals.inter_token_attainment) == pytest.approx(0.5 if "sglang" in name else 0.6, abs=0.02)
    assert value(signals.output_tokens_per_second) == pytest.approx(RPS * TOKENS, rel=0.1)
    assert value(signals.output_tokens_per_request) == pytest.approx(TOKENS, rel=0.02)


@pytest.mark.parametrize("name", sorted(WHOLE | {"triton"}))
def test_profiles_read_each_replica(story: Story, name: str) -> None:
    """Running, latencies and cache of the one replica; behind a gateway those of its worker, not of the gateway."""
    (replica,) = story.settled[name].replicas
    assert replica.pod == f"{name}-0"
    assert replica.running == pytest.approx(RUNNING)
    assert replica.cache_usage == pytest.approx(CACHE)
    if name == "triton":
        assert (replica.inter_token_seconds, replica.time_to_first_token_seconds) == (None, None)
    else:
        assert replica.inter_token_seconds == pytest.approx(ITL_SECONDS)
        assert replica.time_to_first_token_seconds == pytest.approx(TTFT_SECONDS)


def test_what_an_engine_does_not_expose_is_missing_and_not_zero(story: Story) -> None:
    """Triton counts no tokens and has no histogram in seconds; the old picker has no latencies."""
    triton, old = story.settled["triton"], story.settled["epp-old"]
    gaps = (triton.output_tokens_per_second, triton.time_to_first_token_attainment, old.time_to_first_token_attainment)
    for gap in gaps:
        assert isinstance(gap, Missing)
        assert gap.reason is Reason.NO_SERIES


def test_pods_without_a_label_are_known_by_their_owner(story: Story) -> None:
    """Two pods whose names say nothing belong to the Deployment of their ReplicaSet, as kube-state-metrics tells."""
    owned = story.settled["owned"]
    assert owned.identified_by is Identity.OWNER
    assert value(owned.offered_rps) == pytest.approx(2 * RPS, rel=0.1)
    assert [replica.pod for replica in owned.replicas] == ["weird-a", "weird-b"]
    assert value(owned.time_to_first_token_attainment) == pytest.approx(0.6, abs=0.02)
    assert value(owned.output_tokens_per_request) == pytest.approx(50.0, rel=0.1)


def test_a_pod_without_owner_is_known_by_a_name_that_can_mean_one_workload(story: Story) -> None:
    """A whole generated name of a Deployment."""
    named = story.settled["named"]
    assert named.identified_by is Identity.POD_NAME
    assert value(named.offered_rps) == pytest.approx(RPS, rel=0.1)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("stolen", "come from the target thief of job tenants"),
        ("invented", "come from the target nowhere of job nothing"),
        ("mixed", "were not all scraped from it"),
        ("copied", "were not all scraped from it"),
        ("twice", "is there 2 times"),
    ],
)
def test_series_that_lie_are_ambiguous_and_say_who_lies(story: Story, name: str, said: str) -> None:
    """A pod that is scraped with honorLabels and claims another's labels, and two Prometheus read as one."""
    signals = story.settled[name]
    for signal in (signals.running, signals.waiting, signals.offered_rps):
        assert isinstance(signal, Missing)
        assert signal.reason is Reason.AMBIGUOUS
        assert said in signal.message


def test_an_honest_workload_among_them_is_read(story: Story) -> None:
    """What others forge changes nothing for it."""
    honest = story.settled["honest"]
    assert value(honest.offered_rps) == pytest.approx(RPS, rel=0.1)


@pytest.mark.parametrize("name", ["honest", "owned", "sglang"])
def test_after_a_gap_no_rate_is_told_before_it_is_true(story: Story, name: str) -> None:
    """Prometheus was away for longer than a window: rates are missing until there are samples, never far too low."""
    rates = [reading[name].offered_rps for reading in story.after_gap]
    first = next(number for number, rate in enumerate(rates) if isinstance(rate, Value))
    assert all(isinstance(rate, Missing) for rate in rates[:first])
    assert {rate.reason for rate in rates[:first] if isinstance(rate, Missing)} <= {
        Reason.STALE,
        Reason.NO_SERIES,
        Reason.UNREACHABLE,
    }
    expected = 2 * RPS if name == "owned" else RPS
    told = [rate.value for rate in rates if isinstance(rate, Value)]
    assert min(told) > 0.7 * expected, told
    running = [reading[name].running for reading in story.after_gap]
    assert not [signal for signal in running if isinstance(signal, Value) and signal.value == 0]
