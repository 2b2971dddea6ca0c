"""Rules against what the real controllers answered to random states: tests/support/{hpa,kpa}_recorder asked them."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from policy_steps import sets

from baseload.sim.case import Case, SimPool
from baseload.sim.policies.hpa_rule import begin_behaviour, replicas_by_pods
from baseload.sim.policies.kpa import Kpa
from baseload.sim.policies.seen import Seen


def recorded(name: str) -> Any:
    """The answers of a controller."""
    return json.loads((Path(__file__).parents[1] / "support" / f"{name}_recorded.json").read_text(encoding="utf-8"))


HPA: dict[str, list[list[Any]]] = recorded("hpa")
KPA: list[dict[str, list[Any]]] = recorded("kpa")


def seen(loads: list[float], ready: list[int], pending: list[int]) -> Seen:
    """Servings with all their load in work."""
    return Seen(np.array(loads), np.zeros(len(loads)), np.array(ready), np.array(pending))


def test_hpa_replicas_of_400_states() -> None:
    """A metric of type Pods with and without pods that are not ready, at several tolerances, all states at once."""
    loads, ready, pending, targets, tolerances, replicas = zip(*HPA["pods"], strict=True)
    of = seen([load / 1000 for load in loads], list(ready), list(pending))
    mine = replicas_by_pods(of, np.array(targets) / 1000, np.array(tolerances))
    assert mine.tolist() == list(replicas)


@pytest.mark.parametrize("row", HPA["settled"], ids=range(len(HPA["settled"])))
def test_hpa_40_syncs_in_a_row(row: list[Any]) -> None:
    """Window, rate limits and bounds from one sync to the next, with what the metrics ask for given."""
    current, window, most, desired, replicas = row
    world = np.array([[float(current)]])
    behaviour = begin_behaviour(Case("x", 15.0, world, world, pools=(SimPool(limit=most),)), np.array([window]))
    answers = []
    for asked in desired:
        current = int(behaviour.settle(seen([1.0], [current], [0]), np.array([asked]))[0])
        answers.append(current)
    assert answers == replicas


@pytest.mark.parametrize("row", KPA, ids=range(len(KPA)))
def test_kpa_150_ticks_in_a_row(row: dict[str, list[Any]]) -> None:
    """Both windows, panic in and out and the rates, at steps of one tick; ready pods follow ten ticks later."""
    rows = [(load, ready, 0) for load, ready in zip(row["load"], row["ready"], strict=True)]
    assert sets(Kpa(), rows, step_seconds=2.0) == row["desired"]
