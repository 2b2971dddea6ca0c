"""Schedules: from times of day to instants, across midnight and where the clock jumps, and what they do to a number."""

from dataclasses import replace
from datetime import datetime, time
from zoneinfo import ZoneInfo

import pytest
import worlds
from pydantic import ValidationError

from baseload.api.reasons import Reason
from baseload.api.schedule import Schedule
from baseload.observe.schedules import LocalSchedule, local_schedule, windows_around
from baseload.plan.decision import Decision, Status
from baseload.plan.planner import plan
from baseload.plan.schedule import ScheduleWindow
from baseload.plan.signals import ServingSignals
from baseload.plan.snapshot import ServingState

BERLIN = "Europe/Berlin"


def local(start: str, end: str, zone: str = BERLIN, days: tuple[int, ...] = tuple(range(7))) -> LocalSchedule:
    """A schedule with a minimum of 8; Monday is 0."""
    return LocalSchedule(zone, frozenset(days), time.fromisoformat(start), time.fromisoformat(end), 8, None, "words")


def instant(text: str, zone: str = BERLIN) -> float:
    """Unix seconds of a local time; one with an offset stands for itself."""
    given = datetime.fromisoformat(text)
    return (given if given.tzinfo else given.replace(tzinfo=ZoneInfo(zone))).timestamp()


def window_on(day: str, schedule: LocalSchedule) -> tuple[str, str] | None:
    """Start and end, as the zone's clock shows them, of the window that starts on a day."""
    zone = ZoneInfo(schedule.zone)
    for window in windows_around((schedule,), instant(f"{day} 12:00", schedule.zone)):
        start, end = (datetime.fromtimestamp(t, zone).isoformat(timespec="minutes") for t in (window.start, window.end))
        if start.startswith(day):
            return start, end
    return None


def test_a_window_may_cross_midnight() -> None:
    """An end before the start is on the next day; an end at the start is a whole day later."""
    assert window_on("2026-06-01", local("07:00", "01:00")) == ("2026-06-01T07:00+02:00", "2026-06-02T01:00+02:00")
    assert window_on("2026-06-01", local("07:00", "07:00")) == ("2026-06-01T07:00+02:00", "2026-06-02T07:00+02:00")


def test_days_are_those_of_the_start() -> None:
    """A Monday that ends on Tuesday starts on Monday only."""
    monday = local("22:00", "06:00", days=(0,))
    assert window_on("2026-06-01", monday) is not None
    assert window_on("2026-06-02", monday) is None


@pytest.mark.parametrize(
    ("start", "end", "window"),
    [
        pytest.param("02:30", "05:00", ("03:00+02:00", "05:00+02:00"), id="start-is-skipped"),
        pytest.param("01:00", "02:30", ("01:00+01:00", "03:00+02:00"), id="end-is-skipped"),
        pytest.param("02:10", "02:20", None, id="all-is-skipped"),
        pytest.param("01:00", "05:00", ("01:00+01:00", "05:00+02:00"), id="around"),
    ],
)
def test_in_spring_the_skip_itself_starts_and_ends(start: str, end: str, window: tuple[str, str] | None) -> None:
    """On 29 March 2026 Berlin's clock goes from 02:00 to 03:00: what it skips is that moment."""
    found = window_on("2026-03-29", local(start, end))
    assert found == (None if window is None else tuple(f"2026-03-29T{text}" for text in window))


@pytest.mark.parametrize(
    ("start", "end", "window"),
    [
        pytest.param("02:30", "05:00", ("02:30+02:00", "05:00+01:00"), id="start-twice"),
        pytest.param("01:00", "02:30", ("01:00+02:00", "02:30+01:00"), id="end-twice"),
        pytest.param("02:10", "02:20", ("02:10+02:00", "02:20+01:00"), id="both-twice"),
    ],
)
def test_in_autumn_the_window_is_the_longer_one(start: str, end: str, window: tuple[str, str]) -> None:
    """On 25 October 2026 the clock shows 02:00 to 03:00 twice: the first start and the second end count."""
    assert window_on("2026-10-25", local(start, end)) == tuple(f"2026-10-25T{text}" for text in window)


def test_a_whole_day_may_be_skipped() -> None:
    """Samoa had no 30 December 2011; a window on it does not exist, and its neighbours do."""
    daily = local("10:00", "12:00", "Pacific/Apia")
    assert window_on("2011-12-29", daily) == ("2011-12-29T10:00-10:00", "2011-12-29T12:00-10:00")
    assert window_on("2011-12-31", daily) == ("2011-12-31T10:00+14:00", "2011-12-31T12:00+14:00")
    starts = [w.start for w in windows_around((daily,), instant("2011-12-29T12:00", "Pacific/Apia"))]
    assert len(starts) == len(set(starts))


@pytest.mark.parametrize("zone", [BERLIN, "America/New_York", "Pacific/Kiritimati", "Australia/Lord_Howe", "UTC"])
def test_the_window_that_is_open_is_always_among_them(zone: str) -> None:
    """At each hour of a year, the schedule that the wall clock says is open is open, and the next day is known."""
    night = local("22:15", "05:45", zone)
    begin = instant("2026-01-01T00:30", "UTC")
    for hour in range(0, 365 * 24, 5):
        now = begin + hour * 3600
        windows = windows_around((night,), now)
        shown = datetime.fromtimestamp(now, ZoneInfo(zone)).time()
        assert any(w.start <= now < w.end for w in windows) == (shown >= night.start or shown < night.end)
        assert any(now < w.start <= now + 86_400 + 3600 for w in windows)


