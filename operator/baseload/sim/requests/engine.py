"""A continuous-batching inference engine in virtual time: no clock, no I/O, no randomness.

One iteration with B decoding sequences, K tokens in their contexts and C prompt tokens whose mean context is ctx
takes `alpha + beta B + gamma K + kappa C + kappa2 C ctx` seconds. The scheduler is that of vLLM's V1 engine
(https://docs.vllm.ai, "Optimization and Tuning"): every decoding sequence gets one token, what is left of the token
budget goes to prompts in order of arrival (chunked prefill), the key-value cache is given out in blocks of 16 tokens,
and when it runs out the sequence admitted last is preempted and computed again later.

What grows by one token in every iteration is never touched one by one: lengths follow from the iteration number.
"""

from collections import deque
from dataclasses import dataclass
from math import sqrt
from typing import Final

from baseload.errors import ConfigError

BLOCK_TOKENS: Final = 16
"""Tokens in one block of the key-value cache."""


@dataclass(frozen=True, slots=True)
class EngineProfile:
    """How fast one replica is: coefficients of the iteration time, in seconds, and the limits of its scheduler."""

    alpha_seconds: float
    """Duration of an iteration that does nothing: reading the weights once, launching kernels."""
    beta_seconds_per_sequence: float
    gamma_seconds_per_cached_token: float
    kappa_seconds_per_prompt_token: float
    kappa2_seconds_per_token_squared: float
    cache_tokens: int
    """Tokens that fit into the key-value cache."""
    max_sequences: int = 256
    max_batched_tokens: int = 2048
    """Token budget of an iteration: one for each decoding sequence, the rest for prompts."""
    start_up_seconds: float = 0.0
    """From pod bound to ready: image, weights, warm-up."""


@dataclass(slots=True, eq=False)
class Sequence:
    """One request in an engine; times in seconds on the caller's clock, None until they are known."""

    id: int
    prompt_tokens: int
    output_tokens: int
    arrival_time: float
    scheduled_time: float | None = None
    """When it was first admitted to the batch."""
    first_token_time: float | None = None
    finish_time: float | None = None
    preemptions: int = 0
    # Kept by the engine: tokens to compute before the next new token, how many of them are computed, and for a
    # decoding sequence the iteration since which it decodes.
    prefill_tokens: int = 0
    prefilled_tokens: int = 0
    decoding_since: int = -1
    generated_before: int = 0


@dataclass(frozen=True, slots=True)
class Iteration:
    """What one iteration did; tokens appear at its end, `duration_seconds` after it started."""

    duration_seconds: float
    emitted: list[Sequence]
    """Sequences that got one token, in order of admission; the first `decoding` of them were decoding before."""
    finished: list[Sequence]
    """The part of `emitted` that got its last token."""
    decoding: int
    """Sequences that decoded: their previous token came at the end of the previous iteration."""
    prompt_tokens: int
    """Prompt tokens computed."""


