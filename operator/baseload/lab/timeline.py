"""The picture of a run: demand against replicas, latency and attainment against their objectives, and decisions."""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, Final

import altair as alt

from baseload.lab.demo_record import Run
from baseload.lab.load_results import RequestResult, quantile
from baseload.lab.report import report_of
from baseload.sim.report.style import BAD, BOUND, DEMAND, GOOD, INK, REPLICAS, panel, rows, stacked, titled, write

_WINDOW_SECONDS: Final = 5
_COLORS: Final = {
    "demand": DEMAND,
    "wanted": "#e07b00",
    "ready": REPLICAS,
    "clairvoyant": BOUND,
    "first token p95": "#6c3fa0",
    "attainment": GOOD,
}
_TICKS_MS: Final = [factor * 10**power for power in range(1, 6) for factor in (1, 2, 5)]
# At most this many labels stand side by side before the next row is used.
_LABEL_ROWS: Final = 4


def chart_of(run: Run) -> alt.VConcatChart:
    """Return the Altair chart of a run."""
    time = alt.X("t:Q", title=None, axis=alt.Axis(labels=False, ticks=False), scale=_span(run))
    panels = [_replicas(run, time), _decisions(run, time), _latency(run, time), _attainment(run)]
    return stacked([shown for shown in panels if shown is not None], _title(run))


def write_timeline(run: Run, directory: Path) -> tuple[Path, Path]:
    """Write timeline.png and timeline.html into `directory` and return their paths."""
    return write(chart_of(run), directory, "timeline")


def _title(run: Run) -> alt.TitleParams:
    report = report_of(run)
    replicas, objective = report["replicas"], run.objective
    ratio = replicas["ratio_to_clairvoyant"]
    attained = report["attainment"]
    first = "no requests" if attained is None else f"{attained:.1%} of {report['requests']['total']:,} requests"
    first += f" had their first token in {objective.time_to_first_token_seconds:g} s"
    first += f" and a mean gap of at most {1000 * objective.inter_token_seconds:.0f} ms"
    first += f" (objective {objective.attainment:.0%}); {report['requests']['failed']} failed"
    second = f"{replicas['replica_seconds']:,.0f} replica-seconds paid"
    if ratio:
        static = replicas["static_peak_replica_seconds"] / replicas["clairvoyant_replica_seconds"]
        second += f", {ratio:.2f} x the clairvoyant schedule (static peak {static:.2f} x)"
    second += f"; a replica takes {run.start_up_seconds:.0f} s to start"
    name = "Baseload" if run.policy == "baseload" else run.policy
    return titled(f"{name} on the demand of {run.trace}", [first, second])


def _span(run: Run) -> alt.Scale:
    return alt.Scale(domain=[0, run.seconds], nice=False)


def _color(names: Sequence[str]) -> alt.Color:
    scale = alt.Scale(domain=list(names), range=[_COLORS[name] for name in names])
    return alt.Color("series:N", scale=scale, legend=alt.Legend(title=None, orient="top-left", fillColor="#ffffffcc"))


def _replicas(run: Run, time: alt.X) -> alt.LayerChart:
    names = ["demand", "wanted", "ready", "clairvoyant"]
    color = _color(names)
    scale = alt.Scale(domain=[0, _highest(run) + 1], nice=False)
    value = alt.Y("value:Q", title="replicas", scale=scale, axis=alt.Axis(tickMinStep=1, format="d"))
    tips = [alt.Tooltip("series:N"), alt.Tooltip("t:Q", title="second"), alt.Tooltip("value:Q", format=".2f")]
    demand = alt.Chart(rows(_per_second(run, "demand", run.loads))).mark_area(opacity=0.75)
    lines = {
        "clairvoyant": run.schedule.paid,
        "wanted": _wanted(run),
        "ready": [sum(pod.serves_at(second + 0.5) for pod in run.pods) for second in range(run.seconds)],
    }
    drawn = [demand.encode(x=time, y=value, color=color, tooltip=tips)]
    for name, values in lines.items():
        dash = [5, 3] if name == "clairvoyant" else [1, 0]
        line = alt.Chart(rows(_per_second(run, name, values)))
        line = line.mark_line(interpolate="step-after", strokeDash=dash, strokeWidth=2 if name != "ready" else 3)
        drawn.append(line.encode(x=time, y=value, color=color, tooltip=tips))
    return panel(drawn, 230)


def _highest(run: Run) -> int:
    counts = [*run.schedule.paid, *(step.replicas for step in run.wanted)]
    return max(counts, default=1)


def _wanted(run: Run) -> list[int]:
    values = []
    for second in range(run.seconds):
        before = [step.replicas for step in run.wanted if step.time_seconds <= second + 0.5]
        values.append(before[-1] if before else run.wanted[0].replicas if run.wanted else 0)
    return values


