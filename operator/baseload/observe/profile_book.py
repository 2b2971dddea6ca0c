"""All metrics profiles that servings may name: those that come along, and an admin's own from ConfigMaps.

Own profiles are ConfigMaps in the operator's namespace with the label `baseload.dev/metrics-profile: "true"`; each key
`NAME.yaml` is the profile NAME. A broken one is refused in words, at the servings that name it and in the log; the
others go on. Changes are taken up as they come.
"""

import logging
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from baseload.api.reasons import Reason
from baseload.errors import ConfigError
from baseload.observe.connection import KubeConnection
from baseload.observe.profiles import MetricsProfile, parse_profile
from baseload.observe.promql_rules import check_query
from baseload.observe.queries import Grouping, Windows, render
from baseload.observe.watch import Key, Watch
from baseload.plan.snapshot import Refusal

logger = logging.getLogger(__name__)

SELECTOR = "baseload.dev/metrics-profile=true"
SUFFIX = ".yaml"
LONGEST_TEXT = 65536
FIRST_LIST_PATIENCE_SECONDS = 10.0

Documents = tuple[tuple[str, str], ...]
"""Keys and texts of one ConfigMap."""

PROOF = Grouping('baseload_proof="1"', "namespace, baseload_proof", "namespace, baseload_proof, pod")
"""A grouping that nobody writes by hand: what shows up in a query came through the placeholders."""

PROOF_WINDOWS = Windows.for_scrapes(15.0, 15.0)


class ProfileBook(Mapping[str, MetricsProfile]):
    """The usable profiles by name; `refusal` says why another name is not among them."""

    def __init__(self, built_in: Mapping[str, MetricsProfile], clock: Callable[[], float] = time.monotonic) -> None:
        self._built_in = dict(built_in)
        self._usable = dict(built_in)
        self._refused: dict[str, str] = {}
        self._told: frozenset[str] = frozenset()
        self._documents: dict[Key, Documents] = {}
        self._watch: Watch[Documents] | None = None
        self._clock = clock
        self._patient_until = 0.0

    def __getitem__(self, name: str) -> MetricsProfile:
        return self._usable[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._usable)

    def __len__(self) -> int:
        return len(self._usable)

    @property
    def is_settled(self) -> bool:
        """Whether the own profiles were listed, so that a name not found does not exist; or are not to be had."""
        return self._watch is None or self._watch.synced.is_set() or self._clock() > self._patient_until

    def watch(self, connection: KubeConnection, namespace: str) -> Watch[Documents]:
        """The watch that keeps the own profiles current while it runs."""
        path = f"/api/v1/namespaces/{namespace}/configmaps"
        self._watch = Watch(connection, path, documents_of, self.changed, label_selector=SELECTOR)
        self._patient_until = self._clock() + FIRST_LIST_PATIENCE_SECONDS
        return self._watch

    def changed(self, key: Key, _old: Documents | None, new: Documents | None) -> None:
        """Take a ConfigMap as it is now, None when it is gone."""
        if new is None:
            self._documents.pop(key, None)
        else:
            self._documents[key] = new
        self._rebuild()

    def refusal(self, name: str, namespace: str) -> Refusal | None:
        """Why a serving in a namespace may not use a profile; None when it may."""
        said = f"`spec.metricsProfileName` has value '{name}'"
        profile = self._usable.get(name)
        if profile is None and name in self._refused:
            return Refusal(Reason.INVALID_PROFILE, f"{said}: {self._refused[name]}")
        if profile is not None and (not profile.namespaces or namespace in profile.namespaces):
            return None
        known = ", ".join(sorted(n for n, p in self.items() if not p.namespaces or namespace in p.namespaces))
        return Refusal(Reason.PROFILE_NOT_FOUND, f"{said}; known profiles are {known}")

    def _rebuild(self) -> None:
        """Read all own profiles anew; there are few, and so no state can go stale."""
        usable, refused = dict(self._built_in), dict[str, str]()
        for (namespace, configmap), documents in sorted(self._documents.items()):
            for key, text in documents:
                name = key.removesuffix(SUFFIX)
                where = f"ConfigMap '{configmap}' in '{namespace}', key '{key}'"
                if name in usable:
                    refused[name] = f"{where}: a profile '{name}' exists already; give it another name"
                    continue
                try:
                    usable[name] = own_profile(name, key, text, where)
                except ConfigError as error:
                    refused[name] = str(error)
        self._usable, self._refused = usable, refused
        problems = frozenset(refused.values())
        for problem in sorted(problems - self._told):
            logger.error("metrics profile refused", extra={"error": problem})
        self._told = problems


def documents_of(raw: Mapping[str, Any]) -> Documents:
    """Keys and texts of a raw ConfigMap."""
    return tuple(sorted((raw.get("data") or {}).items()))


def own_profile(name: str, key: str, text: str, where: str) -> MetricsProfile:
    """Read an admin's profile and check its queries; raises ConfigError with field and remedy."""
    if not key.endswith(SUFFIX):
        raise ConfigError(f"{where}: is no profile; call the key NAME{SUFFIX}, or take it out")
    if len(text) > LONGEST_TEXT:
        raise ConfigError(f"{where}: has {len(text)} characters; at most {LONGEST_TEXT} are allowed")
    try:
        profile = parse_profile(text, where=where)
    except RecursionError as error:
        raise ConfigError(f"{where}: is nested too deeply; write it flatter") from error
    if profile.name != name:
        raise ConfigError(f"{where}: name has value '{profile.name}'; it must be '{name}', as the key says")
    for field, template in profile.signals().items():
        labels, written = _expected(field)
        query = render(template, PROOF_WINDOWS, ("1.0", "+Inf"), PROOF)
        try:
            check_query(query, labels, frozenset({"baseload_proof"}), written)
        except ValueError as error:
            raise ConfigError(f"{where}: `{field}` {error}") from error
    return profile


def _expected(field: str) -> tuple[frozenset[str], str]:
    """The labels that rows of a field must have, and how to write the grouping that gives them."""
    if field.endswith("_boundaries"):
        return frozenset({"le"}), "le"
    if field.endswith("_buckets"):
        return frozenset({"namespace", "baseload_proof", "le"}), "${workload}, le"
    if field.startswith("replica_"):
        return frozenset({"namespace", "baseload_proof", "pod"}), "${replica}"
    return frozenset({"namespace", "baseload_proof"}), "${workload}"
