"""How many requests a second one replica serves inside the objective, found on the engine in virtual time."""

import hashlib
import json
from collections.abc import Sequence as Rows
from dataclasses import asdict
from itertools import accumulate
from pathlib import Path
from random import Random
from typing import Final

from baseload.errors import ConfigError
from baseload.lab.demo_record import Objective
from baseload.lab.paths import cache_directory
from baseload.sim.requests.engine import Engine, EngineProfile, Sequence
from baseload.sim.requests.saturation import highest_kept

_REQUESTS: Final = 2000
# The first requests meet an empty replica; they are served but not judged.
_WARM_UP_REQUESTS: Final = 100


def capacity_rps(profile: EngineProfile, lengths: Rows[tuple[int, int]], objective: Objective, seed: int) -> float:
    """Return the highest Poisson rate at which one replica keeps the objective, in requests/s, within 1 %.

    `lengths` are (prompt, output) tokens to draw requests from. All rates see the same random draws, so the share of
    requests inside the objective falls with the rate and bisection finds where it crosses. Takes about 2 s of CPU; the
    answer is kept in the user's cache by its inputs. ConfigError if not even a lone request keeps the objective.
    """
    inputs = {"profile": asdict(profile), "lengths": list(lengths), "objective": asdict(objective), "seed": seed}
    name = hashlib.sha256(json.dumps(inputs, sort_keys=True).encode()).hexdigest()[:32]
    path = cache_directory() / "capacity" / f"{name}.json"
    known = _read(path)
    if known is not None:
        return known
    found = _search(profile, lengths, objective, seed)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".tmp")
    temporary.write_text(json.dumps({"rps": found}))
    temporary.replace(path)
    return found


def _read(path: Path) -> float | None:
    try:
        return float(json.loads(path.read_text())["rps"])
    except (OSError, ValueError, KeyError, TypeError):
        # Absent or torn: found again.
        return None


def _search(profile: EngineProfile, lengths: Rows[tuple[int, int]], objective: Objective, seed: int) -> float:
    gaps, drawn = _drawn(lengths, seed)

    def keeps(rps: float) -> bool:
        return attainment(profile, [gap / rps for gap in gaps], drawn, objective) >= objective.attainment

    found = highest_kept(keeps)
    if found is None:
        raise ConfigError(
            f"objective of {1000 * objective.time_to_first_token_seconds:g} ms to the first token and "
            f"{1000 * objective.inter_token_seconds:g} ms between tokens: a replica misses it even for a single "
            "request at a time; choose a longer one (--slo-ms)"
        )
    return found


def attainment(
    profile: EngineProfile, gaps: Rows[float], lengths: Rows[tuple[int, int]], objective: Objective
) -> float:
    """Return the share of requests inside the objective on one replica, `gaps` seconds apart (virtual time)."""
    judged = _served(profile, gaps, lengths)[_WARM_UP_REQUESTS:]
    return sum(_within(sequence, objective) for sequence in judged) / len(judged)


def requests_in_flight(profile: EngineProfile, lengths: Rows[tuple[int, int]], rps: float, seed: int) -> float:
    """Return how many requests run or wait on one replica on average at a Poisson rate: Little's law."""
    gaps, drawn = _drawn(lengths, seed)
    judged = _served(profile, [gap / rps for gap in gaps], drawn)[_WARM_UP_REQUESTS:]
    return rps * sum((s.finish_time or 0.0) - s.arrival_time for s in judged) / len(judged)


def _drawn(lengths: Rows[tuple[int, int]], seed: int) -> tuple[list[float], list[tuple[int, int]]]:
    """Gaps between requests in multiples of their mean, and the lengths of the requests."""
    random = Random(seed)  # noqa: S311 (a reproducible load, no secret)
    gaps = [random.expovariate(1.0) for _ in range(_REQUESTS)]
    return gaps, [lengths[random.randrange(len(lengths))] for _ in range(_REQUESTS)]


def _served(profile: EngineProfile, gaps: Rows[float], lengths: Rows[tuple[int, int]]) -> list[Sequence]:
    """Requests in the order of their arrival, `gaps` seconds apart, after one replica has answered all of them."""
    engine, now, due = Engine(profile), 0.0, 0
    times = list(accumulate(gaps))
    sequences = [
        Sequence(id=number, prompt_tokens=prompt, output_tokens=output, arrival_time=time)
        for number, (time, (prompt, output)) in enumerate(zip(times, lengths, strict=True))
    ]
    while due < len(sequences) or not engine.idle:
        if engine.idle:
            now = max(now, times[due])
        while due < len(sequences) and times[due] <= now:
            engine.submit(sequences[due], now)
            due += 1
        iteration = engine.step(now)
        now += iteration.duration_seconds if iteration else 0.0
    return sequences


def _within(sequence: Sequence, objective: Objective) -> bool:
    if sequence.first_token_time is None or sequence.finish_time is None:
        return False
    first = sequence.first_token_time - sequence.arrival_time
    between = (sequence.finish_time - sequence.first_token_time) / max(sequence.output_tokens - 1, 1)
    return first <= objective.time_to_first_token_seconds and between <= objective.inter_token_seconds
