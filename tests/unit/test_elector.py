"""The elector in virtual time: who leads when, what is lost, and what a stop leaves behind."""

import asyncio
from collections.abc import Callable, Coroutine
from functools import wraps
from typing import Any

import pytest
from lease_world import Candidate, FlakyStore, Server, Trouble, run_virtually

from baseload.act.fence import Fence
from baseload.control.elector import LeaseTimes, new_identity
from baseload.errors import ConfigError, NotLeaderError

Test = Callable[..., Coroutine[Any, Any, None]]


def virtually(test: Test) -> Callable[..., None]:
    """Run an asynchronous test in virtual time."""

    @wraps(test)
    def run(*arguments: Any, **named: Any) -> None:
        run_virtually(test(*arguments, **named))

    return run


async def leads(candidate: Candidate, seconds: float = 60.0) -> float:
    """Wait until it leads; the virtual time."""
    await asyncio.wait_for(candidate.elector.leading.wait(), seconds)
    return asyncio.get_running_loop().time()


@virtually
async def test_first_candidate_leads_at_once_and_the_second_stands_by() -> None:
    """A Lease that does not exist is created; who comes later waits for as long as it is renewed."""
    server = Server()
    first = Candidate("first", server)
    assert await leads(first) == 0.0
    second = Candidate("second", server)
    await asyncio.sleep(300.0)
    assert first.may_write
    assert not second.may_write
    assert "take" not in second.store.calls
    assert server.lease is not None
    assert (server.lease.holder, server.lease.transitions) == ("first", 0)


@virtually
async def test_takeover_of_a_dead_leader_takes_one_lease_and_one_look() -> None:
    """After a kill another leads between one lease and one lease plus one retry later."""
    server = Server()
    first = Candidate("first", server)
    await leads(first)
    second = Candidate("second", server)
    await asyncio.sleep(21.0)
    first.end()
    killed = asyncio.get_running_loop().time()
    took = await leads(second) - killed
    assert 13.0 <= took <= 17.5
    assert server.lease is not None
    assert server.lease.transitions == 1


@virtually
async def test_released_lease_is_taken_at_the_next_look() -> None:
    """A graceful stop leaves the Lease without a holder, so that nobody waits for its end."""
    server = Server()
    first = Candidate("first", server)
    await leads(first)
    second = Candidate("second", server)
    await asyncio.sleep(21.0)
    first.end()
    await first.elector.release()
    assert not first.may_write
    released = asyncio.get_running_loop().time()
    assert await leads(second) - released <= 2.5


@virtually
async def test_a_stopped_standby_releases_nothing() -> None:
    """Only the holder gives the Lease up."""
    server = Server()
    first, second = Candidate("first", server), Candidate("second", server)
    await asyncio.sleep(5.0)
    second.end()
    await second.elector.release()
    assert server.lease is not None
    assert server.lease.holder == "first"
    assert first.may_write


@virtually
async def test_leader_without_answers_is_silent_before_another_leads_and_ends_when_it_sees_it() -> None:
    """Cut off it may write for ten seconds after the last renewal was sent; back again, it finds another and ends."""
    server = Server()
    first = Candidate("first", server, [Trouble(), Trouble()] + [Trouble(lost_before=True)] * 20)
    second = Candidate("second", server)
    await asyncio.sleep(9.9)
    assert first.may_write
    await asyncio.sleep(0.2)
    assert not first.may_write
    assert await leads(second) >= 15.0
    await asyncio.wait_for(first.task, 60.0)
    assert first.ended == ["the lease is held by 'second' now"]
    assert not first.may_write


@virtually
async def test_leader_goes_on_after_an_outage_in_which_nobody_else_led() -> None:
    """An API server that is away for minutes silences the leader and ends nothing."""
    server = Server()
    first = Candidate("first", server, [Trouble(), Trouble()] + [Trouble(lost_before=True)] * 60)
    await asyncio.sleep(60.0)
    assert not first.may_write
    assert not first.task.done()
    await asyncio.sleep(90.0)
    assert first.may_write
    assert first.ended == []


@virtually
async def test_lease_deleted_during_an_outage_ends_the_leader() -> None:
    """Without the Lease nothing proves that nobody else led meanwhile."""
    server = Server()
    first = Candidate("first", server, [Trouble(), Trouble()] + [Trouble(lost_before=True)] * 20)
    await asyncio.sleep(20.0)
    server.lease = None
    await asyncio.wait_for(first.task, 60.0)
    assert first.ended == ["the lease was deleted while it could not be renewed"]


