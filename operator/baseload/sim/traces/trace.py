"""A trace cut into steps: mean rate and mean lengths in each, gaps as NaN."""

from dataclasses import dataclass
from typing import Final

from baseload.errors import ConfigError
from baseload.sim.traces.rows import FloatArray, RequestRows

PROMPT_WEIGHT: Final = 0.25
"""Work of one token of the prompt in output tokens: 0.17 to 0.42 for a model of 8 billion parameters on L40S, A100 and
H100 at a context of 1,200 tokens, by kappa over beta + gamma x context of the iteration law."""


@dataclass(frozen=True, slots=True, eq=False)
class Trace:
    """Demand of one serving, arrays of shape (steps,).

    `rate_rps` is the mean of each step, NaN where there is a gap; `prompt_tokens` and `output_tokens` are means for
    a request, NaN where they are not known. `requests` are the single ones, if the file has them and they were asked
    for, seconds after the first step. `dispersion` is the variance of the counts in a second over their mean, inside
    a step, None if not known. `work` is what one asks of replicas: in output tokens per second where the lengths of
    all requests are known, else in requests per second.
    """

    name: str
    step_seconds: float
    rate_rps: FloatArray
    prompt_tokens: FloatArray
    output_tokens: FloatArray
    work: FloatArray
    dispersion: float | None = None
    requests: RequestRows | None = None

    @property
    def duration_seconds(self) -> float:
        """Length of all steps."""
        return self.step_seconds * len(self.rate_rps)


def work_of(prompt_tokens: FloatArray, output_tokens: FloatArray) -> FloatArray:
    """Return what tokens ask of a replica, in output tokens."""
    return output_tokens + PROMPT_WEIGHT * prompt_tokens


def too_short(name: str, seconds: float, step_seconds: float) -> ConfigError:
    """Return the error for a trace that does not fill one step."""
    return ConfigError(
        f"{name}: it spans {seconds:g} s and a step is {step_seconds:g} s; use a longer trace or --step-minutes"
    )