class Engine:
    """One replica's scheduler and clockless executor.

    The caller owns time: `step(now)` starts an iteration at `now`; its tokens belong to `now + duration_seconds`,
    when the caller steps again. Between steps it may `submit` and `cancel`.
    """

    def __init__(self, profile: EngineProfile) -> None:
        self.profile = profile
        self.preemptions = 0
        """Sequences preempted since the start."""
        self._blocks = profile.cache_tokens // BLOCK_TOKENS
        self._free_blocks = self._blocks
        self._iteration = 0
        self._waiting: deque[Sequence] = deque()
        self._prefilling: Sequence | None = None
        self._decoding: dict[int, Sequence] = {}
        self._context_tokens = 0
        self._finishing: dict[int, list[Sequence]] = {}
        # How many decoding sequences fill a block, by iteration number modulo the block size.
        self._filling = [0] * BLOCK_TOKENS
        self._just_finished = 0

    @property
    def running(self) -> int:
        """Sequences in the batch of the iteration in progress."""
        return len(self._decoding) + (self._prefilling is not None) + self._just_finished

    @property
    def waiting(self) -> int:
        """Sequences not admitted yet, or preempted."""
        return len(self._waiting)

    @property
    def idle(self) -> bool:
        """Whether the next step has nothing to do."""
        return not self._decoding and self._prefilling is None and not self._waiting

    @property
    def cached_tokens(self) -> int:
        """Tokens in the key-value cache."""
        return self._context_tokens + (self._prefilling.prefilled_tokens if self._prefilling else 0)

    @property
    def cache_usage(self) -> float:
        """Share of the cache's blocks that are taken, 0..1."""
        return 1.0 - self._free_blocks / self._blocks

    @property
    def longest_sequence_tokens(self) -> int:
        """Prompt and output tokens that one sequence may have at most."""
        return self._blocks * BLOCK_TOKENS

    def submit(self, sequence: Sequence, now: float) -> None:
        """Queue a sequence; ConfigError if it can never run because it has no tokens or more than the cache."""
        if sequence.prompt_tokens < 1 or sequence.output_tokens < 1:
            raise ConfigError(
                f"sequence {sequence.id}: {sequence.prompt_tokens} prompt and {sequence.output_tokens} output tokens; "
                "it needs at least one of each"
            )
        total = sequence.prompt_tokens + sequence.output_tokens
        if total > self.longest_sequence_tokens:
            raise ConfigError(
                f"sequence {sequence.id} has {total} tokens; the cache holds {self.longest_sequence_tokens}: send less"
            )
        sequence.arrival_time = min(sequence.arrival_time, now)
        sequence.prefill_tokens = sequence.prompt_tokens
        self._waiting.append(sequence)

    def cancel(self, sequence: Sequence) -> bool:
        """Drop a sequence and free its cache; return whether it was still here."""
        if self._decoding.get(sequence.id) is sequence:
            self._stop_decoding(sequence)
            return True
        if self._prefilling is sequence:
            self._stop_prefilling(sequence)
            return True
        if sequence in self._waiting:
            self._waiting.remove(sequence)
            return True
        return False

    def step(self, now: float) -> Iteration | None:
        """Run the iteration that starts at `now`; None when there is nothing to do."""
        self._just_finished = 0
        if self.idle:
            return None
        preempted = self._make_room_for_decoding()
        profile, decoding = self.profile, len(self._decoding)
        self._free_blocks -= self._filling[self._iteration % BLOCK_TOKENS]
        self._context_tokens += decoding
        duration = (
            profile.alpha_seconds
            + profile.beta_seconds_per_sequence * decoding
            + profile.gamma_seconds_per_cached_token * self._context_tokens
        )
        emitted = list(self._decoding.values())
        finished = self._finishing.pop(self._iteration, [])
        self._iteration += 1
        started: list[Sequence] = []
        prompt_tokens = 0
        if self._prefilling is not None or self._waiting:
            prompt_tokens, prefill_seconds = self._prefill(now, decoding, started, admit=not preempted)
            duration += prefill_seconds
        end = now + duration
        for sequence in finished:
            self._leave(sequence)
            sequence.finish_time = end
        for sequence in started:
            self._start_decoding(sequence, end, finished)
        self._just_finished = len(finished)
        return Iteration(duration, emitted + started if started else emitted, finished, decoding, prompt_tokens)

    @property
    def calm_iterations(self) -> int:
        """Iterations ahead in which nothing happens but that each decoding sequence gets one more token.

        None starts, ends or is preempted in them, and none that waits can be admitted: what is free only shrinks.
        """
        decoding = len(self._decoding)
        if decoding == 0 or self._prefilling is not None or self._admissible(decoding):
            return 0
        # Whole rounds of blocks, so that room is judged without counting each iteration's.
        rounds = self._free_blocks // decoding
        return min(min(self._finishing) - self._iteration, rounds * BLOCK_TOKENS)

    def calm_seconds(self, iterations: int) -> float:
        """Duration of the next so many iterations while they are calm: an arithmetic series."""
        profile, decoding = self.profile, len(self._decoding)
        each = profile.alpha_seconds + profile.beta_seconds_per_sequence * decoding
        tokens = iterations * self._context_tokens + decoding * iterations * (iterations + 1) / 2
        return iterations * each + profile.gamma_seconds_per_cached_token * tokens

    def coast(self, within_seconds: float) -> tuple[int, float]:
        """Run the calm iterations that end within a time, in one go; return how many and how long they took.

        Exactly what `step` would have done, up to the rounding of sums; no list of tokens is made.
        """
        iterations = self.calm_iterations
        seconds = self.calm_seconds(iterations)
        if seconds > within_seconds:
            iterations = self._calm_iterations_within(within_seconds)
            seconds = self.calm_seconds(iterations)
        if iterations <= 0:
            return 0, 0.0
        self._just_finished = 0
        rounds, rest = divmod(iterations, BLOCK_TOKENS)
        self._free_blocks -= rounds * len(self._decoding)
        self._free_blocks -= sum(self._filling[(self._iteration + n) % BLOCK_TOKENS] for n in range(rest))
        self._context_tokens += iterations * len(self._decoding)
        self._iteration += iterations
        return iterations, seconds

    def _calm_iterations_within(self, seconds: float) -> int:
        """The most iterations whose series is not longer than `seconds`: the root of a quadratic, checked."""
        growth = self.profile.gamma_seconds_per_cached_token * len(self._decoding) / 2
        first = self.calm_seconds(1) - growth
        root = seconds / first if growth == 0 else (sqrt(first**2 + 4 * growth * seconds) - first) / (2 * growth)
        count = max(int(root) + 1, 0)
        while count > 0 and self.calm_seconds(count) > seconds:
            count -= 1
        return count

    def _make_room_for_decoding(self) -> bool:
        """Preempt the latest until every decoding sequence can store its token; return whether any was."""
        preempted = False
        while self._filling[self._iteration % BLOCK_TOKENS] > self._free_blocks:
            preempted = True
            self.preemptions += 1
            if self._prefilling is not None:
                sequence = self._prefilling
                self._stop_prefilling(sequence)
            else:
                sequence = next(reversed(self._decoding.values()))
                generated = sequence.generated_before + self._iteration - sequence.decoding_since
                self._stop_decoding(sequence)
                sequence.generated_before = generated
                sequence.prefill_tokens = sequence.prompt_tokens + generated
            sequence.preemptions += 1
            self._waiting.appendleft(sequence)
        return preempted

    def _prefill(self, now: float, decoding: int, started: list[Sequence], *, admit: bool) -> tuple[int, float]:
        """Spend the token budget on prompts; add those that are complete to `started`; return (tokens, seconds)."""
        profile = self.profile
        budget = profile.max_batched_tokens - decoding
        tokens, seconds = 0, 0.0
        while budget > 0:
            if self._prefilling is None and not (admit and self._admit(now, decoding + len(started))):
                break
            sequence = self._prefilling
            if sequence is None:
                break
            chunk = min(budget, sequence.prefill_tokens - sequence.prefilled_tokens)
            mean_context = sequence.prefilled_tokens + chunk / 2
            seconds += chunk * (
                profile.kappa_seconds_per_prompt_token + profile.kappa2_seconds_per_token_squared * mean_context
            )
            budget -= chunk
            tokens += chunk
            sequence.prefilled_tokens += chunk
            if sequence.prefilled_tokens < sequence.prefill_tokens:
                break
            self._prefilling = None
            started.append(sequence)
        return tokens, seconds

    def _admit(self, now: float, running: int) -> bool:
        """Take the first of the queue into the batch if a place and cache for its whole prompt are free."""
        if not self._admissible(running):
            return False
        sequence = self._waiting.popleft()
        self._free_blocks -= _blocks(sequence.prefill_tokens)
        if sequence.scheduled_time is None:
            sequence.scheduled_time = now
        self._prefilling = sequence
        return True

    def _admissible(self, running: int) -> bool:
        """Whether the first of the queue finds a place beside `running` others and cache for its whole prompt."""
        if not self._waiting or running >= self.profile.max_sequences:
            return False
        return _blocks(self._waiting[0].prefill_tokens) <= self._free_blocks

    def _start_decoding(self, sequence: Sequence, end: float, finished: list[Sequence]) -> None:
        """Let a sequence whose prompt is computed emit a token and decode from the next iteration on."""
        if sequence.first_token_time is None:
            sequence.first_token_time = end
        sequence.generated_before += 1
        left = sequence.output_tokens - sequence.generated_before
        if left == 0:
            sequence.finish_time = end
            self._free_blocks += _blocks(sequence.prefill_tokens)
            finished.append(sequence)
            return
        sequence.decoding_since = self._iteration
        self._decoding[sequence.id] = sequence
        self._context_tokens += sequence.prefill_tokens
        self._filling[(self._iteration - sequence.prefill_tokens) % BLOCK_TOKENS] += 1
        self._finishing.setdefault(self._iteration + left - 1, []).append(sequence)

    def _stop_decoding(self, sequence: Sequence) -> None:
        """Take a sequence out of the batch before its last token."""
        left = sequence.output_tokens - sequence.generated_before
        last = sequence.decoding_since + left - 1
        self._finishing[last].remove(sequence)
        if not self._finishing[last]:
            del self._finishing[last]
        self._leave(sequence)

    def _leave(self, sequence: Sequence) -> None:
        """Free what a decoding sequence holds."""
        del self._decoding[sequence.id]
        context = sequence.prefill_tokens + self._iteration - sequence.decoding_since
        self._context_tokens -= context
        self._free_blocks += _blocks(context)
        self._filling[(sequence.decoding_since - sequence.prefill_tokens) % BLOCK_TOKENS] -= 1
        sequence.prefilled_tokens = 0

    def _stop_prefilling(self, sequence: Sequence) -> None:
        """Take the sequence being prefilled out of the batch."""
        self._prefilling = None
        self._free_blocks += _blocks(sequence.prefill_tokens)
        sequence.prefilled_tokens = 0


def _blocks(tokens: int) -> int:
    return -(-tokens // BLOCK_TOKENS)
