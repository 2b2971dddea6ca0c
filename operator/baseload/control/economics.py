"""The admin's money settings: one currency, and what a missing accelerator-hour costs, from a YAML file.

The file is read once at the start, so a change of it needs a restart, as for any other setting.
"""

from pathlib import Path
from typing import Annotated

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

from baseload.api.base import Money
from baseload.errors import ConfigError
from baseload.plan.pool_offer import Economics

LARGEST_BYTES = 262_144

ClassName = Annotated[str, Field(min_length=1, max_length=253, pattern="^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$")]


class _Part(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, extra="forbid", frozen=True, use_attribute_docstrings=True)


class ShortageCosts(_Part):
    """What an accelerator-hour costs that demand needs and that is not there."""

    per_accelerator_hour: Money | None = None
    """For every PriorityClass not named below; when not set 20 times the price of the accelerator."""
    by_priority_class: Annotated[dict[ClassName, Money], Field(max_length=256)] = Field(default_factory=dict)
    """For some PriorityClasses, by name."""


class EconomicsFile(_Part):
    """The document: `currency` is that of all prices; `shortage` says what missing capacity costs."""

    currency: Annotated[str, Field(pattern="^[A-Z]{3}$")]
    """Three letters as in ISO 4217, for example EUR."""
    shortage: ShortageCosts = ShortageCosts()
    """What missing capacity costs."""


def read_economics(path: Path) -> Economics:
    """Read the file; raises ConfigError with the file, the line or the field, the value and the remedy."""
    given = _validated(path, _loaded(path))
    shortage = given.shortage
    default = shortage.per_accelerator_hour
    return Economics(
        currency=given.currency,
        shortage_hourly=None if default is None else float(default),
        shortage_by_class={name: float(cost) for name, cost in shortage.by_priority_class.items()},
    )


def _loaded(path: Path) -> object:
    try:
        if path.stat().st_size > LARGEST_BYTES:
            raise ConfigError(f"{path} has more than {LARGEST_BYTES} bytes; name the file with the money settings")
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = "" if mark is None else f", line {mark.line + 1}, column {mark.column + 1}"
        raise ConfigError(f"{path}{where}: {error.problem or error.context}; correct the YAML") from error
    except (yaml.YAMLError, UnicodeDecodeError, OSError, RecursionError) as error:
        raise ConfigError(f"{path} cannot be read as YAML: {error}") from error


def _validated(path: Path, loaded: object) -> EconomicsFile:
    try:
        return EconomicsFile.model_validate(loaded)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        field = ".".join(str(part) for part in first["loc"] if part != "[key]") or "document"
        value = f" has value {first['input']!r:.60}" if first["type"] != "missing" else ""
        raise ConfigError(f"{path}: `{field}`{value}: {first['msg']}; see docs/how-to/pools.md") from error
