"""All that the checks look at, gathered beforehand: plain values and raw objects, or why they could not be read."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from baseload.doctor.access import Raw, Unread
from baseload.doctor.manifests import Right
from baseload.observe.profile_book import ProfileBook
from baseload.observe.target_kinds import KindRef, TargetKind
from baseload.plan.signals import ServingSignals
from baseload.plan.snapshot import Refusal, ServingKey

Objects = tuple[Raw, ...] | Unread
Found = tuple[TargetKind, Objects] | Refusal | Unread
"""How a kind of targets is read, with its objects; or why the operator cannot scale it, or why we cannot tell."""

Series = tuple[str, str]
"""Namespace, and a pod or the value of the workload label."""

NOT_ASKED = Unread("it was not asked for")


class Trouble(StrEnum):
    """What is wrong with a server that was asked."""

    CREDENTIALS = "credentials"
    NO_ANSWER = "no answer"
    TLS = "TLS"
    REDIRECT = "redirect"
    REFUSED = "refused"
    NOT_FOUND = "not found"
    NOT_PROMETHEUS = "not Prometheus"
    PARTIAL = "partial"
    EMPTY = "empty"


@dataclass(frozen=True, slots=True)
class Server:
    """The API server or Prometheus: `skew_seconds` is how far its clock is ahead of this machine's, None unknown."""

    url: str
    version: str = ""
    skew_seconds: float | None = None
    trouble: Trouble | None = None
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Review:
    """A right of the operator's account, and whether the API server says that it has it."""

    right: Right
    allowed: bool


@dataclass(frozen=True, slots=True)
class Metrics:
    """What Prometheus says; nothing but `server` when that has trouble.

    `scrape_seconds` and `generation_seconds` (99th percentile of a whole request) are by workload series; `labelled`
    and `unlabelled` list the series of each profile; `queries` has one to try for each profile.
    """

    server: Server
    scrape_seconds: Mapping[Series, float] = field(default_factory=dict)
    generation_seconds: Mapping[Series, float] = field(default_factory=dict)
    labelled: Mapping[str, tuple[Series, ...]] = field(default_factory=dict)
    unlabelled: Mapping[str, tuple[Series, ...]] = field(default_factory=dict)
    queries: Mapping[str, str] = field(default_factory=dict)
    signals: Mapping[ServingKey, ServingSignals] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Facts:
    """`now` is the API server's time in Unix seconds, so that ages of objects do not depend on this machine's clock.

    `definitions` are CustomResourceDefinitions by name, `targets` is there for each kind that some serving names.
    """

    now: float
    operator_namespace: str
    scrape_seconds: float
    api: Server
    definitions: Mapping[str, Raw | None] | Unread = NOT_ASKED
    policies: Objects = NOT_ASKED
    bindings: Objects = NOT_ASKED
    account: Raw | Unread | None = NOT_ASKED
    reviews: tuple[Review, ...] | Unread = NOT_ASKED
    lease: Raw | Unread | None = NOT_ASKED
    servings: Objects = NOT_ASKED
    profiles: ProfileBook | Unread = NOT_ASKED
    pools: Objects = NOT_ASKED
    nodes: Objects = NOT_ASKED
    targets: Mapping[KindRef, Found] | Unread = NOT_ASKED
    autoscalers: Objects = NOT_ASKED
    scaled_objects: Objects = NOT_ASKED
    metrics: Metrics | Unread = NOT_ASKED