def _decisions(run: Run, time: alt.X) -> alt.LayerChart | None:
    inside = [decision for decision in run.decisions if 0 <= decision.time_seconds <= run.seconds]
    if not inside:
        return None
    values = []
    for number, decision in enumerate(inside):
        # Whether demand rose or fell is seen; any other reason is worth its word.
        word = "" if decision.reason.startswith("Demand") else f" {decision.reason}"
        label = f"{decision.replicas_from}→{decision.replicas_to}{word}"
        side = "left" if decision.time_seconds < 0.85 * run.seconds else "right"
        row = {"t": decision.time_seconds, "row": number % _LABEL_ROWS, "label": label, "message": decision.message}
        values.append({**row, "side": side, "reason": decision.reason})
    tips = [
        alt.Tooltip("label:N"),
        alt.Tooltip("reason:N"),
        alt.Tooltip("t:Q", title="second", format=".1f"),
        alt.Tooltip("message:N"),
    ]
    place = alt.Y("row:O", axis=None, scale=alt.Scale(domain=list(range(_LABEL_ROWS))))
    base = alt.Chart(rows(values)).encode(x=time, y=place, tooltip=tips)
    layers = [base.mark_point(shape="triangle-right", filled=True, size=50, color=_COLORS["wanted"], opacity=1)]
    left = base.transform_filter(alt.datum.side == "left").mark_text(align="left", dx=6, fontSize=10.5, color=INK)
    right = base.transform_filter(alt.datum.side == "right").mark_text(align="right", dx=-6, fontSize=10.5, color=INK)
    layers += [left.encode(text="label:N"), right.encode(text="label:N")]
    return panel(layers, 16 * _LABEL_ROWS)


def _latency(run: Run, time: alt.X) -> alt.LayerChart:
    objective_ms = 1000 * run.objective.time_to_first_token_seconds
    windows = _windows(run, _first_token_p95_ms)
    highest = max([objective_ms, *(row["value"] for row in windows)])
    # A linear axis would show nothing but the worst second.
    lowest, highest = min(50.0, objective_ms / 4), highest * 1.2
    scale = alt.Scale(type="log", domain=[lowest, highest], nice=False, clamp=True)
    ticks = alt.Axis(values=[tick for tick in _TICKS_MS if lowest <= tick <= highest], format="~s")
    value = alt.Y("value:Q", title="first token p95, ms", scale=scale, axis=ticks)
    line = alt.Chart(rows(windows)).mark_line(strokeWidth=2, color=_COLORS["first token p95"], interpolate="monotone")
    tips = [alt.Tooltip("t:Q", title="second"), alt.Tooltip("value:Q", title="p95, ms", format=".0f")]
    drawn = line.encode(x=time, y=value, tooltip=tips)
    return panel([_rule(objective_ms, value), drawn], 110)


def _attainment(run: Run) -> alt.LayerChart:
    latencies = run.objective.latencies
    windows = _windows(run, lambda requests: 100 * sum(r.within(latencies) for r in requests) / len(requests))
    time = alt.X("t:Q", title="seconds", scale=_span(run))
    value = alt.Y("value:Q", title="attainment, %", scale=alt.Scale(domain=[0, 102], nice=False))
    line = alt.Chart(rows(windows)).mark_line(strokeWidth=2, color=_COLORS["attainment"], interpolate="monotone")
    tips = [alt.Tooltip("t:Q", title="second"), alt.Tooltip("value:Q", title="attainment, %", format=".1f")]
    drawn = line.encode(x=time, y=value, tooltip=tips)
    return panel([_rule(100 * run.objective.attainment, value), drawn], 110)


def _rule(value: float, axis: alt.Y) -> alt.Chart:
    chart = alt.Chart(rows([{"value": value}])).mark_rule(color=BAD, strokeDash=[6, 3], strokeWidth=1.5)
    rule: alt.Chart = chart.encode(y=axis)
    return rule


def _first_token_p95_ms(requests: Sequence[RequestResult]) -> float | None:
    values = [r.time_to_first_token_seconds for r in requests if r.time_to_first_token_seconds is not None]
    found = quantile(values, 0.95)
    return None if found is None else 1000 * found


def _windows(run: Run, measure: Callable[[list[RequestResult]], float | None]) -> list[dict[str, Any]]:
    """Return one row for each window of arrivals that has requests, at the middle of the window."""
    groups: dict[int, list[RequestResult]] = {}
    for request in run.requests:
        groups.setdefault(int(request.scheduled_seconds // _WINDOW_SECONDS), []).append(request)
    found = []
    for number in sorted(groups):
        value = measure(groups[number])
        if value is not None:
            found.append({"t": (number + 0.5) * _WINDOW_SECONDS, "value": round(value, 2)})
    return found


def _per_second(run: Run, name: str, values: Iterable[float]) -> list[dict[str, Any]]:
    steps = [{"t": second, "series": name, "value": round(value, 3)} for second, value in enumerate(values)]
    # A step reaches to the end of its second.
    return [*steps, {**steps[-1], "t": run.seconds}] if steps else steps
