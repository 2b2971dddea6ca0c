"""Which scheduled bounds are in force: pure comparisons of absolute windows, resolved from time zones elsewhere."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ScheduleWindow:
    """One time a schedule is in force: from `start` to before `end` (Unix seconds), with the bounds it sets.

    `words` names the schedule in messages: days, times and zone as the user wrote them.
    """

    start: float
    end: float
    least: int | None
    most: int | None
    words: str


@dataclass(frozen=True, slots=True)
class ScheduledBound:
    """A bound that a schedule sets now, and the words that name the schedule."""

    replicas: int
    words: str


def least_in_force(windows: tuple[ScheduleWindow, ...], now: float, lead_seconds: float) -> ScheduledBound | None:
    """The highest minimum of the windows that are open or open within a lead, so that it is ready at the start."""
    if not windows:
        return None
    found = [
        ScheduledBound(w.least, w.words) for w in windows if w.least is not None and _open(w, now, now + lead_seconds)
    ]
    return max(found, key=lambda bound: bound.replicas, default=None)


def most_in_force(windows: tuple[ScheduleWindow, ...], now: float) -> ScheduledBound | None:
    """The lowest maximum of the windows that are open; never ahead, since nothing has to start for it."""
    if not windows:
        return None
    found = [ScheduledBound(w.most, w.words) for w in windows if w.most is not None and _open(w, now, now)]
    return min(found, key=lambda bound: bound.replicas, default=None)


def _open(window: ScheduleWindow, now: float, until: float) -> bool:
    return window.start <= until and now < window.end
