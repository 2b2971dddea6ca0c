"""From demand buckets to levels: forecasts and sizing policies of many servings, advanced bucket by bucket."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from baseload.plan.forecast import band, experts, features, fits, mixture, replay, rows, seasons
from baseload.plan.forecast.demand_block import DemandBlock, Grid
from baseload.plan.forecast.members import weekday_profile
from baseload.plan.forecast.quantile_regression import TAUS

Floats = NDArray[np.float64]

_ROWS_AT_ONCE = 4
"""Servings whose regressions are made together: few, so that what they need stays in the processor's cache."""
_LEAST_BUCKETS = 6
"""Buckets, an hour of them, before what the experts say is followed: until a day was seen rules lead, mixed by money.

Waiting for the day's first forecast instead cost 0.8 % of a week on one recorded trace and 12 % on another.
"""
_BROKEN = 2.0
"""Demand above the median by this many times the band's upper half is more than the forecast expected at all."""


@dataclass(frozen=True, slots=True, eq=False)
class Terms:
    """What an outlook depends on beside demand; each array has one entry per serving.

    `lead_buckets`: whole buckets from an order to a replica that serves, rounded up, at least 0.
    `unit`: demand that one replica serves inside the objective. `penalty`: cost of a replica-hour that is missing,
    in prices of a replica-hour.
    """

    lead_buckets: NDArray[np.int64]
    unit: Floats
    penalty: Floats


@dataclass(frozen=True, slots=True, eq=False)
class Levels:
    """The answer for many servings, arrays of shape (servings,), in the unit of the demand block.

    `order` and `keep` are the levels of the mixture; `upper` is the highest demand expected in the next bucket;
    `quantile` is the share of outcomes that `order` covers, NaN where rules lead; `low`, `median` and `high` are the
    band at the least horizon of an order, one bucket after its lead. `is_reactive`: too little was seen for any
    level to be followed. Until there is a forecast rules lead.
    """

    order: Floats
    keep: Floats
    upper: Floats
    quantile: Floats
    low: Floats
    median: Floats
    high: Floats
    is_reactive: NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Foresight:
    """All that is remembered between buckets, for servings in the order of the block; never changed in place.

    `end_index` is that of the newest bucket that was learned from, None before the first. `scale` is the unit of the
    logarithms, the first one told, so that a capacity learned anew moves no season; `seen` counts known buckets.
    """

    grid: Grid
    end_index: int | None
    scale: Floats
    seen: NDArray[np.int64]
    seasons: seasons.Seasons
    fits: fits.Fits
    bands: band.Bands
    fleets: replay.Fleets
    mixture: mixture.Mixture


@dataclass(frozen=True, slots=True, eq=False)
class Sight:
    """All that is seen from one moment.

    `order` and `keep` are what each expert wants, (servings, experts), in the unit of demand; `is_live` says which of
    them can speak; `is_seen` (servings,) is False where nothing was measured for a day and more. `quantiles` are those
    of log(1 + demand / scale), (servings, horizons from 1, `TAUS`), NaN without a regression; `bands` low, median and
    high of the same at `BAND_HORIZONS`, (horizons, servings, 3).
    """

    order: Floats
    keep: Floats
    is_live: NDArray[np.bool_]
    is_seen: NDArray[np.bool_]
    quantiles: Floats
    bands: Floats


def begin(servings: int, grid: Grid) -> Foresight:
    """Return the foresight of servings of which nothing is known yet."""
    return Foresight(
        grid=grid,
        end_index=None,
        scale=np.full(servings, np.nan),
        seen=np.zeros(servings, np.int64),
        seasons=seasons.nothing_seen(servings, grid.buckets_per_day),
        fits=fits.nothing_fitted(servings),
        bands=band.nothing_followed(servings),
        fleets=replay.begin(np.zeros(servings), experts.TABLE.size),
        mixture=mixture.begin(servings),
    )


def advance(foresight: Foresight, block: DemandBlock, terms: Terms) -> Foresight:
    """Learn from every bucket of the block that is newer than the foresight; all of the block is past.

    Of a block with a past that the foresight has not seen, seasons and regressions are learned at once; the weights of
    the experts start at the newest bucket (`warm` replays more).
    """
    started = foresight if foresight.end_index is not None else _start(foresight, block, terms, 1)
    assert started.end_index is not None
    for behind in range(min(block.end_index - started.end_index, block.demand.shape[1]) - 1, -1, -1):
        started = _advance_one(started, _without(block, behind), terms)
    return started


