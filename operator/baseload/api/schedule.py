"""Schedules: bounds of the replicas at certain hours of certain days, in a time zone."""

from enum import StrEnum
from typing import Annotated, Any, Final, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import ConfigDict, Field, field_validator, model_validator

from baseload.api.base import ApiModel, rule, rules

LIST_SET: Final[dict[str, Any]] = {"x-kubernetes-list-type": "set"}
CLOCK: Final = "^([01][0-9]|2[0-3]):[0-5][0-9]$"
ZONE: Final = "^(UTC|[A-Z][A-Za-z]+(/[A-Za-z0-9_+-]+){1,2})$"
ZONE_KNOWN: Final = rule(
    "timestamp('2000-01-01T00:00:00Z').getHours(self) >= 0",
    "'`timeZone` must be a name of the time zone database'",
)
"""An unknown name makes the function itself fail, and the API server refuses in the function's words."""


class Day(StrEnum):
    """A day of the week."""

    MON = "Mon"
    TUE = "Tue"
    WED = "Wed"
    THU = "Thu"
    FRI = "Fri"
    SAT = "Sat"
    SUN = "Sun"


class ScheduledReplicas(ApiModel):
    """Bounds of the replicas while a schedule is in force, inside `spec.replicas`; at least one of the two."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            rule("has(self.min) || has(self.max)", "'`replicas` of a schedule is empty: set `min`, `max` or both'"),
            rule(
                "!has(self.min) || !has(self.max) || self.max >= self.min",
                "'`replicas.max` of a schedule is %d and must not be less than its `replicas.min`, which is %d;"
                " raise `max` or lower `min`'.format([self.max, self.min])",
            ),
        )
    )

    min: Annotated[int, Field(ge=1, le=10_000)] | None = None
    """Least replicas; they are ordered one start-up time ahead, so that they are ready at the start."""
    max: Annotated[int, Field(ge=1, le=10_000)] | None = None
    """Most replicas, from the start to the end."""

    @model_validator(mode="after")
    def _bounds_something(self) -> Self:
        if self.min is None and self.max is None:
            raise ValueError("`replicas` of a schedule is empty: set `min`, `max` or both")
        if self.min is not None and self.max is not None and self.max < self.min:
            raise ValueError(
                f"`replicas.max` of a schedule is {self.max} and must not be less than its `replicas.min`,"
                f" which is {self.min}; raise `max` or lower `min`"
            )
        return self


class Schedule(ApiModel):
    """Bounds of the replicas from `start` to `end` on certain days.

    An `end` that is not after `start` is on the next day. Of schedules that overlap the highest `min` and the lowest
    `max` count; `min` wins where the two contradict each other.
    """

    time_zone: Annotated[str, Field(min_length=1, max_length=64, pattern=ZONE, json_schema_extra=rules(ZONE_KNOWN))]
    """Time zone of `start` and `end` by its name in the time zone database, for example Europe/Berlin or UTC."""
    days: Annotated[list[Day], Field(min_length=1, max_length=7, json_schema_extra=LIST_SET)]
    """Days on which it starts."""
    start: Annotated[str, Field(min_length=1, max_length=5, pattern=CLOCK)]
    """Time of day at which it starts, HH:MM. The first time counts where the clock shows it twice, the jump where the
    clock skips it."""
    end: Annotated[str, Field(min_length=1, max_length=5, pattern=CLOCK)]
    """Time of day at which it ends, HH:MM. The second time counts where the clock shows it twice, the jump where the
    clock skips it."""
    replicas: ScheduledReplicas
    """Bounds of the replicas meanwhile."""

    @field_validator("time_zone")
    @classmethod
    def _is_known(cls, name: str) -> str:
        try:
            ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError, OSError) as error:
            message = f"unknown time zone {name}; use a name of the time zone database such as Europe/Berlin, or UTC"
            raise ValueError(message) from error
        return name

    @field_validator("days")
    @classmethod
    def _are_different(cls, days: list[Day]) -> list[Day]:
        if len(set(days)) < len(days):
            raise ValueError("`days` names a day twice; name each once")
        return days
