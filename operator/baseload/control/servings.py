"""What the operator keeps of each serving between ticks, and the state it shows the decision."""

import logging
from collections.abc import Container, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

import orjson

from baseload.act.model_state import model_from_status
from baseload.act.publisher import Stored
from baseload.act.status import HOME
from baseload.api.reasons import Reason
from baseload.control.intent import Intent, Token, adopt, awaits_echo, observe, was_overwritten
from baseload.observe.accelerators import AcceleratorBook
from baseload.observe.catalog import Entry
from baseload.observe.cluster import Cluster
from baseload.observe.fleet import SignalRequest
from baseload.observe.objects import Workload
from baseload.observe.profile_book import ProfileBook
from baseload.observe.schedules import windows_around
from baseload.observe.translate import Accepted
from baseload.plan.ask import Ask
from baseload.plan.memory import ServingMemory, without_times
from baseload.plan.outlook import Outlook
from baseload.plan.signals import ServingSignals
from baseload.plan.snapshot import (
    Mode,
    Priority,
    Refusal,
    ServingKey,
    ServingSpec,
    ServingState,
    TargetState,
)

logger = logging.getLogger(__name__)

START_UP_PRIOR_SECONDS = 120.0
UNREAD_SPEC = ServingSpec(None, None, min_replicas=1, max_replicas=1)
"""Stands where a spec could not be read; a refused serving is never sized."""


@dataclass(slots=True)
class ServingRecord:
    """Everything kept of one serving, for one uid of it."""

    uid: str
    memory: ServingMemory = field(default_factory=ServingMemory)
    intent: Intent | None = None
    start_up_seconds: float = START_UP_PRIOR_SECONDS
    signals: ServingSignals | None = None
    outlook: Outlook | None = None
    """What the planner foresees."""
    looked: ServingState | None = None
    """How it was when it was last decided on."""
    ask: Ask | None = None
    """What it asked of the free accelerators when it was last decided on."""
    write_failure: str | None = None
    shown: tuple[int, int, int, int] | None = None
    situation: tuple[str, float] = ("", 0.0)
    """What kind of situation it is in, and the Unix time since when."""
    overwritten: bool = False


@dataclass(frozen=True, slots=True)
class Looked:
    """A serving as looked at in one decision round."""

    entry: Entry
    record: ServingRecord
    workload: Workload | None
    state: ServingState

    @property
    def stored(self) -> Stored:
        """The ModelServing as the watch last showed it."""
        raw = self.entry.stored
        return Stored(raw.uid, raw.resource_version, raw.generation, raw.status)

    @property
    def spec(self) -> ServingSpec | None:
        """The spec, None when it could not be read."""
        accepted = self.entry.accepted
        return accepted.spec if isinstance(accepted, Accepted) else None

    @property
    def enforced(self) -> bool:
        """Whether a number may be written to the target at all."""
        spec = self.spec
        return self.state.refusal is None and spec is not None and spec.mode is Mode.ENFORCE


