"""`why --at`: what was then, as far as it is still known, and plainly said where it is not."""

from typing import Any

import pytest

from baseload.doctor.access import Unread
from baseload.doctor.past import explain_past
from baseload.doctor.story import Line, Story
from baseload.doctor.telling import Question, answer
from baseload.doctor.times import rfc3339, unix
from baseload.errors import BaseloadError, MetricsError
from baseload.observe.metrics_source import Series

NOW = unix("2026-11-24T16:40:00Z")


def serving(rows: list[tuple[float, int, int, str]], decided: float | None = None) -> dict[str, Any]:
    """A ModelServing of two hours with a history of (seconds ago, from, to, reason), newest first."""
    history = [{"time": rfc3339(NOW - ago), "from": f, "to": t, "reason": r} for ago, f, t, r in rows]
    status: dict[str, Any] = {"history": history}
    if decided is not None:
        replicas = {"current": 2, "raw": 4, "final": 4}
        status["lastDecision"] = {"time": rfc3339(NOW - decided), "reason": "DemandRose", "message": "8 requests/s now"}
        status["lastDecision"]["replicas"] = replicas
    metadata = {"name": "chat", "namespace": "team-a", "creationTimestamp": rfc3339(NOW - 7200)}
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "chat"}
    return {"metadata": metadata, "spec": {"targetRef": target}, "status": status}


def event(ago: float, reason: str, note: str, count: int = 1, last_ago: float | None = None) -> dict[str, Any]:
    """An event about it, with a series when it was repeated."""
    raw: dict[str, Any] = {"eventTime": rfc3339(NOW - ago), "reason": reason, "note": note}
    raw["metadata"] = {"name": f"chat.{ago}", "creationTimestamp": rfc3339(NOW - ago)}
    if last_ago is not None:
        raw["series"] = {"count": count, "lastObservedTime": rfc3339(NOW - last_ago)}
    return raw


def lines(story: Story) -> list[str]:
    """The text of all lines."""
    return [line.text for section in story.sections for line in section.lines]


ROWS = [(300.0, 2, 4, "DemandRose"), (1800.0, 3, 2, "DemandFell")]


def test_between_two_changes_the_earlier_one_explains_the_number() -> None:
    """The number and the reason of the last change before, and what came next."""
    story = explain_past(serving(ROWS), (), (), NOW - 600, NOW)
    assert story.known
    assert story.headline.endswith("at 2026-11-24T16:30:00Z, 10 min ago: 2 replicas")
    assert lines(story)[0].startswith("3 -> 2 at 2026-11-24T16:10:00Z, DemandFell: Fewer replicas are enough")
    assert lines(story)[1] == "The numbers behind it are not kept: a status holds those of the last decision only."
    assert lines(story)[2].startswith("Next: 2 -> 4 at 2026-11-24T16:35:00Z, DemandRose")


def test_the_last_decision_is_told_with_its_numbers() -> None:
    """When the change is that of the decision in the status, its message is there too."""
    story = explain_past(serving(ROWS, decided=300.0), (), (), NOW - 60, NOW)
    assert story.headline.endswith("4 replicas")
    assert "8 requests/s now" in lines(story)


def test_before_the_oldest_change_only_the_number_is_known() -> None:
    """The row tells what the number was before it; why it was so is said to be unknown."""
    story = explain_past(serving(ROWS), (), (), NOW - 3600, NOW)
    assert not story.known
    assert story.headline.endswith("3 replicas, but not why")
    assert lines(story)[0].startswith("No change before 2026-11-24T16:10:00Z is known")


def test_a_full_history_says_that_older_changes_were_dropped() -> None:
    """Five rows may have had predecessors."""
    rows = [(60.0 * n, 1, 2, "DemandRose") for n in range(1, 6)]
    story = explain_past(serving(rows), (), (), NOW - 3600, NOW)
    assert lines(story)[0] == "The history holds 5 changes and the oldest is of 2026-11-24T16:35:00Z."


def test_without_a_change_the_decision_stands_since_its_time() -> None:
    """No history, but a decision made before: it held then; earlier nothing is known."""
    assert explain_past(serving([], decided=300.0), (), (), NOW - 60, NOW).headline.endswith(": 4 replicas")
    earlier = explain_past(serving([], decided=300.0), (), (), NOW - 600, NOW)
    assert not earlier.known
    assert earlier.headline.endswith("nothing is known of that time")


