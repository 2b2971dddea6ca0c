"""Which replicas go first: the choice, the annotations it takes, and that no failure of it holds a step down up."""

from collections.abc import Sequence
from typing import Any

import pytest

from baseload.act.actuator import Actuator, ScaleOrder
from baseload.act.publisher import StatusPublisher
from baseload.act.victims import COST, MARK, Candidate, Choice, VictimMarker, candidates, changes
from baseload.errors import ApiError, ConflictError, ForbiddenError, UnavailableError
from baseload.plan.snapshot import ServingKey

RUNNING = {"a": 9.0, "b": 1.0, "c": 0.0, "d": 5.0}


def pod(name: str, *, ready: bool = True, cost: str | None = None) -> Candidate:
    """A pod that may go."""
    return Candidate(name, "7", ready, cost)


def raw(name: str, owner: str = "chat-5d8f", **metadata: Any) -> dict[str, Any]:
    """A pod of Deployment chat as the API server gives it."""
    return {
        "metadata": {
            "name": name,
            "resourceVersion": "7",
            "labels": {"pod-template-hash": "5d8f"},
            "ownerReferences": [{"kind": "ReplicaSet", "name": owner, "controller": True}],
            **metadata,
        },
        "status": {"conditions": [{"type": "Ready", "status": "True"}]},
    }


class FakeWriter:
    """Gives pods, takes annotations and scales; `error` is raised by every call about pods."""

    def __init__(self, pods: Sequence[dict[str, Any]] = (), error: ApiError | None = None) -> None:
        self.raws, self.error = list(pods), error
        self.calls: list[tuple[str, ...]] = []

    async def pods(self, namespace: str, selector: str) -> list[dict[str, Any]]:
        """List pods."""
        self.calls.append(("list", namespace, selector))
        if self.error is not None:
            raise self.error
        return self.raws

    async def annotate_pod(self, namespace: str, candidate: Candidate, annotation: str, value: str | None) -> None:
        """Annotate a pod; one called `gone` has changed meanwhile."""
        self.calls.append(("annotate", candidate.name, str(value)))
        assert annotation == COST
        if candidate.name == "gone":
            raise ConflictError("changed", status=409)

    async def scale(self, collection: str, namespace: str, name: str, replicas: int, version: str) -> None:
        """Write a scale."""
        self.calls.append(("scale", name, str(replicas)))


@pytest.mark.parametrize(
    ("pods", "leaving", "marked"),
    [
        pytest.param([pod(n) for n in "abcd"], 2, {"c": MARK, "b": MARK}, id="least-busy"),
        pytest.param(
            [pod("a"), pod("b", ready=False), pod("c"), pod("d")], 2, {"c": MARK}, id="unready-goes-by-itself"
        ),
        pytest.param([pod("a"), pod("b", ready=False), pod("c", ready=False)], 1, {}, id="only-unready"),
        pytest.param([pod("a"), pod("x"), pod("b")], 2, {"b": MARK, "a": MARK}, id="unknown-is-busiest"),
        pytest.param([pod("x"), pod("y")], 1, {}, id="nothing-known"),
        pytest.param([pod("a"), pod("b", cost=MARK), pod("c")], 1, {"c": MARK, "b": None}, id="old-mark-goes"),
        pytest.param([pod("a"), pod("b", cost=MARK), pod("d")], 1, {}, id="mark-is-there"),
        pytest.param([pod("a"), pod("b", cost="5"), pod("c")], 1, {}, id="somebody-else-chose"),
    ],
)
def test_the_least_busy_are_marked(pods: list[Candidate], leaving: int, marked: dict[str, str | None]) -> None:
    """What is not ready goes by itself, so the ready ones with the fewest sequences make up the rest."""
    assert {p.name: value for p, value in changes(pods, leaving, RUNNING)} == marked


def test_candidates_are_the_pods_of_the_deployment_that_stay() -> None:
    """Pods that are leaving, and those of another owner with the same labels, are none."""
    found = candidates(
        [
            raw("a", annotations={COST: "3"}),
            raw("leaving", deletionTimestamp="2026-01-01T00:00:00Z"),
            raw("other", owner="chat-canary-5d8f"),
            {**raw("young"), "status": {}},
        ],
        "chat",
    )
    assert found == (Candidate("a", "7", True, "3"), Candidate("young", "7", False, None))  # noqa: FBT003


def order(replicas: int, choice: Choice | None) -> ScaleOrder:
    """From three to `replicas`."""
    key = ServingKey("team", "serving")
    return ScaleOrder(key, "/apis/apps/v1/deployments", "chat", replicas, 3, "20", None, choice)


async def carried_out(writer: FakeWriter, given: ScaleOrder, marker: VictimMarker | None = None) -> list[str]:
    """What kinds of calls an order came to."""
    fake: Any = writer
    outcome = await Actuator(fake, StatusPublisher(fake), marker or VictimMarker(writer)).carry_out(given)
    assert outcome.error is None
    return [call[0] for call in writer.calls]


async def test_marks_are_set_just_before_the_step_down() -> None:
    """Listing, marks, then the number; a pod that changed meanwhile costs only its mark."""
    writer = FakeWriter([raw(name) for name in ("a", "b", "gone")])
    choice = Choice("app=chat", {"a": 9.0, "b": 1.0, "gone": 0.0})
    assert await carried_out(writer, order(1, choice)) == ["list", "annotate", "annotate", "scale"]
    assert writer.calls[0] == ("list", "team", "app=chat")
    assert [call[1] for call in writer.calls[1:3]] == ["gone", "b"]


async def test_a_step_up_or_without_a_choice_marks_nothing() -> None:
    """More replicas, kinds without a choice, and an operator without the switch only write the number."""
    pods, choice = [raw("a"), raw("b")], Choice("app=chat", RUNNING)
    assert await carried_out(FakeWriter(pods), order(5, choice)) == ["scale"]
    assert await carried_out(FakeWriter(pods), order(1, None)) == ["scale"]
    fake: Any = FakeWriter(pods)
    await Actuator(fake, StatusPublisher(fake)).carry_out(order(1, choice))
    assert [call[0] for call in fake.calls] == ["scale"]


@pytest.mark.parametrize("error", [UnavailableError("away"), ApiError("broken", status=500)])
async def test_no_failure_holds_the_step_up(error: ApiError) -> None:
    """The number is written although the pods could not be listed."""
    assert await carried_out(FakeWriter(error=error), order(1, Choice("app=chat"))) == ["list", "scale"]


async def test_without_the_right_it_is_said_and_left(caplog: pytest.LogCaptureFixture) -> None:
    """A refusal names the right and the switch, once in ten minutes, and scaling goes on."""
    writer, now = FakeWriter(error=ForbiddenError("no right", status=403)), [0.0]
    marker = VictimMarker(writer, lambda: now[0])
    for seconds, lists in ((0.0, 1), (599.0, 1), (601.0, 2)):
        now[0] = seconds
        calls = await carried_out(writer, order(1, Choice("app=chat", RUNNING)), marker)
        assert calls.count("list") == lists
        assert calls[-1] == "scale"
    warnings = [r for r in caplog.records if r.levelname == "WARNING"]
    assert len(warnings) == 2
    assert "--no-choose-victims" in vars(warnings[0])["remedy"]
