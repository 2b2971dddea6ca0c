"""The conditions of a ModelServing: what each says, which value is good, and what it does to Ready."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class ConditionType:
    """A condition: its name, its value in good times, its effect on Ready and its meaning."""

    name: str
    good: str
    effect_on_ready: str
    meaning: str


CONDITIONS: Final = (
    ConditionType("Ready", "True", "is Ready", "Accepted, metrics readable and the intent written."),
    ConditionType(
        "Accepted", "True", "False makes Ready False", "The spec is valid, and its target exists and may be scaled."
    ),
    ConditionType(
        "MetricsAvailable",
        "True",
        "Ready takes its status and reason",
        "Every signal that the engine exposes is fresh; Unknown before the first replica is ready.",
    ),
    ConditionType(
        "CapacityAvailable",
        "True",
        "none: capacity that is ordered must not block an installation",
        "Every wanted replica has an accelerator; Unknown without a CapacityPool for its nodes.",
    ),
    ConditionType("ScalingLimited", "False", "none", "A bound, missing metrics or a stale view holds the number."),
    ConditionType("Paused", "False", "none", "A pause annotation holds the number."),
    ConditionType(
        "Conflict",
        "False",
        "True makes Ready False",
        "Somebody else writes the replicas of the target, which is left alone; it ends when they stop, when the"
        " ModelServing is changed, or after an hour, which is one more attempt.",
    ),
    ConditionType("Stalled", "False", "True makes Ready False", "Only a person can go on: the message says how."),
)
"""In the order in which they are shown."""
