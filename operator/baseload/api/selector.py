"""A label selector as Kubernetes has it: all of its parts must hold."""

from enum import StrEnum
from typing import Annotated, Self

from pydantic import ConfigDict, Field, model_validator

from baseload.api.base import ATOMIC_LIST, ApiModel, rule, rules

LabelKey = Annotated[
    str,
    Field(
        min_length=1,
        max_length=317,
        pattern="^([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$",
    ),
]
LabelValue = Annotated[str, Field(max_length=63, pattern="^([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?$")]

EMPTY = "`poolSelector` is empty and would select every pool: leave it out, or set `matchLabels` or `matchExpressions`"


class SelectorOperator(StrEnum):
    """How the value of a label is compared."""

    IN = "In"
    NOT_IN = "NotIn"
    EXISTS = "Exists"
    DOES_NOT_EXIST = "DoesNotExist"


class LabelExpression(ApiModel):
    """One comparison of a label."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            rule(
                "(self.operator == 'In' || self.operator == 'NotIn') == (has(self.values) && self.values.size() > 0)",
                "'`values` of the label `%s` must be set with operator In or NotIn, and only then; the operator is %s'"
                ".format([self.key, self.operator])",
            )
        )
    )

    key: LabelKey
    """The label."""
    operator: SelectorOperator
    """In and NotIn compare with `values`; Exists and DoesNotExist ask whether the label is there."""
    values: Annotated[tuple[LabelValue, ...], Field(max_length=16, json_schema_extra=ATOMIC_LIST)] = ()
    """With In and NotIn, and only then: the values."""

    @model_validator(mode="after")
    def _is_complete(self) -> Self:
        compares = self.operator in (SelectorOperator.IN, SelectorOperator.NOT_IN)
        if compares != bool(self.values):
            raise ValueError(
                f"`values` of the label `{self.key}` must be set with operator In or NotIn, and only then;"
                f" the operator is {self.operator}"
            )
        return self


class PoolSelector(ApiModel):
    """Which CapacityPools may be used, by their labels; every part must hold."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            rule(
                "(has(self.matchLabels) && self.matchLabels.size() > 0) ||"
                " (has(self.matchExpressions) && self.matchExpressions.size() > 0)",
                f"'{EMPTY}'",
            )
        )
    )

    match_labels: Annotated[dict[str, LabelValue], Field(max_length=16, default_factory=dict)]
    """Labels with these values."""
    match_expressions: Annotated[tuple[LabelExpression, ...], Field(max_length=16, json_schema_extra=ATOMIC_LIST)] = ()
    """Comparisons."""

    @model_validator(mode="after")
    def _selects(self) -> Self:
        if not self.match_labels and not self.match_expressions:
            raise ValueError(EMPTY)
        return self