class Servings:
    """The records of all servings and how a record and the cluster make a ServingState."""

    def __init__(self, cluster: Cluster, profiles: ProfileBook) -> None:
        self.records: dict[ServingKey, ServingRecord] = {}
        self._cluster = cluster
        self._profiles = profiles
        self._asking: set[ServingKey] = set()

    def requests(self) -> list[SignalRequest]:
        """What to ask Prometheus: one request for each serving whose target can be known."""
        entries = self._cluster.catalog.entries.values()
        return [e.accepted.signal_request(e.key) for e in entries if isinstance(e.accepted, Accepted)]

    def take_signals(self, signals: Mapping[ServingKey, ServingSignals]) -> None:
        """Keep the newest reading of each serving, for decisions between ticks too."""
        for key, reading in signals.items():
            entry = self._cluster.catalog.entries.get(key)
            if entry is not None:
                self.record(entry).signals = reading

    def is_read(self, key: ServingKey) -> bool:
        """Whether a serving's signals were read at least once, so that it can be decided on."""
        entry = self._cluster.catalog.entries.get(key)
        return entry is None or not isinstance(entry.accepted, Accepted) or self.record(entry).signals is not None

    def record(self, entry: Entry) -> ServingRecord:
        """The record of a serving, restored from its status when it is new to this process."""
        record = self.records.get(entry.key)
        if record is None or record.uid != entry.stored.uid:
            record = restored(entry)
            self.records[entry.key] = record
        return record

    def forget_times(self, now: float) -> None:
        """Forget what was remembered by the time of day, since the clock was set."""
        for record in self.records.values():
            record.memory = without_times(record.memory, now)
            record.situation = ("", now)

    def keep_ask(self, key: ServingKey, record: ServingRecord, ask: Ask | None) -> None:
        """Remember what a serving asks, for the rounds in which only others are decided on."""
        record.ask = ask
        (self._asking.discard if ask is None else self._asking.add)(key)

    def rivals(self, book: AcceleratorBook, but: Container[ServingKey]) -> list[Ask]:
        """What all other servings ask now: their last ask with the pods and the replicas that are there by now.

        What was granted in a round stands as ordered until its pods are on nodes, so nobody gets it twice.
        """
        asks = (self._ask_now(key, book) for key in sorted(self._asking, key=str) if key not in but)
        return [ask for ask in asks if ask is not None]

    def _ask_now(self, key: ServingKey, book: AcceleratorBook) -> Ask | None:
        entry, record = self._cluster.catalog.entries.get(key), self.records.get(key)
        if entry is None or not isinstance(entry.accepted, Accepted):
            return None
        if record is None or record.ask is None or record.intent is None:
            return None
        target = entry.accepted.target
        workload, census = self._cluster.workload(target), book.census
        rule = entry.accepted.pool_rule
        reach = None if workload is None else book.reach_of(workload.key, workload.shape, rule)
        if workload is None or reach is None:
            return None
        return replace(
            record.ask,
            reach=reach,
            placed=census.placed.get(target, 0),
            unplaced=max(census.unplaced.get(target, 0) - workload.surplus, 0),
            ordered=record.intent.replicas,
        )

    def forget_gone(self) -> list[ServingKey]:
        """Drop the records of servings that are gone; their keys."""
        gone = [key for key in self.records if key not in self._cluster.catalog.entries]
        for key in gone:
            del self.records[key]
            self._asking.discard(key)
        return gone

    def look(self, entry: Entry, book: AcceleratorBook, now: float) -> Looked | None:
        """The state of one serving now; None while what it names was not listed or its signals not read."""
        accepted = entry.accepted
        record = self.record(entry)
        if not isinstance(accepted, Accepted):
            return Looked(entry, record, None, _state(entry, record, None, accepted))
        target = accepted.target
        is_listed = accepted.profile in self._profiles or self._profiles.is_settled
        if not self._cluster.is_known(accepted.kind) or record.signals is None or not is_listed:
            return None
        workload = self._cluster.workload(target)
        refusal = self._cluster.kind_refusal(accepted.kind) or self._refusal(entry, accepted, workload)
        if workload is None or refusal is not None:
            record.intent = None
            return Looked(entry, record, workload, _state(entry, record, workload, refusal))
        self._update_intent(entry, accepted, record, workload, now)
        record.start_up_seconds = self._cluster.start_up.seconds(target) or record.start_up_seconds
        if record.intent is not None and record.intent.contested:
            refusal = _contested(record.intent, workload)
        state = _state(entry, record, workload, refusal)
        census = book.census
        priority = self._cluster.priorities.of(accepted.priority_class, workload.priority_class)
        choice = book.pools_for(workload.shape, accepted.pool_rule)
        state = replace(
            state,
            priority=priority if isinstance(priority, Priority) else Priority(),
            target_seen_time=self._cluster.seen_time(accepted.kind),
            pools=choice.pools,
            barred_pools=choice.barred,
            reach=book.reach_of(workload.key, workload.shape, accepted.pool_rule),
            placed_replicas=census.placed.get(target, 0),
            unplaced_replicas=max(census.unplaced.get(target, 0) - workload.surplus, 0),
            draining_replicas=census.draining(target, now),
            pods_time=census.time,
            windows=windows_around(accepted.schedules, now),
        )
        return Looked(entry, record, workload, state)

    def _refusal(self, entry: Entry, accepted: Accepted, workload: Workload | None) -> Refusal | None:
        target = accepted.target
        if workload is None:
            message = (
                f"`spec.targetRef` names {target.kind} '{target.name}', which does not exist in '{target.namespace}'"
            )
            return Refusal(Reason.TARGET_NOT_FOUND, f"{message}; create it or change the name")
        if workload.number_missing:
            message = f"{target.kind} '{target.name}' has no number at `{workload.number_missing}`"
            return Refusal(
                Reason.TARGET_NOT_SCALABLE, f"{message}, so its scale can be neither read nor written; set it"
            )
        unreadable = self._profiles.refusal(accepted.profile, entry.key.namespace)
        if unreadable is not None:
            return unreadable
        priority = self._cluster.priorities.of(accepted.priority_class, workload.priority_class)
        if isinstance(priority, Refusal):
            return priority
        scalers = self._cluster.autoscalers_of(target)
        if scalers:
            message = f"{' and '.join(scalers)} scale {target.kind} '{target.name}' too"
            return Refusal(
                Reason.FOREIGN_AUTOSCALER, f"{message}; delete what is not meant to: them or this ModelServing"
            )
        return self._cluster.catalog.conflict(entry)

    def _update_intent(
        self, entry: Entry, accepted: Accepted, record: ServingRecord, workload: Workload, now: float
    ) -> None:
        token: Token = (entry.stored.generation, entry.stored.annotations)
        before = record.intent
        if accepted.spec.mode is Mode.RECOMMEND:
            record.intent = None
            return
        paused = entry.pause.scale_in or entry.pause.scale_out
        if paused and not (before is not None and awaits_echo(before, workload)):
            # While a person holds the number, a number written by hand is theirs to write.
            record.intent = adopt(workload, token)
            return
        record.intent = observe(before, workload, token, now)
        record.overwritten = was_overwritten(before, record.intent)
        if record.overwritten:
            fields = {"serving": str(entry.key), "found": workload.wanted, "intended": record.intent.replicas}
            logger.warning("replicas written by somebody else", extra=fields)


