"""Whatever happens to one write of a scenario, the world comes to rest where it does without a fault.

The operator is the real one; the API server is a fake in memory, because only there a process can be made to die
between the commit of its k-th write and the answer to it. `test_crash_on_a_real_server.py` does some of it for real.
"""

from functools import cache
from typing import Any

import pytest
from fake_connection import MISHAPS
from fault_scenarios import SCENARIOS, Scenario
from fault_world import World, fixpoint, run_world

BY_NAME = {scenario.__name__: scenario for scenario in SCENARIOS}


def end_of(scenario: Scenario, mishaps: dict[int, str]) -> tuple[dict[str, Any], int]:
    """Where the world rests after a scenario, and how many writes were sent."""

    async def story(world: World) -> tuple[dict[str, Any], int]:
        world.mishaps.at.update(mishaps)
        await scenario(world)
        return fixpoint(world), len(world.mishaps.sent)

    return run_world(story)


@cache
def end_without_faults(name: str) -> tuple[dict[str, Any], int]:
    """The same, undisturbed; once for all tests."""
    return end_of(BY_NAME[name], {})


@pytest.mark.parametrize("name", BY_NAME)
def test_crash_after_each_write_changes_nothing(name: str) -> None:
    """Killed right after write k, before its answer is seen: the next process arrives at the same fixpoint."""
    expected, count = end_without_faults(name)
    assert count >= 5
    for k in range(1, count + 1):
        found, _ = end_of(BY_NAME[name], {k: "crash"})
        assert found == expected, f"after write {k} of {count}"


@pytest.mark.parametrize("name", BY_NAME)
def test_failure_of_each_write_changes_nothing(name: str) -> None:
    """Every second write meets one of: its answer lost, no connection, 409, 429, 500, 401; the fixpoint stays."""
    expected, count = end_without_faults(name)
    for k in range(1 + len(name) % 2, count + 1, 2):
        mishap = MISHAPS[1 + (k // 2 + len(name)) % (len(MISHAPS) - 1)]
        found, _ = end_of(BY_NAME[name], {k: mishap})
        assert found == expected, f"{mishap} of write {k} of {count}"
