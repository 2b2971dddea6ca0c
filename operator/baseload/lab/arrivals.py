"""When requests arrive and how long they are: trace files, seeded Poisson arrivals, token lengths.

A trace is CSV with a header, plain or gzip, in one of two forms::

    t_seconds,requests_per_second           a rate, straight lines between the points
    t_s,prompt_tokens,output_tokens         single requests; more columns are ignored
"""

import csv
import gzip
import io
import math
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Final

from baseload.errors import ConfigError

RATE_COLUMNS: Final = ("t_seconds", "requests_per_second")
REQUEST_COLUMNS: Final = ("t_s", "prompt_tokens", "output_tokens")
_GZIP_MAGIC: Final = b"\x1f\x8b"
_LONGEST_IN_MEANS: Final = 8.0
_FEWEST_TOKENS: Final = 4


@dataclass(frozen=True, slots=True)
class TimedRequest:
    """One request to send: seconds after the start, and its lengths in tokens."""

    time_seconds: float
    prompt_tokens: int
    output_tokens: int


@dataclass(frozen=True, slots=True)
class RateProfile:
    """A request rate over time: straight lines through (seconds, requests per second), times rising."""

    points: tuple[tuple[float, float], ...]

    @property
    def duration_seconds(self) -> float:
        """Time of the last point."""
        return self.points[-1][0]

    @property
    def peak_rps(self) -> float:
        """Highest rate of any point."""
        return max(rate for _, rate in self.points)

    def rate_at(self, time_seconds: float) -> float:
        """Return the rate in requests/s; before the first and after the last point it is that point's."""
        after = bisect_right(self.points, time_seconds, key=lambda point: point[0])
        if after == 0:
            return self.points[0][1]
        if after == len(self.points):
            return self.points[-1][1]
        (start, low), (end, high) = self.points[after - 1], self.points[after]
        return low + (high - low) * (time_seconds - start) / (end - start)

    def scaled(self, *, speed: float = 1.0, factor: float = 1.0) -> "RateProfile":
        """Return the profile with its time divided by `speed` and its rates multiplied by `factor`."""
        return RateProfile(tuple((time / speed, rate * factor) for time, rate in self.points))


@dataclass(frozen=True, slots=True)
class RequestTrace:
    """Recorded requests, in the order of their times, the first at its recorded time."""

    requests: tuple[TimedRequest, ...]


@dataclass(frozen=True, slots=True)
class LogNormalLengths:
    """Token lengths by mean and coefficient of variation, at least 4 tokens and at most 8 means."""

    prompt_mean: float
    prompt_cv: float
    output_mean: float
    output_cv: float

    def draw(self, random: Random) -> tuple[int, int]:
        """Return (prompt, output) tokens of one request."""
        return (
            _log_normal(random, self.prompt_mean, self.prompt_cv),
            _log_normal(random, self.output_mean, self.output_cv),
        )


@dataclass(frozen=True, slots=True)
class SampledLengths:
    """Token lengths drawn with replacement from recorded (prompt, output) pairs: their correlation is kept."""

    rows: tuple[tuple[int, int], ...]

    def draw(self, random: Random) -> tuple[int, int]:
        """Return (prompt, output) tokens of one request."""
        return self.rows[random.randrange(len(self.rows))]


Lengths = LogNormalLengths | SampledLengths


def poisson_requests(profile: RateProfile, lengths: Lengths, seed: int) -> list[TimedRequest]:
    """Return Poisson arrivals of a varying rate, by thinning (Lewis and Shedler 1979); the same for the same seed.

    Times, lengths and acceptance come from generators of their own, so a lower rate keeps a subset of the times.
    """
    times, acceptance, sizes = (Random(f"{seed}/{use}") for use in ("times", "acceptance", "lengths"))  # noqa: S311
    requests: list[TimedRequest] = []
    peak, now = profile.peak_rps, 0.0
    if peak <= 0:
        return requests
    while True:
        now += times.expovariate(peak)
        if now >= profile.duration_seconds:
            return requests
        if acceptance.random() * peak < profile.rate_at(now):
            requests.append(TimedRequest(now, *lengths.draw(sizes)))


def read_trace(path: Path) -> RateProfile | RequestTrace:
    """Read a trace file; ConfigError names line and column of what cannot be read."""
    rows = _rows(path)
    _, header = next(rows, (1, []))
    if tuple(header[:2]) == RATE_COLUMNS:
        return _rate_profile(path, rows)
    if tuple(header[:3]) == REQUEST_COLUMNS:
        return _request_trace(path, rows)
    raise ConfigError(
        f"{path}: line 1: the columns are {','.join(header) or 'missing'!r}; "
        f"use {','.join(RATE_COLUMNS)} or {','.join(REQUEST_COLUMNS)}"
    )


def _rate_profile(path: Path, rows: Iterator[tuple[int, list[str]]]) -> RateProfile:
    points: list[tuple[float, float]] = []
    for line, row in rows:
        time, rate = (_number(path, line, row, RATE_COLUMNS, column) for column in range(2))
        if points and time <= points[-1][0]:
            raise ConfigError(f"{path}: line {line}, column t_seconds: {time:g} is not after {points[-1][0]:g}")
        points.append((time, rate))
    if len(points) < 2:
        raise ConfigError(f"{path}: a rate needs at least two points, it has {len(points)}")
    return RateProfile(tuple(points))


def _request_trace(path: Path, rows: Iterator[tuple[int, list[str]]]) -> RequestTrace:
    requests: list[TimedRequest] = []
    for line, row in rows:
        time = _number(path, line, row, REQUEST_COLUMNS, 0)
        if requests and time < requests[-1].time_seconds:
            raise ConfigError(f"{path}: line {line}, column t_s: {time:g} is before {requests[-1].time_seconds:g}")
        prompt, output = (_number(path, line, row, REQUEST_COLUMNS, column) for column in (1, 2))
        # Recorded answers of no token are real (refused, stopped); an engine cannot run them.
        requests.append(TimedRequest(time, max(int(prompt), 1), max(int(output), 1)))
    if not requests:
        raise ConfigError(f"{path}: there is no request in it")
    return RequestTrace(tuple(requests))


def _rows(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Yield (line number, cells) of a plain or gzip CSV file, empty lines left out."""
    try:
        content = path.read_bytes()
        if content.startswith(_GZIP_MAGIC):
            content = gzip.decompress(content)
        text = content.decode("utf-8-sig")
    except (OSError, EOFError, gzip.BadGzipFile, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read as CSV, plain or gzip: {error}") from error
    reader = csv.reader(io.StringIO(text))
    for row in reader:
        if row:
            yield reader.line_num, [cell.strip() for cell in row]


def _number(path: Path, line: int, row: Sequence[str], columns: Sequence[str], column: int) -> float:
    """Return one cell as a finite number of at least 0."""
    text = row[column] if column < len(row) else ""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value) or value < 0:
        raise ConfigError(f"{path}: line {line}, column {columns[column]}: {text!r} is not a number of at least 0")
    return value


def _log_normal(random: Random, mean: float, cv: float) -> int:
    variance = math.log(1 + cv * cv)
    value = random.lognormvariate(math.log(mean) - variance / 2, math.sqrt(variance))
    return round(min(max(value, _FEWEST_TOKENS), _LONGEST_IN_MEANS * mean))
