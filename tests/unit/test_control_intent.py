"""What is made of a target's number that is not our last intent."""

from dataclasses import replace

from baseload.control.intent import Intent, adopt, awaits_echo, intend, observe, was_overwritten, written
from baseload.observe.objects import Workload, WorkloadKey
from baseload.observe.placement import PodShape

TOKEN = (1, ())


def workload(wanted: int, version: str = "1", uid: str = "u") -> Workload:
    """A Deployment with a number."""
    return Workload(
        WorkloadKey("Deployment", "team", "chat"), uid, version, wanted, wanted, rolling_out=False, shape=PodShape()
    )


def test_the_number_that_is_there_is_adopted() -> None:
    """Without an intent, or for a target that was created anew, what is there is ours."""
    assert observe(None, workload(3), TOKEN, 0.0) == adopt(workload(3), TOKEN)
    old = Intent("other", 5, confirmed=True)
    assert observe(old, workload(1), TOKEN, 0.0).replicas == 1


def test_own_write_is_awaited_and_then_confirmed() -> None:
    """Between a write and its echo an old number in the watch means nothing, whatever else changed meanwhile."""
    intent = written(intend(adopt(workload(2, "7"), TOKEN), 5), "9")
    for version in ("7", "8"):
        assert awaits_echo(intent, workload(2, version))
        assert observe(intent, workload(2, version), TOKEN, 0.0) == intent
    confirmed = observe(intent, workload(5, "9"), TOKEN, 0.0)
    assert confirmed.confirmed
    assert not was_overwritten(intent, confirmed)


def test_who_writes_before_our_echo_is_counted_too() -> None:
    """A writer so quick that our number is never seen in the watch is caught like any other."""
    intent = intend(adopt(workload(2, "7"), TOKEN), 5)
    for version in ("9", "12", "15"):
        intent = written(intent, version)
        intent = observe(intent, workload(2, str(int(version) + 1)), TOKEN, 0.0)
    assert len(intent.reasserted) == 3
    assert observe(written(intent, "18"), workload(2, "19"), TOKEN, 0.0).contested


def test_unwritten_intent_is_kept_without_counting() -> None:
    """An intent from before a crash is finished; nobody is accused."""
    restored = Intent("", 5)
    found = observe(restored, workload(2), TOKEN, 0.0)
    assert found.replicas == 5
    assert found.reasserted == ()
    assert not was_overwritten(restored, found)


def foreign(intent: Intent, now: float) -> Intent:
    """Somebody writes 9 over a confirmed intent."""
    return observe(replace(intent, confirmed=True), workload(9, str(now)), TOKEN, now)


def test_fourth_foreign_write_in_ten_minutes_is_contested() -> None:
    """Three are put back, the fourth is left; older ones are forgotten."""
    intent = adopt(workload(2), TOKEN)
    for now in (0.0, 100.0, 200.0):
        before, intent = intent, foreign(intent, now)
        assert was_overwritten(before, intent)
        assert not intent.contested
    assert foreign(intent, 300.0).contested
    assert not foreign(intent, 601.0).contested


def test_contest_ends_with_a_change_by_a_person_or_by_itself() -> None:
    """A changed annotation adopts the number that is there; the intended number coming back ends it too."""
    contested = Intent("u", 2, confirmed=True, contested=True, token=TOKEN)
    assert observe(contested, workload(9), TOKEN, 0.0).contested
    assert observe(contested, workload(9), (1, (("baseload.dev/note", "x"),)), 0.0).replicas == 9
    assert not observe(contested, workload(2), TOKEN, 0.0).contested


def test_after_an_hour_one_more_attempt_is_made_and_no_fight() -> None:
    """After an hour our number is written again, and the next foreign one is a conflict at once."""
    contested = Intent("u", 2, contested=True, contested_time=100.0, token=TOKEN)
    assert observe(contested, workload(9), TOKEN, 3600.0).contested
    tried = observe(contested, workload(9), TOKEN, 3701.0)
    assert (tried.contested, tried.replicas) == (False, 9)
    again = observe(written(intend(tried, 2), "5"), workload(9, "6"), TOKEN, 3702.0)
    assert (again.contested, again.contested_time) == (True, 3702.0)
    quiet = observe(written(intend(tried, 2), "5"), workload(2, "5"), TOKEN, 3702.0)
    assert not foreign(quiet, 5000.0).contested
