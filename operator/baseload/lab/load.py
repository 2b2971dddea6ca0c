"""The load generator: sends the requests of a plan at their times, whatever the servers do (open loop, no retries).

Run as `python -m baseload.lab.load --plan PLAN.json --out DIRECTORY [--kubeconfig FILE]`. The folder then holds
`requests.jsonl` and `summary.json`; while it runs, `snapshot.json` is replaced each second and printed as a line.
"""

import argparse
import asyncio
import contextlib
import gc
import json
import logging
import os
import signal
import sys
import time
from collections import deque
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from baseload.errors import BaseloadError, ConfigError, LoadError
from baseload.lab.balancer import Address, Balancer, follow_service
from baseload.lab.kube_client import connect
from baseload.lab.load_client import CompletionStream, request_bytes
from baseload.lab.load_plan import LoadPlan, read_plan
from baseload.lab.load_results import (
    SNAPSHOT_FILE,
    LoadOutcome,
    RequestResult,
    quantile,
    replace_json,
    summarise,
    write_outcome,
)
from baseload.lab.process_log import log_to_stderr
from baseload.sim.requests.arrivals import TimedRequest

logger = logging.getLogger(__name__)

_LAG_SAMPLE_SECONDS: Final = 0.02
_SNAPSHOT_SECONDS: Final = 1.0
_WINDOW_SECONDS: Final = 10.0
_FIRST_LIST_SECONDS: Final = 30.0
_NO_ENDPOINT: Final = "no ready endpoint"
_TIMEOUT: Final = "timeout"


class _Flight:
    """One request between its scheduled time and its end."""

    def __init__(self, number: int, request: TimedRequest, scheduled_time: float) -> None:
        self.number = number
        self.request = request
        self.scheduled_time = scheduled_time
        self.sent_time: float | None = None
        self.address: Address | None = None
        self.stream: CompletionStream | None = None
        self.timer: asyncio.TimerHandle | None = None


