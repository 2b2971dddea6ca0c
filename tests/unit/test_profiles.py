"""Metrics profiles are data: what a file may say, and what is said about a wrong one."""

import pytest

from baseload.errors import ConfigError
from baseload.observe.profiles import load_profiles, parse_profile

LEAST = "{name: own, freshness: a, unlabelled: b, running: c, waiting: d}"


def test_the_profiles_that_come_along() -> None:
    """VLLM has every signal; llama.cpp has neither request counters nor histograms of latency."""
    profiles = load_profiles()
    assert list(profiles) == ["llamacpp", "vllm"]
    assert set(type(profiles["vllm"]).model_fields) - {"name"} == set(profiles["vllm"].templates())
    assert profiles["llamacpp"].completions is None
    assert profiles["llamacpp"].time_to_first_token_buckets is None


def test_a_profile_may_leave_out_what_the_engine_does_not_expose() -> None:
    """Only what is needed to decide at all is required."""
    assert set(parse_profile(LEAST, where="own.yaml").templates()) == {"freshness", "unlabelled", "running", "waiting"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{name: own}", "freshness: Field required"),
        (LEAST.replace("a,", '"rate(a[${windw}])",'), "unknown placeholder 'windw'"),
        (LEAST.replace("a,", '"label_replace(a, $1)",'), "must be doubled"),
        (LEAST.replace("}", ", completion: x}"), "completion: Extra inputs"),
        (LEAST.replace("}", ", inter_token_buckets: x}"), "go together"),
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
