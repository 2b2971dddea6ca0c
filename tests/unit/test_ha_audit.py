"""The judge of leader changes: what it calls a write over a newer leader, and what a late one."""

import base64
import json
from pathlib import Path
from typing import Any

from baseload.lab.ha_audit import AuditedWrite, audited_writes, judge, token_id


def lease(token: str, at: float) -> AuditedWrite:
    """A lease write."""
    return AuditedWrite(token, "leases", ("leases", "n", "l"), at, at + 0.1, int(at * 10))


def scale(token: str, name: str, at: float, *, code: int = 200, exact: bool = True) -> AuditedWrite:
    """A scale write; `exact` ones carry a version."""
    version = int(at * 10) if exact and code == 200 else None
    return AuditedWrite(token, "deployments/scale", ("deployments", "n", name), at, at + 0.1, version, code)


def test_write_over_a_newer_leader_is_found() -> None:
    """A write of the first leader after one of the second to the same object, with and without versions."""
    for exact in (True, False):
        writes = [lease("a", 1), scale("a", "x", 2), lease("b", 5), scale("b", "x", 6, exact=exact)]
        assert judge(writes).overwrites == ()
        bad = scale("a", "x", 7, exact=exact)
        assert judge([*writes, bad]).overwrites == (bad,)


def test_late_write_elsewhere_is_counted_with_its_correction() -> None:
    """A late write to an object that the second leader wrote only afterwards is late, and corrected by that."""
    writes = [lease("a", 1), lease("b", 5), scale("a", "x", 6), scale("a", "y", 6), scale("b", "x", 8)]
    found = judge(writes)
    assert found.overwrites == ()
    assert [(late.write.subject[2], late.corrected_seconds) for late in found.late] == [("x", 2.0), ("y", None)]


def test_refused_writes_after_a_takeover_are_counted() -> None:
    """A conflict is everyday life before the takeover and a fence that held after it."""
    early, late = scale("a", "x", 2, code=409), scale("a", "x", 7, code=409)
    assert judge([lease("a", 1), early, lease("b", 5), late]).refused == (late,)


def test_writes_are_read_by_token_from_the_audit_log(tmp_path: Path) -> None:
    """Only writes of the known tokens count; half a line at the end is left out."""
    payload = base64.urlsafe_b64encode(json.dumps({"jti": "one"}).encode()).decode().rstrip("=")
    assert token_id(f"x.{payload}.y") == "JTI=one"

    def line(verb: str = "patch", code: int = 200, credential: str = "JTI=one") -> str:
        entry: dict[str, Any] = {
            "stage": "ResponseComplete",
            "verb": verb,
            "user": {"extra": {"authentication.kubernetes.io/credential-id": [credential]}},
            "objectRef": {"resource": "deployments", "subresource": "scale", "namespace": "n", "name": "x"},
            "responseStatus": {"code": code},
            "responseObject": {"metadata": {"resourceVersion": "17"}},
            "requestReceivedTimestamp": "2026-01-01T00:00:00.000000Z",
            "stageTimestamp": "2026-01-01T00:00:01.500000Z",
        }
        return json.dumps(entry)

    log = tmp_path / "audit.log"
    log.write_text("\n".join([line(), line("get"), line(credential="JTI=two"), line(code=409), "{"]))
    found = audited_writes(log, ["JTI=one"])
    assert [(w.accepted, w.version, w.done - w.received) for w in found] == [(True, 17, 1.5), (False, None, 1.5)]
    assert found[0].subject == ("deployments", "n", "x")
