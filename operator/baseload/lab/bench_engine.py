"""How much faster than real time the emulated engine runs, so how many replicas one core can be."""

from collections.abc import Mapping
from random import Random
from typing import Any

from baseload.lab.profiles import engine_profile
from baseload.sim.bench import Bench, Progress, best_seconds
from baseload.sim.requests.engine import Engine, Sequence

_VIRTUAL_SECONDS = 300.0
_PROMPT_TOKENS, _OUTPUT_TOKENS = 1100, 200


def _measure(progress: Progress) -> Mapping[str, Any]:
    """Measure five virtual minutes of one replica at a light and at a full load."""
    results = {}
    for name, rps in (("light", 1.0), ("full", 4.0)):
        progress(f"engine: {name} load, {rps:g} requests/s")
        steps: list[int] = []
        seconds = best_seconds(lambda rps=rps, steps=steps: steps.append(_serve(rps)), 3)  # type: ignore[misc]
        results[name] = {
            "requests_per_second": rps,
            "iterations": steps[-1],
            "iterations_per_cpu_second": round(steps[-1] / seconds),
            "virtual_seconds_per_cpu_second": round(_VIRTUAL_SECONDS / seconds),
        }
    return results


def _serve(rps: float) -> int:
    """Serve Poisson arrivals for five virtual minutes; return the number of iterations."""
    random = Random(1)  # noqa: S311 (a reproducible load, no secret)
    engine = Engine(engine_profile("L40S", "meta-llama/Llama-3.1-8B-Instruct"))
    now, due, number, steps = 0.0, random.expovariate(rps), 0, 0
    while now < _VIRTUAL_SECONDS:
        while due <= now:
            engine.submit(Sequence(number, _PROMPT_TOKENS, _OUTPUT_TOKENS, due), now)
            number, due = number + 1, due + random.expovariate(rps)
        iteration = engine.step(now)
        now = due if iteration is None else now + iteration.duration_seconds
        steps += iteration is not None
    return steps


BENCH = Bench("engine", "how fast does one emulated replica run on one core?", _measure)
