"""The worked example of docs/explanation/placement.md, and the words for each pool."""

from pathlib import Path

import numpy as np
import pytest
from placements import PoolSketch, problem

from baseload.plan.placement.explain import considered
from baseload.plan.placement.place import place
from baseload.plan.placement.problem import Placement, PlacementProblem

PAGE = Path(__file__).parents[2] / "docs/explanation/placement.md"
NAMES = ("owned", "reserved", "rented")


def _example(owned: int) -> PlacementProblem:
    pools = [
        PoolSketch(price=0.5, nodes=owned, most=owned),
        PoolSketch(price=2.0, nodes=3, most=3, paid=2),
        PoolSketch(price=4.0, budget=9.0),
    ]
    return problem([[[5.0], [4.0]]], pools, shortage_cost=[20.0, 10.0])


def _column(answer: Placement) -> tuple[str, ...]:
    """An answer as the page's table shows it."""
    chat, batch = answer.order.sum(axis=1).tolist()
    nodes = ", ".join(str(count) for count in answer.nodes)
    return f"{chat}", f"{batch}", nodes, f"{answer.cost_per_hour:g}", f"{answer.shortage[1]:g}"


def test_the_example_of_the_page_is_what_placement_answers() -> None:
    """Both columns of the table, and the sentence about the rented pool."""
    before, after = (place(_example(owned), 60.0) for owned in (4, 3))
    rows = [line.strip("|\n ").split(" | ")[1:] for line in PAGE.read_text().splitlines() if line.count("|") == 4]
    table = [row for row in rows if len(row) == 2][-5:]
    assert [tuple(cell.strip() for cell in row) for row in table] == list(
        zip(_column(before), _column(after), strict=True)
    )
    told = {row.message for serving in (0, 1) for row in considered(_example(3), after, serving, NAMES)}
    assert any(f"`{message}`" in PAGE.read_text() for message in told)


@pytest.mark.parametrize(
    ("pool", "changes", "words"),
    [
        (PoolSketch(price=0.5, most=2), {}, "2 replicas at 0.5 an hour for a unit of demand"),
        (PoolSketch(price=3.0, is_burst=True), {"budget": [2.0]}, "one more costs 3 an hour; 0 of a burst budget of 2"),
        (PoolSketch(price=30.0), {}, "30 an hour for a unit of demand is more than a shortage costs, 20"),
        (PoolSketch(price=3.0, most=0), {}, "full: 0 of 0 nodes that the limit allows are taken"),
        (PoolSketch(price=3.0), {"demand": 0.0}, "what is cheaper or sooner suffices"),
    ],
)
def test_each_pool_has_its_reason(pool: PoolSketch, changes: dict[str, object], words: str) -> None:
    """Chosen, over the budget, too dear, full, or simply not needed."""
    given = dict(changes)
    demand = float(given.pop("demand", 2.0))  # type: ignore[arg-type]
    case = problem([[[demand]]], [pool], **given)  # type: ignore[arg-type]
    assert words in considered(case, place(case, 60.0), 0, ["p"])[0].message


def test_a_pool_that_may_not_be_used_says_so() -> None:
    """The poolSelector leaves it out."""
    case = problem([[[2.0]]], [PoolSketch()])
    case.fleet.usable[:] = np.array([[False]])
    assert considered(case, place(case, 60.0), 0, ["p"])[0].message == "may not be used by this serving"
