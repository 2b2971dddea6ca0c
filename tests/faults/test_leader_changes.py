"""Leaders that are killed, stopped or cut off, on a real API server, judged by its audit log.

`make bench ARGS=ha` runs fifty of these with a shorter lease and three with the production one.
"""

import pytest
from operator_lab import install

from baseload.lab.cluster import Lab
from baseload.lab.ha_trials import run_trials
from baseload.lab.ha_world import Times

FAULTS = ("stop-in-send", "hold", "kill")
# Longer than the bench's, for a machine with other work.
TIMES = Times(lease=5.0, renew=4.0, retry=0.5, tick=1.0)


@pytest.mark.timeout(240)
async def test_no_old_leader_writes_over_a_new_one(lab: Lab, namespace: str) -> None:
    """After each fault the other leads, late writes are refused or corrected, and the old leader ends."""
    install(lab)
    found = await run_trials(lab, namespace, TIMES, FAULTS, seed=11, progress=lambda _: None)
    assert found["accepted_writes_over_a_newer_leader"] == 0
    assert found["trials"] == len(FAULTS)
    # The write that was stopped between its check and its sending arrived: its version was too old, its time was over,
    # or the new leader had no reason to write that object. The other late one is the trial's own.
    assert found["each"][0]["refused"] + found["each"][0]["late_elsewhere"] >= 2
    # Each trial sends one to an object that the new leader has not written, and waits until it is corrected.
    assert found["late_writes_corrected"] >= len(FAULTS)
    assert [row["exit_code"] for row in found["each"]] == [3, 3, -9]