def peek(foresight: Foresight, block: DemandBlock, terms: Terms) -> Levels:
    """Return the levels as of the newest bucket of the block, which may still be running, and learn nothing from it."""
    settled = foresight if foresight.end_index is not None else _start(foresight, block, terms, 1)
    assert settled.end_index is not None
    if block.end_index > settled.end_index + 1:
        settled = advance(settled, _without(block, 1), terms)
    return _levels(settled, see(settled, block, terms), terms)


def see(foresight: Foresight, block: DemandBlock, terms: Terms) -> Sight:
    """Return what each expert wants as of the newest bucket of the block, which the foresight knows or which runs."""
    newest = _newest(foresight, block)
    _, bands = band.look(foresight.bands, newest, _weekdays(foresight, block))
    return _sight(foresight, newest, bands, terms)


def warm(block: DemandBlock, terms: Terms, days: int = 3) -> Foresight:
    """Return a foresight that has replayed the last `days` of a history, so that its experts have been judged.

    Regressions are made before the first replayed bucket and then renewed as ever, so no expert knows its future.
    """
    replayed = max(days * block.grid.buckets_per_day, 1)
    foresight = _start(begin(len(block.demand), block.grid), block, terms, replayed)
    return advance(foresight, block, terms)


def take(foresight: Foresight, servings: NDArray[np.int64]) -> Foresight:
    """Return the foresight of some servings, in the order of the indices."""
    return rows.pick(foresight, servings)


def append(foresight: Foresight, other: Foresight) -> Foresight:
    """Return the foresight of the servings of both.

    `other` is new and has no past in the block, or has seen the same newest bucket (`warm`).
    """
    slots = max(len(foresight.fleets.pending), len(other.fleets.pending))
    alike = [replace(one, fleets=replay.widened(one.fleets, slots)) for one in (foresight, other)]
    return rows.join(alike[0], alike[1])


def quantile_at(foresight: Foresight, block: DemandBlock, horizon_buckets: int, tau: float) -> Floats:
    """Return the `tau` quantile of demand `horizon_buckets` after the block's newest bucket, (servings,).

    That bucket may still be running. A serving without a regression has the band's quantile, or the last value.
    """
    return paths(foresight, block, horizon_buckets, (tau,))[:, 0, -1]


def paths(foresight: Foresight, block: DemandBlock, buckets: int, taus: Sequence[float]) -> Floats:
    """Return demand in each of the next `buckets` buckets at each quantile: (servings, taus, buckets).

    The scenarios of a linear programme: each path stays at its quantile, the dearest way to be wrong.
    """
    newest = _newest(foresight, block)
    logs = fits.quantiles(foresight.fits, newest, np.full(len(foresight.scale), buckets, np.int64))
    _, bands = band.look(foresight.bands, newest, _weekdays(foresight, block))
    result = np.empty((len(logs), len(taus), buckets))
    for index, tau in enumerate(taus):
        result[:, index] = _between(logs, TAUS, tau)
        for ahead in range(buckets):
            unknown = np.isnan(result[:, index, ahead])
            edges = band.at_horizon(bands, ahead + 1)
            result[unknown, index, ahead] = _between(edges, band.TAUS, tau)[unknown]
    return np.maximum(np.expm1(result), 0.0) * foresight.scale[:, None, None]


def _between(values: Floats, taus: Floats, tau: float) -> Floats:
    """Return the value at a quantile, linear between the two beside it, along the last axis."""
    place = float(np.interp(tau, taus, np.arange(len(taus))))
    below = min(int(place), len(taus) - 2)
    return np.asarray(values[..., below] + (place - below) * (values[..., below + 1] - values[..., below]))


