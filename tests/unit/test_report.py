"""From a run to its numbers and its picture: definitions of the report, checked on hand-made runs."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from baseload.lab.demo_record import DecisionRecord, Objective, PodLife, Run, WantedStep, Writes
from baseload.lab.load_results import RequestResult
from baseload.lab.report import replica_seconds, report_of, table_of
from baseload.lab.schedule import clairvoyant
from baseload.lab.timeline import chart_of, write_timeline

OBJECTIVE = Objective(1.0, 0.05, 0.95)
LOADS = (0.5,) * 10 + (1.5,) * 10


def a_request(at: float, first: float, between: float | None, error: str | None = None) -> RequestResult:
    """One request as the load generator records it, latencies in seconds."""
    done = None if error else 5.0
    return RequestResult(at, at, 100, 20, "10.64.0.2:8000", 200, error, 20, first, between, done)


def a_run() -> Run:
    """Four requests, two replicas, one decision, over twenty seconds."""
    return Run(
        trace="steps.csv",
        policy="baseload",
        engine="emulated",
        seed=1,
        speed=10.0,
        objective=OBJECTIVE,
        capacity_rps=4.0,
        start_up_seconds=4.0,
        loads=LOADS,
        schedule=clairvoyant(LOADS, 4.0),
        requests=(
            a_request(1.0, first=0.2, between=0.03),
            a_request(6.0, first=0.4, between=0.06),
            a_request(12.0, first=1.2, between=None),
            a_request(18.0, first=0.3, between=0.03, error="HTTP 500"),
        ),
        loop_lag_ms_p99=3.0,
        pods=(PodLife("a", -30.0, -6.0), PodLife("b", 8.0, 12.0, 19.0)),
        wanted=(WantedStep(0.0, 1), WantedStep(8.0, 2), WantedStep(18.5, 1)),
        decisions=(DecisionRecord(8.0, 1, 2, "DemandRose", "demand expected needs 2"),),
        writes=Writes(scale=2, status=3, events=2, scale_times_seconds=(8.1, 18.5)),
        breach_to_write_seconds=(2.5,),
    )


def test_the_report_has_every_key_and_counts_by_the_definitions() -> None:
    """Within is completed with both latencies under target; cost is from creation to gone inside the span."""
    report = report_of(a_run())
    assert report["valid"] is True
    assert report["requests"] == {"total": 4, "completed": 3, "failed": 1, "within_objective": 1}
    assert report["attainment"] == 0.25
    assert report["ttft_ms"] == {"p50": 400.0, "p95": 1200.0, "p99": 1200.0}
    assert report["replicas"] == {
        "min": 1,
        "max": 2,
        "replica_seconds": 20 + 11,
        "clairvoyant_replica_seconds": 20 + 14,
        "static_peak_replica_seconds": 40,
        "ratio_to_clairvoyant": round(31 / 34, 4),
    }
    assert report["writes"] == {"scale": 2, "status": 3, "events": 2}
    assert report["decisions"][0]["reason"] == "DemandRose"
    assert report["breach_to_write_seconds"] == [2.5]
    json.dumps(report)


def test_a_run_with_faults_is_invalid_and_says_why() -> None:
    """The reason stands in the report and in the table."""
    report = report_of(replace(a_run(), faults=("lag p99 is 80.0 ms",)))
    assert report["valid"] is False
    console = Console(record=True, width=160)
    console.print(table_of(report))
    assert "INVALID: lag p99 is 80.0 ms" in console.export_text()


def test_a_run_without_requests_has_no_attainment() -> None:
    """Nothing asked is not zero attainment."""
    report = report_of(replace(a_run(), requests=(), decisions=()))
    assert report["attainment"] is None
    assert report["ttft_ms"] == {"p50": None, "p95": None, "p99": None}
    table_of(report)
    chart_of(replace(a_run(), requests=(), decisions=())).to_dict()


@pytest.mark.parametrize(
    ("pod", "expected"),
    [
        (PodLife("before and after", -5.0, 1.0, 200.0), 100.0),
        (PodLife("inside", 10.0, 30.0, 60.0), 50.0),
        (PodLife("never gone", 90.0), 10.0),
        (PodLife("after the end", 120.0), 0.0),
        (PodLife("gone before", -50.0, -20.0, -1.0), 0.0),
    ],
)
def test_replica_seconds_are_cut_to_the_span(pod: PodLife, expected: float) -> None:
    """Only what was paid between the first and the last second counts."""
    assert replica_seconds([pod], 100.0) == expected


def test_the_page_is_complete_in_itself(tmp_path: Path) -> None:
    """The picture is a PNG and the page loads nothing from anywhere."""
    picture, page = write_timeline(a_run(), tmp_path)
    assert picture.read_bytes().startswith(b"\x89PNG")
    text = page.read_text()
    assert '<script src="' not in text
    assert "DemandRose" in text
