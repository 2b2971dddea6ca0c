"""What a demo run leaves behind, before anything is computed from it.

All times are seconds since the first second of the demand curve; what happened before has negative times.
"""

from dataclasses import dataclass, field

from baseload.lab.hpa import HpaSettings
from baseload.lab.load_plan import Objective as LatencyLimits
from baseload.lab.load_results import RequestResult
from baseload.lab.schedule import Schedule


@dataclass(frozen=True, slots=True)
class Objective:
    """The latencies a request must keep, in seconds, and the share (0..1) of requests that must keep them."""

    time_to_first_token_seconds: float
    inter_token_seconds: float
    attainment: float

    @property
    def latencies(self) -> LatencyLimits:
        """The latencies alone, as the load generator takes them."""
        return LatencyLimits(
            time_to_first_token_seconds=self.time_to_first_token_seconds, inter_token_seconds=self.inter_token_seconds
        )


@dataclass(slots=True)
class PodLife:
    """One replica: created, ready, told to end, and gone; None is "not before the end of the run"."""

    name: str
    created_seconds: float
    ready_seconds: float | None = None
    gone_seconds: float | None = None
    ending_seconds: float | None = None
    bound: bool = False

    def serves_at(self, second: float) -> bool:
        """Whether it takes requests at that second: ready and not told to end."""
        if self.ready_seconds is None or self.ready_seconds > second:
            return False
        return all(end is None or end > second for end in (self.ending_seconds, self.gone_seconds))


@dataclass(frozen=True, slots=True)
class DecisionRecord:
    """One change of the wanted replicas, with the words the operator gave for it."""

    time_seconds: float
    replicas_from: int
    replicas_to: int
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class WantedStep:
    """From `time_seconds` on the workload's spec.replicas is `replicas`."""

    time_seconds: float
    replicas: int


@dataclass(frozen=True, slots=True)
class Writes:
    """API writes of the operator during the run, counted in the API server's audit log."""

    scale: int = 0
    status: int = 0
    events: int = 0
    scale_times_seconds: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Run:
    """Everything a run left behind.

    `loads` is the demand in replicas' worth and `schedule` the clairvoyant answer to it, both second by second.
    `faults` says in words why the run must not count, empty when it does. `hpa` is what the HPA was told, if
    one decided.
    """

    trace: str
    policy: str
    engine: str
    seed: int
    speed: float
    objective: Objective
    capacity_rps: float
    start_up_seconds: float
    loads: tuple[float, ...]
    schedule: Schedule
    requests: tuple[RequestResult, ...]
    loop_lag_ms_p99: float
    pods: tuple[PodLife, ...]
    wanted: tuple[WantedStep, ...]
    decisions: tuple[DecisionRecord, ...] = ()
    writes: Writes = field(default_factory=Writes)
    breach_to_write_seconds: tuple[float, ...] = ()
    faults: tuple[str, ...] = ()
    hpa: HpaSettings | None = None

    @property
    def seconds(self) -> int:
        """Length of the demand curve in seconds of wall time."""
        return len(self.loads)
