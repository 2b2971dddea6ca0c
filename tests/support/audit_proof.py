"""What the test of the audit log must know of the run it stands at the end of."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest

SLACK_SECONDS = 5.0


@dataclass
class AuditProof:
    """Where this run's part of the log begins, whether it is all of the suite, and when a right was withdrawn."""

    audit_log_start: int
    whole_suite: bool
    withdrawn: list[tuple[float, float]] = field(default_factory=list)

    def is_withdrawn(self, unix_seconds: float) -> bool:
        """Whether a test had taken a right away at a time."""
        return any(start <= unix_seconds <= end + SLACK_SECONDS for start, end in self.withdrawn)

    @contextmanager
    def without_a_right(self) -> Iterator[None]:
        """Denials inside are what a test asked for."""
        start = time.time()
        try:
            yield
        finally:
            self.withdrawn.append((start, time.time()))


PROOF = pytest.StashKey[AuditProof]()


def is_whole_suite(config: pytest.Config) -> bool:
    """Whether nothing was selected: then every rule must have been used."""
    chosen = config.option.keyword or config.option.markexpr or getattr(config.option, "lf", False)
    return config.args_source is pytest.Config.ArgsSource.TESTPATHS and not chosen
