"""CSV with a header, a block of rows at a time: columns by name, and line and column of what is wrong."""

import csv
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from baseload.sim.traces.rows import FloatArray
from baseload.sim.traces.source import Source

_ROWS_IN_BLOCK: Final = 65_536
_UTC: Final = ("+00:00", "Z")


@dataclass(frozen=True, slots=True)
class Block:
    """Some rows of a table, `lines` being the line of the file each stands in."""

    source: Source
    header: Sequence[str]
    lines: Sequence[int]
    rows: Sequence[Sequence[str]]

    def texts(self, column: str) -> list[str]:
        """Return a column as it stands; a row that is too short has an empty cell there."""
        place = self.header.index(column)
        return [row[place].strip() if place < len(row) else "" for row in self.rows]

    def numbers(self, column: str, *, empty_is_gap: bool = False) -> FloatArray:
        """Return a column as finite numbers of at least 0; an empty cell is NaN if that is a gap."""
        texts = self.texts(column)
        if empty_is_gap:
            texts = [text or "nan" for text in texts]
        values = self._converted(column, texts, float, "float64", "a number of at least 0")
        bad = ~(np.isfinite(values) & (values >= 0))
        if empty_is_gap:
            bad &= [text != "nan" for text in texts]
        if bad.any():
            self._refuse(column, int(np.argmax(bad)), "a number of at least 0")
        return np.asarray(values, np.float64)

    def flags(self, column: str) -> NDArray[np.bool_]:
        """Return a column of 0 and 1 as booleans."""
        values = self.numbers(column)
        bad = (values != 0) & (values != 1)
        if bad.any():
            self._refuse(column, int(np.argmax(bad)), "0 or 1")
        return np.asarray(values == 1)

    def times(self, column: str) -> FloatArray:
        """Return a column of dates with a time of day, in UTC, as seconds since 1970."""
        texts = self.texts(column)
        for suffix in _UTC:
            texts = [text.removesuffix(suffix) for text in texts]
        expected = "a time in UTC such as 2024-05-10 00:00:00.009930"
        values = self._converted(column, texts, lambda text: np.datetime64(text, "ns"), "datetime64[ns]", expected)
        bad = np.isnat(values)
        if bad.any():
            self._refuse(column, int(np.argmax(bad)), expected)
        return values.astype(np.int64) / 1e9

    def _converted(
        self, column: str, texts: Sequence[str], convert: Callable[[str], object], kind: str, expected: str
    ) -> NDArray[Any]:
        try:
            return np.array(texts, kind)
        except ValueError:
            for row, text in enumerate(texts):
                try:
                    convert(text)
                except ValueError:
                    self._refuse(column, row, expected)
            raise

    def _refuse(self, column: str, row: int, expected: str) -> None:
        text = self.texts(column)[row]
        raise self.source.wrong(self.lines[row], column, f"{text!r} is not {expected}")


@dataclass(frozen=True, slots=True)
class Table:
    """A CSV file whose header has been read."""

    source: Source
    header: tuple[str, ...]
    _reader: Any

    def blocks(self) -> Iterator[Block]:
        """Yield the rows in blocks, empty lines left out."""
        while True:
            lines: list[int] = []
            rows: list[list[str]] = []
            try:
                for row in islice(self._reader, _ROWS_IN_BLOCK):
                    lines.append(self._reader.line_num)
                    rows.append(row)
            except csv.Error as error:
                raise self.source.wrong(self._reader.line_num, None, f"{error}; CSV is expected") from error
            if not rows:
                return
            self.source.tell_progress()
            filled = [index for index, row in enumerate(rows) if row]
            yield Block(self.source, self.header, [lines[index] for index in filled], [rows[index] for index in filled])

    def whole(self) -> Block:
        """Return all rows as one block, for the forms that have at most some thousands."""
        blocks = list(self.blocks())
        lines = [line for block in blocks for line in block.lines]
        rows = [row for block in blocks for row in block.rows]
        return Block(self.source, self.header, lines, rows)


def table_of(source: Source) -> Table:
    """Read the header, the first line of the file that is not empty."""
    reader = csv.reader(source.lines)
    try:
        header = next((row for row in reader if row), [])
    except csv.Error as error:
        raise source.wrong(max(reader.line_num, 1), None, f"{error}; CSV is expected") from error
    return Table(source, tuple(cell.strip() for cell in header), reader)
