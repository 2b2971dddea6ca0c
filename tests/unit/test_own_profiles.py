"""An admin's own metrics profiles: what is taken, what is refused in which words, and that the others go on."""

import logging
from collections.abc import Callable

import promql_parser
import pytest
import yaml
from doc_pages import blocks
from table_source import NAMESPACE, NOW, healthy, reader_of

from baseload.api.reasons import Reason
from baseload.observe.fleet import SignalRequest
from baseload.observe.profile_book import PROOF, PROOF_WINDOWS, ProfileBook, documents_of
from baseload.observe.profiles import MetricsProfile, load_profiles, parse_profile
from baseload.observe.promql_rules import check_query
from baseload.observe.queries import render
from baseload.observe.signals import SignalReader
from baseload.plan.snapshot import ServingKey

GOOD = """
name: house
presence: house_running
running: sum by (${workload}) (house_running{${labelled}})
waiting: sum by (${workload}) (house_waiting{${labelled}, queue="main"})
arrivals: sum by (${workload}) (rate(house_received_total{${labelled}}[${rate_window}]))
replica_running: sum by (${replica}) (avg_over_time(house_running{${labelled}}[${learning_window}]))
"""
KEY = ("baseload-system", "profiles")


def book(**texts: str) -> ProfileBook:
    """A book with one ConfigMap."""
    found = ProfileBook(load_profiles())
    found.changed(KEY, None, documents_of({"data": {f"{name}.yaml": text for name, text in texts.items()}}))
    return found


def refusal(found: ProfileBook, name: str = "house") -> tuple[Reason, str]:
    """Why a serving of team-a may not use a profile."""
    refused = found.refusal(name, NAMESPACE)
    assert refused is not None
    return refused.reason, refused.message


def test_an_own_profile_stands_beside_those_that_come_along() -> None:
    """And goes with its ConfigMap."""
    found = book(house=GOOD)
    assert found["house"].presence == ("house_running",)
    assert found.refusal("house", NAMESPACE) is None
    assert found.refusal("vllm", NAMESPACE) is None
    found.changed(KEY, (), None)
    reason, message = refusal(found)
    assert reason is Reason.PROFILE_NOT_FOUND
    assert "known profiles are dynamo, epp, llamacpp" in message


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("house_running{${labelled}}", "house_running"), "`running` selects house_running without ${labelled}"),
        (("house_running{${labelled}}", '{__name__=~".+", ${labelled}}'), "`running` selects"),
        (("house_running{${labelled}}", '{__name__=~"house_.*", ${labelled}}'), "name the metric"),
        (("house_running{${labelled}}", "{${labelled}}"), "name the metric"),
        (("house_running{${labelled}}", 'x{a="1" or ${labelled}}'), "name the metric"),
        (("house_running{${labelled}}", "house_running{${labelled}} offset 2h"), "shifts house_running in time"),
        (("house_running{${labelled}}", "house_running{${labelled}} @ end()"), "shifts house_running in time"),
        (("[${rate_window}]", "[1d]"), "looks back 1 day"),
        (("[${rate_window}]", "[${rate_window}:1s]"), "contains a subquery"),
        (("sum by (${workload}) (house_running", "sum (house_running"), "`running` does not give one row per"),
        (("sum by (${workload}) (house_running", "sum by (${workload}, pod) (house_running"), "sum by (${workload})"),
        (("sum by (${workload}) (house_running", "sum without (pod) (house_running"), "sum by (${workload})"),
        (("sum by (${workload}) (house_running", "topk by (${workload}) (3, house_running"), "sum by (${workload})"),
        (("sum by (${workload}) (house_running", "(house_running"), "sum by (${workload})"),
        (
            ("sum by (${workload}) (house_running", "sum by (namespace, baseload_workload) (house_running"),
            "${workload}",
        ),
        (("sum by (${replica})", "sum by (${workload})"), "`replica_running` does not give one row per (${replica})"),
        (("sum by (${workload}) (house_running{${labelled}})", "vector(1)"), "`running` has 0 selectors"),
        (("sum by (${workload}) (house_running{${labelled}})", "sum by ("), "`running` is no PromQL"),
        (("sum by (${workload}) (house_running{${labelled}})", "(" * 4000 + "1" + ")" * 4000), "nested more than 100"),
        (("sum by (${workload}) (house_running{${labelled}})", "x" * 9000), "running: String should have at most 8192"),
        (("name: house", "name: other"), "name has value 'other'; it must be 'house'"),
        (("name: house", "namez: house"), "name: Field required"),
        (("name: house", "- name"), "is no YAML"),
        (("name: house", "name: " + "[" * 5000), "house.yaml"),
        (("name: house", "# " + "x" * 70_000), "at most 65536"),
    ],
)
def test_a_broken_profile_is_refused_with_field_and_remedy(change: tuple[str, str], said: str) -> None:
    """What costs Prometheus too much, or gives rows that are not one per workload, is not even asked once."""
    reason, message = refusal(book(house=GOOD.replace(*change, 1)))
    assert reason is Reason.INVALID_PROFILE
    assert said in message
    assert message.startswith("`spec.metricsProfileName` has value 'house': ")


def test_one_broken_profile_leaves_the_others_alone_and_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    """The log has one line, however often the ConfigMap is looked at."""
    with caplog.at_level(logging.ERROR):
        found = book(house=GOOD, other="[")
        found.changed(("baseload-system", "more"), None, documents_of({"data": {"third.yaml": "{}"}}))
        found.changed(("baseload-system", "more"), None, documents_of({}))
    assert found.refusal("house", NAMESPACE) is None
    assert refusal(found, "other")[0] is Reason.INVALID_PROFILE
    told = [record.__dict__["error"] for record in caplog.records if record.message == "metrics profile refused"]
    assert len(told) == 2
    assert all("ConfigMap" in line for line in told)


