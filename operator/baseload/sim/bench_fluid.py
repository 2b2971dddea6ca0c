"""How long two weeks of many servings take: the fluid simulator by itself, and each policy beside it."""

from collections.abc import Mapping
from time import process_time
from typing import Any

from baseload.sim.bench import Bench, Progress
from baseload.sim.bound import clairvoyant
from baseload.sim.fluid import simulate
from baseload.sim.policies.registry import POLICIES
from baseload.sim.score import score
from baseload.sim.traces.as_case import cases_of
from baseload.sim.traces.generator import Shape, generate_many

_SERVINGS = 200
_SHAPE = Shape(days=14.0)


def _measure(progress: Progress) -> Mapping[str, Any]:
    """Measure each policy on the same servings, and what the bound and a score take."""
    case = cases_of(generate_many(_SHAPE, _SERVINGS, seed=1))
    begun = process_time()
    bound = clairvoyant(case)
    results: dict[str, Any] = {
        "servings": _SERVINGS,
        "steps": case.world.shape[1],
        "bound_cpu_seconds": round(process_time() - begun, 3),
        "policies": {},
    }
    for name, make in POLICIES.items():
        progress(f"fluid: {name}")
        done = simulate(case, make())
        begun = process_time()
        result = score(done, bound)
        results["policies"][name] = {
            "simulator_seconds": round(done.simulator_seconds, 3),
            "policy_seconds": round(done.policy_seconds, 2),
            "score_cpu_seconds": round(process_time() - begun, 3),
            "ratio": round(result.ratio, 4),
            "attainment": round(result.attainment, 4),
        }
    return results


BENCH = Bench("fluid", f"how long does a replay of two weeks of {_SERVINGS} servings take, policy by policy?", _measure)
