"""Faults that an emulated replica can be told to have, by POST /lab/fault or a pod annotation."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

FaultKind = Literal["none", "slow", "error", "hang", "stale-metrics", "no-metrics"]


class Fault(BaseModel):
    """One fault: iterations take longer, completions answer 500 or never, metrics stand still or are gone."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: FaultKind
    factor: Annotated[float, Field(ge=1, le=1000)] = 1.0
    """How many times longer an iteration takes (kind slow)."""
    seconds: Annotated[float, Field(gt=0)] | None = None
    """How long the fault lasts; without it until the next fault, `none` being none."""


NO_FAULT = Fault(kind="none")
