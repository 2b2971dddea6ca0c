"""The decision in a loop with emulated replicas, in virtual time: seconds of CPU for minutes of service.

Arrivals are drawn from a seed, each goes to the replica with the fewest outstanding requests, engines run the
same continuous batching as the lab's servers, and every two seconds `plan()` sees what Prometheus would have
shown. No process, socket or clock is involved, so a run is exactly repeatable.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from heapq import heappop, heappush
from math import exp, log, sqrt
from random import Random

from baseload.lab.engine import Engine, EngineProfile, Sequence
from baseload.plan.decision import Decision
from baseload.plan.memory import ServingMemory
from baseload.plan.planner import plan
from baseload.plan.signals import NoTraffic, ReplicaSignals, ServingSignals, Value
from baseload.plan.snapshot import ServingKey, ServingSpec, ServingState, Snapshot, TargetState

TICK_SECONDS = 2.0
RATE_WINDOW_SECONDS = 10.0
SHARE_WINDOW_SECONDS = 30.0
LEARNING_WINDOW_SECONDS = 15.0


@dataclass
class Replica:
    """One engine with its life and what a scrape would have seen of it."""

    name: str
    engine: Engine
    created: float
    ready: float
    removed: float | None = None
    gone: float | None = None
    outstanding: int = 0
    busy: bool = False
    tokens: deque[tuple[float, float]] = field(default_factory=deque)
    first: deque[tuple[float, float]] = field(default_factory=deque)
    means: deque[tuple[float, float]] = field(default_factory=deque)
    running: deque[tuple[float, int]] = field(default_factory=deque)


@dataclass
class Outcome:
    """What a run came to: shares in 0..1, replica-seconds from creation to gone."""

    attainment: float
    requests: int
    replica_seconds: float
    wanted: list[tuple[float, int]]
    decisions: list[Decision]


@dataclass(frozen=True)
class Lengths:
    """Log-normal token lengths by mean and coefficient of variation."""

    prompt_mean: float = 1100.0
    prompt_cv: float = 0.8
    output_mean: float = 200.0
    output_cv: float = 0.6

    def draw(self, random: Random) -> tuple[int, int]:
        """Prompt and output tokens of one request, at least 4 and at most 8 times the mean."""
        return _draw(random, self.prompt_mean, self.prompt_cv), _draw(random, self.output_mean, self.output_cv)


def _draw(random: Random, mean: float, cv: float) -> int:
    variance = log(1 + cv * cv)
    value = exp(random.gauss(log(mean) - variance / 2, sqrt(variance)))
    return int(min(max(value, 4), 8 * mean))


class ClosedLoop:
    """A serving under a demand curve; `policy` None runs `plan()`, a number keeps that many replicas."""

    def __init__(
        self,
        profile: EngineProfile,
        spec: ServingSpec,
        rate: Callable[[float], float],
        *,
        start_up_seconds: float,
        seed: int = 1,
        lengths: Lengths | None = None,
        arrivals: list[tuple[float, int, int]] | None = None,
    ) -> None:
        self.profile, self.spec, self.rate = profile, spec, rate
        self.start_up_seconds = start_up_seconds
        self.random = Random(seed)
        self.lengths = lengths or Lengths()
        self.fixed = arrivals
        self.replicas: list[Replica] = []
        self.events: list[tuple[float, int, str, object]] = []
        self.order = 0
        self.now = 0.0
        self.memory = ServingMemory()
        self.history: deque[tuple[float, int, int, int]] = deque()
        self.generated = 0
        self.stamps: dict[int, list[float]] = {}
        self.arrived: deque[float] = deque()
        self.inside: list[bool] = []
        self.verdicts: list[tuple[float, bool]] = []
        self.wanted: list[tuple[float, int]] = []
        self.decisions: list[Decision] = []
        self.waiting_room: deque[Sequence] = deque()

    def run(self, seconds: float, policy: int | None = None, start: int = 1) -> Outcome:
        """Run for `seconds` of virtual time and then until every request is answered; `start` replicas are there."""
        first = policy or max(self.spec.min_replicas, start)
        for _ in range(first):
            self._create(started=True)
        self._schedule_arrivals(seconds)
        tick = TICK_SECONDS
        while tick < seconds:
            self._push(tick, "tick", policy)
            tick += TICK_SECONDS
        while self.events:
            self.now, _, kind, what = heappop(self.events)
            getattr(self, f"_on_{kind}")(what)
        end = seconds
        paid = sum(min(r.gone if r.gone is not None else end, end) - r.created for r in self.replicas)
        share = sum(self.inside) / max(len(self.inside), 1)
        return Outcome(share, len(self.inside), paid, self.wanted, self.decisions)

    def _schedule_arrivals(self, seconds: float) -> None:
        if self.fixed is not None:
            for number, (time, prompt, output) in enumerate(self.fixed):
                self._push(time, "arrival", (number, prompt, output))
            return
        peak = max(self.rate(t * 0.5) for t in range(int(seconds * 2) + 1))
        time, number = 0.0, 0
        while True:
            time += self.random.expovariate(peak)
            if time >= seconds:
                return
            if self.random.random() * peak <= self.rate(time):
                prompt, output = self.lengths.draw(self.random)
                self._push(time, "arrival", (number, prompt, output))
                number += 1

    def _push(self, time: float, kind: str, what: object) -> None:
        self.order += 1
        heappush(self.events, (time, self.order, kind, what))

    def _create(self, *, started: bool = False) -> None:
        ready = self.now if started else self.now + self.start_up_seconds
        replica = Replica(f"pod-{len(self.replicas)}", Engine(self.profile), self.now, ready)
        self.replicas.append(replica)
        self._push(ready, "ready", replica)

    def _on_ready(self, replica: Replica) -> None:
        if replica.removed is not None:
            return
        while self.waiting_room:
            self._route(self.waiting_room.popleft())

    def _on_arrival(self, what: tuple[int, int, int]) -> None:
        number, prompt, output = what
        self.arrived.append(self.now)
        self.stamps[number] = [self.now]
        self._route(Sequence(id=number, prompt_tokens=prompt, output_tokens=output, arrival_time=self.now))

    def _serving(self) -> list[Replica]:
        return [r for r in self.replicas if r.ready <= self.now and r.removed is None]

    def _route(self, sequence: Sequence) -> None:
        serving = self._serving()
        if not serving:
            self.waiting_room.append(sequence)
            return
        least = min(r.outstanding for r in serving)
        replica = self.random.choice([r for r in serving if r.outstanding == least])
        replica.outstanding += 1
        replica.engine.submit(sequence, self.now)
        if not replica.busy:
            self._step(replica)

    def _step(self, replica: Replica) -> None:
        iteration = replica.engine.step(self.now)
        replica.busy = iteration is not None
        if iteration is not None:
            self._push(self.now + iteration.duration_seconds, "iteration", (replica, iteration))

    def _on_iteration(self, what: tuple[Replica, object]) -> None:
        replica, iteration = what
        self.generated += len(iteration.emitted)  # type: ignore[attr-defined]
        for sequence in iteration.emitted:  # type: ignore[attr-defined]
            stamps = self.stamps[sequence.id]
            if len(stamps) == 1:
                replica.first.append((self.now, self.now - stamps[0]))
                stamps.extend((self.now, self.now))
            else:
                replica.tokens.append((self.now, self.now - stamps[2]))
                stamps[2] = self.now
        for sequence in iteration.finished:  # type: ignore[attr-defined]
            self._finish(replica, sequence)
        replica.running.append((self.now, replica.engine.running))
        if replica.removed is not None and replica.outstanding == 0:
            replica.gone = self.now
        self._step(replica)

    def _finish(self, replica: Replica, sequence: Sequence) -> None:
        replica.outstanding -= 1
        arrival, first, last = self.stamps.pop(sequence.id)
        between = (last - first) / max(sequence.output_tokens - 1, 1)
        ttft, itl = self.spec.time_to_first_token, self.spec.inter_token_latency
        good = (ttft is None or first - arrival <= ttft.seconds) and (itl is None or between <= itl.seconds)
        self.inside.append(good)
        self.verdicts.append((arrival, good))
        replica.means.append((self.now, between))

    def _on_tick(self, policy: int | None) -> None:
        for replica in self.replicas:
            for window in (replica.tokens, replica.first, replica.means, replica.running):
                while window and window[0][0] < self.now - SHARE_WINDOW_SECONDS:
                    window.popleft()
        while self.arrived and self.arrived[0] < self.now - RATE_WINDOW_SECONDS - TICK_SECONDS:
            self.arrived.popleft()
        alive = [r for r in self.replicas if r.removed is None]
        self.wanted.append((self.now, len(alive)))
        if policy is None:
            self._decide(alive)

    def _decide(self, alive: list[Replica]) -> None:
        target = TargetState("Deployment", "m", "u", len(alive), len(self._serving()))
        state = ServingState(
            ServingKey("d", "m"),
            1,
            self.spec,
            target,
            self._signals(),
            self.memory,
            start_up_seconds=self.start_up_seconds,
        )
        snapshot = Snapshot(
            now=self.now,
            warm_since=-1e9,
            world_time=self.now,
            tick_seconds=TICK_SECONDS,
            signal_lag_seconds=RATE_WINDOW_SECONDS / 2 + 1,
            learning_window_seconds=LEARNING_WINDOW_SECONDS,
            servings=(state,),
        )
        (decision,) = plan(snapshot)
        self.memory = decision.memory
        self.decisions.append(decision)
        if decision.write:
            self._scale(alive, decision.final)

    def _scale(self, alive: list[Replica], wanted: int) -> None:
        for _ in range(wanted - len(alive)):
            self._create()
        # As a ReplicaSet does: those not ready yet go first, then the youngest.
        for replica in sorted(alive, key=lambda r: -r.created)[: max(len(alive) - wanted, 0)]:
            replica.removed = self.now
            if replica.outstanding == 0:
                replica.gone = self.now

    def _signals(self) -> ServingSignals:
        now = self.now - 1.0
        serving = [r for r in self.replicas if r.ready <= self.now and r.gone is None]
        rate = sum(now - RATE_WINDOW_SECONDS < t <= now for t in self.arrived) / RATE_WINDOW_SECONDS
        first = [v for r in serving for _, v in r.first]
        means = [v for r in serving for _, v in r.means]
        mean = self._tokens_per_request(sum(r.engine.running for r in serving))
        return ServingSignals(
            offered_rps=Value(rate, now) if rate else NoTraffic(now),
            running=Value(sum(r.engine.running for r in serving), now),
            waiting=Value(sum(r.engine.waiting for r in serving), now),
            output_tokens_per_request=Value(mean, now) if mean else NoTraffic(now),
            time_to_first_token_attainment=_share(first, self.spec.time_to_first_token, now),
            inter_token_attainment=_share(means, self.spec.inter_token_latency, now),
            replicas=tuple(s for s in (self._replica_signals(r, now) for r in serving) if s is not None),
        )

    def _tokens_per_request(self, running: int) -> float | None:
        """Tokens over finished requests and half of the growth of running ones, as the vLLM profile does."""
        self.history.append((self.now, self.generated, len(self.inside), running))
        while self.history[0][0] < self.now - RATE_WINDOW_SECONDS:
            self.history.popleft()
        _, tokens, finished, before = self.history[0]
        requests = len(self.inside) - finished + (running - before) / 2
        return (self.generated - tokens) / requests if requests > 0 else None

    def _replica_signals(self, replica: Replica, now: float) -> ReplicaSignals | None:
        since = self.now - LEARNING_WINDOW_SECONDS
        tokens = [v for t, v in replica.tokens if t >= since]
        first = [v for t, v in replica.first if t >= since]
        running = [v for t, v in replica.running if t >= since]
        if replica.ready > self.now - 6.0 or not tokens:
            return None
        window = min(LEARNING_WINDOW_SECONDS, self.now - replica.ready)
        # Little's law over the window: sequence-seconds spent decoding over the window.
        mean_running = sum(tokens) / window if running else 0.0
        mean_first = sum(first) / len(first) if first else None
        return ReplicaSignals(replica.name, now, mean_running, sum(tokens) / len(tokens), mean_first, None)


def _share(values: list[float], target: object, now: float) -> Value | NoTraffic:
    if target is None or not values:
        return NoTraffic(now)
    limit = target.seconds  # type: ignore[attr-defined]
    return Value(sum(v <= limit for v in values) / len(values), now)