def test_nobody_takes_the_name_of_another_profile() -> None:
    """Neither of one that comes along nor of another ConfigMap; the first by name stays."""
    found = book(house=GOOD, vllm=GOOD.replace("house", "vllm"))
    assert found["vllm"].presence == ("vllm:num_requests_running",)
    found.changed(("baseload-system", "zzz"), None, (("house.yaml", GOOD.replace("house_", "other_")),))
    assert found["house"].presence == ("house_running",)
    found.changed(("baseload-system", "aaa"), None, (("readme", "hello"),))
    assert "call the key NAME.yaml" in refusal(found, "readme")[1]


def test_a_corrected_profile_is_taken_at_once() -> None:
    """The next change of the ConfigMap counts, and so does the next mistake."""
    found = book(house="[")
    assert refusal(found)[0] is Reason.INVALID_PROFILE
    found.changed(KEY, None, (("house.yaml", GOOD),))
    assert found.refusal("house", NAMESPACE) is None
    found.changed(KEY, None, (("house.yaml", GOOD.replace("sum by", "sum on")),))
    assert refusal(found)[0] is Reason.INVALID_PROFILE


def test_a_profile_may_be_for_some_namespaces_only() -> None:
    """To the others it does not exist, not even in the list of known ones."""
    found = book(house=GOOD + f"namespaces: [{NAMESPACE}]\n")
    assert found.refusal("house", NAMESPACE) is None
    other = found.refusal("house", "team-b")
    assert other is not None
    assert other.reason is Reason.PROFILE_NOT_FOUND
    assert "house," not in other.message
    assert "house," in refusal(found, "nope")[1]


async def test_the_namespaces_of_a_profile_are_matched_in_every_selector() -> None:
    """Whatever the queries say, no series of another namespace is read; `up` is only counted."""
    profile = parse_profile(GOOD + f"namespaces: [{NAMESPACE}, team-c]\n", where="house.yaml")
    _, source = reader_of(healthy())
    source._starts = {"": "freshness"}
    await SignalReader(source, {"house": profile}, scrape_seconds=2.0).read(
        NOW, [SignalRequest(ServingKey(NAMESPACE, "chat"), "Deployment", "chat-8b", "house")]
    )
    assert source.queries
    for query in (text for text in source.queries if "kube_pod_owner" not in text):
        selectors: list[promql_parser.VectorSelector] = []
        promql_parser.walk(promql_parser.parse(query), pre_visit=_collector(selectors))
        for selector in selectors:
            matchers = {(m.name, m.value) for m in selector.matchers.matchers}
            assert selector.name == "up" or ("namespace", f"{NAMESPACE}|team-c") in matchers, query


def _collector(found: list[promql_parser.VectorSelector]) -> Callable[[promql_parser.Expr], None]:
    def visit(node: promql_parser.Expr) -> None:
        if isinstance(node, promql_parser.VectorSelector):
            found.append(node)

    return visit


@pytest.mark.parametrize("profile", load_profiles().values(), ids=lambda profile: profile.name)
def test_the_profiles_that_come_along_keep_the_same_rules(profile: MetricsProfile) -> None:
    """Each can be copied into a ConfigMap under another name and changed from there."""
    text = profile.model_copy(update={"name": "copy"}).model_dump_json(exclude_none=True)
    found = book(copy=text)
    assert found.refusal("copy", NAMESPACE) is None, found.refusal("copy", NAMESPACE)
    for field, template in profile.signals().items():
        assert "baseload_proof" in render(template, PROOF_WINDOWS, (), PROOF), field


def test_rules_know_how_labels_pass_through_operators() -> None:
    """Sums, ratios, fallbacks and comparisons of grouped vectors are grouped; what cannot be known is refused."""
    labels, needs = frozenset({"a"}), frozenset({"b"})
    sums = 'sum by (a) (x{b="1"})'
    for good in (
        sums,
        f"-({sums}) / 2",
        f"{sums} / {sums} > 0",
        f"{sums} or 0 * {sums}",
        f"{sums} and on () count(up)",
        f"{sums} unless {sums}",
        f"clamp_max({sums}, 5)",
        f"max by (a) ({sums} * on (a) group_left () {sums})",
    ):
        check_query(good, labels, needs, "a")
    for bad in (
        f"{sums} or count(up)",
        f"{sums} * on (c) {sums}",
        f"{sums} / count(up)",
        f'label_replace({sums}, "c", "1", "", "")',
        f"absent({sums})",
        'count_values by (a) ("c", x{b="1"})',
    ):
        with pytest.raises(ValueError, match="one row per"):
            check_query(bad, labels, needs, "a")


def test_before_the_first_list_nothing_is_said_to_be_absent() -> None:
    """An operator that has just started must not refuse every serving with an own profile; nor wait for ever."""
    time = 0.0
    found = ProfileBook(load_profiles(), clock=lambda: time)
    assert found.is_settled
    watch = found.watch(None, "baseload-system")  # type: ignore[arg-type]
    assert not found.is_settled
    time = 11.0
    assert found.is_settled
    time = 1.0
    watch.synced.set()
    assert found.is_settled


def test_the_example_of_the_documentation_is_taken() -> None:
    """What an admin copies from the page works."""
    (example,) = [b for b in blocks("docs/how-to/prometheus.md") if b.language == "yaml" and "ConfigMap" in b.text]
    raw = yaml.safe_load(example.text)
    found = ProfileBook(load_profiles())
    found.changed(KEY, None, documents_of(raw))
    assert found.refusal("house", NAMESPACE) is None
    assert raw["metadata"]["labels"] == {"baseload.dev/metrics-profile": "true"}
