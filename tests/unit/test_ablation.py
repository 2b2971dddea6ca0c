"""Parts switched off: what is left decides, and is scored like any policy."""

import numpy as np
import pytest

from baseload.plan.forecast import experts
from baseload.plan.forecast.demand_block import DemandBlock
from baseload.sim.ablation import ABLATIONS, LevelsAlone, grid_and_terms, learn
from baseload.sim.bound import clairvoyant
from baseload.sim.case import Case
from baseload.sim.fluid import simulate
from baseload.sim.score import score

DAY = 24


@pytest.fixture(scope="module")
def case() -> Case:
    """Six short days of a wave with noise, a gap in one of them."""
    times = np.arange(6 * DAY)
    noise = np.exp(0.05 * np.random.default_rng(2).standard_normal(len(times)))
    world = (20.0 * (1.0 + 0.5 * np.sin(2 * np.pi * times / DAY)) * noise)[None]
    demand = world.copy()
    demand[0, 80:84] = np.nan
    return Case("waves", 600.0, demand, world, steps_per_day=DAY)


def test_each_part_is_replayed_and_the_whole_is_not_the_worst(case: Case) -> None:
    """Every ablation serves the case; none is below the bound; rules without a forecast cost more than the whole."""
    bound, learned = clairvoyant(case), learn(case)
    ratios = {
        name: score(simulate(case, LevelsAlone(name, look, learned)), bound).ratio for name, look in ABLATIONS.items()
    }
    assert min(ratios.values()) >= 1.0
    assert ratios["whole"] < ratios["rules only"]


def test_what_is_off_is_off(case: Case) -> None:
    """Without the keep rule both levels are one; with rules only, no level is beyond what a rule can want."""
    grid, terms = grid_and_terms(case)
    foresight = learn(case)[-1]
    block = DemandBlock(case.demand, grid, case.demand.shape[1])
    plain = ABLATIONS["no keep rule"](foresight, block, terms)
    assert plain.keep == plain.order
    ruled = ABLATIONS["rules only"](foresight, block, terms)
    recent = case.demand[0, -experts.RULE_WINDOWS[-1] :]
    assert recent[-1] / max(experts.RULE_LOADS) <= ruled.order.item() <= recent.max() / min(experts.RULE_LOADS)
    whole, band = (ABLATIONS[name](foresight, block, terms) for name in ("whole", "band only"))
    assert band.order == whole.high
