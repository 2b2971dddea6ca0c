"""What all models of the API share: camelCase names, and docstrings that become `kubectl explain`.

A rule across fields stands twice: in CEL for the API server, and as a validator for whoever reads a file without a
server, or an object that is older than the rule. Both say the same words; a test compares them.
"""

from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

GROUP: Final = "baseload.dev"
VERSION: Final = "v1alpha1"
API_VERSION: Final = f"{GROUP}/{VERSION}"

ATOMIC_MAP: Final[dict[str, Any]] = {"x-kubernetes-map-type": "atomic"}
"""A part that is always written as a whole: one owner, and few bytes of managedFields."""

ATOMIC_LIST: Final[dict[str, Any]] = {"x-kubernetes-list-type": "atomic"}


def rule(expression: str, message: str) -> dict[str, str]:
    """A CEL rule; `message` is a CEL expression, so that it can quote the refused value."""
    return {"rule": expression, "messageExpression": message}


def rules(*given: dict[str, str]) -> dict[str, Any]:
    """The schema extension that carries CEL rules."""
    return {"x-kubernetes-validations": list(given)}


class ApiModel(BaseModel):
    """A part of an object; unknown fields are ignored on reading, because the API server has pruned or kept them."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        validate_by_name=True,
        validate_by_alias=True,
        use_attribute_docstrings=True,
        extra="ignore",
        frozen=True,
    )


Text = Annotated[str, Field(max_length=1024)]
ShortText = Annotated[str, Field(max_length=64)]
ObjectName = Annotated[str, Field(min_length=1, max_length=253)]
DecimalText = Annotated[str, Field(max_length=24)]
Money = Annotated[str, Field(max_length=16, pattern="^[0-9]{1,9}([.][0-9]{1,6})?$")]
"""An amount as a decimal text: the API has no floats."""
Time = Annotated[str, Field(max_length=40, json_schema_extra={"format": "date-time"})]
Count = Annotated[int, Field(ge=0, le=1_000_000)]
Seconds = Annotated[int, Field(ge=0, le=31_536_000)]
