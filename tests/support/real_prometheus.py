"""A real Prometheus of a test's own on a free loopback port."""

import contextlib
import os
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from baseload.lab.build import ensure_tools


@contextlib.contextmanager
def prometheus(directory: Path, *jobs: dict[str, Any]) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """Run it with these scrape jobs; the process and the URL. Its data in `directory` survive it."""
    command = ensure_tools(lambda _: None)["prometheus"]
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    config = directory / "prometheus.yaml"
    config.write_text(yaml.safe_dump({"scrape_configs": list(jobs)}))
    arguments = [f"--config.file={config}", f"--storage.tsdb.path={directory / 'data'}"]
    with (directory / "prometheus.log").open("ab") as log:
        process = subprocess.Popen(
            [command, *arguments, f"--web.listen-address=127.0.0.1:{port}"], stdout=log, stderr=log, env=os.environ
        )
    try:
        yield process, f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()