def test_windows_are_resolved_seldom() -> None:
    """Two ticks apart the answer is the very same tuple."""
    schedules = (local("07:00", "01:00"),)
    now = instant("2026-06-01 12:00")
    found = windows_around(schedules, now)
    assert any(windows_around(schedules, now + 5.0 * step) is found for step in (1, -1))
    assert windows_around((), now) == ()


def test_a_schedule_is_read_from_the_api() -> None:
    """Days in their order, times and zone stand in the words that a decision uses."""
    given = {"timeZone": BERLIN, "days": ["Tue", "Mon"], "start": "07:00", "end": "01:00", "replicas": {"min": 8}}
    read = local_schedule(Schedule.model_validate(given))
    assert (read.weekdays, read.start, read.end) == (frozenset({0, 1}), time(7), time(1))
    assert (read.least, read.most, read.words) == (8, None, "Mon, Tue 07:00-01:00 Europe/Berlin")


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("timeZone", "Mars/Base", "unknown time zone Mars/Base; use a name of the time zone database"),
        ("timeZone", "Local", "should match pattern"),
        ("days", ["Mon", "Mon"], "names a day twice"),
        ("days", [], "at least 1"),
        ("start", "7:00", "should match pattern"),
        ("end", "24:00", "should match pattern"),
        ("replicas", {}, "`replicas` of a schedule is empty"),
        ("replicas", {"min": 3, "max": 2}, "`replicas.max` of a schedule is 2 and must not be less"),
    ],
)
def test_a_wrong_schedule_is_refused_in_words(field: str, value: object, words: str) -> None:
    """Field, value and what is allowed."""
    given = {"timeZone": BERLIN, "days": ["Mon"], "start": "07:00", "end": "01:00", "replicas": {"min": 8}}
    with pytest.raises(ValidationError) as refusal:
        Schedule.model_validate({**given, field: value})
    assert words in str(refusal.value)


def decide(state: ServingState, windows: tuple[ScheduleWindow, ...]) -> Decision:
    """Plan a serving with windows; its start-up time is 24 s and a tick 2 s."""
    return plan(worlds.snapshot(replace(state, windows=windows)))[0]


def window(start: float, end: float, least: int | None = None, most: int | None = None) -> ScheduleWindow:
    """A window by seconds from now."""
    return ScheduleWindow(worlds.NOW + start, worlds.NOW + end, least, most, "Mon 07:00-01:00 Europe/Berlin")


@pytest.mark.parametrize(
    ("start", "end", "final"),
    [(-60.0, 60.0, 8), (20.0, 60.0, 8), (26.0, 60.0, 8), (27.0, 60.0, 2), (-60.0, 0.0, 2), (-60.0, 0.5, 8)],
)
def test_a_minimum_is_ordered_one_start_up_time_ahead(start: float, end: float, final: int) -> None:
    """From a start-up time and a tick before the start until just before the end the minimum is wanted."""
    decision = decide(worlds.state(rps=7.0, wanted=2), (window(start, end, least=8),))
    assert decision.final == final
    if final == 8:
        assert decision.reason is Reason.SCHEDULED_MIN
        assert decision.message.startswith("schedule Mon 07:00-01:00 Europe/Berlin asks for 8; ")


def test_a_maximum_caps_from_the_start_and_not_ahead() -> None:
    """Before the start demand may have what it needs; from then on the number is capped and the condition says so."""
    state = worlds.state(rps=40.0, wanted=9)
    assert decide(state, (window(5.0, 60.0, most=4),)).final > 4
    decision = decide(state, (window(0.0, 60.0, most=4),))
    assert (decision.final, decision.reason) == (4, Reason.SCHEDULED_MAX)
    (limited,) = [c for c in decision.conditions if c.type == "ScalingLimited"]
    assert (limited.status, limited.reason) == (Status.TRUE, Reason.SCHEDULED_MAX)


def test_of_overlapping_schedules_the_tightest_count_and_the_minimum_wins() -> None:
    """The highest minimum and the lowest maximum count; of the two the minimum, since it keeps the objective."""
    state = worlds.state(rps=7.0, wanted=2)
    assert decide(state, (window(-9, 9, least=4), window(-9, 9, least=6))).final == 6
    assert decide(worlds.state(rps=40.0, wanted=2), (window(-9, 9, most=4), window(-9, 9, most=3))).final == 3
    assert decide(state, (window(-9, 9, least=6), window(-9, 9, most=4))).final == 6


def test_bounds_of_the_spec_win_over_schedules() -> None:
    """A schedule that is older than the bounds never leads outside them."""
    state = worlds.state(rps=7.0, wanted=3, spec=worlds.spec(min_replicas=3, max_replicas=5))
    assert decide(state, (window(-9, 9, least=9),)).final == 5
    assert decide(state, (window(-9, 9, most=1),)).final == 3


def test_after_a_schedule_the_number_falls_by_the_usual_steps() -> None:
    """With the window over, demand decides again, half of the replicas at a time."""
    assert decide(worlds.state(rps=0.5, wanted=8), (window(-60, -1, least=8),)).final == 4


def test_a_schedule_counts_while_metrics_are_missing() -> None:
    """Bounds are the user's own words and need no measurement."""
    gone = ServingSignals(offered_rps=worlds.missing(), running=worlds.missing(), waiting=worlds.missing())
    assert decide(worlds.state(wanted=2, signals=gone), (window(-9, 9, least=8),)).final == 8
