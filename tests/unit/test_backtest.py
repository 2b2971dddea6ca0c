"""`baseload backtest`: its answer, files and refusals; pools as an admin writes them become pools of a replay."""

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from baseload.cli._manifests import read_manifests
from baseload.cli.main import cli
from baseload.errors import ConfigError
from baseload.sim.bound import clairvoyant
from baseload.sim.case import Case, Lead, SimPool, Trajectory
from baseload.sim.money import Money
from baseload.sim.pools import has_prices, sim_pools
from baseload.sim.protocol import Protocol, under
from baseload.sim.report.backtest_chart import chart_of
from baseload.sim.score import score

POOL = """
apiVersion: baseload.dev/v1alpha1
kind: CapacityPool
metadata: {name: NAME}
spec:
  provider: {static: {}}
  nodeSelector: {a: b}
  accelerator: {resource: nvidia.com/gpu, product: H100, perNode: 8}
"""
PRICED = (
    POOL
    + """  cost: {hourly: "16", per: Node, avoidableHourly: "8", minBillingSeconds: 60}
  leadTime: {p50Seconds: 420, p95Seconds: 900}
  hold: {minimumSeconds: 300}
  limits: {minNodes: 0, maxNodes: 3}
"""
)
KEYS = {
    "policy",
    "trace",
    "lead_minutes",
    "cost",
    "bound",
    "ratio",
    "attainment",
    "short_steps_share",
    "unserved_share",
    "replica_hours",
    "scale_events",
}


def waves(directory: Path) -> Path:
    """Two days of demand that doubles and halves, an hour of it not measured."""
    rows = "".join(f"{600 * t}," + ("" if 60 <= t < 66 else f"{3 + np.sin(t / 23):.4f}") + "\n" for t in range(288))
    path = directory / "waves.csv"
    path.write_text("t_seconds,requests_per_second\n" + rows)
    return path


def run(*arguments: object) -> Result:
    """Run the command in this process."""
    return CliRunner().invoke(cli, ["backtest", *(str(argument) for argument in arguments)])


def test_results_stand_in_the_table_and_in_the_file(tmp_path: Path) -> None:
    """Attainment stands beside every cost, and the JSON has every key for every policy."""
    out = tmp_path / "new" / "out.json"
    arguments = ["--trace", waves(tmp_path), "--policies", "static-peak, hpa", "--lead-minutes", "30", "--json", out]
    result = run(*arguments, "--penalty", "50", "--replica-share", "0.1")
    assert result.exit_code == 0, result.output
    assert "static-peak" in result.output
    assert "in time" in result.output
    assert "10.0 replicas' worth of demand" in result.output
    results = json.loads(out.read_text())["results"]
    assert [row["policy"] for row in results] == ["static-peak", "hpa"]
    for row in results:
        assert row.keys() >= KEYS
        assert (row["trace"], row["lead_minutes"], row["penalty"]) == ("waves.csv", 30.0, 50.0)
        assert row["ratio"] == pytest.approx(row["cost"] / row["bound"], rel=1e-3)
        assert 0 <= row["attainment"] <= 1


def test_the_report_is_a_page_and_a_picture(tmp_path: Path) -> None:
    """The page works without a network; both show each policy."""
    report = tmp_path / "report"
    result = run("--trace", waves(tmp_path), "--policies", "hpa", "--report", report)
    assert result.exit_code == 0, result.output
    assert (report / "backtest.png").read_bytes().startswith(b"\x89PNG")
    page = (report / "backtest.html").read_text()
    assert "hpa" in page
    assert "cdn.jsdelivr.net" not in page


def test_the_demo_answers_in_dollars(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A synthetic week needs no file, and its picture lies below the folder one is in."""
    monkeypatch.chdir(tmp_path)
    result = run("--demo", "--policies", "hpa")
    assert result.exit_code == 0, result.output
    assert "$" in result.output
    assert Path("build/backtest/backtest.png").exists()


def test_prices_of_pools_make_dollars(tmp_path: Path) -> None:
    """What counts of a node's price is the avoidable part, by accelerator."""
    pools = tmp_path / "pools.yaml"
    pools.write_text(PRICED.replace("maxNodes: 3", "maxNodes: 9"))
    result = run("--trace", waves(tmp_path), "--policies", "static-peak", "--pools", pools)
    assert result.exit_code == 0, result.output
    assert "$" in result.output


def test_a_faster_and_dearer_pool_is_used_beside_the_first(tmp_path: Path) -> None:
    """With a base that takes half an hour and a burst of two minutes Baseload costs less than with the base alone."""
    pools, alone = tmp_path / "pools.yaml", tmp_path / "alone.yaml"
    base = PRICED.replace("420", "1800").replace("900", "1800").replace("maxNodes: 3", "maxNodes: 90")
    burst = base.replace("NAME", "burst").replace("1800", "120").replace(', avoidableHourly: "8"', "")
    pools.write_text(f"{base}---\n{burst}")
    alone.write_text(base)
    costs = []
    for file in (pools, alone):
        out = tmp_path / "out.json"
        result = run("--trace", waves(tmp_path), "--policies", "baseload", "--pools", file, "--json", out)
        assert result.exit_code == 0, result.output
        costs.append(json.loads(out.read_text())["results"][0]["cost"])
    assert costs[0] < costs[1]


def test_numbers_that_make_no_sense_are_refused() -> None:
    """A replay needs a penalty, a step, a lead and a share above nothing."""
    for option in ("--penalty", "--step-minutes", "--lead-minutes", "--replica-share"):
        result = run("--demo", option, "0")
        assert result.exit_code == 2
        assert f"Invalid value for '{option}'" in result.output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "give either --trace FILE or --demo"),
        (["--demo", "--policies", "magic"], "policy 'magic' is not known; use one of"),
        (["--demo", "--pools", "EMPTY"], "there is no CapacityPool in it"),
        (["--trace", "EMPTY"], "line 1: the columns are 'missing'"),
    ],
)
def test_wrong_input_is_refused(tmp_path: Path, arguments: list[str], message: str) -> None:
    """The message names option, value and remedy."""
    empty = tmp_path / "empty"
    empty.write_text("")
    result = run(*(str(empty) if argument == "EMPTY" else argument for argument in arguments))
    assert isinstance(result.exception, ConfigError)
    assert message in str(result.exception)


