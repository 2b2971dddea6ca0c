"""What a load run is asked to send, and to whom: the content of its plan file."""

from pathlib import Path
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from baseload.errors import ConfigError
from baseload.sim.requests.arrivals import TimedRequest

Seconds = Annotated[float, Field(gt=0)]


class Objective(BaseModel):
    """Latencies a request must keep to count as inside the objective."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    time_to_first_token_seconds: Seconds
    inter_token_seconds: Seconds | None = None


class LoadPlan(BaseModel):
    """A load run: requests in the order of their times, sent to a Service's ready endpoints or to fixed addresses."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    model: str
    """Model name that requests carry."""
    objective: Objective
    requests: list[tuple[Annotated[float, Field(ge=0)], Annotated[int, Field(ge=1)], Annotated[int, Field(ge=1)]]]
    """(seconds after the start, prompt tokens, output tokens) of each request."""
    namespace: str = "default"
    service: str | None = None
    """Name of the Service whose ready endpoints get the requests, least outstanding first."""
    port_name: str = "http"
    addresses: list[str] = []
    """host:port of fixed servers, instead of a Service."""
    seed: int = 1
    """Decides between servers with equally many outstanding requests."""
    endpoint_wait_seconds: Seconds = 60.0
    """How long a request waits for a ready endpoint before it fails; the wait is part of its time to first token."""
    request_timeout_seconds: Seconds = 120.0
    """A request without its last token after so long, counted from its scheduled time, has failed."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if (self.service is None) == (not self.addresses):
            raise ValueError("set exactly one of service and addresses")
        times = [time for time, _, _ in self.requests]
        if not times or times != sorted(times):
            raise ValueError("requests must not be empty, and in the order of their times")
        return self

    def timed_requests(self) -> list[TimedRequest]:
        """Return the requests."""
        return [TimedRequest(*row) for row in self.requests]


def read_plan(path: Path) -> LoadPlan:
    """Read a plan file; ConfigError names the field that is wrong."""
    try:
        return LoadPlan.model_validate_json(path.read_bytes())
    except OSError as error:
        raise ConfigError(f"load plan {path}: {error.strerror}") from error
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        field = ".".join(str(part) for part in first["loc"]) or "plan"
        raise ConfigError(f"load plan {path}: {field}: {first['msg']}") from error
