"""The commands of the documentation, run in the lab in the order in which a reader meets them."""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from doc_pages import ROOT, Block, blocks, pages

BLOCK_TIMEOUT_SECONDS = 180.0
STOP_TIMEOUT_SECONDS = 20.0

RUN = {page: [block for block in blocks(page) if block.words & {"test", "background"}] for page in pages()}


@pytest.mark.timeout(600)
@pytest.mark.parametrize("page", [page for page, steps in RUN.items() if steps])
def test_commands_of_the_page_work(page: str, lab: object, tmp_path: Path) -> None:
    """Every block marked as tested ends with exit code 0 when the page is followed from top to bottom."""
    with contextlib.ExitStack() as stack:
        for block in RUN[page]:
            if "background" in block.words:
                stack.enter_context(in_background(block, tmp_path))
            else:
                run(block, tmp_path)


def environment() -> dict[str, str]:
    """Return the environment of a reader who has .venv/bin on PATH."""
    return {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}


def run(block: Block, folder: Path) -> None:
    """Run a block to its end; fail with its output and that of the background processes."""
    command = ["bash", "-euo", "pipefail", "-c", block.text]
    answer = subprocess.run(
        command,
        cwd=ROOT,
        env=environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=BLOCK_TIMEOUT_SECONDS,
        check=False,
    )
    if answer.returncode != 0:
        logs = "\n".join(f"--- {path.name}\n{path.read_text()[-4000:]}" for path in sorted(folder.glob("*.log")))
        pytest.fail(f"{block} ended with {answer.returncode}:\n{answer.stdout[-4000:]}\n{logs}")


@contextlib.contextmanager
def in_background(block: Block, folder: Path) -> Iterator[None]:
    """Start a block as a reader would in a second terminal; when the page is done, end it like Ctrl-C."""
    with (folder / f"line-{block.line}.log").open("wb") as log:
        process = subprocess.Popen(
            ["bash", "-euo", "pipefail", "-c", block.text],
            cwd=ROOT,
            env=environment(),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            yield
            assert process.poll() in (None, 0), f"{block} ended by itself: {Path(log.name).read_text()[-4000:]}"
        finally:
            stop(process)


def stop(process: subprocess.Popen[bytes]) -> None:
    """End the whole session of a background block, by force when it does not listen."""
    for number in (signal.SIGINT, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(STOP_TIMEOUT_SECONDS)
            return
