"""The last look: servings that are not Ready for a reason that no other check has named."""

from collections.abc import Iterator
from typing import Final

from baseload.api.reasons import Reason
from baseload.api.sentences import sentence
from baseload.doctor.access import Unread
from baseload.doctor.facts import Facts
from baseload.doctor.finding import Finding, fault, skipped
from baseload.doctor.story import subject_of
from baseload.doctor.world import World

TOLD_ELSEWHERE: Final = frozenset(
    {
        Reason.TARGET_NOT_FOUND,
        Reason.TARGET_NOT_SCALABLE,
        Reason.TARGET_CONFLICT,
        Reason.FOREIGN_AUTOSCALER,
        Reason.INVALID_SPEC,
        Reason.PROFILE_NOT_FOUND,
        Reason.INVALID_PROFILE,
        Reason.NO_SERIES,
        Reason.STALE,
        Reason.AMBIGUOUS,
        Reason.UNREACHABLE,
        Reason.PARTIAL,
    }
)
"""Reasons that a check finds by itself, with a better remedy than the status has."""


def servings_are_ready(facts: Facts, world: World) -> Iterator[Finding]:
    """No serving is refused for a reason of its own."""
    del world
    if isinstance(facts.servings, Unread):
        yield skipped(facts.servings.why)
        return
    for serving in facts.servings:
        conditions = (serving.get("status") or {}).get("conditions") or ()
        ready = next((c for c in conditions if c["type"] == "Ready"), None)
        if ready is None or ready["status"] != "False" or ready["reason"] in TOLD_ELSEWHERE:
            continue
        subject = subject_of(serving)
        advice = sentence(ready["reason"], subject).advice
        remedy = f"baseload why {subject.name} -n {subject.namespace}"
        found = f"Ready is False, {ready['reason']}: {ready['message']}"
        yield fault(f"{subject.namespace}/{subject.name}", found, f"{advice}; {remedy}" if advice else remedy)
