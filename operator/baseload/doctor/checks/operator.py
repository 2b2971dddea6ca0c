"""Checks of the operator itself, by the traces that it leaves: its Lease and the statuses."""

from collections.abc import Iterator
from typing import Final

from baseload.doctor.access import Raw, Unread
from baseload.doctor.facts import Facts
from baseload.doctor.finding import Finding, fault, skipped, warning
from baseload.doctor.times import age, unix

START: Final = "baseload operator --kubeconfig FILE --prometheus-url URL, or see the log of the one that should run"
LATE_SECONDS: Final = 60.0
"""A status that is older than the spec for this long: a tick is 5 s."""


def running(facts: Facts) -> Iterator[Finding]:
    """An operator holds the Lease and renews it."""
    lease, name = facts.lease, f"Lease in namespace '{facts.operator_namespace}'"
    if isinstance(lease, Unread):
        yield skipped(lease.why)
    elif lease is None:
        if _statuses(facts):
            found = "there is none: the operator has ended, or runs without leader election and cannot be seen"
            yield warning(name, found, START)
        else:
            yield fault(name, "there is none, and no status either: no operator has ever run here", START)
    else:
        yield from _lease(lease, name, facts.now)


def _lease(lease: Raw, name: str, now: float) -> Iterator[Finding]:
    spec = lease.get("spec") or {}
    holder, renewed = spec.get("holderIdentity") or "", spec.get("renewTime")
    if not holder or renewed is None:
        yield fault(name, "nobody holds it: the last operator ended and no other took over", START)
        return
    silent = now - unix(renewed)
    allowed = float(spec.get("leaseDurationSeconds") or 0)
    if silent > allowed:
        yield fault(name, f"'{holder}' last renewed it {age(silent)} ago and should each {allowed:g} s", START)


def statuses_are_current(facts: Facts) -> Iterator[Finding]:
    """Every serving has a status, and it speaks of the spec that is there."""
    if isinstance(facts.servings, Unread):
        yield skipped(facts.servings.why)
        return
    for serving in facts.servings:
        metadata, status = serving["metadata"], serving.get("status") or {}
        name, since = f"{metadata['namespace']}/{metadata['name']}", facts.now - _changed(serving)
        generation, seen = metadata.get("generation", 0), status.get("observedGeneration") or 0
        if since <= LATE_SECONDS or (status and seen >= generation):
            continue
        if not status:
            found = f"has had no status for {age(since)}"
        else:
            found = f"was changed {age(since)} ago (generation {generation}), and its status speaks of {seen}"
        yield fault(name, found, START)


def _statuses(facts: Facts) -> bool:
    servings = () if isinstance(facts.servings, Unread) else facts.servings
    return any(serving.get("status") for serving in servings)


def _changed(serving: Raw) -> float:
    """When the spec was last written: the newest entry of managedFields that is not the status."""
    metadata = serving["metadata"]
    rows = [m["time"] for m in metadata.get("managedFields") or () if not m.get("subresource") and "time" in m]
    return max(unix(time) for time in (metadata["creationTimestamp"], *rows))