@virtually
async def test_released_lease_is_not_taken_back_by_a_silent_leader() -> None:
    """Another led and gave it up while the first was cut off: the first ends all the same."""
    server = Server()
    first = Candidate("first", server, [Trouble(), Trouble()] + [Trouble(lost_before=True)] * 20)
    await asyncio.sleep(20.0)
    server.write(server.lease, ("", 1, 4))
    await asyncio.wait_for(first.task, 60.0)
    assert first.ended == ["the lease was released"]


@virtually
async def test_slow_answers_do_not_move_the_deadline() -> None:
    """A renewal counts from when it was sent: four seconds on the way are four seconds of leading less."""
    server = Server()
    slow = Trouble(there_seconds=2.0, back_seconds=2.0)
    first = Candidate("first", server, [Trouble(), Trouble(), slow] + [Trouble(lost_before=True)] * 100)
    # Sent at 2 s, answered at 6 s.
    await asyncio.sleep(11.9)
    assert first.may_write
    await asyncio.sleep(0.2)
    assert not first.may_write


@virtually
async def test_lost_answer_of_a_renewal_is_no_conflict_with_oneself() -> None:
    """A renewal whose answer was lost is found by reading, and the next one succeeds."""
    server = Server()
    first = Candidate("first", server, [Trouble(), Trouble(), Trouble(lost_after=True)])
    await asyncio.sleep(100.0)
    assert first.may_write
    assert first.ended == []


@virtually
async def test_leader_that_finds_another_holder_ends_at_once() -> None:
    """Whoever wrote another name into the Lease leads."""
    server = Server()
    first = Candidate("first", server)
    await leads(first)
    server.write(server.lease, ("somebody", 15, 7))
    await asyncio.wait_for(first.task, 60.0)
    assert first.ended == ["the lease is held by 'somebody' now"]
    assert not first.may_write


@virtually
async def test_deleted_lease_is_made_again_by_its_holder() -> None:
    """A candidate that saw the holder waits for his deadline although the Lease is gone; the holder makes it anew."""
    server = Server()
    first = Candidate("first", server)
    await leads(first)
    second = Candidate("second", server)
    await asyncio.sleep(20.0)
    server.lease = None
    await asyncio.sleep(100.0)
    assert first.may_write
    assert not second.may_write


@virtually
async def test_longer_lease_of_another_setting_is_waited_for() -> None:
    """During a roll-out that changes the times the longer of the two counts."""
    server = Server()
    server.write(None, ("older", 40, 3))
    second = Candidate("second", server)
    assert 40.0 <= await leads(second, 100.0) <= 43.0


@virtually
async def test_fence_refuses_after_its_deadline() -> None:
    """Before the deadline a write may last until it, after it no write starts; the message says how late it is."""
    loop = asyncio.get_running_loop()
    fence = Fence(loop.time)
    with pytest.raises(NotLeaderError, match="does not lead"):
        fence.seconds_left()
    fence.open_until(10.0)
    await asyncio.sleep(4.0)
    assert fence.seconds_left() == 6.0
    await asyncio.sleep(20.0)
    with pytest.raises(NotLeaderError, match=r"renewed 14\.0 s ago"):
        fence.seconds_left()


@pytest.mark.parametrize("times", [(10.0, 10.0, 2.0), (15.0, 3.0, 2.0), (15.0, 10.0, 0.0)])
def test_times_that_let_two_lead_are_refused(times: tuple[float, float, float]) -> None:
    """The message names the options and what must hold."""
    with pytest.raises(ConfigError, match="--lease-renew-seconds"):
        LeaseTimes(*times)


def test_two_processes_of_one_pod_have_two_identities() -> None:
    """The pod's name alone would let a restarted container take its predecessor's Lease for its own."""
    assert new_identity() != new_identity()


@virtually
async def test_free_lease_is_left_to_another_until_the_first_picture_is_complete() -> None:
    """A replica that is still starting does not take the lease from one that could lead now."""
    server = Server()
    starting, ready = Candidate("starting", server), Candidate("ready", server)
    pictures: list[int] = []
    starting.elector._ready = lambda: bool(pictures)
    await leads(ready)
    await asyncio.sleep(60.0)
    pictures.append(1)
    ready.end()
    await leads(starting)
    assert ready.ended == []


@virtually
async def test_unreadable_lease_is_looked_at_again() -> None:
    """Errors are no reason to end or to lead."""
    server = Server()
    first = Candidate("first", server, [Trouble(lost_before=True)] * 20)
    await asyncio.sleep(10.0)
    assert not first.may_write
    assert not first.task.done()
    await leads(first)
    assert isinstance(first.store, FlakyStore)
