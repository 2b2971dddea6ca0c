"""Windows, escaping and the PromQL of every profile."""

import re

import engine_pages
import promql_parser
import pytest

from baseload.observe.profiles import MetricsProfile, load_profiles
from baseload.observe.queries import BY_POD, Windows, any_of, duration, render

HOSTILE = ('0.5"} or vector(1) #', "a\\b", "+Inf", "line\nbreak", "{x}", "$le", "${le}", "`", "ü-1", "[5m]", "1|2")
LLAMACPP_NAMES = {
    "llamacpp:prompt_tokens_total",
    "llamacpp:prompt_seconds_total",
    "llamacpp:tokens_predicted_total",
    "llamacpp:tokens_predicted_seconds_total",
    "llamacpp:n_decode_total",
    "llamacpp:n_busy_slots_per_decode",
    "llamacpp:requests_processing",
    "llamacpp:requests_deferred",
}
"""Seen on /metrics of a real server (xllamacpp 2026.10)."""

PROFILES = list(load_profiles().values())


@pytest.mark.parametrize("profile", PROFILES, ids=lambda profile: profile.name)
@pytest.mark.parametrize("scrape_seconds", [1.0, 2.0, 15.0, 12.5, 60.0])
def test_every_query_of_every_profile_parses(profile: MetricsProfile, scrape_seconds: float) -> None:
    """Whatever the scrape interval and however hostile the bucket labels, the text is PromQL of a vector."""
    windows = Windows.for_scrapes(scrape_seconds, 15.0)
    for name, template in profile.templates().items():
        for boundaries in ((), ("0.5", "1.0", "+Inf"), HOSTILE):
            parsed = promql_parser.parse(render(template, windows, boundaries))
            assert not isinstance(parsed, promql_parser.StringLiteral), name


@pytest.mark.parametrize("value", HOSTILE)
def test_an_escaped_value_stays_one_matcher_and_means_itself(value: str) -> None:
    """A value can neither leave its string nor match anything else."""
    parsed = promql_parser.parse(f'x{{le=~"{any_of([value])}"}}')
    assert isinstance(parsed, promql_parser.VectorSelector)
    (matcher,) = parsed.matchers.matchers
    assert re.fullmatch(matcher.value, value)
    assert not re.fullmatch(matcher.value, f"{value}x")


@pytest.mark.parametrize("profile", PROFILES, ids=lambda profile: profile.name)
def test_every_query_speaks_for_the_whole_fleet_by_workload(profile: MetricsProfile) -> None:
    """No query names a workload, and all but some special ones group by namespace and workload label."""
    for name, template in profile.signals().items():
        if name.endswith("_boundaries"):
            continue
        query = render(template, Windows.for_scrapes(15.0, 15.0))
        assert "by (namespace, baseload_workload" in query, name


@pytest.mark.parametrize(
    ("scrape_seconds", "rate", "attainment", "learning", "samples"),
    [
        (1.0, 10.0, 30.0, 15.0, 8),
        (2.0, 10.0, 30.0, 15.0, 4),
        (15.0, 60.0, 60.0, 37.5, 3),
        (60.0, 240.0, 240.0, 150.0, 3),
    ],
)
def test_windows_hold_enough_samples(
    scrape_seconds: float, rate: float, attainment: float, learning: float, samples: int
) -> None:
    """Quick at the lab's scrape interval, and never fewer samples than a rate needs."""
    assert Windows.for_scrapes(scrape_seconds, 15.0) == Windows(rate, attainment, learning, samples)


def test_durations_are_promql() -> None:
    """Whole seconds read as seconds, others as milliseconds."""
    assert (duration(10.0), duration(37.5)) == ("10s", "37500ms")


def test_the_llamacpp_profile_names_only_what_a_real_server_exposes() -> None:
    """A misspelled metric would be a workload that is missing for ever."""
    text = " ".join(load_profiles()["llamacpp"].templates().values())
    assert set(re.findall(r"llamacpp:\w+", text)) <= LLAMACPP_NAMES


def names_in(profile: MetricsProfile) -> set[str]:
    """The metrics that a profile's queries select."""
    found: set[str] = set(profile.presence)

    def visit(node: promql_parser.Expr) -> None:
        if isinstance(node, promql_parser.VectorSelector) and node.name:
            found.add(node.name)

    for template in profile.signals().values():
        promql_parser.walk(promql_parser.parse(render(template, Windows.for_scrapes(15.0, 15.0))), pre_visit=visit)
    return found - {"up"}


@pytest.mark.parametrize("name", sorted(engine_pages.PAGES))
def test_a_profile_names_only_what_its_engine_exposes(name: str) -> None:
    """A misspelled metric would be a workload that is missing for ever."""
    lines = [line for page in engine_pages.PAGES[name] for line in page(10.0)]
    exposed = {re.split(r"[{ ]", line)[0] for line in lines}
    named = names_in(load_profiles()[name])
    if name in ("dynamo", "epp"):
        named = {metric for metric in named if not metric.startswith("vllm:")}
    assert named <= exposed, named - exposed


@pytest.mark.parametrize("profile", PROFILES, ids=lambda profile: profile.name)
def test_queries_for_pods_without_a_label_read_none_that_has_one(profile: MetricsProfile) -> None:
    """The second set of queries must not count a labelled pod again, nor look outside of its namespaces."""
    for name, template in profile.signals().items():
        query = render(template, Windows.for_scrapes(15.0, 15.0), (), BY_POD.within(["team-a"]))
        for selector in re.findall(r"\{([^}]*)\}", query):
            assert selector.startswith('baseload_workload="", namespace=~"team-a"'), name
        assert "baseload_workload" not in query.replace('baseload_workload=""', ""), name
