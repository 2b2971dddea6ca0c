"""The status that is written, and when it is not written."""

from dataclasses import replace

import pytest
from worlds import NOW, learned_model, signals, spec

from baseload.act.model_state import model_from_status, model_to_status
from baseload.act.status import StatusInput, build_status, essence, essence_of, rfc3339, situation, situation_of
from baseload.api.models import ModelServingStatus
from baseload.api.reasons import Reason
from baseload.plan.decision import Decision
from baseload.plan.memory import ReplicaModel, ServingMemory
from baseload.plan.planner import plan
from baseload.plan.snapshot import Mode, Refusal, ServingKey, ServingState, Snapshot, TargetState


def decided(rps: float = 4.0, replicas: int = 2, now: float = NOW, **changes: object) -> Decision:
    """A decision of the real planner."""
    state = ServingState(
        key=ServingKey("team", "chat"),
        generation=3,
        spec=spec(),
        target=TargetState("Deployment", "chat", "u", replicas, replicas),
        signals=signals(rps),
        memory=ServingMemory(model=learned_model()),
    )
    state = replace(state, **changes)  # type: ignore[arg-type]
    return plan(Snapshot(now=now, warm_since=now - 9000, world_time=now, servings=(state,)))[0]


def given(decision: Decision, **changes: object) -> StatusInput:
    """What the status is built from."""
    base = StatusInput(decision, spec(), ready=2, pending=0, desired=decision.final)
    return replace(base, **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize("mode", list(Mode))
@pytest.mark.parametrize("rps", [1.0, 60.0])
def test_status_fits_the_api_and_its_essence_is_read_back(mode: Mode, rps: float) -> None:
    """What is built is valid, and says the same when it is read from the API again."""
    entry = given(decided(rps), spec=spec(mode=mode))
    status = build_status(entry, {})
    parsed = ModelServingStatus.model_validate(status)
    assert parsed.last_decision is not None
    stored = parsed.model_dump(mode="json", by_alias=True, exclude_none=True)
    assert essence_of(stored) == essence(entry)


def test_refusals_fit_the_api() -> None:
    """A serving that cannot be scaled at all has a valid status too."""
    refused = decided(refusal=Refusal(Reason.TARGET_NOT_FOUND, "no such Deployment"), target=None)
    entry = given(refused, spec=None, ready=0, desired=0)
    assert ModelServingStatus.model_validate(build_status(entry, {})).conditions


def test_changed_measurements_alone_are_not_written() -> None:
    """Another rate with the same replicas and conditions is the same status."""
    one, two = decided(6.0), decided(6.1, now=NOW + 5)
    assert one.final == two.final
    assert essence(given(one)) == essence(given(two))
    assert essence(given(one, ready=1)) != essence(given(one))
    assert essence(given(one, write_failure="no right")) != essence(given(one))


def test_situations_are_coarser_than_reasons() -> None:
    """Reasons of an ordinary day are one situation; silence and an unknown model are others."""
    assert situation("DemandRose") == situation("Stabilization")
    assert len({situation(reason) for reason in ("NoTraffic", "ModelUnknown", "DemandRose")}) == 3
    assert situation_of({}) is None


def test_transition_times_stay_while_the_status_stays() -> None:
    """Only a condition whose status changed gets a new time."""
    first = build_status(given(decided()), {})
    second = build_status(given(decided(now=NOW + 60), write_failure="no right"), first)
    times = {c["type"]: c["lastTransitionTime"] for c in second["conditions"]}
    assert times["Accepted"] == rfc3339(NOW)
    assert times["Ready"] == rfc3339(NOW + 60)


def test_history_keeps_five_and_does_not_repeat_itself() -> None:
    """The newest change is first; a retry of the same change adds nothing."""
    status: dict[str, object] = {}
    for step in range(8):
        change = replace(decided(), current=step, final=step + 1, time=NOW + step)
        status = build_status(given(change), status)
        again = build_status(given(change), status)
        assert again["history"] == status["history"]
    history = ModelServingStatus.model_validate(status).history
    assert [row.to for row in history] == [8, 7, 6, 5, 4]


def test_model_comes_back_from_its_status() -> None:
    """The learned sums survive; another version or garbage is learned again."""
    model = learned_model()
    state = model_to_status(model, 1.5)
    back = model_from_status(state)
    assert back.weight == pytest.approx(model.weight)
    assert back.updated_time == pytest.approx(model.updated_time)
    assert len(state["state"]) < 1024
    for broken in ({**state, "stateVersion": 0}, {**state, "state": "[1]"}, {**state, "state": "{"}, {}):
        assert model_from_status(broken) == ReplicaModel()
