"""How far the closed formulas, the request-level simulator and the fluid one agree; the tolerances are stated here."""

import numpy as np
import pytest

from baseload.sim.agreement import Served, both_levels
from baseload.sim.case import Case, Lead, SimPool
from baseload.sim.policies.registry import POLICIES
from baseload.sim.requests.arrivals import LogNormalLengths
from baseload.sim.requests.closed_form import cache_use, closed_form, simulated, work_seconds
from baseload.sim.requests.engine import EngineProfile
from baseload.sim.requests.objective import Objective

PROFILE = EngineProfile(20e-3, 40e-6, 200e-9, 40e-6, 5e-9, cache_tokens=200_000)
LENGTHS = LogNormalLengths(1000.0, 0.8, 200.0, 0.6)


def test_the_work_of_a_request_is_counted_by_hand() -> None:
    """1000 prompt tokens and 100 output tokens without spread: 42.5 + 4 + 21 ms."""
    work = work_seconds(PROFILE, LogNormalLengths(1000.0, 1e-9, 100.0, 1e-9))
    assert work == pytest.approx(0.0425 + 0.004 + 0.021, rel=1e-3)


@pytest.mark.parametrize("load", [0.3, 0.5, 0.65])
def test_formulas_agree_with_requests(load: float) -> None:
    """Below a load of two thirds the mean time between tokens is within 8 %, TTFT's p95 and the running within 15 %."""
    formula, found = closed_form(PROFILE, LENGTHS, load), simulated(PROFILE, LENGTHS, load, 1200.0, seed=1)
    assert formula.inter_token_seconds == pytest.approx(found.inter_token_seconds, rel=0.08)
    assert formula.running == pytest.approx(found.running, rel=0.15)
    assert formula.time_to_first_token_p95_seconds == pytest.approx(found.time_to_first_token_p95_seconds, rel=0.15)
    assert cache_use(PROFILE, LENGTHS, formula) < 0.7


@pytest.mark.parametrize("name", ["static-peak", "hpa"])
def test_fluid_and_request_level_agree_on_a_day(name: str) -> None:
    """A wave between one and four replicas: replica-hours within 2 %, attainment within 3 points."""
    wave = 2.5 + 1.4 * np.sin(np.linspace(0.0, 2 * np.pi, 40))[None]
    case = Case("wave", 60.0, wave, wave, (SimPool(lead=Lead(60.0, 60.0)),), steps_per_day=40)
    served = Served(PROFILE, LENGTHS, Objective(1.0, 0.06, 0.95), replica_rps=4.0)
    levels = both_levels(case, POLICIES[name], served)
    assert levels.requests == pytest.approx(4.0 * 60.0 * wave.sum(), rel=0.05)
    assert abs(levels.replica_hours_difference) < 0.02
    assert abs(levels.attainment_difference) < 0.03