def test_before_it_was_created_there_was_nothing() -> None:
    """A time before the object is no time without metrics."""
    story = explain_past(serving(ROWS), (), (), NOW - 8000, NOW)
    assert "did not exist yet; it was created at 2026-11-24T14:40:00Z" in story.headline


def test_events_near_that_time_are_told_in_order() -> None:
    """Those that began before and were seen in the ten minutes before; a series says how often."""
    given = (
        event(660.0, "DemandFell", "3 -> 2 replicas"),
        event(900.0, "MetricsMissing", "running is missing", count=7, last_ago=620.0),
        event(2000.0, "DemandRose", "too long ago"),
        event(300.0, "DemandRose", "after it"),
    )
    story = explain_past(serving(ROWS), given, (), NOW - 600, NOW)
    often = "(7 times until 2026-11-24T16:29:40Z, in the words of the first)"
    assert lines(story)[-2:] == [
        f"2026-11-24T16:25:00Z  MetricsMissing: running is missing {often}",
        "2026-11-24T16:29:00Z  DemandFell: 3 -> 2 replicas",
    ]
    assert "Events could not be read." in lines(explain_past(serving(ROWS), None, (), NOW - 600, NOW))


class FakeAccess:
    """A cluster with one serving and its events."""

    namespace = "team-a"

    def __init__(self, found: Any, events: Any = ()) -> None:
        self.found, self.events = found, events

    async def one(self, path: str) -> Any:
        """The serving."""
        return self.found

    async def every(self, path: str, parameters: Any = None) -> Any:
        """The events, or the servings when events were not asked for."""
        return self.events if path.startswith("/apis/events.k8s.io") else (serving([]),)


class FakeSource:
    """A Prometheus that knows one metric, or none at all."""

    def __init__(self, broken: bool = False) -> None:
        self.broken, self.asked = broken, []  # type: ignore[var-annotated]

    async def query(self, promql: str, time: float) -> tuple[Series, ...]:
        """The replicas that demand asked for."""
        self.asked.append((promql, time))
        if self.broken:
            raise MetricsError("Prometheus at http://p did not answer: timed out")
        return (Series({}, 6.0, time),) if "_raw{" in promql else ()


async def test_prometheus_is_asked_for_that_time() -> None:
    """The operator's own metrics of then, with the names escaped; a failure is told, not raised."""
    source, question = FakeSource(), Question("team-a", "chat", NOW - 600)
    story = await answer(FakeAccess(serving(ROWS)), question, source, NOW)  # type: ignore[arg-type]
    assert "6 replicas that demand asked for" in lines(story)
    assert {time for _, time in source.asked} == {NOW - 600}
    broken = await answer(FakeAccess(serving(ROWS)), question, FakeSource(broken=True), NOW)  # type: ignore[arg-type]
    assert broken.sections[-1].lines[0] == Line(
        "Prometheus at http://p did not answer: timed out", "run `baseload doctor --prometheus-url URL`"
    )


async def test_a_name_that_is_not_there_is_an_error_that_names_those_that_are() -> None:
    """A typing error should not need a second command; a missing right is said in the API server's words."""
    with pytest.raises(BaseloadError, match=r"no ModelServing 'chat' in namespace 'team-a'; there are chat"):
        await answer(FakeAccess(None), Question("team-a", "chat", None), None, NOW)  # type: ignore[arg-type]
    access = FakeAccess(Unread("GET forbidden"))
    with pytest.raises(BaseloadError, match=r"ModelServing 'chat' in namespace 'team-a': GET forbidden"):
        await answer(access, Question("team-a", "chat", None), None, NOW)  # type: ignore[arg-type]


async def test_events_that_may_not_be_read_do_not_stop_the_story() -> None:
    """Whoever may not list events still gets the history."""
    access = FakeAccess(serving(ROWS), Unread("forbidden"))
    story = await answer(access, Question("team-a", "chat", NOW - 600), None, NOW)  # type: ignore[arg-type]
    assert "Events could not be read." in lines(story)
