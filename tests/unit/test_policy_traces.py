"""The HPA at 0.7 on the recorded weeks, where they are at hand: cost over the bound as it was measured elsewhere."""

from pathlib import Path

import pytest

from baseload.sim.bound import clairvoyant
from baseload.sim.case import Lead, SimPool
from baseload.sim.fluid import simulate
from baseload.sim.policies.keda import Keda
from baseload.sim.score import score
from baseload.sim.traces.as_case import case_of
from baseload.sim.traces.cutting import read_trace

FOLDER = Path(__file__).parents[3] / "shared" / "traces"

EXPECTED = [
    ("azure_llm_2024_conv_week_digitised.csv.gz", 10, 1.384),
    ("azure_llm_2024_conv_week_digitised.csv.gz", 30, 1.356),
    ("servegen_m_mid_10min.csv.gz", 10, 1.446),
    ("servegen_m_mid_10min.csv.gz", 30, 1.502),
    ("nab_elb_request_count_5min.csv.gz", 10, 5.89),
    ("nab_elb_request_count_5min.csv.gz", 30, 6.16),
]
"""File, lead in minutes, cost over the bound of an independent replay (its HPA counts all pods, as KEDA's does)."""


@pytest.mark.parametrize(("file", "lead_minutes", "ratio"), EXPECTED)
def test_the_usual_hpa_costs_what_it_costs_elsewhere(file: str, lead_minutes: float, ratio: float) -> None:
    """Within 1 %: gaps are held here, and a week's tokens count beside its requests."""
    path = FOLDER / file
    if not path.exists():
        pytest.skip(f"{file} is not at hand")
    lead = 60.0 * lead_minutes
    of = case_of(read_trace(path, 600.0), pools=(SimPool(lead=Lead(lead, lead)),))
    assert score(simulate(of, Keda()), clairvoyant(of)).ratio == pytest.approx(ratio, rel=0.01)
