"""The emulated engine: its law, its scheduler's limits, and that nothing is lost."""

from random import Random

import pytest

from baseload.errors import ConfigError
from baseload.sim.requests.engine import BLOCK_TOKENS, Engine, EngineProfile, Sequence

L40S_8B = EngineProfile(
    alpha_seconds=0.0222,
    beta_seconds_per_sequence=36e-6,
    gamma_seconds_per_cached_token=190e-9,
    kappa_seconds_per_prompt_token=44.7e-6,
    kappa2_seconds_per_token_squared=5.2e-9,
    cache_tokens=184_000,
)


def small(cache_tokens: int = 100_000, max_sequences: int = 256, max_batched_tokens: int = 2048) -> EngineProfile:
    """A profile whose iterations take a millisecond, and a microsecond for each prompt token."""
    return EngineProfile(1e-3, 0, 0, 1e-6, 0, cache_tokens, max_sequences, max_batched_tokens)


def drive(engine: Engine, sequences: list[Sequence]) -> dict[int, int]:
    """Run everything to its end in virtual time; return the tokens each sequence got."""
    now, arrived, finished = 0.0, 0, 0
    tokens: dict[int, int] = {}
    while finished < len(sequences):
        while arrived < len(sequences) and sequences[arrived].arrival_time <= now:
            engine.submit(sequences[arrived], now)
            arrived += 1
        iteration = engine.step(now)
        if iteration is None:
            now = sequences[arrived].arrival_time
            continue
        now += iteration.duration_seconds
        for sequence in iteration.emitted:
            tokens[sequence.id] = tokens.get(sequence.id, 0) + 1
        finished += len(iteration.finished)
    return tokens


def poisson(rate: float, count: int, prompt: int, output: int) -> list[Sequence]:
    """Sequences of one length, at Poisson times."""
    random, now, sequences = Random(1), 0.0, []
    for number in range(count):
        now += random.expovariate(rate)
        sequences.append(Sequence(number, prompt, output, now))
    return sequences


@pytest.mark.parametrize("load", [0.2, 0.3, 0.5, 0.7])
def test_inter_token_time_follows_the_closed_form(load: float) -> None:
    """At load rho the mean gap between tokens is alpha / (1 - rho), within 7 %."""
    prompt, output, profile = 1024, 200, L40S_8B
    per_prompt_token = profile.kappa_seconds_per_prompt_token + profile.kappa2_seconds_per_token_squared * prompt / 2
    per_output_token = profile.beta_seconds_per_sequence + profile.gamma_seconds_per_cached_token * (
        prompt + output / 2
    )
    sequences = poisson(load / (per_prompt_token * prompt + per_output_token * output), 1500, prompt, output)
    drive(Engine(profile), sequences)
    gaps = [
        (s.finish_time - s.first_token_time) / (output - 1) for s in sequences if s.finish_time and s.first_token_time
    ]
    assert sum(gaps) / len(gaps) == pytest.approx(profile.alpha_seconds / (1 - load), rel=0.07)


def test_every_token_is_emitted_once_and_everything_is_freed() -> None:
    """Under pressure, with preemptions, each sequence gets exactly its tokens and the cache is empty after."""
    random = Random(3)
    sequences = [Sequence(n, random.randint(1, 400), random.randint(1, 300), n * 0.004) for n in range(300)]
    engine = Engine(small(cache_tokens=4000))
    tokens = drive(engine, sequences)
    assert engine.preemptions > 0
    assert tokens == {s.id: s.output_tokens for s in sequences}
    assert engine.step(1e9) is None
    assert (engine.cached_tokens, engine.cache_usage, engine.running, engine.waiting) == (0, 0.0, 0, 0)


