"""Metrics profiles are data: what a file may say, and what is said about a wrong one."""

import pytest

from baseload.errors import ConfigError
from baseload.observe.profiles import NO_TEMPLATES, MetricsProfile, load_profiles, parse_profile

LEAST = "{name: own, presence: a, running: c, waiting: d}"


def test_the_profiles_that_come_along() -> None:
    """VLLM has every signal; llama.cpp has neither request counters nor histograms of latency."""
    profiles = load_profiles()
    assert list(profiles) == ["dynamo", "epp", "llamacpp", "sglang", "triton-trtllm", "trtllm", "vllm"]
    lacking = NO_TEMPLATES | {"arrivals"}
    assert set(type(profiles["vllm"]).model_fields) - lacking == set(profiles["vllm"].signals())
    assert profiles["llamacpp"].completions is None
    assert profiles["llamacpp"].time_to_first_token_buckets is None


def test_a_profile_may_leave_out_what_the_engine_does_not_expose() -> None:
    """Only what is needed to decide at all is required."""
    assert set(parse_profile(LEAST, where="own.yaml").signals()) == {"running", "waiting"}


@pytest.mark.parametrize("profile", load_profiles().values(), ids=lambda profile: profile.name)
def test_every_profile_says_what_its_names_were_checked_against(profile: MetricsProfile) -> None:
    """Nobody should take a name from the documentation for one that was seen."""
    assert profile.about
    assert profile.evidence


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{name: own}", "presence: Field required"),
        (LEAST.replace("a,", "'a{}',"), "presence.0: String should match"),
        (LEAST.replace("c,", '"rate(a[${windw}])",'), "unknown placeholder 'windw'"),
        (LEAST.replace("c,", '"label_replace(a, $1)",'), "must be doubled"),
        (LEAST.replace("}", ", completion: x}"), "completion: Extra inputs"),
        (LEAST.replace("}", ", inter_token_buckets: x}"), "go together"),
        (LEAST.replace("}", ", completions: x}"), "give both, or arrivals"),
        (LEAST.replace("}", ", inter_token_buckets: x, inter_token_boundaries: y}"), "placeholder le"),
        (LEAST.replace("own", "Own Profile"), "name: String should match"),
        ("[", "is no YAML"),
        ("", "document"),
    ],
)
def test_a_wrong_profile_names_file_and_field(text: str, said: str) -> None:
    """An admin reads which file, which field and what is wrong with it."""
    with pytest.raises(ConfigError, match=r"own\.yaml") as caught:
        parse_profile(text, where="own.yaml")
    assert said in str(caught.value)
