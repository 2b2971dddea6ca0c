"""How large a status is, and what gives way when it would be too large."""

import orjson
import pytest
from long_status import LONG, longest_status, typical_status

from baseload.act.status_size import MOST_BYTES, TYPICAL_BYTES, within_limit
from baseload.api.models import ModelServingStatus


def test_a_typical_status_is_small() -> None:
    """Eight pools, five rows of history and a learned model fit into 4 kB, with every word."""
    status = typical_status()
    assert len(status["lastDecision"]["considered"]) == 8
    assert len(orjson.dumps(status)) <= TYPICAL_BYTES
    assert "…" not in orjson.dumps(status).decode()


@pytest.mark.parametrize("pool_name", ["p" * 63, "p" * 253])
def test_the_longest_status_keeps_the_limit_and_the_schema(pool_name: str) -> None:
    """With every message and list at its longest it stays under 8 kB, valid, and says the decision's reason first."""
    status = longest_status(pool_name)
    assert len(orjson.dumps(status)) <= MOST_BYTES
    assert ModelServingStatus.model_validate(status).last_decision is not None
    decision = status["lastDecision"]
    assert decision["considered"]
    assert len(decision["message"]) >= max(len(row["message"]) for row in decision["limitedBy"])
    assert all(row["message"].endswith("…") and LONG.startswith(row["message"][:-1]) for row in status["conditions"])


def test_text_of_other_alphabets_counts_by_its_bytes() -> None:
    """A message of characters that take several bytes each keeps the limit too."""
    status = longest_status()
    for row in status["conditions"]:
        row["message"] = "語" * 512
    assert len(orjson.dumps(within_limit(status))) <= MOST_BYTES
