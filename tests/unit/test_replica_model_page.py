"""The worked example of docs/explanation/replica-model.md, and the search for the highest rate."""

from pathlib import Path

import pytest

from baseload.plan.capacity import capacity_of
from baseload.plan.memory import ReplicaModel
from baseload.plan.replica_model import Prior, fit
from baseload.plan.snapshot import LatencyTarget, ServingSpec
from baseload.sim.requests.arrivals import SampledLengths
from baseload.sim.requests.engine import EngineProfile
from baseload.sim.requests.objective import Objective
from baseload.sim.requests.saturation import highest_rps

PAGE = Path(__file__).parents[2] / "docs/explanation/replica-model.md"
SPEC = ServingSpec(LatencyTarget(1.0, 0.95), LatencyTarget(0.05, 0.95), min_replicas=1, max_replicas=16)


def example() -> ReplicaModel:
    """The six samples of the page, each seen twenty times."""
    samples = [(8.0, 26.5), (10.0, 27.5), (12.0, 29.0), (14.0, 30.0), (16.0, 31.5), (18.0, 32.5)]
    rows = [(running, milliseconds / 1000) for running, milliseconds in samples] * 20
    return ReplicaModel(
        weight=len(rows),
        sum_running=sum(b for b, _ in rows),
        sum_latency=sum(t for _, t in rows),
        sum_running_squared=sum(b * b for b, _ in rows),
        sum_running_latency=sum(b * t for b, t in rows),
        sum_latency_squared=sum(t * t for _, t in rows),
        time_to_first_token_unloaded_seconds=0.085,
        imbalance=0.0,
        tokens_per_request=200.0,
    )


def test_the_page_says_what_the_model_answers() -> None:
    """Each number of the worked example stands in the page as it is computed."""
    law, wrong = fit(example()), fit(example(), Prior(0.0308, 0.00084))
    capacity = capacity_of(example(), SPEC)
    assert law is not None
    assert wrong is not None
    assert capacity is not None
    said = [
        f"{1000 * law.alpha_seconds:.1f} ms unloaded",
        f"{1000 * law.slope_seconds:.3f} ms for each sequence",
        f"{capacity.running_at(1):.1f} sequences on one replica",
        f"{capacity.running_at(4):.1f} on each of four",
        f"{capacity.rps_at(4):.2f} requests/s",
        f"{1000 * wrong.alpha_seconds:.1f} ms and {1000 * wrong.slope_seconds:.3f} ms",
    ]
    text = PAGE.read_text()
    assert [words for words in said if words not in text] == []


def test_the_highest_rate_is_found() -> None:
    """Ten milliseconds an iteration, 50 tokens, at most 8 at once: some 11 requests/s a replica; 0 if impossible."""
    profile = EngineProfile(10e-3, 0.0, 0.0, 1e-6, 0.0, cache_tokens=100_000, max_sequences=8)
    lengths = SampledLengths(((10, 50),))
    assert highest_rps(profile, lengths, Objective(0.2, 0.05, 0.95), 1, seed=1) == pytest.approx(11.0, rel=0.15)
    assert highest_rps(profile, lengths, Objective(0.2, 0.005, 0.95), 1, seed=1) == 0.0
