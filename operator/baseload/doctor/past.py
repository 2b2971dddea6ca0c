"""What the number was at a time in the past and why, from the history, the events and, if given, Prometheus.

A ModelServing keeps its last five changes and the API server its events for about an hour; what is older is gone,
and then that is the answer.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from baseload.api.sentences import Subject, sentence
from baseload.api.status import ModelServingStatus
from baseload.doctor.story import Line, Raw, Section, Story, subject_of
from baseload.doctor.times import age, rfc3339, unix
from baseload.doctor.why import read_status

HISTORY_ROWS = 5
EVENT_NEAR_SECONDS = 600.0


@dataclass(frozen=True, slots=True)
class Change:
    """A change of the number as the history or the status tells it."""

    time: float
    before: int
    after: int
    reason: str


def explain_past(serving: Raw, events: Sequence[Raw] | None, measured: Sequence[Line], at: float, now: float) -> Story:
    """The story of the Unix time `at`; `events` None when they could not be read, `measured` from Prometheus."""
    subject, status = subject_of(serving), read_status(serving)
    name = f"{subject.namespace}/{subject.name} at {rfc3339(at)}, {age(now - at)} ago"
    created = unix(serving["metadata"]["creationTimestamp"])
    if at < created:
        return Story(f"{name}: did not exist yet; it was created at {rfc3339(created)}", (), known=False)
    headline, lines, known = _number(status, subject, at)
    sections = (
        Section("The number", lines),
        Section(f"Events from {age(EVENT_NEAR_SECONDS)} before until then", tuple(_events(events, at))),
        Section("What Prometheus has of that time", tuple(measured)),
    )
    return Story(f"{name}: {headline}", tuple(s for s in sections if s.lines), known=known)


def known_changes(status: ModelServingStatus) -> tuple[Change, ...]:
    """The changes that are still known, oldest first."""
    rows = [Change(unix(r.time), r.from_, r.to, r.reason) for r in status.history]
    return tuple(sorted(rows, key=lambda change: change.time))


def _number(status: ModelServingStatus, subject: Subject, at: float) -> tuple[str, tuple[Line, ...], bool]:
    """Headline, lines and whether the reason is known."""
    changes = known_changes(status)
    before = [change for change in changes if change.time <= at]
    after = [change for change in changes if change.time > at]
    lines = [_next(after[0], subject)] if after else []
    if before:
        last = before[-1]
        words = sentence(last.reason, subject)
        told = f"{last.before} -> {last.after} at {rfc3339(last.time)}, {last.reason}: {words.says}"
        return f"{last.after} replicas", (Line(told, words.advice), *_detail(status, subject, last), *lines), True
    decision = status.last_decision
    if decision is not None and not after and unix(decision.time) <= at:
        words = sentence(decision.reason, subject)
        text = f"Decided at {decision.time}, {decision.reason}: {words.says} {decision.message}"
        return f"{decision.replicas.final} replicas", (Line(text, words.advice),), True
    if not after:
        return "nothing is known of that time", (Line(_why_unknown(changes)),), False
    number = f"{after[0].before} replicas, but not why"
    return number, (Line(_why_unknown(changes)), *lines), False


def _next(change: Change, subject: Subject) -> Line:
    says = sentence(change.reason, subject).says
    return Line(f"Next: {change.before} -> {change.after} at {rfc3339(change.time)}, {change.reason}: {says}")


def _detail(status: ModelServingStatus, subject: Subject, change: Change) -> Iterator[Line]:
    """The numbers and limits, when the decision of that change is the one that the status still holds."""
    decision = status.last_decision
    if decision is None or unix(decision.time) != change.time:
        yield Line("The numbers behind it are not kept: a status holds those of the last decision only.")
        return
    yield Line(decision.message)
    for limit in decision.limited_by:
        yield Line(f"{limit.before} -> {limit.after}, {limit.reason}: {sentence(limit.reason, subject).says}")


def _why_unknown(changes: Sequence[Change]) -> str:
    if len(changes) >= HISTORY_ROWS:
        return f"The history holds {HISTORY_ROWS} changes and the oldest is of {rfc3339(changes[0].time)}."
    if changes:
        return f"No change before {rfc3339(changes[0].time)} is known; the number there was not Baseload's."
    return "The status tells of no change and of no decision that old."


def _events(events: Sequence[Raw] | None, at: float) -> Iterator[Line]:
    if events is None:
        yield Line("Events could not be read.", "ask for the right to list events.events.k8s.io in the namespace")
        return
    rows = [(event_times(event), event) for event in events]
    near = [(first, last, e) for (first, last), e in rows if first <= at and last >= at - EVENT_NEAR_SECONDS]
    for first, last, event in sorted(near, key=lambda row: (row[0], row[2]["metadata"]["name"])):
        count = (event.get("series") or {}).get("count", 1)
        often = "" if count == 1 else f" ({count} times until {rfc3339(last)}, in the words of the first)"
        yield Line(f"{rfc3339(first)}  {event.get('reason', '')}: {event.get('note', '')}{often}")


def event_times(event: Raw) -> tuple[float, float]:
    """First and last Unix time of an event; both are its creation where nothing better is said."""
    first = event.get("eventTime") or event.get("deprecatedFirstTimestamp") or event["metadata"]["creationTimestamp"]
    last = (event.get("series") or {}).get("lastObservedTime") or event.get("deprecatedLastTimestamp") or first
    return unix(first), unix(last)
