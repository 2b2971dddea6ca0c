"""What must hold whenever free accelerators are shared out, whoever asks for how many on which nodes."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import chain, combinations

from hypothesis import given
from hypothesis import strategies as st

from baseload.plan.ask import Ask
from baseload.plan.fleet import Share, share
from baseload.plan.snapshot import Reach, ServingKey

ROWS = 4
World = tuple[list[Ask], list[int]]


@st.composite
def worlds(draw: st.DrawFn, *, one_size: bool = True, claims: bool = True) -> World:
    """Up to six servings with pods of one size (or of several) on up to four nodes, in any order."""
    sizes = st.just(draw(st.integers(1, 2))) if one_size else st.integers(1, 4)
    rows = st.sets(st.integers(0, ROWS - 1)).map(lambda found: tuple(sorted(found)))
    reaches = draw(st.lists(st.builds(Reach, rows, sizes), min_size=1, max_size=3))
    free = draw(st.lists(st.integers(0, 6), min_size=ROWS, max_size=ROWS))
    asks = []
    for number in range(draw(st.integers(1, 6))):
        placed = draw(st.integers(0, 3))
        ordered = max(placed + draw(st.integers(-1, 3) if claims else st.just(0)), 0)
        asks.append(
            Ask(
                key=ServingKey("team", f"serving-{number}"),
                priority=draw(st.sampled_from((0, 10, 1000))),
                reach=draw(st.sampled_from(reaches)),
                placed=placed,
                unplaced=draw(st.integers(0, max(ordered - placed, 0))),
                ordered=ordered,
                wanted=ordered + draw(st.integers(-1, 6)),
                least=draw(st.integers(0, 3)),
                stale=claims and draw(st.booleans()),
            )
        )
    return asks, free


def taken(given: Share) -> int:
    """Replicas that got a place."""
    return given.fitting + given.granted


def most_placed(asks: Sequence[Ask], free: Sequence[int]) -> int:
    """How many replicas of one size can be placed at most: augmenting paths over single places."""
    each = asks[0].reach.each
    places = [row for row, count in enumerate(free) for _ in range(count // each)]
    pods = list(chain.from_iterable([ask.reach.rows] * (ask.claimed + ask.growth) for ask in asks))
    held: dict[int, int] = {}

    def find(pod: int, seen: set[int]) -> bool:
        for index, row in enumerate(places):
            if row in pods[pod] and index not in seen:
                seen.add(index)
                if index not in held or find(held[index], seen):
                    held[index] = pod
                    return True
        return False

    return sum(find(pod, set()) for pod in range(len(pods)))


@given(worlds(one_size=False))
def test_what_is_given_is_there(world: World) -> None:
    """No group of servings gets more accelerators than are free on the nodes that they may use."""
    asks, free = world
    shares = share(asks, free)
    for some in chain.from_iterable(combinations(asks, count) for count in range(1, len(asks) + 1)):
        rows = set(chain.from_iterable(ask.reach.rows for ask in some))
        assert sum(taken(shares[ask.key]) * ask.reach.each for ask in some) <= sum(free[row] for row in rows)


@given(worlds(one_size=False))
def test_nobody_gets_more_than_asked_and_the_rest_is_missing(world: World) -> None:
    """Claims and growth are answered up to what was asked, and what is left of the wanted number is missing."""
    asks, free = world
    shares = share(asks, free)
    assert set(shares) == {ask.key for ask in asks}
    for ask in asks:
        found = shares[ask.key]
        assert 0 <= found.fitting <= ask.claimed
        assert 0 <= found.granted <= ask.growth
        there = min(ask.ordered, ask.placed + found.fitting)
        assert found.missing == max(ask.wanted - there - found.granted, 0)


@given(worlds())
def test_nothing_stays_free_that_somebody_could_use(world: World) -> None:
    """With pods of one size as many replicas are placed as can be placed at all."""
    asks, free = world
    assert sum(map(taken, share(asks, free).values())) == most_placed(asks, free)


@given(worlds(one_size=False))
def test_who_misses_something_could_use_nothing_that_is_left(world: World) -> None:
    """Whatever the sizes, one more serving with the same pods gets nothing where one misses a replica."""
    asks, free = world
    shares = share(asks, free)
    late = [
        replace(ask, key=ServingKey("late", ask.key.name), priority=-1, placed=0, unplaced=0, ordered=0, wanted=1)
        for ask in asks
        if shares[ask.key].granted < ask.growth
    ]
    answers = share([*asks, *(replace(ask, stale=False) for ask in late)], free)
    assert all(answers[ask.key].granted == 0 for ask in late)


@given(worlds(), st.lists(st.integers(0, 3), min_size=ROWS, max_size=ROWS))
def test_more_that_is_free_never_gives_anybody_less(world: World, more: list[int]) -> None:
    """Added accelerators take nothing from anybody, so a node that comes harms nobody."""
    asks, free = world
    before = share(asks, free)
    after = share(asks, [a + b for a, b in zip(free, more, strict=True)])
    assert all(taken(after[ask.key]) >= taken(before[ask.key]) for ask in asks)


@given(worlds(claims=False))
def test_lower_priorities_change_nothing_for_higher_ones(world: World) -> None:
    """Who comes later in rank gets what the others leave: without him they would get the same."""
    asks, free = world
    all_shares = share(asks, free)
    for floor in {ask.priority for ask in asks}:
        higher = [ask for ask in asks if ask.priority >= floor]
        alone = share(higher, free)
        assert all(taken(alone[ask.key]) == taken(all_shares[ask.key]) for ask in higher)


@given(worlds())
def test_nobody_lower_grows_where_a_higher_one_waits(world: World) -> None:
    """While a serving misses a replica, none of lower priority gets a new one on the same nodes."""
    asks, free = world
    shares = share(asks, free)
    for high in asks:
        waits = shares[high.key].granted < high.growth
        below = [a for a in asks if a.priority < high.priority and a.reach is high.reach]
        assert not waits or all(shares[low.key].granted == 0 for low in below)


@given(worlds())
def test_sharing_twice_is_sharing_once(world: World) -> None:
    """What was granted and ordered holds its place in the next round, and nothing more is granted."""
    asks = [replace(ask, stale=False, ordered=max(ask.ordered, ask.placed)) for ask in world[0]]
    free = world[1]
    first = share(asks, free)
    ordered = [replace(ask, ordered=ask.ordered + first[ask.key].granted) for ask in asks]
    again = share(ordered, free)
    for ask in ordered:
        assert again[ask.key].granted == 0
        assert taken(again[ask.key]) == taken(first[ask.key])


@given(worlds(one_size=False))
def test_the_order_of_the_question_does_not_matter(world: World) -> None:
    """The same servings in another order get the same."""
    asks, free = world
    assert share(asks, free) == share(asks[::-1], free)


@given(st.integers(2, 6), st.integers(1, 8), st.lists(st.integers(0, 6), min_size=ROWS, max_size=ROWS))
def test_equals_get_equal_shares(servings: int, wanted: int, free: list[int]) -> None:
    """Servings alike in everything but their names differ by one replica at most."""
    reach = Reach(tuple(range(ROWS)), 1)
    asks = [
        Ask(ServingKey("team", f"serving-{n}"), 0, reach, placed=0, unplaced=0, ordered=0, wanted=wanted, least=0)
        for n in range(servings)
    ]
    numbers: Mapping[ServingKey, Share] = share(asks, free)
    granted = [answer.granted for answer in numbers.values()]
    assert max(granted) - min(granted) <= 1
