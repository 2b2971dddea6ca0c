"""The JSON forms of a trace: Mooncake's lines, and the answer of Prometheus to a range query."""

from collections.abc import Iterator
from typing import Any, Final

import numpy as np
import orjson

from baseload.errors import ConfigError
from baseload.sim.traces.rows import RateRows, RequestRows, rates_only
from baseload.sim.traces.source import Source
from baseload.sim.traces.tables import usual_spacing

_LINES_IN_CHUNK: Final = 65_536
_MOONCAKE: Final = ("timestamp", "input_length", "output_length")


def is_mooncake(line: str) -> bool:
    """Whether the first line of a file is a request of Mooncake's form; any other JSON is asked of Prometheus."""
    try:
        first = orjson.loads(line)
    except orjson.JSONDecodeError:
        return False
    return isinstance(first, dict) and _MOONCAKE[1] in first


def mooncake_chunks(source: Source) -> Iterator[RequestRows]:
    """Yield the requests of JSON lines: `timestamp` in milliseconds, `input_length`, `output_length`."""
    rows: list[tuple[float, ...]] = []
    first = None
    for number, line in enumerate(source.lines, start=1):
        if not line.strip():
            continue
        row = _mooncake_row(source, number, line)
        first = row[0] if first is None else first
        if row[0] < first:
            raise source.wrong(number, "timestamp", f"{row[0]:.15g} is before the file's first time")
        rows.append(row)
        if len(rows) == _LINES_IN_CHUNK:
            yield _mooncake_chunk(source, rows)
            rows = []
    if rows:
        yield _mooncake_chunk(source, rows)


def _mooncake_chunk(source: Source, rows: list[tuple[float, ...]]) -> RequestRows:
    source.tell_progress()
    milliseconds, prompt, output = np.array(rows, np.float64).T
    return RequestRows(milliseconds / 1000.0, prompt, output)


def _mooncake_row(source: Source, number: int, line: str) -> tuple[float, ...]:
    try:
        content = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        raise source.wrong(number, str(error.colno), f"{error.msg}; one JSON object a line is expected") from error
    if not isinstance(content, dict):
        raise source.wrong(number, "1", f"{line.strip()[:40]!r} is not a JSON object")
    for name in _MOONCAKE:
        value = content.get(name)
        if isinstance(value, bool) or not isinstance(value, int | float) or value < 0:
            raise source.wrong(number, name, f"{value!r} is not a number of at least 0")
    return tuple(float(content[name]) for name in _MOONCAKE)


def prometheus_rows(source: Source, text: str) -> RateRows:
    """Return the one series in the answer of `/api/v1/query_range`, a rate; NaN and missing samples are gaps."""
    try:
        answer = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        what = f"{error.msg}; the JSON answer of /api/v1/query_range is expected"
        raise source.wrong(error.lineno, str(error.colno), what) from error
    samples = _samples(source, answer)
    values = np.array([_sample(source, index, sample) for index, sample in enumerate(samples)])
    times, rates = values.T
    late = np.diff(times) <= 0
    if late.any():
        place = int(np.argmax(late)) + 1
        raise _wrong(source, f"data.result[0].values[{place}][0]", f"{times[place]:.10g} is not after the one before")
    span = usual_spacing(times)
    # A sample is the mean of the time before it.
    return rates_only(times - span, span, rates)


def _samples(source: Source, answer: Any) -> list[Any]:  # noqa: ANN401 (JSON)
    data = answer.get("data", answer) if isinstance(answer, dict) else None
    if not isinstance(data, dict) or data.get("resultType") != "matrix" or not isinstance(data.get("result"), list):
        raise _wrong(source, "data.resultType", "there is no matrix; save the answer of /api/v1/query_range")
    series = data["result"]
    if len(series) != 1:
        raise _wrong(source, "data.result", f"there are {len(series)} series; query one, such as sum(rate(...))")
    samples = series[0].get("values") if isinstance(series[0], dict) else None
    if not isinstance(samples, list) or len(samples) < 2:
        raise _wrong(source, "data.result[0].values", "there are fewer than two samples; query a longer range")
    return samples


def _sample(source: Source, index: int, sample: Any) -> tuple[float, float]:  # noqa: ANN401 (JSON)
    place = f"data.result[0].values[{index}]"
    try:
        time, value = sample
        pair = float(time), float(value)
    except (TypeError, ValueError) as error:
        raise _wrong(source, place, f'{sample!r} is not a pair such as [1700000000, "1.5"]') from error
    if pair[1] < 0 or np.isinf(pair[1]):
        raise _wrong(source, place, f"{pair[1]:g} is not a number of at least 0")
    return pair


def _wrong(source: Source, field: str, what: str) -> ConfigError:
    # The answer is one line as a rule, so that the field says more than a column.
    return source.wrong(1, field, what)
