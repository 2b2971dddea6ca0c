"""The money settings: read from a file, wrong ones refused in words, and what a shortage then costs."""

from pathlib import Path

import pytest

from baseload.control.economics import read_economics
from baseload.errors import ConfigError
from baseload.plan.pool_offer import SHORTAGE_PRICES, Economics

GOOD = """
currency: EUR
shortage:
  perAcceleratorHour: "50"
  byPriorityClass:
    serving-critical: "200.5"
"""


def read(folder: Path, text: str) -> Economics:
    """The settings in a file with this text."""
    path = folder / "economics.yaml"
    path.write_text(text)
    return read_economics(path)


def test_a_file_is_read(tmp_path: Path) -> None:
    """Currency, the cost of every class, and that of one by name."""
    found = read(tmp_path, GOOD)
    assert found == Economics("EUR", 50.0, {"serving-critical": 200.5})
    assert (found.shortage_of("serving-critical"), found.shortage_of("")) == (200.5, 50.0)
    assert found.in_words(6.88) == "6.88 EUR"


def test_a_shortage_is_counted_in_prices_of_the_capacity() -> None:
    """Scaling the price and the cost alike changes nothing; without a cost or a price the usual multiple stands."""
    assert Economics("EUR", 50.0).penalty("", 2.5) == Economics("JPY", 8000.0).penalty("", 400.0) == 20.0
    assert Economics("EUR").penalty("", 2.5) == Economics("EUR", 50.0).penalty("", None) == SHORTAGE_PRICES


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", ["`document`"]),
        ("shortage: {}", ["`currency`", "Field required"]),
        ("currency: euro", ["`currency`", "'euro'"]),
        ("currency: EUR\nprices: {}", ["`prices`", "not permitted"]),
        ("currency: EUR\nshortage: {perAcceleratorHour: 50}", ["`shortage.perAcceleratorHour`", "50", "string"]),
        ('currency: EUR\nshortage: {byPriorityClass: {gold: "-1"}}', ["`shortage.byPriorityClass.gold`", "'-1'"]),
        ('currency: EUR\nshortage: {byPriorityClass: {Gold: "1"}}', ["`shortage.byPriorityClass.Gold`"]),
        ("currency: EUR\nshortage: [", ["economics.yaml, line 2, column 12"]),
        ("currency: \x00", ["cannot be read as YAML"]),
    ],
)
def test_a_wrong_file_is_refused_in_words(tmp_path: Path, text: str, words: list[str]) -> None:
    """The message names the file, the field or the place, and the value."""
    with pytest.raises(ConfigError) as caught:
        read(tmp_path, text)
    assert all(word in str(caught.value) for word in ["economics.yaml", *words]), str(caught.value)


def test_a_file_of_another_size_is_not_read(tmp_path: Path) -> None:
    """A large file is no settings file."""
    with pytest.raises(ConfigError, match="more than 262144 bytes"):
        read(tmp_path, "#" * 300_000)
