"""A trace file as text, plain or gzip, read line by line, and where in it something is wrong."""

import gzip
import io
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Final

from baseload.errors import ConfigError

Progress = Callable[[float], None]
"""Called now and then with the share of the file that has been read, 0 to 1."""

_GZIP_MAGIC: Final = b"\x1f\x8b"
_UNREADABLE: Final = (OSError, EOFError, zlib.error, UnicodeDecodeError)


@dataclass(slots=True)
class Source:
    """An open trace file: `lines` are those not yet read, `progress` hears how far it is read."""

    path: Path
    lines: Iterator[str]
    raw: IO[bytes]
    bytes_in_all: int
    progress: Progress | None = field(default=None)

    def tell_progress(self) -> None:
        """Tell how much of the file is read, by the bytes on the disk."""
        if self.progress is not None:
            self.progress(min(self.raw.tell() / max(self.bytes_in_all, 1), 1.0))

    def wrong(self, line: int, column: str | None, what: str) -> ConfigError:
        """Return the error for a place in the file; `what` says what stands there and what is expected."""
        place = f"line {line}" if column is None else f"line {line}, column {column}"
        return ConfigError(f"{self.path}: {place}: {what}")


@contextmanager
def opened(path: Path, progress: Progress | None = None) -> Iterator[Source]:
    """Open a trace file; ConfigError if it is absent or torn, also when that shows only while it is read."""
    try:
        with path.open("rb") as raw:
            size = path.stat().st_size
            packed = raw.read(len(_GZIP_MAGIC)) == _GZIP_MAGIC
            raw.seek(0)
            binary = gzip.GzipFile(fileobj=raw) if packed else raw
            with io.TextIOWrapper(binary, encoding="utf-8-sig", newline="") as text:
                yield Source(path, iter(text), raw, size, progress)
    except _UNREADABLE as error:
        raise ConfigError(f"{path}: cannot be read as text, plain or gzip: {error}") from error
