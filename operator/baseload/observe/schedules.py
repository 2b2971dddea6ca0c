"""From times of day in a time zone to absolute windows: what the clock on the wall shows decides, also where it jumps.

A time that the clock shows twice in autumn counts at its first showing as a start and at its second as an end, so
that a window never closes and opens again. A time that the clock skips in spring is the moment of the skip.
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from baseload.api.schedule import Day, Schedule
from baseload.plan.schedule import ScheduleWindow

RESOLVED_SECONDS = 6 * 3600
"""Windows are resolved anew this often; in between they are the same tuple."""

DAYS_BACK = 2
DAYS_AHEAD = 3
"""A window of 24 hours that began the day before yesterday in its own zone may still be open, and so on."""

KEPT = 10_000
"""Resolved lists kept: one for each serving that has schedules of its own."""

DAYS = tuple(Day)


@dataclass(frozen=True, slots=True)
class LocalSchedule:
    """A schedule as written: weekdays (Monday is 0), times of day in a zone, and its bounds."""

    zone: str
    weekdays: frozenset[int]
    start: time
    end: time
    least: int | None
    most: int | None
    words: str


def local_schedule(given: Schedule) -> LocalSchedule:
    """Read a schedule of the API."""
    days = sorted(given.days, key=DAYS.index)
    return LocalSchedule(
        zone=given.time_zone,
        weekdays=frozenset(DAYS.index(day) for day in days),
        start=time.fromisoformat(given.start),
        end=time.fromisoformat(given.end),
        least=given.replicas.min,
        most=given.replicas.max,
        words=f"{', '.join(days)} {given.start}-{given.end} {given.time_zone}",
    )


def windows_around(schedules: tuple[LocalSchedule, ...], now: float) -> tuple[ScheduleWindow, ...]:
    """Every window that is open now or opens within two days; one that is over may still be among them."""
    if not schedules:
        return ()
    # Each list has its own turn, so that not all servings are resolved at the same instant.
    turn = hash(schedules) % RESOLVED_SECONDS
    return _resolved(schedules, turn + (int(now) - turn) // RESOLVED_SECONDS * RESOLVED_SECONDS)


@lru_cache(maxsize=KEPT)
def _resolved(schedules: tuple[LocalSchedule, ...], now: int) -> tuple[ScheduleWindow, ...]:
    found: list[ScheduleWindow] = []
    for schedule in schedules:
        zone = ZoneInfo(schedule.zone)
        today = datetime.fromtimestamp(now, zone).date()
        for offset in range(-DAYS_BACK, DAYS_AHEAD + 1):
            day = today + timedelta(days=offset)
            if day.weekday() in schedule.weekdays:
                found += _window(schedule, zone, day)
    return tuple(sorted(found, key=lambda window: (window.start, window.end)))


def _window(schedule: LocalSchedule, zone: ZoneInfo, day: date) -> list[ScheduleWindow]:
    """The window that starts on a day; none when the clock skips all of it."""
    last = day if schedule.end > schedule.start else day + timedelta(days=1)
    start = _instant(datetime.combine(day, schedule.start), zone, showing=0)
    end = _instant(datetime.combine(last, schedule.end), zone, showing=1)
    if end <= start:
        return []
    return [ScheduleWindow(start, end, schedule.least, schedule.most, schedule.words)]


def _instant(wall: datetime, zone: ZoneInfo, *, showing: int) -> float:
    """Unix seconds when the clock of a zone shows a time: `showing` 0 for the first time, 1 for the last."""
    local = wall.replace(tzinfo=zone, fold=showing)
    seconds = local.timestamp()
    if datetime.fromtimestamp(seconds, zone).replace(tzinfo=None, fold=0) == wall:
        return seconds
    return _skip(local.replace(fold=1).timestamp(), local.replace(fold=0).timestamp(), zone)


def _skip(before: float, after: float, zone: ZoneInfo) -> float:
    """The first second after the jump between two instants."""
    low, high = int(before), int(after)
    old = _offset(low, zone)
    while high - low > 1:
        middle = (low + high) // 2
        if _offset(middle, zone) == old:
            low = middle
        else:
            high = middle
    return float(high)


def _offset(seconds: int, zone: ZoneInfo) -> timedelta | None:
    return datetime.fromtimestamp(seconds, UTC).astimezone(zone).utcoffset()
