"""`python -m baseload.lab.stopping_operator operator ...`: the operator, but its next scale write can stop the process.

When the file named by BASELOAD_LAB_STOP_FILE exists, the next request that patches a scale removes it and stops the
process (SIGSTOP) on an open connection, right before its first byte is sent: after every check the operator makes.
"""

import os
import runpy
import signal
from pathlib import Path
from typing import Any

import aiohttp

STOP_FILE_VARIABLE = "BASELOAD_LAB_STOP_FILE"


def stop_before_sending(stop_file: Path) -> None:
    """Wrap the function of the HTTP client that sends."""
    client: Any = aiohttp.ClientRequest
    send = client.send

    def stop_if_asked() -> None:
        if stop_file.exists():
            stop_file.unlink()
            os.kill(os.getpid(), signal.SIGSTOP)

    async def stopping_send(request: aiohttp.ClientRequest, connection: object) -> object:
        if request.method == "PATCH" and request.url.path.endswith("/scale"):
            stop_if_asked()
        return await send(request, connection)

    client.send = stopping_send


if __name__ == "__main__":
    stop_before_sending(Path(os.environ[STOP_FILE_VARIABLE]))
    runpy.run_module("baseload.cli.main", run_name="__main__", alter_sys=True)
