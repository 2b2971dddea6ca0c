"""The picture of a backtest: what each policy cost beside how well it served, and its replicas over the demand."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import altair as alt
import numpy as np

from baseload.sim.case import Case, FloatArray, Trajectory
from baseload.sim.money import Money
from baseload.sim.report.style import BAD, BOUND, DEMAND, INK, REPLICAS, panel, rows, stacked, titled
from baseload.sim.score import OBJECTIVE, Score

_MOST_POINTS: Final = 1500
_DAY_SECONDS: Final = 86_400.0
_PARTS: Final = {"replicas": REPLICAS, "missing replicas": "#e8a13a"}


def chart_of(
    case: Case, scores: Sequence[Score], trajectories: Mapping[str, Trajectory], money: Money
) -> alt.VConcatChart:
    """Return the Altair chart of a backtest; several servings are drawn as their sum."""
    hours = case.step_seconds / 3600.0
    missing = {name: case.penalty * float(run.unserved.sum()) * hours for name, run in trajectories.items()}
    drawn = [_costs(scores, missing, money)]
    span = alt.Scale(domain=[0, case.world.shape[1] * case.step_seconds / _DAY_SECONDS], nice=False)
    # One scale for all, so that heights can be compared.
    ready = {name: run.ready.sum(axis=(0, 2)).astype(np.float64) for name, run in trajectories.items()}
    top = 1.08 * max(float(values.max()) for values in (case.world.sum(axis=0), *ready.values()))
    for number, score in enumerate(scores, start=1):
        last = number == len(scores)
        axis = alt.Axis(labels=last, ticks=last, format="d", tickMinStep=1)
        time = alt.X("t:Q", title="days" if last else None, scale=span, axis=axis)
        drawn.append(_replicas(case, score.policy, ready[score.policy], (time, top)))
    return stacked(drawn, _title(case, scores, money))


def _title(case: Case, scores: Sequence[Score], money: Money) -> alt.TitleParams:
    leads = ", ".join(f"{pool.name} {pool.lead.p50_seconds / 60:g} min" for pool in case.pools)
    bound = money.of(scores[0].bound) if scores else ""
    first = f"The least it could have cost is {bound}" + ("" if money.unit == "$" else " replica-hours")
    first += f"; a missing replica costs {case.penalty:g} times its price; lead: {leads}"
    second = f"in time: share of the work in steps without a missing replica; marked where it is below {OBJECTIVE:.0%}"
    return titled(f"Policies on the demand of {case.name}", [first, second])


def _costs(scores: Sequence[Score], missing: Mapping[str, float], money: Money) -> alt.LayerChart:
    values: list[dict[str, Any]] = []
    labels: list[dict[str, Any]] = []
    for score in scores:
        short = missing[score.policy]
        parts = dict(zip(_PARTS, (score.cost - short, short), strict=True))
        values += [
            {"policy": score.policy, "part": name, "order": place, "cost": round(cost * money.per_replica_hour, 2)}
            for place, (name, cost) in enumerate(parts.items())
        ]
        text = f"{money.of(score.cost)} · {score.ratio:.2f} x · {score.attainment:.1%} in time"
        low = score.attainment < OBJECTIVE
        text += " · saves by missing the objective" if score.saves_by_missing else " · misses the objective" * low
        labels.append(
            {"policy": score.policy, "cost": score.cost * money.per_replica_hour, "label": text, "low": int(low)}
        )
    names = [score.policy for score in scores]
    # Labels stand behind the bars, so the axis leaves room for the longest.
    top = 1.75 * max((label["cost"] for label in labels), default=1.0)
    policy = alt.Y("policy:N", sort=names, title=None, axis=alt.Axis(labelFontSize=12))
    cost = alt.X("cost:Q", title=f"cost, {money.unit}", stack="zero", scale=alt.Scale(domain=[0, top], nice=False))
    color = alt.Color(
        "part:N",
        scale=alt.Scale(domain=list(_PARTS), range=list(_PARTS.values())),
        legend=alt.Legend(title=None, orient="top", symbolSize=100),
    )
    bars = alt.Chart(rows(values)).mark_bar(height=15).encode(y=policy, x=cost, color=color, order="order:Q")
    ink = alt.condition("datum.low", alt.value(BAD), alt.value(INK))
    text = alt.Chart(rows(labels)).mark_text(align="left", dx=6, fontSize=11)
    words = text.encode(y=policy, x=alt.X("cost:Q"), text="label:N", color=ink)
    least = [{"cost": scores[0].bound * money.per_replica_hour}] if scores else []
    rule = alt.Chart(rows(least)).mark_rule(color=BOUND, strokeDash=[5, 3], strokeWidth=1.5).encode(x="cost:Q")
    return panel([bars, rule, words], 24 * len(names) + 10)


def _replicas(case: Case, policy: str, ready: FloatArray, scales: tuple[alt.X, float]) -> alt.LayerChart:
    time, top = scales
    title = alt.Y("value:Q", title=policy, scale=alt.Scale(domain=[0, top], nice=False), axis=_axis())
    area = alt.Chart(_points(case, case.world.sum(axis=0))).mark_area(opacity=0.9, color=DEMAND)
    line = alt.Chart(_points(case, ready)).mark_line(interpolate="step-after", strokeWidth=1.5, color=REPLICAS)
    return panel([area.encode(x=time, y=title), line.encode(x=time, y=title)], 74)


def _axis() -> alt.Axis:
    return alt.Axis(tickCount=3, titleAngle=0, titleAlign="right", titleX=-32, titleFontSize=11, titleFontWeight="bold")


def _points(case: Case, values: FloatArray) -> alt.Data:
    """Return at most 1500 points; where there are more, the highest of each group, so that no peak is lost."""
    group = max(-(-len(values) // _MOST_POINTS), 1)
    edges = np.arange(0, len(values), group)
    days = edges * case.step_seconds / _DAY_SECONDS
    highest = np.maximum.reduceat(values, edges)
    points = zip(days.round(4).tolist(), highest.round(2).tolist(), strict=True)
    return rows([{"t": day, "value": value} for day, value in points])
