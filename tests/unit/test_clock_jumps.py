"""Noticing that the wall clock was set, and what a memory keeps then."""

from dataclasses import replace

import worlds

from baseload.control.clock_jumps import ClockJumps
from baseload.plan.memory import ServingMemory, Wish, without_times
from baseload.plan.replica_model import learn


def test_jumps_are_told_once_and_drift_is_none() -> None:
    """A set clock is told with its distance, once; a slewed one never, however far it drifts in the end."""
    wall, steady = [1000.0], [0.0]
    jumps = ClockJumps(lambda: wall[0], lambda: steady[0])
    wall[0] += 3600.0
    assert jumps.seconds() == 3600.0
    assert jumps.seconds() == 0.0
    for _ in range(100):
        wall[0] += 5.1
        steady[0] += 5.0
        assert jumps.seconds() == 0.0
    wall[0] -= 60.0
    assert jumps.seconds() == -60.0


def test_memory_without_times_keeps_what_was_learned() -> None:
    """The law of the replica stays; wishes, rates and the time of readiness go."""
    model = worlds.learned_model(load_factor=0.8, load_factor_time=worlds.NOW, queued_since=worlds.NOW)
    memory = ServingMemory(model=model, wishes=(Wish(worlds.NOW, 4),), rates=worlds.steady(4.0), ready=2)
    kept = without_times(memory, 50.0)
    assert kept.model == replace(model, updated_time=50.0, load_factor_time=50.0, queued_since=None)
    assert kept == ServingMemory(model=kept.model)


def test_model_from_the_future_learns_on() -> None:
    """A status written by a process with a fast clock does not stop learning until ours has caught up."""
    model = worlds.learned_model(updated_time=worlds.NOW + 3600, load_factor_time=worlds.NOW + 3600)
    signals = worlds.signals(replicas=(worlds.replica(10.0, 0.03),))
    first = learn(model, signals, worlds.NOW, 15.0)
    assert (first.updated_time, first.load_factor_time) == (worlds.NOW, worlds.NOW)
    assert learn(first, signals, worlds.NOW + 15.0, 15.0).weight != model.weight