def _start(foresight: Foresight, block: DemandBlock, terms: Terms, newest: int) -> Foresight:
    """Take in a past at once, all but its `newest` buckets: seasons and regressions, no judgement of experts."""
    past = _without(block, min(newest, block.demand.shape[1]))
    known = ~np.isnan(past.demand)
    day = block.grid.buckets_per_day
    started = replace(foresight, end_index=past.end_index, scale=terms.unit.copy(), seen=known.sum(axis=1))
    if past.demand.shape[1]:
        started = replace(started, seasons=seasons.after(past.demand, terms.unit, day, past.end_index))
        started = replace(started, fits=_refitted(started, past, terms, at_once=True))
    first = np.ceil(np.nan_to_num(block.demand[:, past.demand.shape[1]] / terms.unit))
    return replace(
        started,
        fleets=replay.begin(first, experts.TABLE.size),
        mixture=mixture.started(started.mixture, mixture.prior(terms.penalty)),
    )


def _advance_one(foresight: Foresight, block: DemandBlock, terms: Terms) -> Foresight:
    """Learn from the block's newest bucket: judge forecasts and experts by it, then let each expert decide anew."""
    foresight = _with_new_servings(foresight, block, terms)
    newest = block.demand[:, -1]
    is_known = ~np.isnan(newest)
    live = _is_live(foresight, terms)
    fleets, cost = replay.serve(foresight.fleets, newest / terms.unit, terms.penalty)
    judged = mixture.judge(foresight.mixture, cost, mixture.prior(terms.penalty), live, is_known)
    recent = block.demand[:, -features.window_buckets(foresight.grid.buckets_per_day) :]
    seen = replace(
        foresight,
        end_index=block.end_index,
        seen=foresight.seen + is_known,
        seasons=seasons.advance(foresight.seasons, recent, foresight.scale, block.end_index),
        mixture=judged,
    )
    seen = replace(seen, fits=_refitted(seen, block, terms, at_once=False))
    series = _newest(seen, block)
    judged_bands = band.judge(seen.bands, series.log[:, -1], is_known)
    bands, looks = band.look(judged_bands, series, _weekdays(seen, block))
    sight = _sight(seen, series, looks, terms)
    unit = terms.unit[:, None]
    order, keep = replay.replicas_for(sight.order, unit), replay.replicas_for(sight.keep, unit)
    return replace(seen, bands=bands, fleets=replay.decide(fleets, order, keep, _leads(seen, terms)))


def _with_new_servings(foresight: Foresight, block: DemandBlock, terms: Terms) -> Foresight:
    """Give servings that were appended without a past their scale, and their fleets what is needed now."""
    is_new = np.isnan(foresight.scale)
    if not is_new.any():
        return foresight
    needed = np.ceil(np.nan_to_num(block.demand[:, -1]) / terms.unit)[:, None]
    ready = np.where(is_new[:, None], needed, foresight.fleets.ready).astype(np.float32)
    return replace(
        foresight,
        scale=np.where(is_new, terms.unit, foresight.scale),
        fleets=replace(foresight.fleets, ready=ready),
        mixture=mixture.started(foresight.mixture, mixture.prior(terms.penalty)),
    )


def _newest(foresight: Foresight, block: DemandBlock) -> features.Series:
    """Return the series of the newest buckets; the seasons count the last one only if it is complete."""
    day = foresight.grid.buckets_per_day
    recent = block.demand[:, -features.window_buckets(day) :]
    past = foresight.seasons
    if block.end_index != foresight.end_index:
        past = seasons.advance(past, recent, foresight.scale, block.end_index)
    return seasons.newest_window(past, recent, foresight.scale, block.end_index)


def _refitted(foresight: Foresight, block: DemandBlock, terms: Terms, *, at_once: bool) -> fits.Fits:
    """Return the fits with those renewed that are due, or all if `at_once`; rows with equal needs go together."""
    day = foresight.grid.buckets_per_day
    needed = fits.knots_for(_reach(foresight, terms), day)
    is_old_enough = foresight.seen >= fits.LEAST_DAYS * day + np.asarray(fits.KNOTS)[needed - 1]
    if at_once:
        chosen = np.flatnonzero(is_old_enough)
    else:
        chosen = fits.due(foresight.fits, needed, is_old_enough, block.end_index)
    result = foresight.fits
    for count in np.unique(needed[chosen]):
        alike = chosen[needed[chosen] == count]
        for start in range(0, len(alike), _ROWS_AT_ONCE):
            chunk = alike[start : start + _ROWS_AT_ONCE]
            past = seasons.whole_past(block.demand[chunk], foresight.scale[chunk], day)
            result = fits.renew(result, chunk, past, int(count), block.end_index)
    return result