def test_a_pool_as_written_becomes_a_pool_of_the_replay(tmp_path: Path) -> None:
    """Price by replica, lead, hold, least billing, and as many replicas as fit on whole nodes."""
    pools = read_manifests([_written(tmp_path, f"{PRICED.replace('NAME', 'cloud')}---\n{PRICED}")]).pools
    assert list(pools) == ["cloud", "NAME"]
    assert has_prices(pools)
    cloud, _ = sim_pools(pools, accelerators=3)
    assert cloud == SimPool(
        name="cloud", price=3.0, lead=Lead(420, 900), min_billing_seconds=60, hold_seconds=300, limit=3 * 2
    )
    assert sim_pools(pools, accelerators=16)[0].limit == 1


def test_a_pool_that_says_little_has_the_lead_of_the_command(tmp_path: Path) -> None:
    """Without price and limits the replay is in replica-hours."""
    pools = read_manifests([_written(tmp_path, POOL)]).pools
    assert not has_prices(pools)
    assert sim_pools(pools, lead_seconds=90) == (SimPool(name="NAME", lead=Lead(90, 90)),)
    both = read_manifests([_written(tmp_path, f"{POOL}---\n{PRICED.replace('NAME', 'other')}")]).pools
    with pytest.raises(ConfigError, match=r"'NAME': spec.cost is missing"):
        sim_pools(both)
    with pytest.raises(ConfigError, match="no room for one replica"):
        sim_pools(read_manifests([_written(tmp_path, PRICED)]).pools, accelerators=64)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (PRICED.replace("420", "soon"), "line 10, column 26: spec.leadTime.p50Seconds: 'soon': "),
        (PRICED.replace("420", "1000"), "line 10, column 13: spec.leadTime: `leadTime.p95Seconds` is 900"),
        (POOL.replace(", perNode: 8", ""), "line 8, column 16: spec.accelerator.perNode: Field required"),
        (
            POOL.replace("perNode", "nodes: 1, perNode"),
            "line 8, column 65: spec.accelerator.nodes: 1: there is",
        ),
        (PRICED.replace("hold", "holds"), "line 11, column 10: spec.holds: there is no such field"),
        (POOL.replace("kind: CapacityPool", "kind: Pool"), "line 2, column 1: kind 'Pool' is not CapacityPool or"),
        (POOL.replace("{name: NAME}", "{}"), "line 2, column 1: metadata.name is missing"),
        (POOL + "  : [\n", "this is no YAML"),
        ("- 1\n", "line 1, column 1: [1] is no object"),
    ],
)
def test_a_wrong_file_names_line_and_column(tmp_path: Path, text: str, message: str) -> None:
    """The place is that of the field, or of the part that lacks it."""
    path = _written(tmp_path, text)
    with pytest.raises(ConfigError) as caught:
        read_manifests([path])
    assert str(caught.value).startswith(f"{path}:")
    assert message in str(caught.value)


def _written(directory: Path, text: str) -> Path:
    path = directory / "objects.yaml"
    path.write_text(text)
    return path


def test_protocols_differ_in_what_counts_and_what_is_free() -> None:
    """Published: three days are history and orders cost nothing before they come."""
    demand = np.ones((1, 5 * 144))
    case = Case("five days", 600.0, demand, demand)
    assert under(Protocol.HONEST, case) is case
    published = under(Protocol.PUBLISHED, case)
    assert published.world.shape == published.demand.shape == (1, 2 * 144)
    assert published.history is not None
    assert published.history.shape == (1, 3 * 144)
    assert not published.pools[0].pending_billed
    short = under(Protocol.PUBLISHED, Case("a day", 600.0, demand[:, :144], demand[:, :144]))
    assert (short.history, short.pools[0].pending_billed) == (None, False)


def test_amounts_without_a_price_are_replica_hours() -> None:
    """A dollar sign stands only where a price was given."""
    assert (Money(2.0, "$").of(1000.4), Money().of(1000.4)) == ("$2,001", "1,000")


def test_pictures_of_long_traces_keep_their_peaks() -> None:
    """A year would be a page of many megabytes; the highest of each group stays."""
    demand = np.ones((1, 52_560))
    demand[0, 30_001] = 7.0
    case = Case("a year", 600.0, demand, demand)
    run = Trajectory(case, "hpa", np.ones((1, 52_560, 1), int), np.ones((1, 52_560, 1), int), np.zeros_like(demand))
    chart = chart_of(case, [score(run, clairvoyant(case))], {"hpa": run}, Money()).to_dict()
    areas = [layer["data"]["values"] for layer in chart["vconcat"][1]["layer"]]
    assert all(len(values) <= 1500 for values in areas)
    assert max(point["value"] for point in areas[0]) == 7.0