class LoadRun:
    """One run of a plan on the running event loop."""

    def __init__(self, plan: LoadPlan) -> None:
        self.plan = plan
        self.balancer = Balancer(plan.seed, self._send_waiting)
        self.started_unix_seconds = 0.0
        self.begun = asyncio.Event()
        self.lags_seconds: list[float] = []
        self._loop = asyncio.get_running_loop()
        self._start = 0.0
        self._lag_timer: asyncio.TimerHandle | None = None
        self._results: list[RequestResult] = []
        self._waiting: deque[_Flight] = deque()
        self._inflight = 0
        self._connecting: set[asyncio.Task[None]] = set()
        self._done = asyncio.Event()
        self._recent: deque[tuple[float, RequestResult]] = deque()
        self._scheduled: deque[float] = deque()

    async def run(self) -> LoadOutcome:
        """Send everything, wait for every end, and return what came of it."""
        self._start = self._loop.time()
        self.started_unix_seconds = time.time()
        self.begun.set()
        self._sample_lag(self._start)
        try:
            for number, request in enumerate(self.plan.timed_requests()):
                scheduled_time = self._start + request.time_seconds
                delay = scheduled_time - self._loop.time()
                if delay > 0:
                    await asyncio.sleep(delay)
                self._schedule(_Flight(number, request, scheduled_time))
            while self._inflight:
                self._done.clear()
                await self._done.wait()
        finally:
            if self._lag_timer is not None:
                self._lag_timer.cancel()
        duration_seconds = self._loop.time() - self._start
        results = sorted(self._results, key=lambda result: result.scheduled_seconds)
        summary = summarise(
            results,
            self.plan.objective,
            self.lags_seconds,
            started_unix_seconds=self.started_unix_seconds,
            duration_seconds=duration_seconds,
        )
        return LoadOutcome(summary, tuple(results))

    def snapshot(self) -> dict[str, Any]:
        """Return the state of the run and its last ten seconds (see `load_results.read_snapshot`)."""
        now = self._loop.time()
        while self._recent and self._recent[0][0] < now - _WINDOW_SECONDS:
            self._recent.popleft()
        while self._scheduled and self._scheduled[0] < now - _WINDOW_SECONDS:
            self._scheduled.popleft()
        results = [result for _, result in self._recent]
        first = [r.time_to_first_token_seconds for r in results if r.time_to_first_token_seconds is not None]
        p95 = quantile(first, 0.95)
        within = sum(result.within(self.plan.objective) for result in results)
        failed = sum(not result.completed for result in self._results)
        return {
            "started_unix_seconds": self.started_unix_seconds,
            "t": round(now - self._start, 3),
            "offered_rps": len(self._scheduled) / min(max(now - self._start, 1.0), _WINDOW_SECONDS),
            "inflight": self._inflight,
            "completed": len(self._results) - failed,
            "failed": failed,
            "p95_ttft_ms": None if p95 is None else 1000 * p95,
            "attainment": within / len(results) if results else None,
        }

    def _sample_lag(self, due: float) -> None:
        now = self._loop.time()
        self.lags_seconds.append(now - due)
        following = max(due + _LAG_SAMPLE_SECONDS, now)
        self._lag_timer = self._loop.call_at(following, self._sample_lag, following)

    def _schedule(self, flight: _Flight) -> None:
        """Take a request whose time has come."""
        self._inflight += 1
        self._scheduled.append(flight.scheduled_time)
        flight.timer = self._loop.call_at(
            flight.scheduled_time + self.plan.endpoint_wait_seconds, self._give_up_waiting, flight
        )
        self._waiting.append(flight)
        self._send_waiting()

    def _give_up_waiting(self, flight: _Flight) -> None:
        self._waiting.remove(flight)
        self._finish(flight, _NO_ENDPOINT)

    def _send_waiting(self) -> None:
        """Send requests that wait for an endpoint, oldest first."""
        while self._waiting:
            address = self.balancer.take()
            if address is None:
                return
            self._send(self._waiting.popleft(), address)

    def _send(self, flight: _Flight, address: Address) -> None:
        if flight.timer is not None:
            flight.timer.cancel()
        flight.address = address
        flight.sent_time = self._loop.time()
        request = flight.request
        content = request_bytes(
            f"{address[0]}:{address[1]}", self.plan.model, flight.number, request.prompt_tokens, request.output_tokens
        )
        stream = CompletionStream(content, self._loop, lambda: self._on_end(flight))
        flight.stream = stream
        limit = flight.scheduled_time + self.plan.request_timeout_seconds
        flight.timer = self._loop.call_at(limit, stream.fail, _TIMEOUT)
        task = asyncio.create_task(self._connect(stream, address))
        self._connecting.add(task)
        task.add_done_callback(self._connecting.discard)

    async def _connect(self, stream: CompletionStream, address: Address) -> None:
        try:
            await self._loop.create_connection(lambda: stream, *address)
        except OSError as error:
            stream.fail(f"connect: {type(error).__name__}")

    def _on_end(self, flight: _Flight) -> None:
        if flight.address is not None:
            self.balancer.release(flight.address)
        self._finish(flight, flight.stream.error if flight.stream else None)

    def _finish(self, flight: _Flight, error: str | None) -> None:
        """Record the result of a request."""
        if flight.timer is not None:
            flight.timer.cancel()
        now = self._loop.time()
        result = self._result(flight, error, now)
        self._results.append(result)
        self._recent.append((now, result))
        self._inflight -= 1
        self._done.set()

    def _result(self, flight: _Flight, error: str | None, now: float) -> RequestResult:
        stream, request = flight.stream, flight.request
        first = stream.first_token_time if stream else None
        last = stream.last_token_time if stream else None
        tokens = 0 if stream is None else stream.completion_tokens or stream.events
        between = (last - first) / (tokens - 1) if first is not None and last is not None and tokens > 1 else None
        return RequestResult(
            scheduled_seconds=flight.scheduled_time - self._start,
            sent_seconds=None if flight.sent_time is None else flight.sent_time - self._start,
            prompt_tokens=request.prompt_tokens,
            output_tokens=request.output_tokens,
            endpoint=f"{flight.address[0]}:{flight.address[1]}" if flight.address else None,
            status=stream.status if stream else None,
            error=error,
            received_tokens=tokens,
            time_to_first_token_seconds=None if first is None else first - flight.scheduled_time,
            inter_token_seconds=between,
            end_to_end_seconds=None if error else now - flight.scheduled_time,
        )


