"""What a replay at request level came to: requests inside the objective, latencies, replica-seconds and their cost."""

from collections.abc import Sequence
from dataclasses import dataclass

from baseload.sim.requests.fleet import Fleet
from baseload.sim.requests.replica import Replica


@dataclass(frozen=True, slots=True)
class Quantiles:
    """Quantiles of a latency in seconds, over requests that have one; None without any."""

    p50: float | None
    p95: float | None
    p99: float | None


@dataclass(frozen=True, slots=True)
class Outcome:
    """`attainment` (0..1) counts requests that were shed or never answered as outside.

    `replica_seconds` are billed per pool inside the span of the replay, from the order until the last request of a
    removed replica is answered; `cost` weighs them by price, in price-hours; `energy_kilowatt_hours` is None without a
    power figure. `scale_events` counts orders and removals at one time as one.
    """

    requests: int
    attainment: float
    shed: int
    time_to_first_token: Quantiles
    inter_token: Quantiles
    replica_seconds: tuple[float, ...]
    cost: float
    scale_events: int
    accelerator_hours: float
    energy_kilowatt_hours: float | None


def outcome_of(
    fleet: Fleet,
    seconds: float,
    *,
    since: float = 0.0,
    accelerators_per_replica: int = 1,
    kilowatts_per_replica: float | None = None,
) -> Outcome:
    """Sum up a fleet over the span [since, seconds): requests that arrived in it, replicas that were billed in it."""
    verdicts = [v for v in (*fleet.verdicts, *fleet.unfinished()) if since <= v.arrival_seconds < seconds]
    billed = tuple(
        sum(_billed_seconds(fleet, r, since, seconds) for r in fleet.replicas if r.pool == pool)
        for pool in range(len(fleet.pools))
    )
    hours = sum(billed) / 3600.0
    moments = {t for r in fleet.replicas for t in (r.ordered, r.removed) if t is not None and since < t < seconds}
    return Outcome(
        requests=len(verdicts),
        attainment=sum(v.is_inside for v in verdicts) / max(len(verdicts), 1),
        shed=sum(v.is_shed for v in verdicts),
        time_to_first_token=_quantiles([v.time_to_first_token_seconds for v in verdicts]),
        inter_token=_quantiles([v.inter_token_seconds for v in verdicts if v.output_tokens > 1]),
        replica_seconds=billed,
        cost=sum(p.pool.price * b for p, b in zip(fleet.pools, billed, strict=True)) / 3600.0,
        scale_events=len(moments),
        accelerator_hours=accelerators_per_replica * hours,
        energy_kilowatt_hours=None if kilowatts_per_replica is None else kilowatts_per_replica * hours,
    )


def _billed_seconds(fleet: Fleet, replica: Replica, since: float, until: float) -> float:
    terms = fleet.pools[replica.pool].pool
    begin = replica.ordered if terms.pending_billed else replica.ready
    if replica.gone is None:
        return max(until - max(begin, since), 0.0)
    # Cancelled before it came: there is nothing to bill where pending is not.
    end = replica.gone if replica.gone <= begin else max(replica.gone, begin + terms.min_billing_seconds)
    return max(min(end, until) - max(begin, since), 0.0)


def _quantiles(values: Sequence[float | None]) -> Quantiles:
    ordered = sorted(v for v in values if v is not None)
    if not ordered:
        return Quantiles(None, None, None)
    p50, p95, p99 = (ordered[min(int(share * len(ordered)), len(ordered) - 1)] for share in (0.5, 0.95, 0.99))
    return Quantiles(p50, p95, p99)
