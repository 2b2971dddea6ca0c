"""Trace files of the lab: rates or single requests.

A trace is CSV with a header, plain or gzip, in one of two forms::

    t_seconds,requests_per_second           a rate, straight lines between the points
    t_s,prompt_tokens,output_tokens         single requests; more columns are ignored
"""

import csv
import gzip
import io
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from baseload.errors import ConfigError
from baseload.sim.requests.arrivals import RateProfile, TimedRequest

RATE_COLUMNS: Final = ("t_seconds", "requests_per_second")
REQUEST_COLUMNS: Final = ("t_s", "prompt_tokens", "output_tokens")
_GZIP_MAGIC: Final = b"\x1f\x8b"


@dataclass(frozen=True, slots=True)
class RequestTrace:
    """Recorded requests, in the order of their times, the first at its recorded time."""

    requests: tuple[TimedRequest, ...]


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
