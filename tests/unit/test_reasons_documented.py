"""Reasons and conditions are documented once, in words that can stand alone."""

import re
from collections import Counter
from pathlib import Path

import pytest

from baseload.api.conditions import CONDITIONS
from baseload.api.reasons import Reason
from baseload.plan.conditions import refused_conditions

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "reference" / "reasons.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("reason", list(Reason))
def test_reason_stands_in_the_reference(reason: Reason) -> None:
    """A reader who sees the word in a status finds it on the page, exactly once."""
    assert len(re.findall(rf"^\| `{reason.value}` \|", PAGE, flags=re.MULTILINE)) == 1


@pytest.mark.parametrize("reason", list(Reason))
def test_reason_is_a_word_with_a_sentence(reason: Reason) -> None:
    """The word fits a condition's reason field, and its text is a sentence."""
    assert re.fullmatch(r"[A-Z][A-Za-z]{2,63}", reason.value)
    assert re.fullmatch(r"[A-Z`].+\.", reason.text)


def test_no_two_reasons_say_the_same() -> None:
    """Two words with one meaning would leave the reader to guess the difference."""
    assert [text for text, count in Counter(reason.text for reason in Reason).items() if count > 1] == []


def test_conditions_are_those_of_the_table() -> None:
    """The planner gives exactly the documented conditions, in the documented order."""
    given = refused_conditions(Reason.TARGET_NOT_FOUND, "gone")
    assert [condition.type for condition in given] == [condition.name for condition in CONDITIONS]
