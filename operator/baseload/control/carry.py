"""From decisions to orders: what is scaled, what is published, what is said."""

import logging

import orjson

from baseload.act.actuator import Outcome, ScaleOrder
from baseload.act.events import EventRecorder, Notice, Subject
from baseload.act.publisher import Published, StatusOrder, StatusPublisher
from baseload.act.status import StatusInput, build_status, essence, situation
from baseload.act.victims import Choice
from baseload.api.reasons import Reason
from baseload.control.intent import awaits_echo, intend, written
from baseload.control.metrics import OperatorMetrics
from baseload.control.servings import Looked
from baseload.errors import ConflictError, NotLeaderError
from baseload.observe.objects import Workload
from baseload.plan.decision import Decision, Status

logger = logging.getLogger(__name__)

SITUATION_SECONDS = 30.0
"""A reason of another kind is published after it has held for this long, although no number changed."""

WARNED_OF = ("MetricsAvailable", "CapacityAvailable", "Conflict", "Accepted")
"""Conditions whose bad state is worth an event."""


class Carry:
    """Takes decisions: metrics, statuses and events are seen to, orders handed back."""

    def __init__(self, publisher: StatusPublisher, events: EventRecorder, metrics: OperatorMetrics) -> None:
        self._publisher = publisher
        self._events = events
        self._metrics = metrics

    def take(self, look: Looked, decision: Decision) -> ScaleOrder | None:
        """Turn one decision into an order to carry out, or a status, or nothing when all is as it should be."""
        workload = look.workload
        numbers = (decision.current, decision.raw, decision.final, workload.ready if workload else 0)
        if look.record.shown != numbers:
            self._metrics.replicas.show(decision.key, numbers)
            look.record.shown = numbers
        if look.record.overwritten:
            self._say_overwritten(look)
        order = self._scale_order(look, decision)
        if order is not None:
            return order
        status = self._status_order(look, decision)
        if status is not None:
            self._publisher.later(status)
            self._say_changes(look, decision)
        return None

    def _scale_order(self, look: Looked, decision: Decision) -> ScaleOrder | None:
        intent, workload = look.record.intent, look.workload
        if not look.enforced or intent is None or workload is None:
            return None
        echo_due = awaits_echo(intent, workload)
        actual = intent.replicas if echo_due else workload.wanted
        if decision.final == actual:
            # A write whose answer was lost may have happened all the same: what is there counts.
            look.record.write_failure = None
            if decision.final != intent.replicas:
                look.record.intent = intend(intent, decision.final)
            return None
        look.record.intent = intend(intent, decision.final)
        return ScaleOrder(
            key=decision.key,
            collection=workload.collection,
            name=workload.key.name,
            replicas=decision.final,
            expected=actual,
            resource_version=workload.resource_version,
            status=self._status_order(look, decision),
            choice=_choice(look, workload) if decision.final < actual else None,
        )

    def _status_order(self, look: Looked, decision: Decision) -> StatusOrder | None:
        """A status if it says something else than the published one."""
        workload, intent = look.workload, look.record.intent
        ready = workload.ready if workload else 0
        # While others keep writing, the number meant stays in the status: a new process must know what is contested.
        meant = intent if intent is not None and (look.enforced or intent.contested) else None
        desired = meant.replicas if meant is not None else (workload.wanted if workload else 0)
        given = StatusInput(
            decision=decision,
            spec=look.spec,
            ready=ready,
            pending=max(desired - ready, 0),
            desired=desired,
            write_failure=look.record.write_failure,
        )
        published = self._publisher.published(decision.key, look.stored)
        wished = essence(given)
        if wished == published.essence and not _tells_of_the_past(look, decision, published):
            return None
        status = build_status(given, orjson.loads(published.status))
        return StatusOrder(decision.key, look.stored, status, wished)

    def conclude(self, order: ScaleOrder, look: Looked, decision: Decision, outcome: Outcome, now: float) -> None:
        """Remember how an order ended and say what was scaled."""
        fields = {
            "serving": str(order.key),
            "replicas_before": order.expected,
            "replicas": order.replicas,
            "reason": str(decision.reason),
        }
        if outcome.error is not None:
            # A stale version is everyday life: somebody wrote in between and the next tick decides anew. So it does
            # when the lease can be renewed again, and a status would not have been sent either.
            everyday = isinstance(outcome.error, ConflictError | NotLeaderError)
            look.record.write_failure = None if everyday else f"replicas not written: {outcome.error}"
            level = logging.INFO if everyday else logging.ERROR
            logger.log(level, "not scaled", extra={**fields, "error": str(outcome.error)})
            return
        look.record.write_failure = None
        intent = look.record.intent
        if intent is not None and intent.replicas == order.replicas:
            # A number that was decided while this one was under way is still to be written.
            look.record.intent = written(intent, outcome.version)
        self._metrics.decisions.labels(str(decision.reason)).inc()
        if decision.breach_since is not None:
            self._metrics.breach_to_write.observe(max(now - decision.breach_since, 0.0))
            fields["breach_to_write_seconds"] = f"{now - decision.breach_since:.3f}"
        logger.info("scaled", extra={**fields, "detail": decision.message})
        note = f"{order.expected} -> {order.replicas} replicas: {decision.message}"
        self._events.record(Notice(_subject(look), str(decision.reason), "Scale", note))

    def _say_changes(self, look: Looked, decision: Decision) -> None:
        """Events for conditions that turned bad since the published status."""
        published = self._publisher.published(decision.key, look.stored)
        before = {c["type"]: c["reason"] for c in orjson.loads(published.status).get("conditions") or ()}
        for condition in decision.conditions:
            bad = Status.TRUE if condition.type == "Conflict" else Status.FALSE
            if condition.type not in WARNED_OF or condition.status is not bad:
                continue
            if before.get(condition.type) != condition.reason:
                notice = Notice(_subject(look), str(condition.reason), "Observe", condition.message, warning=True)
                self._events.record(notice)
                fields = {"serving": str(decision.key), "condition": condition.type, "reason": str(condition.reason)}
                logger.warning("condition turned bad", extra={**fields, "detail": condition.message})

    def _say_overwritten(self, look: Looked) -> None:
        look.record.overwritten = False
        intent, workload = look.record.intent, look.workload
        if intent is None or workload is None:
            return
        note = f"somebody wrote {workload.wanted} replicas where {intent.replicas} are meant"
        self._events.record(Notice(_subject(look), str(Reason.FOREIGN_WRITER), "Scale", note, warning=True))


def _tells_of_the_past(look: Looked, decision: Decision, published: Published) -> bool:
    """Whether the published reason is one of another situation, and the present one has lasted for a while."""
    now = situation(str(decision.reason))
    if look.record.situation[0] != now:
        look.record.situation = (now, decision.time)
    lasted = decision.time - look.record.situation[1] >= SITUATION_SECONDS
    return lasted and now != published.situation


def _choice(look: Looked, workload: Workload) -> Choice | None:
    """How to choose the replicas that go, where the target's controller lets one choose."""
    if not workload.selector:
        return None
    return Choice(workload.selector, {replica.pod: replica.running for replica in look.state.signals.replicas})


def _subject(look: Looked) -> Subject:
    stored = look.entry.stored
    return Subject(stored.namespace, stored.name, stored.uid)
