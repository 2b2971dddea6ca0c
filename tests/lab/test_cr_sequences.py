"""Sequences of ModelServings on the real API server: A and then B is B, and a refused one leaves no trace."""

import json
from typing import Any

import pytest
from cr_strategies import Spec, broken, good
from hypothesis import HealthCheck, given, settings
from operator_lab import install

from baseload.errors import LabError
from baseload.lab.cluster import Lab

# The same examples each time, few because each costs half a dozen requests.
FEW = settings(max_examples=5, derandomize=True, deadline=None, database=None, suppress_health_check=list(HealthCheck))


@pytest.fixture
def cluster_with_kinds(lab: Lab) -> Lab:
    """The lab with our kinds."""
    install(lab)
    return lab


class Applied:
    """ModelServings of one namespace, applied as a person does."""

    def __init__(self, lab: Lab, namespace: str) -> None:
        self.lab = lab
        self.namespace = namespace

    def apply(self, name: str, spec: Spec) -> bool:
        """Apply a spec; False when the server refuses it. Nothing scales the paused object."""
        metadata = {"name": name, "namespace": self.namespace, "annotations": {"baseload.dev/paused": "true"}}
        raw = {"apiVersion": "baseload.dev/v1alpha1", "kind": "ModelServing", "metadata": metadata, "spec": spec}
        try:
            self.lab.kubectl("apply", "-f", "-", stdin=json.dumps(raw))
        except LabError as error:
            if "is invalid" not in str(error):
                raise
            return False
        return True

    def spec(self, name: str) -> dict[str, Any]:
        """The spec as it is stored, defaults filled in."""
        found: dict[str, Any] = self.lab.kubectl.get("modelserving.baseload.dev", name, "-n", self.namespace)["spec"]
        return found

    def delete(self, *names: str) -> None:
        """Delete objects."""
        self.lab.kubectl("delete", "modelserving.baseload.dev", *names, "-n", self.namespace, "--ignore-not-found")


def test_sequences_end_where_their_last_object_does(cluster_with_kinds: Lab, namespace: str) -> None:
    """A then B is B, removed fields return to their defaults; A, a broken one, A is A."""
    applied = Applied(cluster_with_kinds, namespace)

    @FEW
    @given(good, good, broken())
    def tell(first: Spec, second: Spec, wrong: Spec) -> None:
        assert applied.apply("chat", first)
        as_first = applied.spec("chat")
        assert applied.apply("chat", second)
        assert applied.apply("fresh", second)
        assert applied.spec("chat") == applied.spec("fresh")
        assert not applied.apply("chat", wrong)
        assert applied.apply("chat", first)
        assert applied.spec("chat") == as_first
        applied.delete("chat", "fresh")

    tell()
