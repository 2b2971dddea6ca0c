"""Whatever the network does and however the clocks are set, two operators never may write at the same time."""

import asyncio

from hypothesis import given, settings
from hypothesis import strategies as st
from lease_world import Candidate, Server, Trouble, run_virtually

SECONDS = st.sampled_from([0.0, 0.0, 0.0, 0.1, 1.0, 4.0, 6.0, 12.0, 20.0])
TROUBLES = st.lists(st.builds(Trouble, SECONDS, SECONDS, st.booleans(), st.booleans()), max_size=40)
OFFSETS = st.sampled_from([0.0, 5.0, -1000.0, 86400.0])


@settings(max_examples=60, deadline=None)
@given(first=TROUBLES, second=TROUBLES, offset=OFFSETS, deletions=st.sets(st.integers(20, 200), max_size=2))
def test_never_two_leaders(first: list[Trouble], second: list[Trouble], offset: float, deletions: set[int]) -> None:
    """Requests late, lost on the way there or back, the Lease deleted: at no moment both fences are open."""

    async def watch() -> None:
        server = Server()
        candidates = [Candidate("first", server, first), Candidate("second", server, second, offset)]
        for tenth in range(2500):
            assert sum(candidate.may_write for candidate in candidates) <= 1
            # A Lease that vanishes before anybody has seen its holder protects nobody; later it does.
            if tenth / 10 in deletions and all(candidate.elector._seen for candidate in candidates):
                server.lease = None
            await asyncio.sleep(0.1)
        for candidate in candidates:
            candidate.end()

    run_virtually(watch())
