"""The CSV forms of a trace, each known by the names of its columns."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np

from baseload.sim.traces.rows import FloatArray, RateRows, RequestRows, rates_only, unknown
from baseload.sim.traces.table import Block, Table

_SECONDS_PER_MINUTE: Final = 60.0


@dataclass(frozen=True, slots=True)
class RequestForm:
    """CSV with a row for each request."""

    time: str
    prompt: str
    output: str
    is_date: bool = False
    in_order: bool = False
    """Whether a time that goes back is a mistake; in recordings it happens, and is sorted."""

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns by which the form is known."""
        return (self.time, self.prompt, self.output)

    def chunks(self, table: Table) -> Iterator[RequestRows]:
        """Yield the requests, block by block; ConfigError names line and column of what is wrong."""
        first, last = None, -np.inf
        for block in table.blocks():
            times = block.times(self.time) if self.is_date else block.numbers(self.time)
            first = times[0] if first is None else first
            before = np.concatenate([[last], times[:-1]]) if self.in_order else np.full(len(times), first)
            early = times < before
            if early.any():
                row = int(np.argmax(early))
                text, time = block.texts(self.time)[row], float(before[row])
                word = f"{time:g}" if self.in_order else "the file's first time"
                raise table.source.wrong(block.lines[row], self.time, f"{text} is before {word}")
            last = times[-1]
            yield RequestRows(times, block.numbers(self.prompt), block.numbers(self.output))


@dataclass(frozen=True, slots=True)
class RateForm:
    """CSV with a row for each span of time: `read` makes rows of the whole table."""

    columns: tuple[str, ...]
    read: Callable[[Block], RateRows]


def _rising(block: Block, column: str, times: FloatArray) -> FloatArray:
    """Return times after checking that each is after the one before it, and that there are two."""
    late = np.diff(times) <= 0
    if late.any():
        row = int(np.argmax(late)) + 1
        texts = block.texts(column)
        raise block.source.wrong(block.lines[row], column, f"{texts[row]} is not after {texts[row - 1]}")
    if len(times) < 2:
        line = block.lines[-1] if block.lines else 1
        raise block.source.wrong(line, column, f"a rate needs at least two points, it has {len(times)}")
    return times


def _optional(block: Block, column: str) -> FloatArray:
    if column not in block.header:
        return unknown(len(block.rows))
    return block.numbers(column, empty_is_gap=True)


def _plain(block: Block) -> RateRows:
    times = _rising(block, "t_seconds", block.numbers("t_seconds"))
    rates = block.numbers("requests_per_second", empty_is_gap=True)
    prompt, output = (_optional(block, name) for name in ("prompt_tokens", "output_tokens"))
    return RateRows(times, None, rates, prompt, output, unknown(len(times)))


def _servegen(block: Block) -> RateRows:
    times = _rising(block, "t_s", block.numbers("t_s"))
    rates = block.numbers("rate_rps", empty_is_gap=True)
    if "gap" in block.header:
        rates = np.where(block.flags("gap"), np.nan, rates)
    prompt, output, dispersion = (
        _optional(block, name) for name in ("mean_prompt_tokens", "mean_output_tokens", "idc")
    )
    return RateRows(times, usual_spacing(times), rates, prompt, output, dispersion, of_all=False)


def _digitised(block: Block) -> RateRows:
    times = _rising(block, "t_min", block.numbers("t_min")) * _SECONDS_PER_MINUTE
    rates = block.numbers("mean_per_min", empty_is_gap=True) / _SECONDS_PER_MINUTE
    span = usual_spacing(times)
    # The file gives the middle of each span.
    return rates_only(times - span / 2, span, rates)


def _counts(block: Block) -> RateRows:
    times = _rising(block, "timestamp", block.times("timestamp"))
    span = usual_spacing(times)
    rates = block.numbers("value", empty_is_gap=True) / span
    return rates_only(times, span, rates)


def usual_spacing(times: FloatArray) -> float:
    """Return the median distance between rows in seconds."""
    return float(np.median(np.diff(times)))


FORMS: Final[tuple[RateForm | RequestForm, ...]] = (
    RateForm(("t_seconds", "requests_per_second"), _plain),
    RequestForm("t_s", "prompt_tokens", "output_tokens", in_order=True),
    RequestForm("TIMESTAMP", "ContextTokens", "GeneratedTokens", is_date=True),
    RequestForm("Timestamp", "Request tokens", "Response tokens"),
    RateForm(("t_s", "rate_rps"), _servegen),
    RateForm(("t_min", "mean_per_min"), _digitised),
    RateForm(("timestamp", "value"), _counts),
)
"""The plain rate, single requests, the Azure LLM traces, BurstGPT, ServeGen, the digitised Azure week, and counts."""


def form_of(table: Table) -> RateForm | RequestForm:
    """Return the form whose columns the header has; ConfigError names all forms."""
    for form in FORMS:
        if set(form.columns) <= set(table.header):
            return form
    forms = [",".join(form.columns) for form in FORMS]
    found = ",".join(table.header) or "missing"
    known = f"{', '.join(forms[:-1])} or {forms[-1]}"
    raise table.source.wrong(1, None, f"the columns are {found!r}; use {known}, Mooncake's JSON lines or Prometheus")
