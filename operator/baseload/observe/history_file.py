"""Earlier demand from a file, where no Prometheus keeps it: CSV with a header, or JSON, one object a line.

Each row is the mean of a time that begins at `t_seconds` (Unix): `namespace,name,t_seconds,tokens_per_second`.
Rows of one bucket are averaged; the order of the rows does not matter. Every bad row is named by line and column.
"""

import csv
from collections import defaultdict
from collections.abc import Iterator, Mapping
from itertools import islice
from math import isfinite
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from baseload.errors import ConfigError
from baseload.observe.history import Past, Slice
from baseload.plan.snapshot import ServingKey

FIELDS = ("namespace", "name", "t_seconds", "tokens_per_second")

MOST_ROWS = 20_000_000
"""Three weeks of 5,000 servings in buckets of ten minutes are 15 million rows."""

LONGEST_SPAN = 40_000
"""Buckets between the first and the last row of a file; more is a unit of time gone wrong."""


def read_history(path: Path, bucket_seconds: float) -> Past:
    """The demand of a file; raises ConfigError with file, line, column, value and remedy."""
    sums: dict[ServingKey, dict[int, list[float]]] = defaultdict(lambda: defaultdict(lambda: [0.0, 0.0]))
    try:
        with path.open(encoding="utf-8", newline="") as file:
            for line, row in _rows(path, file):
                at = _number(path, line, row, "t_seconds")
                value = _number(path, line, row, "tokens_per_second")
                key = ServingKey(*(_word(path, line, row, field) for field in FIELDS[:2]))
                cell = sums[key][int(at // bucket_seconds)]
                cell[0] += value
                cell[1] += 1.0
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be read: {error}") from error
    return _past(path, sums)


def _past(path: Path, sums: Mapping[ServingKey, Mapping[int, list[float]]]) -> Past:
    if not sums:
        raise ConfigError(f"{path} has no row; give at least one {','.join(FIELDS)}")
    first = min(min(cells) for cells in sums.values())
    end = max(max(cells) for cells in sums.values()) + 1
    if end - first > LONGEST_SPAN:
        raise ConfigError(f"{path} spans {end - first} buckets, more than {LONGEST_SPAN}; give `t_seconds` in seconds")
    demand = {}
    for key, cells in sums.items():
        row = np.full(end - first, np.nan)
        for index, (total, count) in cells.items():
            row[index - first] = total / count
        demand[key] = row
    return Past(Slice(first, end), demand)


def _rows(path: Path, file: Iterator[str]) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """Line numbers, from 1, and rows of either form, told apart by the first character."""
    head = next(file, "")
    found = _json_rows(path, head, file) if head.lstrip().startswith("{") else _csv_rows(path, head, file)
    for count, numbered in enumerate(found):
        if count >= MOST_ROWS:
            raise ConfigError(f"{path} has more than {MOST_ROWS} rows; leave out what is older than three weeks")
        yield numbered


def _csv_rows(path: Path, head: str, file: Iterator[str]) -> Iterator[tuple[int, Mapping[str, Any]]]:
    header = next(csv.reader([head]), [])
    if sorted(header) != sorted(FIELDS):
        raise ConfigError(f"{path}, line 1: header is {head.strip()[:120]!r}; it must be {','.join(FIELDS)}")
    for line, cells in enumerate(csv.reader(file), 2):
        if cells and len(cells) != len(header):
            raise ConfigError(f"{path}, line {line}: {len(cells)} columns; the header has {len(header)}")
        if cells:
            yield line, dict(zip(header, cells, strict=True))


def _json_rows(path: Path, head: str, file: Iterator[str]) -> Iterator[tuple[int, Mapping[str, Any]]]:
    for line, text in enumerate((t for part in ((head,), file) for t in islice(part, None)), 1):
        if not text.strip():
            continue
        try:
            row = orjson.loads(text)
        except orjson.JSONDecodeError as error:
            raise ConfigError(f"{path}, line {line}, column {error.colno}: no JSON object ({error.msg})") from error
        if not isinstance(row, dict):
            raise ConfigError(f"{path}, line {line}, column 1: no JSON object; give {{{', '.join(FIELDS)}}}")
        yield line, row


def _number(path: Path, line: int, row: Mapping[str, Any], field: str) -> float:
    given = row.get(field)
    try:
        value = float(given) if isinstance(given, (str, int, float)) and not isinstance(given, bool) else float("nan")
    except ValueError:
        value = float("nan")
    if not isfinite(value) or value < 0:
        raise ConfigError(f"{_where(path, line, row, field)} has value {given!r:.60}; give a number of at least 0")
    return value


def _word(path: Path, line: int, row: Mapping[str, Any], field: str) -> str:
    given = row.get(field)
    if not isinstance(given, str) or not 0 < len(given) <= 253:
        raise ConfigError(f"{_where(path, line, row, field)} has value {given!r:.60}; give the name of an object")
    return given


def _where(path: Path, line: int, row: Mapping[str, Any], field: str) -> str:
    column = [*row].index(field) + 1 if field in row else 0
    place = f", column {column}" if column else ""
    return f"{path}, line {line}{place}: `{field}`"
