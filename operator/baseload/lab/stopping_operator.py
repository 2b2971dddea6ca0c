"""`python -m baseload.lab.stopping_operator operator ...`: the operator, but its next scale write can stop the process.

When the file named by BASELOAD_LAB_STOP_FILE exists, the next request that patches a scale removes it and stops the
process (SIGSTOP) with the request complete and the connection open: after every check the operator makes, and where
nothing comes between the process being continued and the bytes being sent.
"""

import os
import runpy
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

from aiohttp import http_writer

STOP_FILE_VARIABLE = "BASELOAD_LAB_STOP_FILE"


def stop_before_sending(stop_file: Path) -> None:
    """Wrap the two functions through which the HTTP client hands a request to its connection."""
    writer: Any = http_writer.StreamWriter

    def stopping(send: Callable[[object, Any], None], first: Callable[[Any], bytes]) -> Callable[[object, Any], None]:
        def send_or_stop(self: object, data: Any) -> None:  # noqa: ANN401 - bytes or several of them
            if is_scale_write(first(data)) and stop_file.exists():
                stop_file.unlink()
                os.kill(os.getpid(), signal.SIGSTOP)
            send(self, data)

        return send_or_stop

    writer._write = stopping(writer._write, lambda data: data)  # noqa: SLF001 - there is no public place so late
    writer._writelines = stopping(writer._writelines, lambda data: data[0])  # noqa: SLF001


def is_scale_write(data: bytes) -> bool:
    """Whether a request begins here that patches a scale subresource."""
    line = bytes(data[:2048]).split(b"\r\n", 1)[0]
    return line.startswith(b"PATCH ") and b"/scale" in line


if __name__ == "__main__":
    stop_before_sending(Path(os.environ[STOP_FILE_VARIABLE]))
    runpy.run_module("baseload.cli.main", run_name="__main__", alter_sys=True)