async def run_plan(plan: LoadPlan, directory: Path, kubeconfig: Path | None) -> LoadOutcome:
    """Run a plan and write its results into `directory`; ConfigError if it needs a cluster and none is named."""
    run = LoadRun(plan)
    async with contextlib.AsyncExitStack() as stack:
        if plan.service is not None:
            if kubeconfig is None:
                raise ConfigError("the plan names a service: give --kubeconfig or set KUBECONFIG")
            api = await stack.enter_async_context(connect(kubeconfig))
            follow = follow_service(api, plan.namespace, plan.service, plan.port_name, run.balancer)
            stack.callback(asyncio.create_task(follow).cancel)
            await _endpoints_known(run.balancer, plan)
        else:
            run.balancer.set_ready(_address(text) for text in plan.addresses)
        # What was made so far lives as long as the run: the collector need not look at it again.
        gc.collect()
        gc.freeze()
        snapshots = asyncio.create_task(_publish_snapshots(run, directory))
        stack.callback(snapshots.cancel)
        outcome = await run.run()
    write_outcome(directory, outcome)
    return outcome


async def _endpoints_known(balancer: Balancer, plan: LoadPlan) -> None:
    """Wait for the first list of endpoints, so that the first requests do not wait for it; LoadError after 30 s."""
    try:
        await asyncio.wait_for(balancer.known.wait(), timeout=_FIRST_LIST_SECONDS)
    except TimeoutError as error:
        raise LoadError(f"the endpoints of service {plan.namespace}/{plan.service} cannot be listed") from error


def _address(text: str) -> Address:
    host, _, port = text.rpartition(":")
    if not host or not port.isdigit():
        raise ConfigError(f"load plan: addresses: {text!r} is not host:port")
    return host, int(port)


async def _publish_snapshots(run: LoadRun, directory: Path) -> None:
    await run.begun.wait()
    while True:
        snapshot = run.snapshot()
        replace_json(directory / SNAPSHOT_FILE, snapshot)
        print(json.dumps(snapshot), flush=True)  # noqa: T201 (the contract with whoever reads our output)
        await asyncio.sleep(_SNAPSHOT_SECONDS)


async def _main(plan: LoadPlan, directory: Path, kubeconfig: Path | None) -> int:
    task = asyncio.create_task(run_plan(plan, directory, kubeconfig))
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, task.cancel)
    try:
        outcome = await task
    except asyncio.CancelledError:
        logger.warning("load run stopped before its end: no results")
        return 1
    if not outcome.summary.valid:
        logger.warning("run invalid: event loop too late", extra={"lag_ms_p99": outcome.summary.loop_lag_ms_p99})
    print(json.dumps(asdict(outcome.summary)), flush=True)  # noqa: T201
    return 0


def main() -> None:
    """Run a plan; exit 2 for a wrong plan or flag, 1 if it was stopped or failed, else 0."""
    parser = argparse.ArgumentParser(prog="python -m baseload.lab.load", description=__doc__)
    parser.add_argument("--plan", type=Path, required=True, help="what to send, to whom: JSON")
    parser.add_argument("--out", type=Path, required=True, help="folder for the results, made if absent")
    parser.add_argument("--kubeconfig", type=Path, default=os.environ.get("KUBECONFIG"), help="default: KUBECONFIG")
    arguments = parser.parse_args()
    log_to_stderr()
    try:
        plan = read_plan(arguments.plan)
        arguments.out.mkdir(parents=True, exist_ok=True)
        sys.exit(asyncio.run(_main(plan, arguments.out, arguments.kubeconfig)))
    except BaseloadError as error:
        sys.stderr.write(f"load: {error}\n")
        sys.exit(2 if isinstance(error, ConfigError) else 1)


if __name__ == "__main__":
    main()
