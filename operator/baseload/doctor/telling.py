"""What `baseload why` does: read the serving and its events, look at Prometheus' past if asked, and tell it."""

from dataclasses import dataclass
from urllib.parse import quote

from baseload.doctor.access import Access, Raw, Unread
from baseload.doctor.past import explain_past
from baseload.doctor.story import Line, Story
from baseload.doctor.times import rfc3339
from baseload.doctor.why import explain
from baseload.errors import BaseloadError, MetricsError
from baseload.observe.metrics_source import MetricsSource
from baseload.observe.queries import any_of
from baseload.observe.resync import GROUP_PATH

EVENTS_PATH = "/apis/events.k8s.io/v1/namespaces/{}/events"
PAST_QUERIES = (
    ("replicas that the target was set to", "baseload_serving_replicas_current"),
    ("replicas that demand asked for", "baseload_serving_replicas_raw"),
    ("replicas that the limiters allowed", "baseload_serving_replicas_final"),
    ("replicas that were ready", "baseload_serving_replicas_ready"),
)
"""The operator's own metrics, if Prometheus scrapes it."""


@dataclass(frozen=True, slots=True)
class Question:
    """Which serving, and the Unix time that is asked for; None asks for now."""

    namespace: str
    name: str
    at: float | None


async def answer(access: Access, question: Question, source: MetricsSource | None, now: float) -> Story:
    """Read and tell; raises BaseloadError when the serving is not there or may not be read."""
    serving = await _serving(access, question)
    if question.at is None:
        return explain(serving, now)
    events = await _events(access, serving)
    measured = await _measured(source, question, question.at)
    return explain_past(serving, events, measured, question.at, now)


async def _serving(access: Access, question: Question) -> Raw:
    path = f"{GROUP_PATH}/namespaces/{quote(question.namespace)}/modelservings"
    found = await access.one(f"{path}/{quote(question.name)}")
    if isinstance(found, Unread):
        raise BaseloadError(f"ModelServing '{question.name}' in namespace '{question.namespace}': {found.why}")
    if found is None:
        there = await access.every(path)
        names = [] if isinstance(there, Unread) else sorted(s["metadata"]["name"] for s in there)
        known = f"there are {', '.join(names[:10])}" if names else "there is none; `kubectl get msv -A` lists all"
        raise BaseloadError(f"no ModelServing '{question.name}' in namespace '{question.namespace}'; {known}")
    return found


async def _events(access: Access, serving: Raw) -> tuple[Raw, ...] | None:
    metadata = serving["metadata"]
    chosen = {"fieldSelector": f"regarding.kind=ModelServing,regarding.name={metadata['name']}"}
    found = await access.every(EVENTS_PATH.format(quote(metadata["namespace"])), chosen)
    return None if isinstance(found, Unread) else found


async def _measured(source: MetricsSource | None, question: Question, at: float) -> tuple[Line, ...]:
    """What the operator's own metrics said at that time."""
    if source is None:
        return ()
    matcher = f'namespace=~"{any_of([question.namespace])}", name=~"{any_of([question.name])}"'
    lines = []
    try:
        for words, metric in PAST_QUERIES:
            # The operator's labels lose against the scrape's unless it says honorLabels; both spellings are asked for.
            exported = f'exported_namespace=~"{any_of([question.namespace])}", name=~"{any_of([question.name])}"'
            rows = await source.query(f"max({metric}{{{matcher}}} or {metric}{{{exported}}})", at)
            lines += [Line(f"{row.value:g} {words}") for row in rows]
    except MetricsError as error:
        return (Line(str(error), "run `baseload doctor --prometheus-url URL`"),)
    if not lines:
        return (Line(f"Nothing of the operator's own metrics at {rfc3339(at)}.", "let Prometheus scrape the operator"),)
    return tuple(lines)
