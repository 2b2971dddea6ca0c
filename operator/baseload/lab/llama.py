"""A real llama.cpp server in a process of its own, on a pod's address.

Run as `python -m baseload.lab.llama --host H --port P --slots N`; it ends with the process that started it.
"""

import argparse
import asyncio
import contextlib
import ctypes
import logging
import os
import signal
import sys
import time
from pathlib import Path
from typing import Final

import aiohttp
from prometheus_client.parser import text_string_to_metric_families

from baseload.errors import LabError
from baseload.lab.faults import Fault
from baseload.lab.process_log import log_to_stderr
from baseload.lab.server import ACCEPT_WHILE_DRAINING_SECONDS

logger = logging.getLogger(__name__)

CONTEXT_TOKENS_PER_SLOT: Final = 1024
_PR_SET_PDEATHSIG: Final = 1
_POLL_SECONDS: Final = 0.2
_STOP_SECONDS: Final = 5.0
_BUSY_SERIES: Final = ("llamacpp:requests_processing", "llamacpp:requests_deferred")


class LlamaServer:
    """The handle of one llama.cpp server process."""

    def __init__(self, *, host: str, port: int, slots: int) -> None:
        self.host = host
        self.port = port
        self.slots = slots
        """Requests it answers at the same time; more wait inside the server."""
        self._process: asyncio.subprocess.Process | None = None
        self._drain: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Start the process; it loads its model and then answers /health."""
        arguments = ["--host", self.host, "--port", str(self.port), "--slots", str(self.slots)]
        self._process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "baseload.lab.llama", *arguments, "--parent", str(os.getpid())
        )

    async def stop(self) -> None:
        """End the process: SIGTERM, then SIGKILL."""
        if self._drain is not None:
            self._drain.cancel()
        process = self._process
        if process is None or process.returncode is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        try:
            await asyncio.wait_for(process.wait(), timeout=_STOP_SECONDS)
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()

    def begin_drain(self) -> None:
        """Watch for the moment when no request is in progress; llama.cpp itself refuses none meanwhile."""
        if self._drain is None:
            self._drain = asyncio.create_task(self._until_idle())

    def set_fault(self, fault: Fault) -> None:
        """Faults are the emulated engine's; a real server has only its own."""
        if fault.kind != "none":
            logger.warning("llama.cpp servers have no faults on request", extra={"host": self.host})

    @property
    def serving(self) -> bool:
        """Whether the process runs."""
        return self._process is not None and self._process.returncode is None

    @property
    def drained(self) -> bool:
        """Whether no request was in progress after it was told to drain."""
        return self._drain is not None and self._drain.done()

    async def _until_idle(self) -> None:
        await asyncio.sleep(ACCEPT_WHILE_DRAINING_SECONDS)
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=_STOP_SECONDS)) as session:
            while self.serving and await self._busy(session):  # noqa: ASYNC110 (another process is polled)
                await asyncio.sleep(_POLL_SECONDS)

    async def _busy(self, session: aiohttp.ClientSession) -> bool:
        """Whether requests are in progress, as the server's own metrics say; when it does not answer, it is busy."""
        try:
            async with session.get(f"http://{self.host}:{self.port}/metrics") as response:
                families = text_string_to_metric_families(await response.text())
                return any(s.value > 0 for f in families for s in f.samples if s.name in _BUSY_SERIES)
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError):
            return True


def _die_with(parent: int) -> None:
    """Have the kernel end this process when its parent ends, however that happens (Linux)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        raise SystemExit("the process that started this server is gone")


def _step_back() -> None:
    """Let the control plane and the load generator on the same cores go first: a full server must not starve them."""
    os.nice(10)
    # Linux schedules a session as one group: niceness counts only inside it, and the group has a niceness of its own.
    os.setsid()
    with contextlib.suppress(OSError):
        Path("/proc/self/autogroup").write_text("10")


def _serve(host: str, port: int, slots: int) -> None:
    """Serve until SIGTERM."""
    try:
        import xllamacpp  # noqa: PLC0415 (33 MB of code that only this process needs)
    except ImportError as error:
        raise LabError(f"llama.cpp cannot be used: {error}; install the extra `lab` on Linux") from error
    from baseload.lab.gguf_model import model_file  # noqa: PLC0415

    _step_back()
    parameters = xllamacpp.CommonParams()
    parameters.model.path = str(model_file())
    parameters.hostnames = [host]
    parameters.port = port
    parameters.n_parallel = slots
    parameters.n_ctx = CONTEXT_TOKENS_PER_SLOT * slots
    parameters.cpuparams.n_threads = 1
    parameters.cpuparams_batch.n_threads = 1
    parameters.n_threads_http = 2 * slots + 4
    # Every prompt is computed: a cache of earlier prompts would make load depend on what was asked before.
    parameters.cache_prompt = False
    parameters.cache_ram_mib = 0
    parameters.endpoint_metrics = True
    parameters.endpoint_slots = True
    parameters.ui = False
    parameters.verbosity = 1
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
    started = time.monotonic()
    server = xllamacpp.Server(parameters)
    seconds = round(time.monotonic() - started, 2)
    logger.info("llama.cpp serves", extra={"address": server.listening_address, "seconds": seconds})
    signal.sigwait([signal.SIGTERM])


def main() -> None:
    """Run one server."""
    parser = argparse.ArgumentParser(prog="python -m baseload.lab.llama", description=__doc__)
    parser.add_argument("--host", required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--slots", type=int, required=True, help="requests answered at the same time")
    parser.add_argument("--parent", type=int, default=os.getppid(), help="process to end with")
    arguments = parser.parse_args()
    log_to_stderr()
    _die_with(arguments.parent)
    _serve(arguments.host, arguments.port, arguments.slots)
    # The server's own threads would be waited for; requests in progress have been drained by whoever sent SIGTERM.
    os._exit(0)


if __name__ == "__main__":
    main()
