"""What Prometheus would show of a fleet: counters read at each scrape, rates and shares over windows of them."""

from collections import deque
from dataclasses import dataclass

from baseload.plan.signals import NoTraffic, ReplicaSignals, ServingSignals, Signal, Value
from baseload.plan.snapshot import LatencyTarget, ServingSpec
from baseload.sim.requests.fleet import Fleet
from baseload.sim.requests.replica import Counters, Replica


@dataclass(frozen=True, slots=True)
class Windows:
    """Over what the queries average, in seconds: rates, shares of the objective, and one replica's sample.

    The newest scrape is `lag_seconds` old when it is looked at. The defaults are the demo's, with a scrape each 2 s.
    """

    rate_seconds: float = 10.0
    share_seconds: float = 30.0
    learning_seconds: float = 15.0
    lag_seconds: float = 1.0
    least_age_seconds: float = 6.0
    """A replica that has been ready for less has no two scrapes yet."""

    @property
    def signal_lag_seconds(self) -> float:
        """How far a rate lags behind the world."""
        return self.rate_seconds / 2 + self.lag_seconds


@dataclass(frozen=True, slots=True)
class _Totals:
    """The fleet at one scrape: requests and output tokens that have arrived, finished, been generated, and running."""

    time: float
    arrived: int
    tokens: int
    finished: int
    running: int


class Scrapes:
    """Remembers as many scrapes as the longest window needs, and answers the queries of the vLLM profile."""

    def __init__(self, fleet: Fleet, spec: ServingSpec, windows: Windows) -> None:
        self._fleet, self._spec, self._windows = fleet, spec, windows
        self._totals: deque[_Totals] = deque()
        self._counters: dict[str, deque[tuple[float, Counters]]] = {}

    def read(self) -> ServingSignals:
        """Scrape now, and answer."""
        fleet, now = self._fleet, self._fleet.now
        fleet.catch_up()
        # Series of a replica end with it, so one that is gone takes its counts along.
        present = [*fleet.serving, *fleet.draining]
        self._remember(present, now)
        running = sum(r.engine.running for r in present)
        waiting = sum(r.engine.waiting for r in present)
        rate, tokens = self._rates()
        share = [self._increase(r, self._windows.share_seconds)[1] for r in present]
        firsts, requests = sum(c.firsts for c in share), sum(c.requests for c in share)
        first, between = self._spec.time_to_first_token, self._spec.inter_token_latency
        samples = [self._sample(r) for r in present]
        return ServingSignals(
            offered_rps=Value(rate, now) if rate else NoTraffic(now),
            running=Value(running, now),
            waiting=Value(waiting, now),
            output_tokens_per_request=Value(tokens, now) if tokens else NoTraffic(now),
            time_to_first_token_attainment=_share(first, sum(c.firsts_inside for c in share), firsts, now),
            inter_token_attainment=_share(between, sum(c.requests_inside for c in share), requests, now),
            replicas=tuple(sample for sample in samples if sample is not None),
        )

    def _remember(self, present: list[Replica], now: float) -> None:
        fleet, windows = self._fleet, self._windows
        total = _Totals(
            time=now,
            arrived=fleet.arrived,
            tokens=fleet.generated_tokens,
            finished=fleet.finished,
            running=sum(r.engine.running for r in present),
        )
        self._totals.append(total)
        while self._totals[0].time < now - windows.rate_seconds:
            self._totals.popleft()
        longest = max(windows.share_seconds, windows.learning_seconds)
        series = self._counters
        self._counters = {r.name: series.get(r.name) or deque([(r.ready, Counters())]) for r in present}
        for replica in present:
            samples = self._counters[replica.name]
            samples.append((now, replica.counters.copy()))
            while samples[0][0] < now - longest:
                samples.popleft()

    def _rates(self) -> tuple[float, float | None]:
        """Requests offered per second, and tokens over finished requests and half of the growth of running ones."""
        old, new = self._totals[0], self._totals[-1]
        seconds = new.time - old.time
        rate = (new.arrived - old.arrived) / seconds if seconds > 0 else 0.0
        requests = new.finished - old.finished + (new.running - old.running) / 2
        return rate, (new.tokens - old.tokens) / requests if requests > 0 else None

    def _increase(self, replica: Replica, window_seconds: float) -> tuple[float, Counters]:
        """Seconds between the scrapes inside a window, the start of the replica being one, and what it counted."""
        new, now = replica.counters, self._fleet.now
        then, old = next(sample for sample in self._counters[replica.name] if sample[0] >= now - window_seconds)
        return now - then, Counters(
            tokens=new.tokens - old.tokens,
            gaps=new.gaps - old.gaps,
            gap_seconds=new.gap_seconds - old.gap_seconds,
            firsts=new.firsts - old.firsts,
            first_seconds=new.first_seconds - old.first_seconds,
            firsts_inside=new.firsts_inside - old.firsts_inside,
            requests=new.requests - old.requests,
            requests_inside=new.requests_inside - old.requests_inside,
        )

    def _sample(self, replica: Replica) -> ReplicaSignals | None:
        now = self._fleet.now
        if replica.ready > now - self._windows.least_age_seconds:
            return None
        seconds, increase = self._increase(replica, self._windows.learning_seconds)
        if increase.gaps == 0:
            return None
        # Little's law: sequence-seconds of decoding over the window.
        first = increase.first_seconds / increase.firsts if increase.firsts else None
        running, usage = increase.gap_seconds / seconds, replica.engine.cache_usage
        return ReplicaSignals(replica.name, now, running, increase.gap_seconds / increase.gaps, first, usage)


def _share(target: LatencyTarget | None, inside: int, of: int, now: float) -> Signal:
    return NoTraffic(now) if target is None or not of else Value(inside / of, now)
