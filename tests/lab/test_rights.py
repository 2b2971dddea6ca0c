"""The audit log over everything that ran before: nothing was denied, no rule was granted in vain. Runs last."""

import pytest
from audit_proof import PROOF
from rights import Asked, Rule, asked_in, is_denied, role_changes, rows_of, rules, time_of, uncovered, unused

from baseload.lab.cluster import Lab

SETTLING_SECONDS = 10.0
"""After a change of the operator's roles: tests that take a right away give it back, and servers read roles late."""


@pytest.mark.last
def test_the_operator_was_denied_nothing_and_used_every_rule(lab: Lab, pytestconfig: pytest.Config) -> None:
    """0 denied requests outside tests that withdraw a right; after the whole suite, 0 rules that nobody used."""
    given = pytestconfig.stash[PROOF]
    denied, asked = [], set()
    given.withdrawn += [(at, at + SETTLING_SECONDS) for at in role_changes(lab.audit_log, given.audit_log_start)]
    for row in rows_of(lab.audit_log, given.audit_log_start):
        request = asked_in(row)
        if request is None:
            continue
        asked.add(request)
        if is_denied(row) and not given.is_withdrawn(time_of(row)):
            denied.append(f"{row['requestURI']}: {row.get('responseStatus', {}).get('message', '')}")
    assert denied == []
    if given.whole_suite:
        assert [str(rule) for rule in unused(rules(), asked)] == []


def test_rules_are_compared_with_requests() -> None:
    """A request is covered by group, resource, verb and name; a rule of many verbs is as many single ones."""
    rule = Rule(("apps",), ("deployments", "deployments/scale"), ("get", "patch"))
    named = Rule(("coordination.k8s.io",), ("leases",), ("update",), ("ours",))
    asked = [Asked("patch", "apps", "deployments/scale"), Asked("update", "coordination.k8s.io", "leases", "theirs")]
    assert uncovered([rule, named], asked) == asked[1:]
    assert unused([rule, named], asked) == [named]
    assert len(unused(rule.single(), asked)) == 3


def test_denials_are_told_from_other_refusals() -> None:
    """A namespace that goes away and a server that has not read the roles yet are no want of a right."""
    denied = {"responseStatus": {"code": 403, "message": "forbidden: cannot list"}}
    ending = {"responseStatus": {"code": 403, "message": "namespace x is being terminated"}}
    starting = {**denied, "annotations": {"authorization.k8s.io/reason": 'RBAC: clusterrole "x" not found'}}
    assert [is_denied(row) for row in (denied, ending, starting, {})] == [True, False, False, False]
