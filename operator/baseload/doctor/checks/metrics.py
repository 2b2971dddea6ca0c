"""Checks of Prometheus, and of what it has of each serving."""

from collections.abc import Iterator, Mapping
from typing import Final

from baseload.api.reasons import Reason
from baseload.doctor.access import Unread
from baseload.doctor.facts import Facts, Metrics, Trouble
from baseload.doctor.finding import Finding, fault, skipped, warning
from baseload.doctor.world import World, unread
from baseload.observe.fleet import POD_NAME_CUT
from baseload.observe.translate import Accepted
from baseload.plan.signals import Identity, Missing, ServingSignals

SLOW_SCRAPES: Final = 1.5
FAST_SCRAPES: Final = 0.5
HOW_TO_LABEL: Final = "see docs/how-to/existing-cluster.md, step 1"

REMEDIES: Final[Mapping[Trouble, str]] = {
    Trouble.NO_ANSWER: "curl -sS '{url}/api/v1/query?query=up'; from outside the cluster, kubectl port-forward first",
    Trouble.TLS: "pass --prometheus-ca-file FILE with the authority that signed its certificate",
    Trouble.REDIRECT: "give the final URL, redirects are not followed: curl -sSI '{url}/api/v1/query?query=up'",
    Trouble.REFUSED: "pass --prometheus-token-file FILE with a token that may query",
    Trouble.NOT_FOUND: "give the root of the API, with its path prefix: '{url}/api/v1/query' must exist",
    Trouble.NOT_PROMETHEUS: "give the URL of Prometheus' API: curl -sS '{url}/api/v1/query?query=up' must answer JSON",
    Trouble.PARTIAL: "see which store or shard behind the query endpoint is down",
    Trouble.EMPTY: "see {url}/targets: it must scrape the pods, or be the Prometheus that does",
}


def prometheus(facts: Facts, world: World) -> Iterator[Finding]:
    """Prometheus answers queries, whole ones, and has targets."""
    del world
    if isinstance(facts.metrics, Unread):
        yield skipped(facts.metrics.why)
        return
    server = facts.metrics.server
    if server.trouble is not None:
        remedy = REMEDIES.get(server.trouble, REMEDIES[Trouble.NO_ANSWER]).format(url=server.url)
        yield fault(server.url, f"{server.trouble.value}: {server.detail}", remedy)


def scrape_interval(facts: Facts, world: World) -> Iterator[Finding]:
    """Prometheus scrapes the replicas as often as the operator was told."""
    metrics = _usable(facts)
    if isinstance(metrics, Unread):
        yield skipped(metrics.why)
        return
    told = facts.scrape_seconds
    for entry, accepted in world.usable():
        seconds = metrics.scrape_seconds.get(_series(accepted))
        if seconds is None:
            continue
        found = f"scraped each {seconds:.3g} s, and --scrape-seconds is {told:g}"
        remedy = f"give the operator --scrape-seconds {seconds:.3g}, or let Prometheus scrape each {told:g} s"
        if seconds > SLOW_SCRAPES * told:
            yield fault(str(entry.key), f"{found}: its samples look stale", remedy)
        elif seconds < FAST_SCRAPES * told:
            yield warning(str(entry.key), f"{found}: it reacts more slowly than it could", remedy)


def labels_name_the_workload(facts: Facts, world: World) -> Iterator[Finding]:
    """Each serving's series say which workload they belong to, and say it rightly."""
    metrics = _usable(facts)
    if isinstance(metrics, Unread):
        yield skipped(metrics.why)
        return
    for entry, accepted, workload in world.scaled():
        signals = metrics.signals.get(entry.key)
        if signals is None or workload.ready == 0:
            continue
        confusion = _confusion(metrics, accepted, signals)
        if confusion:
            yield fault(str(entry.key), confusion, _relabel(metrics, accepted))
        elif signals.identified_by is Identity.POD_NAME:
            found = "its pods are recognised by their names alone, which another workload's could resemble"
            yield warning(str(entry.key), found, _relabel(metrics, accepted))
        elif signals.identified_by is Identity.LABEL:
            pods = _unlabelled_pods(metrics, accepted)
            if pods:
                found = f"{len(pods)} pods lack the label baseload_workload, among them '{min(pods)}', and do not count"
                yield warning(str(entry.key), found, _relabel(metrics, accepted))