def test_the_cache_is_never_overbooked() -> None:
    """At each step the tokens in the cache fit into its blocks, also while sequences grow."""
    engine, now = Engine(small(cache_tokens=1600)), 0.0
    for number in range(40):
        engine.submit(Sequence(number, 90, 200, 0.0), now)
    while (iteration := engine.step(now)) is not None:
        now += iteration.duration_seconds
        assert engine.cached_tokens <= 1600
        assert 0.0 <= engine.cache_usage <= 1.0
    assert engine.preemptions > 0


def test_the_latest_sequence_is_preempted_and_computed_again() -> None:
    """When the cache is full the sequence admitted last goes back, and still gets each token once."""
    first, second = Sequence(1, 32, 64, 0.0), Sequence(2, 32, 64, 0.0)
    engine = Engine(small(cache_tokens=8 * BLOCK_TOKENS))
    assert drive(engine, [first, second]) == {1: 64, 2: 64}
    assert (first.preemptions, second.preemptions > 0) == (0, True)
    assert first.finish_time is not None
    assert second.finish_time is not None
    assert first.finish_time < second.finish_time


def test_prompts_are_served_in_order_of_arrival() -> None:
    """A short prompt behind a long one does not overtake it."""
    long, short = Sequence(1, 10_000, 2, 0.0), Sequence(2, 10, 2, 0.0)
    drive(Engine(small()), [long, short])
    assert long.first_token_time is not None
    assert short.first_token_time is not None
    assert long.first_token_time <= short.first_token_time


def test_a_long_prompt_is_computed_in_chunks_while_others_decode() -> None:
    """The token budget bounds a chunk, and decoding sequences get a token in each of the chunk's iterations."""
    engine = Engine(small(max_batched_tokens=512))
    engine.submit(Sequence(1, 8, 100, 0.0), 0.0)
    engine.step(0.0)
    engine.submit(Sequence(2, 2000, 2, 0.0), 0.0)
    chunks = []
    for _ in range(4):
        iteration = engine.step(0.0)
        assert iteration is not None
        assert iteration.decoding == 1
        chunks.append(iteration.prompt_tokens)
    assert chunks == [511, 511, 511, 467]


def test_no_more_sequences_run_than_the_limit() -> None:
    """The batch never holds more than max_sequences; the rest waits."""
    engine = Engine(small(max_sequences=4))
    for number in range(10):
        engine.submit(Sequence(number, 10, 50, 0.0), 0.0)
    for _ in range(5):
        engine.step(0.0)
        assert (engine.running, engine.waiting) == (4, 6)


@pytest.mark.parametrize("steps", [0, 1, 2, 30])
def test_a_cancelled_sequence_frees_its_cache(steps: int) -> None:
    """Whether it waits, is prefilled or decodes, a cancelled sequence leaves nothing behind and gets no more tokens."""
    engine = Engine(small(max_batched_tokens=64))
    sequence = Sequence(1, 100, 50, 0.0)
    engine.submit(sequence, 0.0)
    for _ in range(steps):
        engine.step(0.0)
    assert engine.cancel(sequence)
    assert not engine.cancel(sequence)
    assert engine.step(0.0) is None
    assert (engine.cached_tokens, engine.cache_usage) == (0, 0.0)


def test_the_first_token_comes_when_the_prompt_is_done() -> None:
    """A lone request's first token takes one iteration for each chunk of its prompt."""
    sequence = Sequence(1, 4096, 3, 0.0)
    drive(Engine(small()), [sequence])
    assert sequence.first_token_time == pytest.approx(2 * 1e-3 + 4096e-6)
    assert sequence.finish_time == pytest.approx(4 * 1e-3 + 4096e-6)


def test_a_sequence_that_can_never_fit_is_refused() -> None:
    """More tokens than the cache, or none at all, is an error at once and not a queue for ever."""
    engine = Engine(small(cache_tokens=160))
    with pytest.raises(ConfigError, match="the cache holds 160"):
        engine.submit(Sequence(1, 100, 61, 0.0), 0.0)
    with pytest.raises(ConfigError, match="at least one"):
        engine.submit(Sequence(2, 0, 1, 0.0), 0.0)
