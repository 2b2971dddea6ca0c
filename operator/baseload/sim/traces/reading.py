"""One reader for all trace files: what it is shows its first line, plain or gzip."""

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain
from pathlib import Path

import numpy as np

from baseload.errors import ConfigError
from baseload.sim.traces.documents import is_mooncake, mooncake_chunks, prometheus_rows
from baseload.sim.traces.rows import RateRows, RequestRows, in_order, joined
from baseload.sim.traces.source import Progress, Source, opened
from baseload.sim.traces.table import table_of
from baseload.sim.traces.tables import RateForm, form_of


@contextmanager
def opened_rows(path: Path, progress: Progress | None = None) -> Iterator[RateRows | Iterator[RequestRows]]:
    """Open a trace: rates as a whole, requests chunk by chunk, so that millions of them need little memory.

    ConfigError names file, line and column of what cannot be read.
    """
    with opened(path, progress) as source:
        yield _content(source)


def read_rows(path: Path) -> RateRows | RequestRows:
    """Read a trace file as a whole, requests in the order of their times."""
    with opened_rows(path) as content:
        if isinstance(content, RateRows):
            return content
        chunks = list(content)
    if not chunks:
        raise ConfigError(f"{path}: there is no request in it")
    return in_order(joined(chunks))


def _content(source: Source) -> RateRows | Iterator[RequestRows]:
    first = next(source.lines, "")
    source.lines = chain([first], source.lines)
    if first.lstrip().startswith("{"):
        if is_mooncake(first):
            return mooncake_chunks(source)
        return _known(source, prometheus_rows(source, "".join(source.lines)))
    table = table_of(source)
    form = form_of(table)
    return _known(source, form.read(table.whole())) if isinstance(form, RateForm) else form.chunks(table)


def _known(source: Source, rows: RateRows) -> RateRows:
    if np.isnan(rows.rate_rps).all():
        raise ConfigError(f"{source.path}: every row is a gap; use a file with rates in it")
    return rows
