"""`why` puts a status into words: a sentence for each reason, and the way from demand to the final number."""

import re
from typing import Any

import pytest

from baseload.api.reasons import Reason
from baseload.api.sentences import SENTENCES, Subject, sentence
from baseload.doctor.times import age, parse_at, rfc3339, unix
from baseload.doctor.why import explain
from baseload.errors import BaseloadError, ConfigError

NOW = unix("2026-11-24T16:40:00Z")
CHAT = Subject("chat", "team-a", "Deployment", "chat-server")


def serving(**status: Any) -> dict[str, Any]:
    """A ModelServing as the API server gives it."""
    return {
        "metadata": {"name": "chat", "namespace": "team-a", "generation": 2, "creationTimestamp": rfc3339(NOW - 3600)},
        "spec": {"targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "chat-server"}},
        "status": {"observedGeneration": 2, "conditions": [condition("Ready", "True", "Scaling")], **status},
    }


def condition(kind: str, value: str, reason: str, message: str = "in words") -> dict[str, Any]:
    """A condition as it stands in a status."""
    times = {"lastTransitionTime": rfc3339(NOW - 600), "observedGeneration": 2}
    return {"type": kind, "status": value, "reason": reason, "message": message, **times}


def decision(reason: str, numbers: tuple[int, int, int], **more: Any) -> dict[str, Any]:
    """A last decision of five minutes ago."""
    current, raw, final = numbers
    replicas = {"current": current, "raw": raw, "final": final}
    return {"time": rfc3339(NOW - 300), "reason": reason, "message": "8 requests/s now", "replicas": replicas, **more}


def told(given: dict[str, Any]) -> str:
    """All lines of the story, advice included."""
    story = explain(given, NOW)
    lines = [f"{line.text} {line.advice}" for section in story.sections for line in section.lines]
    return "\n".join([story.headline, *(section.title for section in story.sections), *lines])


@pytest.mark.parametrize("reason", list(Reason))
def test_every_reason_has_a_sentence(reason: Reason) -> None:
    """`why` has words of its own for each reason, complete ones, and says no more than the names it is given."""
    assert reason in SENTENCES, f"add a Sentence for Reason.{reason.name} to operator/baseload/api/sentences.py"
    found = sentence(reason, CHAT)
    assert re.fullmatch(r"[A-Z`].+\.", found.says), f"the sentence of {reason.name} must be one: {found.says}"
    assert found.says != reason.text, f"the sentence of {reason.name} repeats its documentation; say what it means"
    assert not re.search(r"[{}]", found.says + found.advice)
    assert not found.advice.endswith("."), f"the advice of {reason.name} stands after a colon, without a full stop"


@pytest.mark.parametrize("reason", list(Reason))
def test_every_reason_is_told_wherever_a_status_may_hold_it(reason: Reason) -> None:
    """As the decision, a limit, a missing signal, a condition and in the history, each reason gets its sentence."""
    limit = {"reason": reason, "message": "m", "before": 5, "after": 4}
    missing = {"signal": "Running", "unit": "sequences", "missing": reason}
    given = serving(
        lastDecision=decision(reason, (3, 5, 4), limitedBy=[limit], observed=[missing]),
        conditions=[condition("Conflict", "True", reason)],
        history=[{"time": rfc3339(NOW - 300), "from": 3, "to": 4, "reason": reason}],
    )
    spoken = told(given).count(sentence(reason, CHAT).says)
    # A condition that was not looked at explains nothing, so it is not told.
    assert spoken == (4 if reason is Reason.NOT_OBSERVED else 5)


def test_no_two_sentences_are_the_same() -> None:
    """Two reasons with one sentence would leave the reader to guess the difference."""
    assert len({found.says for found in SENTENCES.values()}) == len(SENTENCES)


def test_the_forecast_is_told_with_its_quantile_horizon_and_band() -> None:
    """What was ordered for, how sure that is, how far ahead, and the band around it."""
    forecast = {"answeredBy": "Mixture", "horizonSeconds": 1200, "quantile": "0.93", "order": "1034"}
    band = {"low": "512.3", "median": "801.2", "high": "1378"}
    words = told(serving(lastDecision=decision("ForecastRose", (2, 4, 4), forecast={**forecast, **band})))
    assert "1034 tokens/s in 1200 s to order for, which covers 93% of what may come, says Mixture" in words
    assert "801.2 tokens/s expected; 95 of 100 times between 512.3 and 1378" in words
    by_rule = {"answeredBy": "Mixture", "horizonSeconds": 1200, "order": "1034"}
    assert "by a rule over" in told(serving(lastDecision=decision("ForecastRose", (2, 4, 4), forecast=by_rule)))


def test_a_reactive_decision_is_told_as_such() -> None:
    """Without a forecast it says so, and where history is explained."""
    words = told(serving(lastDecision=decision("DemandRose", (2, 4, 4))))
    assert "None was followed" in words
    assert "docs/how-to/history.md" in words


def test_numbers_are_told_in_the_order_in_which_they_came_about() -> None:
    """From what demand asked for, through each limit, to the final number."""
    limits = [
        {"reason": "MaxReplicas", "message": "replicas.max is 6", "before": 9, "after": 6},
        {"reason": "Paused", "message": "annotation baseload.dev/paused is set", "before": 6, "after": 3},
    ]
    story = explain(serving(lastDecision=decision("DemandRose", (3, 9, 3), limitedBy=limits)), NOW)
    section = story.sections[0]
    assert section.title == "Decided 5 min ago, at 2026-11-24T16:35:00Z: it stays at 3 replicas"
    assert [line.text.split(":")[0] for line in section.lines] == [
        "9 wanted, DemandRose",
        "9 -> 6, MaxReplicas",
        "6 -> 3, Paused",
    ]


def test_a_healthy_serving_has_nothing_that_is_not_as_it_should_be() -> None:
    """Good conditions are not told, and the headline has the numbers."""
    home = [{"name": "home", "desired": 4, "ready": 3, "pending": 1}]
    story = explain(serving(variants=home), NOW)
    assert story.headline == "team-a/chat: 4 replicas wanted, 3 ready; Ready is True, Scaling"
    assert story.sections == ()


def test_a_conflict_is_told_once_with_the_way_out() -> None:
    """Ready and Stalled repeat the reason of the Conflict and are left out; the advice is a command."""
    rows = [condition(kind, "True", "ForeignWriter") for kind in ("Conflict", "Stalled")]
    given = serving(conditions=[condition("Ready", "False", "ForeignWriter"), *rows])
    (section,) = explain(given, NOW).sections
    (line,) = section.lines
    assert line.text.startswith("Conflict is True since 2026-11-24T16:30:00Z, 10 min ago, ForeignWriter: Somebody else")
    assert "kubectl annotate modelservings.baseload.dev chat -n team-a" in line.advice


def test_a_failed_write_is_told_although_only_ready_has_it() -> None:
    """Ready is told when no other condition explains it."""
    assert "WriteFailed" in told(serving(conditions=[condition("Ready", "False", "WriteFailed")]))


def test_no_status_and_an_old_one_point_at_the_operator() -> None:
    """Without a status, or with one of an older spec, the operator is the first thing to look at."""
    fresh = serving()
    fresh["status"] = {}
    assert "has not written a status yet" in told(fresh)
    old = serving()
    old["metadata"]["generation"] = 3
    assert "The spec is at generation 3, the status speaks of 2. run `baseload doctor`" in told(old)


def test_pools_signals_and_the_mode_are_told() -> None:
    """What was looked at stands there with its numbers, and a number that nobody writes is called that."""
    seen = {"signal": "Running", "unit": "sequences", "value": "12", "time": rfc3339(NOW - 305)}
    share = {"signal": "InterTokenAttainment", "unit": "share", "target": "0.95"}
    pool = {"pool": "owned", "outcome": "NotChosen", "message": "0 of 8 L40S are free"}
    given = serving(lastDecision=decision("DemandCovered", (3, 3, 3), observed=[seen, share], considered=[pool]))
    given["spec"]["mode"] = "Recommend"
    text = told(given)
    assert "Running 12 sequences, measured at 2026-11-24T16:34:55Z" in text
    assert "InterTokenAttainment none of 0.95 share" in text
    assert "owned, NotChosen: 0 of 8 L40S are free" in text
    assert "nobody writes it to Deployment 'chat-server'" in text


def test_a_shortage_is_told_in_replicas_and_requests() -> None:
    """What is missing, and without a rate only the replicas."""
    text = told(serving(shortage={"replicas": 3, "requestsPerSecond": "4.2"}))
    assert "3 wanted replicas have no accelerator; 4.2 requests/s cannot be served inside the objective" in text
    assert "requests/s" not in told(serving(shortage={"replicas": 3}))


def test_what_several_signals_lack_is_explained_once() -> None:
    """When Prometheus is gone every signal is missing, and one sentence is enough."""
    gone = [{"signal": name, "unit": "x", "missing": "Unreachable"} for name in ("Running", "Waiting", "OfferedRate")]
    text = told(serving(lastDecision=decision("ModelUnknown", (2, 2, 2), observed=gone)))
    assert text.count("Prometheus did not answer the operator.") == 1
    assert "Waiting is missing, Unreachable" in text


def test_words_of_another_version_do_not_stop_the_story() -> None:
    """A reason that this version does not know is told as such; a status it cannot read is an error in words."""
    assert "This command has no words for BrandNew." in told(serving(lastDecision=decision("BrandNew", (1, 1, 1))))
    with pytest.raises(BaseloadError, match=r"`lastDecision.time` cannot be read .*own version"):
        explain(serving(lastDecision={"reason": "NoTraffic"}), NOW)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90s", 90.0), ("10m", 600.0), ("1.5h", 5400.0), ("1d", 86400.0), ("2026-11-24T17:40:00+02:00", 3600.0)],
)
def test_times_of_the_past_are_read(text: str, seconds: float) -> None:
    """How long ago, or an RFC 3339 time of any zone."""
    assert parse_at(text, NOW) == NOW - seconds


@pytest.mark.parametrize("text", ["yesterday", "10 minutes", "2026-11-24T16:00:00", "2026-11-24T17:00:00Z", "-5m", ""])
def test_other_times_are_refused_with_the_remedy(text: str) -> None:
    """No time, none without a zone, none ahead."""
    with pytest.raises(ConfigError, match=r"--at .* give an RFC 3339 time"):
        parse_at(text, NOW)


def test_ages_are_told_in_their_largest_unit() -> None:
    """Seconds up to two minutes, minutes up to two hours, hours up to two days."""
    assert [age(s) for s in (-3.0, 45.0, 119.0, 720.0, 7199.0, 10_800.0, 777_600.0)] == [
        "0 s", "45 s", "119 s", "12 min", "120 min", "3 h", "9 d",
    ]  # fmt: skip
