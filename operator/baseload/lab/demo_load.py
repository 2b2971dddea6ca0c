"""Run the load generator as a process of the lab and read what it finds."""

import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from baseload.errors import LabError
from baseload.lab.cluster import Lab
from baseload.lab.demo_objects import MODEL, NAME, NAMESPACE
from baseload.lab.demo_record import Objective
from baseload.lab.load_plan import LoadPlan
from baseload.lab.load_results import LoadOutcome, read_outcome, read_snapshot
from baseload.sim.requests.arrivals import TimedRequest

_START_SECONDS: Final = 30.0
_LOG_TAIL_LINES: Final = 12


class DemoLoad:
    """One run of `baseload.lab.load` against the demo's Service; its files are in the lab's folder `NAME`."""

    def __init__(self, lab: Lab, name: str, requests: Sequence[TimedRequest], objective: Objective, seed: int) -> None:
        self._lab, self._name = lab, name
        self._directory = lab.directory / name
        self._directory.mkdir(exist_ok=True)
        for leftover in self._directory.iterdir():
            leftover.unlink()
        plan = LoadPlan(
            model=MODEL,
            objective=objective.latencies,
            requests=[(r.time_seconds, r.prompt_tokens, r.output_tokens) for r in requests],
            namespace=NAMESPACE,
            service=NAME,
            seed=seed,
        )
        path = self._directory / "plan.json"
        path.write_text(plan.model_dump_json())
        command = [sys.executable, "-m", "baseload.lab.load", "--plan", str(path), "--out", str(self._directory)]
        self._process = lab.popen(command, name=name)

    @property
    def log(self) -> Path:
        """The generator's log file."""
        return self._lab.log(self._name)

    @property
    def running(self) -> bool:
        """Whether requests are still sent or awaited."""
        return self._process.poll() is None

    def snapshot(self) -> dict[str, Any]:
        """Return the newest snapshot, empty before the first."""
        return read_snapshot(self._directory) or {}

    def await_start(self) -> float:
        """Wait for the first second of the run; return its Unix time. LabError if it does not come."""
        deadline = time.monotonic() + _START_SECONDS
        while time.monotonic() < deadline:
            started = self.snapshot().get("started_unix_seconds")
            if started is not None:
                return float(started)
            if not self.running:
                break
            time.sleep(0.05)
        raise LabError(self._failure("the load generator did not start"))

    def outcome(self) -> LoadOutcome:
        """Return the results of the finished run; LabError with the end of its log if it failed."""
        if self._process.wait(timeout=10) != 0:
            raise LabError(self._failure(f"the load generator ended with exit code {self._process.returncode}"))
        return read_outcome(self._directory)

    def stop(self) -> None:
        """End the process, whatever it is doing."""
        self._lab.stop(self._name)

    def _failure(self, what: str) -> str:
        lines = self.log.read_text(errors="replace").strip().splitlines()[-_LOG_TAIL_LINES:]
        return f"{what}; the last lines of its log:\n" + "\n".join(lines)
