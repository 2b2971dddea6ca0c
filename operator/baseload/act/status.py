"""The status of a ModelServing from a decision, and what of it must change before it is written again.

A status is written for a changed decision or condition, never for a changed measurement.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from baseload.act.model_state import model_to_status
from baseload.act.status_size import within_limit
from baseload.api.reasons import Reason
from baseload.plan.decision import Condition, Decision, Status
from baseload.plan.outlook import Outlook
from baseload.plan.snapshot import Mode, ServingSpec

HISTORY_ROWS = 5
HOME = "home"

Essence = tuple[object, ...]
Raw = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class StatusInput:
    """A decision and what is shown beside it; `write_failure` is why the last write did not happen.

    `spec` is None when it could not be read; `desired` is the number meant for the target, or the one that is there
    when nothing may be meant.
    """

    decision: Decision
    spec: ServingSpec | None
    ready: int
    pending: int
    desired: int
    write_failure: str | None = None

    @property
    def recommends(self) -> bool:
        """Whether numbers are only published."""
        return self.spec is not None and self.spec.mode is Mode.RECOMMEND


def essence(given: StatusInput) -> Essence:
    """What must differ from the published status for a new one to be written."""
    decision = given.decision
    return (
        decision.generation,
        decision.final,
        given.desired,
        given.ready,
        decision.final if given.recommends else None,
        _shortage_essence(_shortage(decision)),
        tuple(sorted((c.type, str(c.status), str(c.reason)) for c in _conditions(given))),
    )


def situation(reason: str) -> str:
    """What kind of situation a reason speaks of; within one the reasons change too often to be written each time."""
    return reason if reason in (Reason.NO_TRAFFIC, Reason.MODEL_UNKNOWN) else "Served"


def situation_of(status: Raw) -> str | None:
    """The situation that a status tells of, None before the first decision."""
    reason = (status.get("lastDecision") or {}).get("reason")
    return None if reason is None else situation(reason)


def essence_of(status: Raw) -> Essence:
    """The same of a status as it stands in the API."""
    replicas = (status.get("lastDecision") or {}).get("replicas") or {}
    home: Raw = next((v for v in status.get("variants") or () if v.get("name") == HOME), {})
    conditions = status.get("conditions") or ()
    return (
        status.get("observedGeneration", 0),
        replicas.get("final"),
        home.get("desired"),
        home.get("ready"),
        (status.get("recommendation") or {}).get("replicas"),
        _shortage_essence(status.get("shortage")),
        tuple(sorted((c["type"], c["status"], c["reason"]) for c in conditions)),
    )


def build_status(given: StatusInput, previous: Raw) -> dict[str, Any]:
    """The whole status; a None removes a field that a merge patch would otherwise leave behind."""
    decision = given.decision
    status = {
        "observedGeneration": decision.generation,
        "conditions": _with_times(_conditions(given), previous, decision.time, decision.generation),
        "lastDecision": _last_decision(decision),
        "history": _history(decision, previous),
        "variants": [_variant(given)],
        "replicaModel": model_to_status(decision.memory.model, decision.capacity_rps_per_replica),
        "recommendation": ({"replicas": decision.final, "time": rfc3339(decision.time)} if given.recommends else None),
        "shortage": _shortage(decision),
        "display": _display(given),
    }
    return within_limit(status)


def rfc3339(seconds: float) -> str:
    """Unix seconds as the API's Time, whole seconds."""
    return datetime.fromtimestamp(int(seconds), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _conditions(given: StatusInput) -> tuple[Condition, ...]:
    """The decision's conditions; a write that did not happen takes Ready away."""
    if given.write_failure is None:
        return given.decision.conditions
    failed = Condition("Ready", Status.FALSE, Reason.WRITE_FAILED, given.write_failure)
    return tuple(failed if c.type == "Ready" else c for c in given.decision.conditions)


def _with_times(conditions: Sequence[Condition], previous: Raw, now: float, generation: int) -> list[dict[str, Any]]:
    """Add the transition times, which stay while the status of a condition stays."""
    before = {c["type"]: c for c in previous.get("conditions") or ()}
    rows = []
    for condition in conditions:
        old = before.get(condition.type)
        same = old is not None and old["status"] == condition.status
        rows.append(
            {
                "type": condition.type,
                "status": str(condition.status),
                "reason": str(condition.reason),
                "message": condition.message,
                "lastTransitionTime": old["lastTransitionTime"] if old and same else rfc3339(now),
                "observedGeneration": generation,
            }
        )
    return rows


def _last_decision(decision: Decision) -> dict[str, Any]:
    return {
        "time": rfc3339(decision.time),
        "reason": str(decision.reason),
        "message": decision.message,
        "replicas": {"current": decision.current, "raw": decision.raw, "final": decision.final},
        "observed": [
            _without_none(
                signal=o.signal,
                unit=o.unit,
                value=_decimal(o.value),
                target=_decimal(o.target),
                time=None if o.time is None else rfc3339(o.time),
                missing=None if o.missing is None else str(o.missing),
            )
            for o in decision.observed
        ],
        "forecast": None if decision.outlook is None else _forecast(decision.outlook),
        "limitedBy": [
            {
                "reason": str(entry.reason),
                "message": entry.message,
                "before": entry.before,
                "after": entry.after,
            }
            for entry in decision.limited_by
        ],
        "considered": [
            _without_none(
                pool=c.pool,
                outcome="Chosen" if c.chosen else "NotChosen",
                message=c.message,
                reason=None if c.reason is None else str(c.reason),
            )
            for c in decision.considered
        ],
        "breachTime": None if decision.breach_since is None else rfc3339(decision.breach_since),
    }


def _forecast(outlook: Outlook) -> dict[str, Any]:
    band = outlook.band
    return _without_none(
        answeredBy=str(outlook.answered_by),
        horizonSeconds=round(outlook.horizon_seconds),
        quantile=_decimal(outlook.quantile),
        order=_decimal(outlook.order),
        low=None if band is None else _decimal(band.low),
        median=None if band is None else _decimal(band.median),
        high=None if band is None else _decimal(band.high),
    )


def _history(decision: Decision, previous: Raw) -> list[dict[str, Any]]:
    """The last changes, newest first; a decision that changed nothing adds no row."""
    rows = list(previous.get("history") or ())
    if decision.final != decision.current:
        row = {
            "time": rfc3339(decision.time),
            "from": decision.current,
            "to": decision.final,
            "reason": str(decision.reason),
        }
        if not rows or any(rows[0].get(name) != row[name] for name in ("from", "to", "reason")):
            rows.insert(0, row)
    return rows[:HISTORY_ROWS]


def _variant(given: StatusInput) -> dict[str, Any]:
    return _without_none(
        name=HOME,
        desired=given.desired,
        ready=given.ready,
        pending=given.pending,
        startUpSeconds=round(given.decision.start_up_seconds) or None,
    )


def _shortage(decision: Decision) -> dict[str, Any] | None:
    if decision.shortage is None:
        return None
    missing, rate = decision.shortage.replicas, decision.shortage.requests_per_second
    return _without_none(replicas=missing, requestsPerSecond=_decimal(rate))


def _shortage_essence(shortage: Raw | None) -> Essence:
    """The replicas, and whether a rate stands beside them: the rate itself changes with each measurement."""
    return () if not shortage else (shortage["replicas"], "requestsPerSecond" in shortage)


def _display(given: StatusInput) -> dict[str, str]:
    decision = given.decision
    wanted = decision.current if given.recommends else decision.final
    return {
        "replicas": f"{given.ready}/{wanted}",
        "objective": "" if given.spec is None else objective_in_words(given.spec),
        "reason": str(decision.reason),
    }


def objective_in_words(spec: ServingSpec) -> str:
    """The objective as short as it can be said: `TTFT 800ms@99% ITL 50ms@95%`."""
    named = (("TTFT", spec.time_to_first_token), ("ITL", spec.inter_token_latency))
    return " ".join(f"{name} {t.seconds * 1000:.0f}ms@{t.attainment * 100:g}%" for name, t in named if t is not None)


def _decimal(value: float | None) -> str | None:
    """Four significant digits without an exponent: CRDs have no floats."""
    return None if value is None else f"{float(f'{value:.4g}'):.6f}".rstrip("0").rstrip(".")


def _without_none(**fields: object) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}
