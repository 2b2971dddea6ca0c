"""What a demo is asked to do: its options, checked, and what follows from them."""

import re
from dataclasses import dataclass
from enum import StrEnum
from math import ceil
from pathlib import Path
from typing import Final

from baseload.errors import ConfigError
from baseload.lab.demo_record import Objective

SHIPPED_TRACE: Final = "shipped"
"""Name of the demand curve that comes with Baseload."""

ATTAINMENT_PERCENT: Final = 95
INTER_TOKEN_MILLISECONDS: Final = 50
DEFAULT_PEAK_REPLICAS: Final = 8.0
DAY_SECONDS: Final = 86_400.0
STABILIZATION_SECONDS: Final = 240
"""The hold before a scale-down in trace time, about what a replica takes to start: `--speed` divides it."""

TICK_SECONDS: Final = 2
HPA_SYNC_SECONDS: Final = 15.0
"""How often Kubernetes' controller manager looks at an HPA by default."""
HPA_UTILISATION: Final = 0.7
"""Share of what a replica holds inside the objective that the HPA aims at: the rest is for demand while pods start."""
SCRAPE_SECONDS: Final = 2
ACCELERATORS_PER_NODE: Final = 4
# A third more than the peak needs: a planner that cannot overshoot shows nothing.
_HEADROOM: Final = 4 / 3
_FEWEST_NODES: Final = 3

BASELOAD: Final = "baseload"
HPA: Final = "hpa"
_STATIC = re.compile(r"static-([1-9][0-9]?)")


class EngineKind(StrEnum):
    """What answers the requests: the emulated engine with a real accelerator's timing, or a real llama.cpp server."""

    EMULATED = "emulated"
    LLAMA_CPP = "llama.cpp"


@dataclass(frozen=True, slots=True)
class DemoOptions:
    """The options of `baseload demo`; ConfigError when one is out of range.

    `speed` divides trace time, start-up and hold, never an objective or the scrape. `peak_replicas` None keeps the
    shipped curve as it is drawn and means 8 for other traces. `hpa_utilisation` is the share of what a replica holds
    inside the objective that the HPA aims at. `duration_seconds` (wall time) None plays the whole trace.

    `day` plays that day (from 2) of a recording, with the days before it as the operator's `history` unless that is
    switched off; `lengths` is a file of requests whose token lengths are used then. `start_up_seconds` and
    `hold_seconds` (wall time) replace what follows from the speed; `attainment` is the share of requests (0..1) asked
    for inside the objective.
    """

    trace: Path | None = None
    speed: float = 10.0
    peak_replicas: float | None = None
    slo_milliseconds: int = 1000
    seed: int = 1
    engine: EngineKind = EngineKind.EMULATED
    duration_seconds: float | None = None
    policy: str = "baseload"
    hpa_utilisation: float = HPA_UTILISATION
    day: int | None = None
    history: bool = True
    lengths: Path | None = None
    start_up_seconds: float | None = None
    hold_seconds: int | None = None
    attainment: float = ATTAINMENT_PERCENT / 100
    report: Path = Path("build/demo")
    lab: str = "demo"

    def __post_init__(self) -> None:
        _within("--speed", self.speed, 0.1, 1000.0)
        _within("--slo-ms", self.slo_milliseconds, 50, 60_000)
        if self.peak_replicas is not None:
            _within("--peak-replicas", self.peak_replicas, 1.0, 64.0)
        if self.duration_seconds is not None:
            _within("--duration", self.duration_seconds, 20.0, 86_400.0)
        if self.policy not in (BASELOAD, HPA) and not _STATIC.fullmatch(self.policy):
            raise ConfigError(
                f"--policy {self.policy!r} is unknown: use baseload, hpa, or static-N with N from 1 to 99"
            )
        if self.policy == HPA and self.engine is not EngineKind.EMULATED:
            raise ConfigError("--policy hpa scales on vLLM's metrics: leave out --engine llama.cpp")
        if self.trace is not None and not self.trace.is_file():
            raise ConfigError(f"--trace {str(self.trace)!r} is not a file: name a CSV file, or leave the option out")
        if self.lengths is not None and not self.lengths.is_file():
            raise ConfigError(
                f"--lengths {str(self.lengths)!r} is not a file: name a CSV file, or leave the option out"
            )
        if self.day is not None and (self.trace is None or self.engine is not EngineKind.EMULATED):
            raise ConfigError("--day needs --trace and the emulated engine: name a recording of several days")
        if self.start_up_seconds is not None:
            _within("--start-up-seconds", self.start_up_seconds, 0.0, 3600.0)
        if self.report.exists() and not self.report.is_dir():
            raise ConfigError(f"--report {str(self.report)!r} is a file: name a folder, it will be made")

    @property
    def static_replicas(self) -> int | None:
        """The fixed number of replicas of a static policy, None when somebody decides."""
        match = _STATIC.fullmatch(self.policy)
        return int(match.group(1)) if match else None

    @property
    def hpa_sync_seconds(self) -> float:
        """How often the HPA is looked at: 15 s as in any cluster, divided by the speed, but not below our own tick."""
        return max(HPA_SYNC_SECONDS / max(self.speed, 1.0), float(TICK_SECONDS))

    @property
    def objective(self) -> Objective:
        """The objective of the run's ModelServing."""
        return Objective(self.slo_milliseconds / 1000, INTER_TOKEN_MILLISECONDS / 1000, self.attainment)

    @property
    def stabilization_seconds(self) -> int:
        """The hold before a scale-down in wall time."""
        if self.hold_seconds is not None:
            return self.hold_seconds
        return max(round(self.start_up_seconds or STABILIZATION_SECONDS / self.speed), 1)


def nodes_for(options: DemoOptions, peak_replicas: float) -> int:
    """Return how many owned nodes the scenario has: enough for the peak and some more, and at least three.

    Real servers all run on this machine's cores, so for them there is no more than the peak needs.
    """
    emulated = options.engine is EngineKind.EMULATED
    replicas = max(peak_replicas * (_HEADROOM if emulated else 1.0), options.static_replicas or 0)
    return max(ceil(replicas / ACCELERATORS_PER_NODE), _FEWEST_NODES if emulated else 1)


def _within(option: str, value: float, least: float, most: float) -> None:
    # Not `least <= value <= most` negated by hand: NaN must be refused as well.
    if not least <= value <= most:
        raise ConfigError(f"{option} {value:g} is out of range: use a number from {least:g} to {most:g}")
