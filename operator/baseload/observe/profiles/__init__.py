"""Metrics profiles: which PromQL reads each signal from one kind of engine. The profiles are the YAML files here.

A profile speaks for the whole fleet: each query returns one row per workload, and the queries for replicas one row
per pod. Placeholders stand where the way of telling workloads apart comes in: `${labelled}` is a label matcher,
`${workload}` and `${replica}` are lists of labels to group by.
"""

from collections.abc import Mapping
from importlib.resources import files
from string import Template
from typing import Annotated, Self

import yaml
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from baseload.errors import ConfigError
from baseload.observe import presence

PLACEHOLDERS = {
    "labelled": "the label matchers that select series of workloads; in every selector",
    "workload": "the labels of a row of a workload, to group by",
    "replica": "the labels of a row of a replica, to group by",
    "rate_window": "the window of a rate: four scrapes, at least 10 s",
    "rate_window_seconds": "the same as a number of seconds",
    "history_window": "twice that window",
    "attainment_window": "the window of a share of requests: four scrapes, at least 30 s",
    "learning_window": "the window of what is learned of a replica: 15 s, or two and a half scrapes if that is longer",
    "le": "a regular expression for the buckets that are needed",
}
"""What a template may contain as `${name}`, and what it stands for."""

LABEL_VALUE_LIMIT = 63


def _template(text: str) -> str:
    template = Template(text)
    if not template.is_valid():
        raise ValueError("a dollar sign that starts no ${placeholder} must be doubled")
    unknown = sorted(set(template.get_identifiers()) - PLACEHOLDERS.keys())
    if unknown:
        raise ValueError(f"unknown placeholder {unknown[0]!r}; known are {', '.join(sorted(PLACEHOLDERS))}")
    return text


def _one_or_more(given: object) -> object:
    return (given,) if isinstance(given, str) else given


PromqlTemplate = Annotated[str, Field(min_length=1, max_length=8192), AfterValidator(_template)]
MetricName = Annotated[str, Field(pattern=r"^[a-zA-Z_:][a-zA-Z0-9_:]*$", max_length=200)]
NamespaceName = Annotated[str, Field(pattern=r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?$", max_length=LABEL_VALUE_LIMIT)]


class MetricsProfile(BaseModel):
    """The PromQL templates of one engine; a signal that the engine does not expose is left out."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    name: str = Field(pattern=r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?$", max_length=LABEL_VALUE_LIMIT)
    """What `spec.metricsProfileName` says."""

    about: str = Field(default="", max_length=500)
    """Which engine, which versions."""

    evidence: str = Field(default="", max_length=500)
    """What the names were checked against; says so when no real server was run."""

    namespaces: tuple[NamespaceName, ...] = Field(default=(), max_length=200)
    """Namespaces that may use the profile and that its queries are confined to; empty means all."""

    presence: Annotated[tuple[MetricName, ...], BeforeValidator(_one_or_more), Field(min_length=1, max_length=4)]
    """The gauge that every pod exposes from its start on (or its names over the versions): shows who is scraped."""

    running: PromqlTemplate
    """Sequences in the engine now."""

    waiting: PromqlTemplate
    """Requests queued before the engine now."""

    arrivals: PromqlTemplate | None = None
    """Requests that arrived per second, from a source that counts them; replaces the two below."""

    completions: PromqlTemplate | None = None
    """Requests finished per second, however they ended."""

    in_flight_growth: PromqlTemplate | None = None
    """Growth per second of running and waiting requests, counted per pod."""

    output_tokens: PromqlTemplate | None = None
    """Generated tokens per second."""

    output_tokens_per_request: PromqlTemplate | None = None
    """Mean generated tokens of a request."""

    time_to_first_token_boundaries: PromqlTemplate | None = None
    """Number of series per `le` of the histogram of the time to the first token."""

    time_to_first_token_buckets: PromqlTemplate | None = None
    """Rate of that histogram by `le`; uses the placeholder le."""

    inter_token_boundaries: PromqlTemplate | None = None
    """Number of series per `le` of the histogram of the time between tokens."""

    inter_token_buckets: PromqlTemplate | None = None
    """Rate of that histogram by `le`; uses the placeholder le."""

    replica_running: PromqlTemplate | None = None
    """Mean running sequences of each live pod over the learning window."""

    replica_inter_token_seconds: PromqlTemplate | None = None
    """Mean time between tokens of each pod over the learning window, in seconds."""

    replica_time_to_first_token_seconds: PromqlTemplate | None = None
    """Mean time to the first token of each pod over the learning window, in seconds."""

    replica_cache_usage: PromqlTemplate | None = None
    """Share of the key-value cache of each pod in use, 0..1."""

    @model_validator(mode="after")
    def _arrivals_are_whole(self) -> Self:
        if (self.completions is None) != (self.in_flight_growth is None):
            raise ValueError("completions and in_flight_growth go together; give both, or arrivals, or none")
        return self

    @model_validator(mode="after")
    def _histograms_are_whole(self) -> Self:
        for name in ("time_to_first_token", "inter_token"):
            buckets, boundaries = getattr(self, f"{name}_buckets"), getattr(self, f"{name}_boundaries")
            if (buckets is None) != (boundaries is None):
                raise ValueError(f"{name}_buckets and {name}_boundaries go together; give both or none")
            if buckets is not None and "le" not in Template(buckets).get_identifiers():
                raise ValueError(f"{name}_buckets must select its buckets by the placeholder le")
        return self

    def signals(self) -> Mapping[str, str]:
        """The templates that the profile itself brings, by field name."""
        return {name: text for name, text in self if name not in NO_TEMPLATES and text is not None}

    def templates(self) -> Mapping[str, str]:
        """Every query that is asked for this profile: its own, and those that follow from its presence metric."""
        return {**presence.templates(self.presence), **self.signals()}


NO_TEMPLATES = frozenset({"name", "about", "evidence", "namespaces", "presence"})


def parse_profile(text: str, *, where: str) -> MetricsProfile:
    """Read one YAML document; raises ConfigError with the first wrong field, `where` names the file."""
    try:
        return MetricsProfile.model_validate(yaml.safe_load(text))
    except yaml.YAMLError as error:
        raise ConfigError(f"metrics profile {where} is no YAML: {error}") from error
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"]) or "document"
        raise ConfigError(f"metrics profile {where}: {field}: {first['msg']}") from error


def load_profiles() -> dict[str, MetricsProfile]:
    """The profiles that come with Baseload, by name."""
    found = (entry for entry in files(__name__).iterdir() if entry.name.endswith(".yaml"))
    profiles = [parse_profile(entry.read_text(encoding="utf-8"), where=entry.name) for entry in found]
    return {profile.name: profile for profile in sorted(profiles, key=lambda profile: profile.name)}
