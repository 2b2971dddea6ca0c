"""One replica in a replay: an engine on a clock, its life, and the counters that a scrape would read.

Between two arrivals most iterations only give each decoding sequence one more token. They are not run one by one:
the engine coasts to the next event, exactly (`Engine.coast`), and catches up when somebody looks.
"""

from dataclasses import dataclass, field, replace
from math import inf

from baseload.sim.requests.engine import Engine, EngineProfile, Iteration, Sequence
from baseload.sim.requests.objective import Objective


@dataclass(slots=True)
class Counters:
    """What a replica counts from its start, as vLLM's metrics do; times in seconds.

    `gaps` are times between two tokens of a request, `firsts` times to the first token; `*_inside` count those inside
    the objective, per request. `requests` have finished, `tokens` have been generated.
    """

    tokens: int = 0
    gaps: int = 0
    gap_seconds: float = 0.0
    firsts: int = 0
    first_seconds: float = 0.0
    firsts_inside: int = 0
    requests: int = 0
    requests_inside: int = 0

    def copy(self) -> "Counters":
        """Return the counts as they are now."""
        return replace(self)


@dataclass(slots=True, eq=False)
class Replica:
    """One engine with its life; times in seconds of the replay, None while it has not come to that.

    `ordered` is when it was asked for, `ready` when it serves or will; `removed` when it was told to go and `gone`
    when its last request was answered. `outstanding` are requests sent to it that are not finished.
    """

    name: str
    pool: int
    profile: EngineProfile
    objective: Objective
    ordered: float
    ready: float
    removed: float | None = None
    gone: float | None = None
    outstanding: int = 0
    counters: Counters = field(default_factory=Counters)
    engine: Engine = field(init=False)
    due: float = inf
    """End of the iterations under way, when the replica has something to tell; inf while it is idle."""
    version: int = 0
    """Counts the changes of `due`: an event with an older one is void."""
    _clock: float = 0.0
    """Up to where the engine has been run; an iteration under way ends at `due`."""
    _iteration: Iteration | None = None
    """The iteration under way when it is one that may change the batch, None while coasting or idle."""

    def __post_init__(self) -> None:
        self.engine = Engine(self.profile)

    def submit(self, sequence: Sequence, now: float) -> None:
        """Take a request at `now`; what is running finishes its iteration first."""
        self.outstanding += 1
        if self.due == inf:
            self.engine.submit(sequence, now)
            self._begin(now)
            return
        if self._iteration is None:
            self.catch_up(now)
            self._step(self._clock)
        self.engine.submit(sequence, now)

    def catch_up(self, now: float) -> None:
        """Count the coasting iterations that have ended by `now`."""
        if self._iteration is None and self.due < inf:
            self._coast(now - self._clock)

    def advance(self) -> list[Sequence]:
        """End the iterations that are due and begin the next ones; return the requests that finished."""
        end, iteration = self.due, self._iteration
        if iteration is None:
            self._coast(inf)
            self._begin(end)
            return []
        self._count(iteration, end)
        self._begin(end)
        return iteration.finished

    def _begin(self, now: float) -> None:
        """Coast as long as nothing happens, or run one iteration, or fall idle."""
        calm = self.engine.calm_iterations
        # A single calm iteration is cheaper to run than to coast.
        if calm > 1:
            self._iteration, self._clock = None, now
            self._set_due(now + self.engine.calm_seconds(calm))
        else:
            self._step(now)

    def _step(self, now: float) -> None:
        self._iteration = self.engine.step(now)
        self._clock = now
        self._set_due(inf if self._iteration is None else now + self._iteration.duration_seconds)

    def _set_due(self, time: float) -> None:
        self.due = time
        self.version += 1

    def _coast(self, within_seconds: float) -> None:
        iterations, seconds = self.engine.coast(within_seconds)
        tokens = iterations * self.engine.running
        self._clock += seconds
        self.counters.tokens += tokens
        self.counters.gaps += tokens
        self.counters.gap_seconds += seconds * self.engine.running

    def _count(self, iteration: Iteration, end: float) -> None:
        counters = self.counters
        counters.tokens += len(iteration.emitted)
        counters.gaps += iteration.decoding
        counters.gap_seconds += iteration.decoding * iteration.duration_seconds
        for sequence in iteration.emitted[iteration.decoding :]:
            # A preempted sequence starts anew without a second first token.
            if sequence.first_token_time == end:
                first = end - sequence.arrival_time
                counters.firsts += 1
                counters.first_seconds += first
                counters.firsts_inside += first <= self.objective.time_to_first_token_seconds
        for sequence in iteration.finished:
            self.outstanding -= 1
            between = (end - (sequence.first_token_time or end)) / max(sequence.output_tokens - 1, 1)
            counters.requests += 1
            counters.requests_inside += between <= self.objective.inter_token_seconds