def restored(entry: Entry) -> ServingRecord:
    """A record from what the status says: the learned model, the start-up time and the last intent."""
    record = ServingRecord(entry.stored.uid)
    status = orjson.loads(entry.stored.status)
    model = model_from_status(status.get("replicaModel") or {})
    record.memory = replace(record.memory, model=model)
    home: dict[str, Any] = next((v for v in status.get("variants") or () if v.get("name") == HOME), {})
    record.start_up_seconds = float(home.get("startUpSeconds") or START_UP_PRIOR_SECONDS)
    if home.get("desired") is not None:
        record.intent = _restored_intent(entry, status, int(home["desired"]))
    return record


def _restored_intent(entry: Entry, status: Mapping[str, Any], desired: int) -> Intent | None:
    """The last intent, contested if it was; not confirmed: this process has not seen that number at the target yet."""
    fought = next(
        (c for c in status.get("conditions") or () if c["type"] == "Conflict" and c["status"] == "True"), None
    )
    if fought is not None and fought["reason"] == Reason.FOREIGN_WRITER:
        since = datetime.fromisoformat(fought["lastTransitionTime"]).timestamp()
        token: Token = (int(fought.get("observedGeneration", 0)), entry.stored.annotations)
        return Intent("", desired, contested=True, contested_time=since, token=token)
    return Intent("", desired) if _was_enforced(status) else None


def _was_enforced(status: Mapping[str, Any]) -> bool:
    """Whether the number in a status was meant to be written, and not only seen."""
    held = {c["type"] for c in status.get("conditions") or () if c["status"] == "True"}
    return not status.get("recommendation") and not held & {"Stalled", "Paused"}


def _state(entry: Entry, record: ServingRecord, workload: Workload | None, refusal: Refusal | None) -> ServingState:
    accepted = entry.accepted
    return ServingState(
        key=entry.key,
        generation=entry.stored.generation,
        spec=accepted.spec if isinstance(accepted, Accepted) else UNREAD_SPEC,
        target=None if workload is None else _target(record.intent, workload),
        signals=record.signals or ServingSignals(),
        memory=record.memory,
        pause=entry.pause,
        refusal=refusal,
        start_up_seconds=record.start_up_seconds,
        outlook=record.outlook,
    )


def _target(intent: Intent | None, workload: Workload) -> TargetState:
    """The target with the number that is ours to change: what we meant, not what somebody else wrote since."""
    ours = intent is not None and not intent.contested
    return TargetState(
        kind=workload.key.kind,
        name=workload.key.name,
        uid=workload.uid,
        wanted=intent.replicas if ours and intent is not None else workload.wanted,
        ready=workload.ready,
        rolling_out=workload.rolling_out,
        updated=workload.updated,
        rollout_failed=workload.rollout_failed,
    )


def _contested(intent: Intent, workload: Workload) -> Refusal:
    message = f"somebody keeps writing {workload.wanted} replicas to {workload.key.kind} '{workload.key.name}'"
    message += (
        f", where {intent.replicas} are meant; stop the other writer, then change the ModelServing or an annotation"
    )
    message += " baseload.dev/... of it; otherwise it is tried again an hour after the last time"
    return Refusal(Reason.FOREIGN_WRITER, message)
