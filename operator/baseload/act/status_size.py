"""How large a status may be: 4 kB as a rule, 8 kB at most, since each write costs the API server by its size.

What is too long is shortened from the least to the most important: words about pools and limits first, then those of
conditions and of the decision itself. Numbers, reasons and names stay whole.
"""

from collections.abc import Mapping
from typing import Any

import orjson

TYPICAL_BYTES = 4096
MOST_BYTES = 8192
STEPS = ((512, 512), (160, 512), (160, 256), (80, 160), (40, 80))
"""Most characters of each message: of pools and limits, and of conditions and the decision; the first that fits."""
FEW_POOLS = 3

Raw = dict[str, Any]


def within_limit(status: Raw) -> Raw:
    """The status with messages as long as there is room for."""
    shortened = status
    for details, main in STEPS:
        shortened = _shortened(status, details, main)
        if len(orjson.dumps(shortened)) <= MOST_BYTES:
            return shortened
    # Only names of pools near their longest get here.
    decision = shortened["lastDecision"]
    return {**shortened, "lastDecision": {**decision, "considered": decision["considered"][:FEW_POOLS]}}


def _shortened(status: Raw, details: int, main: int) -> Raw:
    decision = status["lastDecision"]
    return {
        **status,
        "conditions": [_cut(row, main) for row in status["conditions"]],
        "lastDecision": {
            **_cut(decision, main),
            "limitedBy": [_cut(row, details) for row in decision["limitedBy"]],
            "considered": [_cut(row, details) for row in decision["considered"]],
        },
    }


def _cut(row: Mapping[str, Any], most: int) -> Raw:
    message = row["message"]
    return {**row, "message": message if len(message) <= most else message[: most - 1] + "…"}
