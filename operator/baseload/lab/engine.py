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
from typing import Final

from baseload.errors import LabError

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
        """Queue a sequence; LabError if it can never run because it has no tokens or more than the cache."""
        if sequence.prompt_tokens < 1 or sequence.output_tokens < 1:
            raise LabError(f"sequence {sequence.id} needs at least one prompt and one output token")
        total = sequence.prompt_tokens + sequence.output_tokens
        if total > self.longest_sequence_tokens:
            raise LabError(
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
            self._stop_prefilling()
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

    def _make_room_for_decoding(self) -> bool:
        """Preempt the latest until every decoding sequence can store its token; return whether any was."""
        preempted = False
        while self._filling[self._iteration % BLOCK_TOKENS] > self._free_blocks:
            preempted = True
            self.preemptions += 1
            if self._prefilling is not None:
                sequence = self._stop_prefilling()
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
        if not self._waiting or running >= self.profile.max_sequences:
            return False
        blocks = _blocks(self._waiting[0].prefill_tokens)
        if blocks > self._free_blocks:
            return False
        sequence = self._waiting.popleft()
        self._free_blocks -= blocks
        if sequence.scheduled_time is None:
            sequence.scheduled_time = now
        self._prefilling = sequence
        return True

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

    def _stop_prefilling(self) -> Sequence:
        sequence = self._prefilling
        if sequence is None:
            raise LabError("no sequence is being prefilled")
        self._prefilling = None
        self._free_blocks += _blocks(sequence.prefill_tokens)
        sequence.prefilled_tokens = 0
        return sequence


def _blocks(tokens: int) -> int:
    return -(-tokens // BLOCK_TOKENS)
