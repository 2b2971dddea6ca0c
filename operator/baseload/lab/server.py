"""An emulated model server: OpenAI's completion API and vLLM's metrics over real HTTP, timed by an engine.

Many servers share one event loop. HTTP is aiohttp's; only the tokens of a stream are written straight to the
connection, because they are nearly all of the work.
"""

import asyncio
import logging
import time
from itertools import count

import orjson
from aiohttp import web
from pydantic import ValidationError

from baseload.lab.completions import Answer, ChatRequest, CompletionRequest, RequestError, parse
from baseload.lab.faults import NO_FAULT, Fault
from baseload.lab.pump import EnginePump, Job
from baseload.lab.vllm_metrics import VllmMetrics
from baseload.sim.requests.engine import Engine, EngineProfile, Sequence

logger = logging.getLogger(__name__)

ACCEPT_WHILE_DRAINING_SECONDS = 2.0
"""How long a terminating replica still takes requests, until endpoints have told every client."""

_MAX_BODY_BYTES = 32 * 2**20
_METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class ReplicaServer:
    """One emulated replica on one address; start and stop it on the event loop that serves it."""

    def __init__(self, *, model: str, profile: EngineProfile, host: str, port: int) -> None:
        self.model = model
        self.host = host
        self.port = port
        self.engine = Engine(profile)
        self.metrics = VllmMetrics(model, self.engine)
        self._pump: EnginePump | None = None
        self._runner: web.AppRunner | None = None
        self._fault = NO_FAULT
        self._fault_timer: asyncio.TimerHandle | None = None
        self._stale_metrics = b""
        self._refuse_after: float | None = None
        self._ids = count(1)

    async def start(self) -> None:
        """Listen and serve; OSError if the address cannot be bound. With port 0 `port` becomes the one chosen."""
        self._pump = EnginePump(self.engine, self.metrics, asyncio.get_running_loop())
        app = web.Application(client_max_size=_MAX_BODY_BYTES)
        app.router.add_post("/v1/completions", self._completions)
        app.router.add_post("/v1/chat/completions", self._chat_completions)
        app.router.add_get("/v1/models", self._models)
        app.router.add_get("/health", self._health)
        app.router.add_get("/metrics", self._metrics)
        app.router.add_post("/lab/fault", self._set_fault)
        self._runner = web.AppRunner(app, handler_cancellation=True, access_log=None, shutdown_timeout=0.5)
        await self._runner.setup()
        site = web.TCPSite(self._runner, self.host, self.port, backlog=1024)
        try:
            await site.start()
        except OSError:
            await self.stop()
            raise
        self.port = int(self._runner.addresses[0][1])

    async def stop(self) -> None:
        """Stop at once; requests in progress break off."""
        if self._fault_timer is not None:
            self._fault_timer.cancel()
        if self._pump is not None:
            self._pump.stop()
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    def begin_drain(self) -> None:
        """Take requests for ACCEPT_WHILE_DRAINING_SECONDS more, then answer 503; what is in progress goes on."""
        if self._refuse_after is None:
            self._refuse_after = time.monotonic() + ACCEPT_WHILE_DRAINING_SECONDS

    @property
    def serving(self) -> bool:
        """Whether the server listens."""
        return self._runner is not None

    @property
    def drained(self) -> bool:
        """Whether the server refuses requests and none is in progress."""
        return self._refusing and not self.outstanding

    @property
    def outstanding(self) -> int:
        """Requests in progress."""
        return self._pump.outstanding if self._pump else 0

    def set_fault(self, fault: Fault) -> None:
        """Have a fault from now on, in place of the one before."""
        if self._fault_timer is not None:
            self._fault_timer.cancel()
            self._fault_timer = None
        self._fault = fault
        if self._pump is not None:
            self._pump.slowness = fault.factor if fault.kind == "slow" else 1.0
        if fault.kind == "stale-metrics":
            self._stale_metrics = self.metrics.text()
        if fault.seconds is not None:
            self._fault_timer = asyncio.get_running_loop().call_later(fault.seconds, self.set_fault, NO_FAULT)

    @property
    def _refusing(self) -> bool:
        return self._refuse_after is not None and time.monotonic() >= self._refuse_after

    async def _completions(self, request: web.Request) -> web.StreamResponse:
        return await self._answer(request, chat=False)

    async def _chat_completions(self, request: web.Request) -> web.StreamResponse:
        return await self._answer(request, chat=True)

    async def _answer(self, request: web.Request, *, chat: bool) -> web.StreamResponse:
        arrival_time = asyncio.get_running_loop().time()
        try:
            await self._check_state()
            wanted = parse(await request.read(), chat=chat)
            sequence = self._sequence(wanted, arrival_time)
        except RequestError as error:
            return web.Response(status=error.status, body=error.body(), content_type="application/json")
        answer = Answer(sequence.id, wanted, sequence.output_tokens)
        if wanted.stream:
            return await self._stream(request, sequence, answer)
        await self._run(sequence, answer, None)
        return web.Response(body=answer.whole(), content_type="application/json")

    async def _check_state(self) -> None:
        """Refuse while draining; behave as the fault says."""
        if self._refusing:
            raise RequestError(503, "this replica is shutting down; send the request to another one")
        if self._fault.kind == "error":
            raise RequestError(500, "this replica was told to fail")
        if self._fault.kind == "hang":
            await asyncio.Event().wait()

    def _sequence(self, wanted: CompletionRequest | ChatRequest, arrival_time: float) -> Sequence:
        if wanted.model != self.model:
            raise RequestError(404, f"model: {wanted.model!r} is not served here; use {self.model!r}", "model")
        longest = self.engine.longest_sequence_tokens
        prompt = wanted.prompt_tokens
        output = wanted.output_tokens(longest)
        if prompt + output > longest:
            message = f"max_tokens: {prompt} prompt and {output} output tokens are more than the context of {longest}"
            raise RequestError(400, message, "max_tokens")
        return Sequence(id=next(self._ids), prompt_tokens=prompt, output_tokens=output, arrival_time=arrival_time)

    async def _stream(self, request: web.Request, sequence: Sequence, answer: Answer) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream", "Cache-Control": "no-cache"})
        response.enable_chunked_encoding()
        await response.prepare(request)
        transport = request.transport
        if transport is None:
            raise ConnectionResetError("the client is gone")
        await self._run(sequence, answer, transport)
        transport.write(answer.end())
        await response.write_eof()
        return response

    async def _run(self, sequence: Sequence, answer: Answer, transport: asyncio.WriteTransport | None) -> None:
        """Wait for the last token; a client that goes away frees its sequence."""
        if self._pump is None:
            raise RequestError(503, "this replica does not run")
        job = Job(sequence, answer, transport, asyncio.get_running_loop().create_future())
        self._pump.submit(job)
        try:
            await job.done
        except asyncio.CancelledError:
            self._pump.cancel(job)
            raise

    async def _models(self, _: web.Request) -> web.Response:
        model = {"id": self.model, "object": "model", "owned_by": "baseload-lab"}
        limits = {"max_model_len": self.engine.longest_sequence_tokens}
        return _json({"object": "list", "data": [model | limits]})

    async def _health(self, _: web.Request) -> web.Response:
        return web.Response()

    async def _metrics(self, _: web.Request) -> web.Response:
        if self._fault.kind == "no-metrics":
            raise web.HTTPNotFound
        body = self._stale_metrics if self._fault.kind == "stale-metrics" else self.metrics.text()
        return web.Response(body=body, headers={"Content-Type": _METRICS_TYPE})

    async def _set_fault(self, request: web.Request) -> web.Response:
        try:
            fault = Fault.model_validate_json(await request.read())
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            field = ".".join(str(part) for part in first["loc"])
            wrong = RequestError(400, f"{field}: {first['msg']} (got {first['input']!r})", field)
            return web.Response(status=400, body=wrong.body(), content_type="application/json")
        self.set_fault(fault)
        logger.info("fault set", extra={"host": self.host, "fault": fault.kind})
        return _json(fault.model_dump())


def _json(value: object) -> web.Response:
    return web.Response(body=orjson.dumps(value), content_type="application/json")