def metrics_are_there(facts: Facts, world: World) -> Iterator[Finding]:
    """Prometheus has fresh series of each serving that has ready replicas."""
    metrics = _usable(facts)
    if isinstance(metrics, Unread):
        yield skipped(metrics.why)
        return
    for entry, accepted, workload in world.scaled():
        signals = metrics.signals.get(entry.key)
        gap = None if signals is None or workload.ready == 0 else _gap(signals)
        if gap is None or (signals is not None and _confusion(metrics, accepted, signals)):
            continue
        name, missing = gap
        query = f"try the query {metrics.queries.get(accepted.profile, '')}"
        yield fault(str(entry.key), f"{name}: {missing.reason}: {missing.message}", query)


def _confusion(metrics: Metrics, accepted: Accepted, signals: ServingSignals) -> str:
    """Why the series of a workload cannot be told from others; empty when that is not what is wrong."""
    running = signals.running
    if not isinstance(running, Missing):
        return ""
    if running.reason is Reason.AMBIGUOUS:
        return f"Ambiguous: {running.message}"
    return _wrong_label(metrics, accepted) if running.reason is Reason.NO_SERIES else ""


def _gap(signals: ServingSignals) -> tuple[str, Missing] | None:
    """The first signal that is missing although the engine should have it."""
    if isinstance(signals.running, Missing):
        return "running sequences", signals.running
    for name, signal in (("waiting requests", signals.waiting), ("offered rate", signals.offered_rps)):
        if isinstance(signal, Missing) and signal.reason not in (Reason.NO_SERIES, Reason.NOT_OBSERVED):
            return name, signal
    return None


def _usable(facts: Facts) -> Metrics | Unread:
    gap = unread(facts.metrics, facts.servings, facts.targets)
    if gap is not None:
        return gap
    if isinstance(facts.metrics, Unread):
        return facts.metrics
    return facts.metrics if facts.metrics.server.trouble is None else Unread("Prometheus has trouble, see above")


def _series(accepted: Accepted) -> tuple[str, str]:
    return accepted.target.namespace, f"{accepted.target.kind}/{accepted.target.name}"


def _wrong_label(metrics: Metrics, accepted: Accepted) -> str:
    """A label that was meant for this workload: its ReplicaSet, another kind, or no namespace beside it."""
    namespace, name = accepted.target.namespace, accepted.target.name
    wanted = f'baseload_workload="{accepted.target.kind}/{name}"'
    for other_namespace, label in sorted(metrics.labelled.get(accepted.profile, ())):
        kind, _, called = label.partition("/")
        resembles = called == name if kind != "ReplicaSet" else _made_by(called, name)
        if other_namespace == namespace and resembles and kind != accepted.target.kind:
            return f'series carry baseload_workload="{label}" where {wanted} is meant'
        if other_namespace == "" and label == f"{accepted.target.kind}/{name}":
            return f"series with {wanted} carry no namespace"
    return ""


def _made_by(replica_set: str, deployment: str) -> bool:
    return replica_set.rpartition("-")[0] == deployment


def _unlabelled_pods(metrics: Metrics, accepted: Accepted) -> list[str]:
    start = f"{accepted.target.name}-"[:POD_NAME_CUT]
    rows = metrics.unlabelled.get(accepted.profile, ())
    return [pod for namespace, pod in rows if namespace == accepted.target.namespace and pod.startswith(start)]


def _relabel(metrics: Metrics, accepted: Accepted) -> str:
    label = f"{accepted.target.kind}/{accepted.target.name}"
    query = metrics.queries.get(accepted.profile, "")
    return f'set baseload_workload="{label}" when the pods are scraped, {HOW_TO_LABEL}; try the query {query}'
