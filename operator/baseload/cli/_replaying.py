"""What `backtest` and `simulate` share: replay a case with progress, show it, write its files."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from baseload.errors import ConfigError
from baseload.sim.case import Case, Policy, Trajectory
from baseload.sim.compare import Told, compare
from baseload.sim.money import Money
from baseload.sim.score import Score
from baseload.sim.traces.cutting import read_trace
from baseload.sim.traces.trace import Trace


@dataclass(frozen=True, slots=True, eq=False)
class Replay:
    """A case, each policy's score in the order asked for, and what happened, by policy."""

    case: Case
    scores: tuple[Score, ...]
    trajectories: Mapping[str, Trajectory]

    @property
    def by_cost(self) -> list[Score]:
        """The scores, the cheapest first."""
        return sorted(self.scores, key=lambda score: score.cost)


def errors_console() -> Console:
    """Where progress is shown: stderr, so that the answer alone is on stdout."""
    return Console(stderr=True)


def progress_bar(screen: Console) -> Progress:
    """Return a bar that goes when it is done, and that only a terminal shows."""
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    return Progress(*columns, console=screen, transient=True, disable=not screen.is_terminal)


def read_with_progress(path: Path, step_seconds: float, screen: Console) -> Trace:
    """Read a trace with a bar for how far it is."""
    with progress_bar(screen) as bar:
        task = bar.add_task(f"read {path.name}", total=1.0)
        return read_trace(path, step_seconds, progress=lambda share: bar.update(task, completed=share))


def replayed(case: Case, policies: Sequence[Policy], screen: Console) -> Replay:
    """Replay a case against each policy, with a bar for how far it is."""
    trajectories: dict[str, Trajectory] = {}

    def seen(trajectory: Trajectory) -> None:
        trajectories[trajectory.policy] = trajectory

    with replay_progress(screen, [policy.name for policy in policies]) as told:
        scores = compare(case, policies, told, seen)
    return Replay(case, tuple(scores), trajectories)


@contextmanager
def replay_progress(screen: Console, policies: Sequence[str]) -> Iterator[Told]:
    """Show how far the replays of these policies are, one after the other; yields whom to tell."""
    with progress_bar(screen) as bar:
        task = bar.add_task("replay", total=len(policies))

        def told(policy: str, done: int, total: int) -> None:
            bar.update(task, description=f"replay {policy}", completed=policies.index(policy) + done / total)

        yield told


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write a result; folders on the way are made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def write_pictures(directory: Path, stem: str, replay: Replay, money: Money) -> tuple[Path, Path]:
    """Write the picture and the page of a replay; ConfigError where the packages for pictures are not installed."""
    try:
        # Pictures are an extra, so this is imported only where they are asked for.
        from baseload.sim.report.backtest_chart import chart_of  # noqa: PLC0415
        from baseload.sim.report.style import write  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise ConfigError(f"--report needs the package {error.name!r}: install 'baseload[report]'") from error
    directory.mkdir(parents=True, exist_ok=True)
    return write(chart_of(replay.case, replay.by_cost, replay.trajectories, money), directory, stem)
