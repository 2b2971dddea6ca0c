"""What one real server can do on this machine: needed where there is no engine to compute it from."""

import time
from typing import Final

from baseload.errors import LabError
from baseload.lab.cluster import Lab
from baseload.lab.demand import Trace
from baseload.lab.demo_load import DemoLoad
from baseload.lab.demo_record import Objective
from baseload.sim.requests.arrivals import TimedRequest

_REQUESTS: Final = 40
# Three servers must fit on two threads of one core, beside everything else in the lab.
_USABLE_SHARE: Final = 0.3
_DEADLINE_SECONDS: Final = 90.0


def measured_capacity(lab: Lab, trace: Trace, objective: Objective) -> float:
    """Return the requests/s to count on from one server: 30 % of what it answers when flooded.

    Forty requests are sent at once to the one server there is; the rate is that of their completion.
    """
    requests = [TimedRequest(0.0, *lengths) for lengths in trace.sample_lengths()[:_REQUESTS]]
    load = DemoLoad(lab, "demo-calibration", requests, objective, seed=1)
    try:
        deadline = time.monotonic() + _DEADLINE_SECONDS
        while load.running:
            if time.monotonic() > deadline:
                raise LabError(f"one server did not answer {_REQUESTS} requests in {_DEADLINE_SECONDS:g} s")
            time.sleep(0.2)
        outcome = load.outcome()
    finally:
        load.stop()
    ends = [result.end_to_end_seconds for result in outcome.requests if result.end_to_end_seconds is not None]
    if len(ends) < _REQUESTS:
        raise LabError(f"one server failed {_REQUESTS - len(ends)} of {_REQUESTS} requests: {outcome.summary.errors}")
    return _USABLE_SHARE * len(ends) / max(ends)
