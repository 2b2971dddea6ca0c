"""The planner in an operator process: a day that history knows is prepared for before it comes."""

import json
import time
from pathlib import Path
from typing import Any

from fake_prometheus import FakePrometheus, Load
from operator_lab import OperatorProcess, View, deployment, install, serving, wait_until

from baseload.lab.cluster import Lab

BUCKET_SECONDS, BUCKETS_PER_DAY, DAYS = 2, 48, 15
RAMP_AFTER_SECONDS = 36
LOW, HIGH = 100.0, 1000.0
"""Tokens a second: what one replica of the fake engine serves, and what takes about five."""


def write_history(path: Path, namespace: str, ramp: float) -> None:
    """Days of 96 s of which a quarter is high, beginning at `ramp`, up to now."""
    now, day = int(time.time()), BUCKET_SECONDS * BUCKETS_PER_DAY
    rows = []
    for at in range(now - DAYS * day, now, BUCKET_SECONDS):
        is_high = (at - ramp) % day < day / 4
        row = {"namespace": namespace, "name": "chat", "t_seconds": at, "tokens_per_second": HIGH if is_high else LOW}
        rows.append(json.dumps(row))
    path.write_text("\n".join(rows))


def test_a_ramp_that_history_knows_is_prepared_for(lab: Lab, namespace: str, tmp_path: Path) -> None:
    """Replicas are ordered by the forecast while the load is still low, and the status and `why` say by which."""
    install(lab)
    view = View(lab, namespace)
    with FakePrometheus() as prometheus:
        prometheus.loads[namespace, "Deployment/chat"] = Load()
        lab.apply(deployment(namespace, "chat"), serving(namespace, "chat"))
        write_history(tmp_path / "history.jsonl", namespace, time.time() + RAMP_AFTER_SECONDS)
        options = ["--no-leader-elect", "--history", str(tmp_path / "history.jsonl"), "--planner-seconds", "1"]
        options += ["--bucket-seconds", str(BUCKET_SECONDS), "--buckets-per-day", str(BUCKETS_PER_DAY)]
        operator = OperatorProcess(lab, prometheus.url, "operator-planner", port=8096, options=options)
        operator.start()
        try:
            # The load never rises: whatever is ordered is ordered for what history says.
            rose = wait_until(lambda: rise(view), "an order by the forecast", 120.0)
            metrics = operator.answer("/metrics")[1]
        finally:
            assert operator.stop() == 0
    assert rose["to"] >= 3
    forecast = view.status("chat")["lastDecision"]["forecast"]
    assert forecast["answeredBy"] == "Mixture"
    assert forecast["horizonSeconds"] % BUCKET_SECONDS == 0
    assert "\nbaseload_servings_planned 1.0" in metrics
    assert any(line["message"] == "history is there" for line in operator.log_lines())


def rise(view: View) -> dict[str, Any] | None:
    """The change of the number that the forecast asked for."""
    rows = view.status("chat").get("history", ())
    return next((row for row in rows if row["reason"] == "ForecastRose"), None)
