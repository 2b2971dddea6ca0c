"""What `baseload doctor` says: the findings counted, and the exit code that follows."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from baseload.doctor.finding import Finding, Level

Findings = Sequence[tuple[str, Finding]]


def exit_code(findings: Findings) -> int:
    """0 without a fault, 1 with one; warnings and checks that could not be made change nothing."""
    return 1 if any(finding.level is Level.FAULT for _, finding in findings) else 0


def summary(findings: Findings) -> str:
    """How many of each level, the worst first."""
    counts = Counter(finding.level for _, finding in findings)
    words = {
        Level.FAULT: ("fault", "faults"),
        Level.WARNING: ("warning", "warnings"),
        Level.SKIPPED: ("not checked", "not checked"),
        Level.OK: ("ok", "ok"),
    }
    return ", ".join(f"{counts[level]} {words[level][counts[level] != 1]}" for level in Level)


def as_json(findings: Findings) -> dict[str, Any]:
    """The findings as plain data."""
    counts = Counter(finding.level for _, finding in findings)
    return {
        "summary": {level.value: counts[level] for level in Level},
        "findings": [finding.as_json(check) for check, finding in findings],
    }
