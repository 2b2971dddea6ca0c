"""What `doctor` gathers from Prometheus: each way to be the wrong server is named, and the queries are valid PromQL."""

import time
from collections.abc import Iterator
from pathlib import Path

import promql_parser
import pytest
from doctor_facts import deployment, healthy, serving, targets
from doctor_prometheus import RecordedPrometheus

from baseload.api.reasons import Reason
from baseload.doctor.access import brief, kubeconfig_file
from baseload.doctor.checks.table import judge
from baseload.doctor.facts import Facts, Trouble
from baseload.doctor.finding import Level
from baseload.doctor.gather import _metrics, _skew
from baseload.doctor.gather_metrics import REQUEST_HISTOGRAMS
from baseload.doctor.probe import CLOCK_QUERY, Door, probe
from baseload.errors import ApiError, ConfigError
from baseload.observe.profiles import load_profiles
from baseload.plan.signals import Missing


@pytest.fixture
def prometheus() -> Iterator[RecordedPrometheus]:
    """A server that a test sets up."""
    with RecordedPrometheus() as server:
        yield server


@pytest.mark.parametrize(
    ("mode", "trouble", "detail"),
    [
        ("empty", Trouble.EMPTY, "it has no `up` series"),
        ("redirect", Trouble.REDIRECT, "it redirects to https://login.example.com/"),
        ("refused", Trouble.REFUSED, "it answers 401 Unauthorized"),
        ("not-found", Trouble.NOT_FOUND, "it answers 404 404 page not found"),
        ("page", Trouble.NOT_PROMETHEUS, "it answers <html><title>Grafana"),
        ("broken", Trouble.NO_ANSWER, "it answers 503 tsdb not ready"),
        ("partial", Trouble.PARTIAL, "store 10.0.0.7 is not available"),
    ],
)
async def test_each_wrong_answer_is_named(
    prometheus: RecordedPrometheus, mode: str, trouble: Trouble, detail: str
) -> None:
    """What the server answers decides which trouble it is, with the server's own words."""
    prometheus.mode = mode
    server = await probe(Door(prometheus.url))
    assert server.trouble is trouble
    assert detail in server.detail


async def test_a_good_server_has_no_trouble_and_its_clock_is_read(prometheus: RecordedPrometheus) -> None:
    """The clock is that of the query's own time, to a fraction of a second."""
    prometheus.ahead_seconds = 90.0
    server = await probe(Door(prometheus.url))
    assert server.trouble is None
    assert server.skew_seconds == pytest.approx(90.0, abs=5.0)


async def test_a_closed_port_is_no_answer_and_a_wrong_url_a_usage_error(prometheus: RecordedPrometheus) -> None:
    """Nobody listens: a fault to be told. A URL that can be no Prometheus: the caller's mistake."""
    server = await probe(Door("http://127.0.0.1:9"))
    assert server.trouble is Trouble.NO_ANSWER
    assert "refused" in server.detail
    with pytest.raises(ConfigError, match="carries credentials"):
        await probe(Door("http://user:secret@prometheus:9090"))


async def facts_with(prometheus: RecordedPrometheus) -> Facts:
    """A healthy cluster whose Prometheus is the recorded one."""
    given = healthy(servings=(serving(),), targets=targets(deployment()))
    metrics = await _metrics(Door(prometheus.url), given)
    return Facts(**{**{name: getattr(given, name) for name in Facts.__slots__}, "metrics": metrics})


async def test_recorded_answers_become_findings(prometheus: RecordedPrometheus) -> None:
    """Slow scrapes, long requests and a label of the ReplicaSet, from the server's rows to the words."""
    workload = {"namespace": "team-a", "baseload_workload": "Deployment/chat"}
    wrong = {"namespace": "team-a", "baseload_workload": "ReplicaSet/chat-5d4f"}
    prometheus.rows = {
        "count_over_time(up{baseload_workload": [(workload, 2.0)],
        "histogram_quantile(0.99": [(workload, 75.0)],
        "sum by (namespace, baseload_workload) (vllm:num_requests_running": [(wrong, 3.0)],
    }
    found = {check: finding for check, finding in judge(await facts_with(prometheus)) if finding.level is Level.FAULT}
    assert set(found) == {"scrape-interval", "grace", "labels"}
    assert "scraped each 75 s" in found["scrape-interval"].found
    assert "ReplicaSet/chat-5d4f" in found["labels"].found


async def test_nothing_at_all_is_no_series_with_the_query_to_try(prometheus: RecordedPrometheus) -> None:
    """An empty answer to everything: the serving has no series, and the remedy is a query."""
    facts = await facts_with(prometheus)
    assert not isinstance(facts.metrics, type(None))
    (fault,) = [finding for _, finding in judge(facts) if finding.level is Level.FAULT]
    assert "NoSeries" in fault.found
    assert "vllm:num_requests_running" in fault.remedy
    signal = facts.metrics.signals[next(iter(facts.metrics.signals))].running  # type: ignore[union-attr]
    assert isinstance(signal, Missing)
    assert signal.reason is Reason.NO_SERIES


async def test_every_query_is_promql_and_their_number_is_fixed(prometheus: RecordedPrometheus) -> None:
    """What is sent parses, and two servings cost no query more than one."""
    await facts_with(prometheus)
    for query in {CLOCK_QUERY, *prometheus.queries}:
        promql_parser.parse(query)
    one = len(prometheus.queries)
    prometheus.queries.clear()
    two = healthy(servings=(serving(), serving("b", "b")), targets=targets(deployment(), deployment("b")))
    await _metrics(Door(prometheus.url), two)
    assert len(prometheus.queries) == one


def test_request_histograms_belong_to_profiles_that_exist() -> None:
    """A renamed profile must not lose its check silently."""
    assert set(REQUEST_HISTOGRAMS) <= set(load_profiles())


def test_the_date_header_gives_the_skew_within_its_second() -> None:
    """A header of whole seconds says nothing below a second, and nothing at all when it is not there."""
    now = 1_800_000_000.0
    date = time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(now))
    assert _skew({"Date": date}, now + 0.4) == 0.0
    assert _skew({"Date": date}, now - 30.0) == 30.0
    assert _skew({"Date": date}, now + 31.0) == -30.0
    assert _skew({}, now) is None


def test_api_errors_are_told_without_the_status_object() -> None:
    """The message in the body is what a person needs."""
    body = '{"kind":"Status","message":"nodes is forbidden: User \\"eve\\" cannot list"}'
    assert brief(ApiError(f"GET /api/v1/nodes: 403 {body}")) == (
        'GET /api/v1/nodes: 403: nodes is forbidden: User "eve" cannot list'
    )
    assert brief(ApiError("GET /version: timed out")) == "GET /version: timed out"


def test_the_kubeconfig_is_found_as_kubectl_finds_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """An option, then KUBECONFIG, then the home; a name that is not there is an error."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("KUBECONFIG", raising=False)
    with pytest.raises(ConfigError, match="names a cluster"):
        kubeconfig_file(None)
    (tmp_path / ".kube").mkdir()
    (tmp_path / ".kube" / "config").touch()
    assert kubeconfig_file(None) == str(tmp_path / ".kube" / "config")
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    with pytest.raises(ConfigError, match=r"none', which does not exist"):
        kubeconfig_file(None)
    assert kubeconfig_file(tmp_path / "given") == str(tmp_path / "given")