def _sight(foresight: Foresight, newest: features.Series, bands: Floats, terms: Terms) -> Sight:
    """Ask every expert; a forecast that is silent says the last value and is not listened to."""
    reach = _reach(foresight, terms)
    logs = fits.quantiles(foresight.fits, newest, reach)
    last = np.expm1(newest.log[:, -experts.RULE_WINDOWS[-1] :]) * foresight.scale[:, None]
    forecast = np.where(np.isnan(logs), last[:, -1, None, None], np.expm1(logs) * foresight.scale[:, None, None])
    shape = (len(last), experts.TABLE.size)
    order, keep = np.empty(shape), np.empty(shape)
    leads = _leads(foresight, terms)
    for lead in np.unique(leads):
        alike = np.flatnonzero(leads == lead)
        order[alike], keep[alike] = experts.levels(forecast[alike], last[alike], int(lead))
    return Sight(order, keep, _is_live(foresight, terms), np.asarray(newest.known.any(axis=1)), logs, bands)


def _levels(foresight: Foresight, sight: Sight, terms: Terms) -> Levels:
    """Blend what the experts want; a serving of which nothing was measured for a day has no level at all: NaN."""
    weights = np.where(sight.is_live, foresight.mixture.weights, 0.0)
    weights = weights / weights.sum(axis=1, keepdims=True)
    by_forecast = ~experts.TABLE.is_rule
    forecast_share = weights[:, by_forecast].sum(axis=1)
    tau = (weights[:, by_forecast] * experts.TABLE.order_tau[by_forecast]).sum(axis=1) / np.maximum(
        forecast_share, 1e-9
    )
    leads = _leads(foresight, terms)
    logs = np.empty((len(leads), 3))
    for lead in np.unique(leads):
        alike = leads == lead
        logs[alike] = band.at_horizon(sight.bands, int(lead) + 1)[alike]
    is_unknown = np.where(sight.is_seen, 0.0, np.nan)
    edges = np.expm1(logs) * foresight.scale[:, None] + is_unknown[:, None]
    near = sight.bands[0]
    upper = near[:, 1] + _BROKEN * (near[:, 2] - near[:, 1])
    return Levels(
        order=mixture.blend(foresight.mixture, sight.order, sight.is_live) + is_unknown,
        keep=mixture.blend(foresight.mixture, sight.keep, sight.is_live) + is_unknown,
        upper=np.expm1(upper) * foresight.scale + is_unknown,
        quantile=np.where(forecast_share > 0.5, tau, np.nan),
        low=np.maximum(edges[:, 0], 0.0),
        median=edges[:, 1],
        high=edges[:, 2],
        is_reactive=(foresight.seen < _LEAST_BUCKETS) | ~sight.is_seen,
    )


def _is_live(foresight: Foresight, terms: Terms) -> NDArray[np.bool_]:
    """Return which experts can speak, (servings, experts): rules always, forecasts with all their regressions."""
    day = foresight.grid.buckets_per_day
    needed = fits.knots_for(_reach(foresight, terms), day)
    fitted = ~np.isnan(foresight.fits.beta[np.arange(len(needed)), needed - 1, 0, 0])
    return np.asarray(fitted[:, None] | experts.TABLE.is_rule)


def _leads(foresight: Foresight, terms: Terms) -> NDArray[np.int64]:
    """Return the leads, none beyond what a forecast from days can reach."""
    return np.minimum(terms.lead_buckets, features.furthest(foresight.grid.buckets_per_day))


def _reach(foresight: Foresight, terms: Terms) -> NDArray[np.int64]:
    return experts.reach(_leads(foresight, terms))


def _weekdays(foresight: Foresight, block: DemandBlock) -> dict[int, tuple[Floats, Floats]]:
    """Return the weekday's profile now and at each horizon of the band."""
    day = foresight.grid.buckets_per_day
    now = weekday_profile(block.demand, foresight.scale, day, 0)
    return {
        horizon: (now, weekday_profile(block.demand, foresight.scale, day, horizon)) for horizon in band.BAND_HORIZONS
    }


def _without(block: DemandBlock, newest: int) -> DemandBlock:
    """Return the block as it was `newest` buckets ago."""
    if newest == 0:
        return block
    return DemandBlock(block.demand[:, : block.demand.shape[1] - newest], block.grid, block.end_index - newest)
