"""From a run to its numbers: report.json and the table on the terminal."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from rich.table import Table

from baseload.lab.demo_record import PodLife, Run
from baseload.lab.load_results import quantile


def report_of(run: Run) -> dict[str, Any]:
    """Return the content of report.json; every key of the run's result, shares in 0..1, times in the unit named."""
    objective = run.objective
    return {
        "valid": not run.faults,
        "faults": list(run.faults),
        "trace": run.trace,
        "policy": run.policy,
        "hpa": None if run.hpa is None else asdict(run.hpa),
        "engine": run.engine,
        "seed": run.seed,
        "speed": run.speed,
        "duration_seconds": run.seconds,
        "start_up_seconds": round(run.start_up_seconds, 3),
        "capacity_rps": round(run.capacity_rps, 3),
        "objective": {
            "ttft_ms": 1000 * objective.time_to_first_token_seconds,
            "itl_ms": 1000 * objective.inter_token_seconds,
            "attainment": objective.attainment,
        },
        "loop_lag_ms_p99": round(run.loop_lag_ms_p99, 2),
        **_service_of(run),
        "replicas": _replicas_of(run),
        "decisions": [asdict(decision) for decision in run.decisions],
        "writes": {"scale": run.writes.scale, "status": run.writes.status, "events": run.writes.events},
        "breach_to_write_seconds": [round(seconds, 2) for seconds in run.breach_to_write_seconds],
    }


def _service_of(run: Run) -> dict[str, Any]:
    """What the users got: requests by how they ended, the share inside the objective, times to the first token."""
    requests, latencies = run.requests, run.objective.latencies
    completed = [request for request in requests if request.completed]
    within = sum(request.within(latencies) for request in requests)
    first = [1000 * r.time_to_first_token_seconds for r in completed if r.time_to_first_token_seconds is not None]
    return {
        "requests": {
            "total": len(requests),
            "completed": len(completed),
            "failed": len(requests) - len(completed),
            "within_objective": within,
        },
        "attainment": round(within / len(requests), 5) if requests else None,
        "ttft_ms": {name: _rounded(quantile(first, q)) for name, q in (("p50", 0.5), ("p95", 0.95), ("p99", 0.99))},
    }


def _replicas_of(run: Run) -> dict[str, Any]:
    """What was paid, beside what a clairvoyant and a fixed number would have paid."""
    counts = [step.replicas for step in run.wanted]
    paid, bound = replica_seconds(run.pods, run.seconds), run.schedule.replica_seconds
    return {
        "min": min(counts, default=0),
        "max": max(counts, default=0),
        "replica_seconds": round(paid, 1),
        "clairvoyant_replica_seconds": bound,
        "static_peak_replica_seconds": run.schedule.static_peak_replica_seconds,
        "ratio_to_clairvoyant": round(paid / bound, 4) if bound else None,
    }


def replica_seconds(pods: Sequence[PodLife], seconds: float) -> float:
    """Return the replica-seconds paid inside [0, seconds]: each pod from its creation until it is gone."""
    total = 0.0
    for pod in pods:
        end = seconds if pod.gone_seconds is None else min(pod.gone_seconds, seconds)
        total += max(end - max(pod.created_seconds, 0.0), 0.0)
    return total


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 1)


def table_of(report: dict[str, Any]) -> Table:
    """Return the result as a table: what was asked, what was reached, what it cost beside the bounds."""
    table = Table(title=f"{report['policy']} on {report['trace']}", title_justify="left", show_header=False)
    table.add_column(style="bold")
    table.add_column(justify="right")
    table.add_column(style="dim")
    objective, requests, replicas = report["objective"], report["requests"], report["replicas"]
    attained = report["attainment"]
    reached = attained is not None and attained >= objective["attainment"]
    rule = f"objective {objective['attainment']:.0%} with first token <= {objective['ttft_ms']:.0f} ms"
    rule += f" and mean gap <= {objective['itl_ms']:.0f} ms"
    shown = "-" if attained is None else f"[{'green' if reached else 'red'}]{attained:.2%}[/]"
    table.add_row("attainment", shown, rule)
    table.add_row("requests", f"{requests['total']:,}", f"{requests['failed']} failed")
    times = " / ".join("-" if value is None else f"{value:.0f}" for value in report["ttft_ms"].values())
    table.add_row("time to first token", times, "p50 / p95 / p99 in ms")
    table.add_row("replicas", f"{replicas['min']} to {replicas['max']}", f"start-up {report['start_up_seconds']:.0f} s")
    for label, key in (
        ("replica-seconds", "replica_seconds"),
        ("  clairvoyant", "clairvoyant_replica_seconds"),
        ("  static peak", "static_peak_replica_seconds"),
    ):
        table.add_row(label, f"{replicas[key]:,.0f}", _times(replicas[key], replicas["clairvoyant_replica_seconds"]))
    writes = report["writes"]
    table.add_row("API writes", f"{writes['scale']}", f"to scale; {writes['status']} status, {writes['events']} events")
    breaches = report["breach_to_write_seconds"]
    if breaches:
        table.add_row("breach to scale write", f"{max(breaches):.1f} s", f"longest of {len(breaches)}")
    lag = f"p99 {report['loop_lag_ms_p99']:.1f} ms"
    table.add_row("load generator lag", lag, "" if report["valid"] else "[red]INVALID: " + "; ".join(report["faults"]))
    return table


def _times(value: float, bound: float) -> str:
    return f"{value / bound:.2f} x the clairvoyant schedule" if bound else ""
