"""The table of faults names tests that exist and words that a status can have."""

import ast
import re
from functools import cache

from doc_pages import ROOT

from baseload.api.conditions import CONDITIONS
from baseload.api.reasons import Reason

PAGE = ROOT / "docs" / "explanation" / "faults.md"
COLUMNS = ("Fault or bad input", "What happens", "In the status", "Tests")


def rows() -> list[list[str]]:
    """The cells of the table, its head first."""
    lines = [line for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]


@cache
def names_in(file: str) -> frozenset[str]:
    """Names of the tests of a file."""
    path = ROOT / "tests" / file
    if not path.exists():
        return frozenset()
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return frozenset(n.name for n in tree.body if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef))


def test_every_row_names_tests_that_exist() -> None:
    """A row without a test, or with one that was renamed, is a promise that nobody keeps."""
    head, _, *body = rows()
    assert tuple(head) == COLUMNS
    assert len(body) > 30
    for cells in body:
        named = re.findall(r"`([a-z]+/test_\w+\.py)::(test_\w+)`", cells[-1])
        assert named, cells[0]
        assert [f"{file}::{name}" for file, name in named if name not in names_in(file)] == [], cells[0]


def test_every_word_of_a_status_is_one() -> None:
    """What stands in the third column in code type is a reason, a condition, or a field of the status."""
    known = {str(reason) for reason in Reason} | {str(row.name) for row in CONDITIONS} | {"limitedBy"}
    for cells in rows()[2:]:
        words = set(re.findall(r"`(\w+)`", cells[2]))
        assert words <= known, cells[0]
