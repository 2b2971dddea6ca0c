"""When a missed objective is the model's fault, and when something else explains it."""

from dataclasses import replace

import pytest
import worlds

from baseload.plan.memory import ServingMemory
from baseload.plan.planner import plan
from baseload.plan.signals import ServingSignals, Value


def load_factor(signals: ServingSignals, ready: int = 2, memory: ServingMemory | None = None) -> float:
    """The trusted share of the capacity after one decision with two replicas wanted."""
    start = memory or worlds.state().memory
    trusted = replace(start, model=replace(start.model, load_factor_time=worlds.NOW - 600))
    return plan(worlds.snapshot(worlds.state(ready=ready, memory=trusted, signals=signals)))[0].memory.model.load_factor


MISSED = Value(0.8, worlds.NOW - 1)


def test_a_miss_inside_the_capacity_is_the_models_fault() -> None:
    """With ten sequences on each of two settled replicas and nothing waiting, a tenth is taken off."""
    assert load_factor(worlds.signals(running=20.0, inter_token_attainment=MISSED)) == pytest.approx(0.9)


@pytest.mark.parametrize(("running", "waiting", "ready"), [(100.0, 0.0, 2), (20.0, 3.0, 2), (10.0, 0.0, 1)])
def test_overload_a_queue_or_late_capacity_excuses_the_model(running: float, waiting: float, ready: int) -> None:
    """More running than allowed, requests that wait, or a wanted replica that has not come leave the model as it is."""
    signals = worlds.signals(running=running, waiting=waiting, inter_token_attainment=MISSED)
    assert load_factor(signals, ready) == 1.0


def test_an_excuse_holds_for_as_long_as_the_attainment_looks_back() -> None:
    """Ten seconds after an overload its misses still stand in the window; a minute after they would be new ones."""
    signals = worlds.signals(running=20.0, inter_token_attainment=MISSED)
    for age, factor in ((10.0, 1.0), (60.0, 0.9)):
        memory = replace(worlds.state().memory, excused_time=worlds.NOW - age)
        assert load_factor(signals, memory=memory) == pytest.approx(factor)
