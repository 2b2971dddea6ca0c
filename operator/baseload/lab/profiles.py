"""Which engine profile a replica has: by accelerator, accelerators per replica and model."""

from functools import cache
from importlib import resources
from typing import Annotated

import yaml
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from baseload.errors import ConfigError
from baseload.sim.requests.engine import EngineProfile

Coefficient = Annotated[float, Field(ge=0)]


class Milliseconds(BaseModel):
    """Coefficients of the iteration time, in milliseconds."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    alpha: Annotated[float, Field(gt=0)]
    beta: Coefficient
    gamma: Coefficient
    kappa: Coefficient
    kappa2: Coefficient


class ProfileRow(BaseModel):
    """One row of the data file `replica_profiles.yaml`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    accelerator: str
    """Short name, the value of the node label baseload.dev/accelerator."""
    products: list[str]
    """Values of the node label nvidia.com/gpu.product."""
    model: str
    names: list[str]
    """Values of the argument --model that mean this model."""
    accelerators_per_replica: Annotated[int, Field(ge=1)]
    milliseconds: Milliseconds
    cache_tokens: Annotated[int, Field(ge=1024)]
    start_up_seconds: Annotated[float, Field(ge=0)]

    def engine_profile(self) -> EngineProfile:
        """Return the row in seconds."""
        return EngineProfile(
            alpha_seconds=self.milliseconds.alpha / 1000,
            beta_seconds_per_sequence=self.milliseconds.beta / 1000,
            gamma_seconds_per_cached_token=self.milliseconds.gamma / 1000,
            kappa_seconds_per_prompt_token=self.milliseconds.kappa / 1000,
            kappa2_seconds_per_token_squared=self.milliseconds.kappa2 / 1000,
            cache_tokens=self.cache_tokens,
            start_up_seconds=self.start_up_seconds,
        )


@cache
def profile_rows() -> tuple[ProfileRow, ...]:
    """Return every row of the data file."""
    text = resources.files("baseload.lab").joinpath("replica_profiles.yaml").read_text()
    return tuple(TypeAdapter(list[ProfileRow]).validate_python(yaml.safe_load(text)))


def engine_profile(accelerator: str, model: str, accelerators_per_replica: int = 1) -> EngineProfile:
    """Return the profile of `model` on `accelerator` (short or product name); ConfigError names what is known."""
    of_model = [row for row in profile_rows() if model == row.model or model in row.names]
    if not of_model:
        known = sorted({name for row in profile_rows() for name in row.names})
        raise ConfigError(f"model {model!r} has no profile; known models: {', '.join(known)}")
    for row in of_model:
        if accelerator in (row.accelerator, *row.products) and accelerators_per_replica == row.accelerators_per_replica:
            return row.engine_profile()
    places = ", ".join(f"{row.accelerators_per_replica} x {row.accelerator}" for row in of_model)
    raise ConfigError(
        f"model {model!r} has no profile on {accelerators_per_replica} x {accelerator!r}; it has one on {places}: "
        "set the pod's accelerator limit and the node label baseload.dev/accelerator to one of them"
    )
