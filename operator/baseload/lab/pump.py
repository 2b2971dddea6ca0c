"""Runs a virtual-time engine in real time on an event loop, and hands out its tokens when they are due."""

import asyncio
from collections import deque
from typing import Final

from baseload.lab.completions import Answer
from baseload.lab.vllm_metrics import VllmMetrics
from baseload.sim.requests.engine import Engine, Iteration, Sequence

MAX_CATCH_UP_SECONDS: Final = 0.1
"""Lateness of the event loop that is made up for; more is lost, as if the machine had stood still."""


class Job:
    """One request on its way through an engine."""

    __slots__ = ("answer", "done", "last_token_time", "sequence", "transport")

    def __init__(
        self, sequence: Sequence, answer: Answer, transport: asyncio.WriteTransport | None, done: asyncio.Future[None]
    ) -> None:
        self.sequence = sequence
        self.answer = answer
        self.transport = transport
        """Where tokens are written at once; None when the answer is sent as a whole."""
        self.done = done
        self.last_token_time = 0.0


class EnginePump:
    """Steps one engine: each iteration is delivered at its deadline, and the next starts at that deadline.

    Deadlines follow from deadlines, not from when a timer fired, so lateness does not add up; a request is never
    part of an iteration that started before it arrived.
    """

    def __init__(self, engine: Engine, metrics: VllmMetrics, loop: asyncio.AbstractEventLoop) -> None:
        self.slowness = 1.0
        """How many times longer than the profile says an iteration takes."""
        self._engine = engine
        self._metrics = metrics
        self._loop = loop
        self._arrived: deque[Job] = deque()
        self._jobs: dict[int, Job] = {}
        self._iteration: Iteration | None = None
        self._deadline = 0.0
        self._timer: asyncio.TimerHandle | None = None

    @property
    def outstanding(self) -> int:
        """Requests that have not got their last token."""
        return len(self._jobs)

    def submit(self, job: Job) -> None:
        """Take a request; its `done` is set after its last token."""
        self._jobs[job.sequence.id] = job
        self._arrived.append(job)
        self._metrics.arriving = len(self._arrived)
        if self._iteration is None:
            self._begin(job.sequence.arrival_time)

    def cancel(self, job: Job) -> None:
        """Drop a request whose client is gone; nothing happens if it is finished."""
        if self._jobs.pop(job.sequence.id, None) is None:
            return
        if not self._engine.cancel(job.sequence) and job in self._arrived:
            self._arrived.remove(job)
            self._metrics.arriving = len(self._arrived)
        self._metrics.finished["abort"] += 1

    def stop(self) -> None:
        """Stop for good; requests in progress are cancelled."""
        if self._timer is not None:
            self._timer.cancel()
        for job in self._jobs.values():
            if not job.done.done():
                job.done.cancel()
        self._jobs.clear()
        self._arrived.clear()

    def _begin(self, start: float) -> None:
        """Start the next iteration at `start`, or fall idle."""
        while self._arrived and (self._arrived[0].sequence.arrival_time <= start or self._engine.idle):
            job = self._arrived.popleft()
            start = max(start, job.sequence.arrival_time)
            self._engine.submit(job.sequence, start)
        self._metrics.arriving = len(self._arrived)
        self._iteration = self._engine.step(start)
        if self._iteration is None:
            self._timer = None
            return
        self._deadline = start + self._iteration.duration_seconds * self.slowness
        self._timer = self._loop.call_at(self._deadline, self._on_deadline)

    def _on_deadline(self) -> None:
        now = self._loop.time()
        if self._iteration is not None:
            self._deliver(self._iteration, now)
        self._begin(max(self._deadline, now - MAX_CATCH_UP_SECONDS))

    def _deliver(self, iteration: Iteration, now: float) -> None:
        """Send every token of an iteration, count it, and end what is finished."""
        metrics, jobs = self._metrics, self._jobs
        metrics.generation_tokens += len(iteration.emitted)
        previous_count = 0
        previous_time = 0.0
        for index, sequence in enumerate(iteration.emitted):
            job = jobs.get(sequence.id)
            if job is None:
                continue
            if job.last_token_time == 0.0:
                self._count_first_token(sequence, now)
            elif index < iteration.decoding:
                # All of these had their last token at the same moment: counted together below.
                previous_count += 1
                previous_time = job.last_token_time
            else:
                metrics.inter_token_latency.observe(now - job.last_token_time)
            job.last_token_time = now
            transport = job.transport
            if transport is not None and not transport.is_closing():
                transport.write(job.answer.token if sequence.finish_time is None else job.answer.last_token)
        if previous_count:
            metrics.inter_token_latency.observe(now - previous_time, previous_count)
        for sequence in iteration.finished:
            self._finish(sequence, now)

    def _count_first_token(self, sequence: Sequence, now: float) -> None:
        metrics = self._metrics
        metrics.prompt_tokens += sequence.prompt_tokens
        metrics.time_to_first_token.observe(now - sequence.arrival_time)
        if sequence.scheduled_time is not None:
            metrics.queue_time.observe(max(sequence.scheduled_time - sequence.arrival_time, 0.0))
        # Kept for the request's own mean; the engine's time is ideal, this one is when it happened.
        sequence.first_token_time = now

    def _finish(self, sequence: Sequence, now: float) -> None:
        job = self._jobs.pop(sequence.id, None)
        if job is None:
            return
        metrics = self._metrics
        metrics.finished["length"] += 1
        metrics.request_latency.observe(now - sequence.arrival_time)
        metrics.request_prompt_tokens.observe(sequence.prompt_tokens)
        metrics.request_generation_tokens.observe(sequence.output_tokens)
        if sequence.output_tokens > 1 and sequence.first_token_time is not None:
            between = (now - sequence.first_token_time) / (sequence.output_tokens - 1)
            metrics.time_per_output_token.observe(between)
        if not job.done.done():
            job.done.set_result(None)
