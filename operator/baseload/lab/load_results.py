"""What a load run found: one record for each request, a summary, and a snapshot while it runs.

The folder of a run holds `requests.jsonl`, `summary.json` and, while it runs, `snapshot.json`.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from baseload.errors import LoadError
from baseload.lab.load_plan import Objective

REQUESTS_FILE: Final = "requests.jsonl"
SUMMARY_FILE: Final = "summary.json"
SNAPSHOT_FILE: Final = "snapshot.json"

VALID_LAG_SHARE: Final = 0.05
"""A run whose event loop was later than this share of the TTFT objective (p99) measured itself: it is invalid."""


@dataclass(frozen=True, slots=True)
class RequestResult:
    """One request as its client saw it; times in seconds after the start of the run.

    The time to first token counts from the scheduled time, not from when the request was sent, so a client that is
    late cannot hide a slow server (coordinated omission).
    """

    scheduled_seconds: float
    sent_seconds: float | None
    prompt_tokens: int
    output_tokens: int
    """Tokens asked for."""
    endpoint: str | None
    status: int | None
    """HTTP status, None if there was none."""
    error: str | None
    """Why it failed, None if it completed."""
    received_tokens: int
    time_to_first_token_seconds: float | None
    inter_token_seconds: float | None
    """Mean gap between tokens; None with fewer than two tokens."""
    end_to_end_seconds: float | None
    """None if it failed."""

    @property
    def completed(self) -> bool:
        """Whether every token arrived."""
        return self.error is None

    def within(self, objective: Objective) -> bool:
        """Whether it completed inside the objective."""
        first = self.time_to_first_token_seconds
        if self.error is not None or first is None or first > objective.time_to_first_token_seconds:
            return False
        limit, between = objective.inter_token_seconds, self.inter_token_seconds
        return limit is None or between is None or between <= limit


@dataclass(frozen=True, slots=True)
class LoadSummary:
    """A run in numbers: shares 0..1, latencies in milliseconds (None without a first token)."""

    valid: bool
    started_unix_seconds: float
    duration_seconds: float
    loop_lag_ms_p99: float
    total: int
    completed: int
    failed: int
    within_objective: int
    attainment: float
    ttft_ms_p50: float | None
    ttft_ms_p95: float | None
    ttft_ms_p99: float | None
    errors: dict[str, int]
    """Failed requests by reason."""


@dataclass(frozen=True, slots=True)
class LoadOutcome:
    """A finished run."""

    summary: LoadSummary
    requests: tuple[RequestResult, ...]


def quantile(values: Sequence[float], share: float) -> float | None:
    """Return the smallest value that at least `share` (0..1) of `values` do not exceed; None of nothing."""
    if not values:
        return None
    ordered = sorted(values)
    return ordered[min(int(share * len(ordered)), len(ordered) - 1)]


def summarise(
    results: Sequence[RequestResult],
    objective: Objective,
    lags_seconds: Sequence[float],
    *,
    started_unix_seconds: float,
    duration_seconds: float,
) -> LoadSummary:
    """Return the summary of a run; `lags_seconds` are samples of the client's event-loop lag."""
    first = [r.time_to_first_token_seconds for r in results if r.time_to_first_token_seconds is not None]
    lag = quantile(lags_seconds, 0.99) or 0.0
    errors: dict[str, int] = {}
    for result in results:
        if result.error is not None:
            errors[result.error] = errors.get(result.error, 0) + 1
    within = sum(result.within(objective) for result in results)
    failed = sum(errors.values())
    p50, p95, p99 = (_milliseconds(quantile(first, share)) for share in (0.5, 0.95, 0.99))
    return LoadSummary(
        valid=lag <= VALID_LAG_SHARE * objective.time_to_first_token_seconds,
        started_unix_seconds=started_unix_seconds,
        duration_seconds=duration_seconds,
        loop_lag_ms_p99=1000 * lag,
        total=len(results),
        completed=len(results) - failed,
        failed=failed,
        within_objective=within,
        attainment=within / len(results) if results else 1.0,
        ttft_ms_p50=p50,
        ttft_ms_p95=p95,
        ttft_ms_p99=p99,
        errors=errors,
    )


def _milliseconds(seconds: float | None) -> float | None:
    return None if seconds is None else 1000 * seconds


def write_outcome(directory: Path, outcome: LoadOutcome) -> None:
    """Write a finished run into its folder, the summary last."""
    lines = [json.dumps(asdict(result)) for result in outcome.requests]
    (directory / REQUESTS_FILE).write_text("\n".join(lines) + "\n")
    replace_json(directory / SUMMARY_FILE, asdict(outcome.summary))


def read_outcome(directory: Path) -> LoadOutcome:
    """Read a finished run; LoadError if it did not finish."""
    try:
        summary = LoadSummary(**json.loads((directory / SUMMARY_FILE).read_text()))
        lines = (directory / REQUESTS_FILE).read_text().splitlines()
        return LoadOutcome(summary, tuple(RequestResult(**json.loads(line)) for line in lines))
    except (OSError, ValueError, TypeError) as error:
        raise LoadError(f"load run {directory} has no results: {error}") from error


def read_snapshot(directory: Path) -> dict[str, Any] | None:
    """Return the newest snapshot of a run, None before the first.

    Keys: started_unix_seconds, t (seconds), offered_rps, inflight, completed, failed, p95_ttft_ms and attainment;
    the last two and offered_rps over the last ten seconds, None when there was no request.
    """
    try:
        content = json.loads((directory / SNAPSHOT_FILE).read_text())
    except (OSError, ValueError):
        return None
    return content if isinstance(content, dict) else None


def replace_json(path: Path, content: dict[str, Any]) -> None:
    """Replace a JSON file in one step, so that no reader sees half of it."""
    temporary = path.with_suffix(".tmp")
    temporary.write_text(json.dumps(content) + "\n")
    temporary.replace(path)
