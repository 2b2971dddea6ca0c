"""Times as people write and read them."""

import re
from datetime import UTC, datetime
from typing import Final

from baseload.errors import ConfigError

UNIT_SECONDS: Final = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
DURATION: Final = r"(\d+(?:\.\d+)?)([smhd])"


def unix(text: str) -> float:
    """Unix seconds of an API time."""
    return datetime.fromisoformat(text).timestamp()


def rfc3339(seconds: float) -> str:
    """Unix seconds as the API writes them."""
    return datetime.fromtimestamp(int(seconds), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def age(seconds: float) -> str:
    """A duration in its largest unit: `45 s`, `12 min`, `3 h`, `9 d`; what lies ahead counts as nothing."""
    seconds = max(seconds, 0.0)
    for word, size, until in (("s", 1.0, 120.0), ("min", 60.0, 7200.0), ("h", 3600.0, 172_800.0)):
        if seconds < until:
            return f"{seconds / size:.0f} {word}"
    return f"{seconds / 86400.0:.0f} d"


def parse_duration(option: str, text: str) -> float:
    """Seconds of a duration that a person wrote: `90s`, `10m`, `2h`, `14d`; raises ConfigError."""
    found = re.fullmatch(DURATION, text.strip())
    if found is None or float(found[1]) <= 0:
        raise ConfigError(f"{option} '{text}' is no duration; give one such as 90s, 10m, 2h or 14d")
    return float(found[1]) * UNIT_SECONDS[found[2]]


def parse_at(text: str, now: float) -> float:
    """Unix seconds of `--at`: an RFC 3339 time, or how long ago (`90s`, `10m`, `2h`, `1d`); raises ConfigError."""
    remedy = "give an RFC 3339 time such as 2026-11-24T16:38:00Z, or how long ago: 90s, 10m, 2h, 1d"
    relative = re.fullmatch(DURATION, text.strip())
    if relative is not None:
        at = now - float(relative[1]) * UNIT_SECONDS[relative[2]]
    else:
        try:
            given = datetime.fromisoformat(text.strip())
        except ValueError as error:
            raise ConfigError(f"--at '{text}' is no time; {remedy}") from error
        if given.tzinfo is None:
            raise ConfigError(f"--at '{text}' has no time zone, so it could be any of a day's hours; {remedy}")
        at = given.timestamp()
    if at > now:
        raise ConfigError(f"--at '{text}' lies ahead; {remedy}")
    return at
