"""A small world of engines with known arrivals, exposed as the metrics of an engine for a real Prometheus to scrape."""

import asyncio
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

from aiohttp import web

TTFT_BOUNDARIES = (0.25, 0.5, 0.75, 1.0, 2.5)
ITL_BOUNDARIES = (0.025, 0.05, 0.1)
TOKENS_PER_REQUEST = 50
NAMESPACE = "team-a"


@dataclass
class Engine:
    """One pod: evenly spaced arrivals, `slots` requests at once, each taking `service_seconds`; the rest waits."""

    workload: str
    pod: str
    arrivals_rps: float
    service_seconds: float = 2.0
    slots: int = 1000
    ttft_seconds: float = 0.3
    itl_seconds: float = 0.04
    labelled: bool = True
    broken: bool = False
    not_a_number: bool = False
    old_names: bool = False
    both_names: bool = False
    token_histogram: bool = True
    llamacpp: bool = False
    seconds_before: float = 0.0
    completed: int = 0
    started: int = 0
    waiting: int = 0
    finish_times: list[float] = field(default_factory=list)
    owed: float = 0.0

    def advance(self, now: float, elapsed: float) -> None:
        """Let `elapsed` seconds pass."""
        done = [t for t in self.finish_times if t <= now]
        self.finish_times = [t for t in self.finish_times if t > now]
        self.completed += len(done)
        self.owed += self.arrivals_rps * elapsed
        self.waiting += int(self.owed)
        self.owed -= int(self.owed)
        while self.waiting and len(self.finish_times) < self.slots:
            self.waiting -= 1
            self.started += 1
            self.finish_times.append(now + self.service_seconds)

    def restart(self) -> None:
        """Lose what is inside and begin to count from zero."""
        self.completed = self.started = self.waiting = 0
        self.finish_times = []

    def exposition(self) -> str:
        """What /metrics answers."""
        lines = self._llamacpp_lines() if self.llamacpp else self._vllm_lines()
        return "\n".join(lines) + "\n"

    def _llamacpp_lines(self) -> Iterator[str]:
        """As llama.cpp prints them, seconds with six digits."""
        tokens = self.completed * TOKENS_PER_REQUEST
        yield f"llamacpp:requests_processing {len(self.finish_times)}"
        yield f"llamacpp:requests_deferred {self.waiting}"
        yield f"llamacpp:tokens_predicted_total {tokens}"
        yield f"llamacpp:tokens_predicted_seconds_total {self.seconds_before + tokens * self.itl_seconds:.6g}"

    def _vllm_lines(self) -> Iterator[str]:
        running = "NaN" if self.not_a_number else str(len(self.finish_times))
        yield f"vllm:num_requests_running {running}"
        yield f"vllm:num_requests_waiting {self.waiting}"
        yield f'vllm:request_success_total{{finished_reason="stop"}} {self.completed}'
        yield 'vllm:request_success_total{finished_reason="length"} 0'
        yield f"vllm:generation_tokens_total {self.completed * TOKENS_PER_REQUEST}"
        if self.token_histogram:
            yield f"vllm:request_generation_tokens_sum {self.completed * TOKENS_PER_REQUEST}"
            yield f"vllm:request_generation_tokens_count {self.completed}"
        yield f"vllm:{'gpu' if self.old_names else 'kv'}_cache_usage_perc 0.25"
        yield from self._histogram("time_to_first_token_seconds", TTFT_BOUNDARIES, self.ttft_seconds, self.started)
        old, new = "time_per_output_token_seconds", "inter_token_latency_seconds"
        for name in (old, new) if self.both_names else (old,) if self.old_names else (new,):
            yield from self._histogram(name, ITL_BOUNDARIES, self.itl_seconds, self.completed * TOKENS_PER_REQUEST)

    def _histogram(self, name: str, boundaries: tuple[float, ...], value: float, count: int) -> Iterator[str]:
        for boundary in boundaries:
            yield f'vllm:{name}_bucket{{le="{boundary}"}} {count if value <= boundary else 0}'
        yield f'vllm:{name}_bucket{{le="+Inf"}} {count}'
        yield f"vllm:{name}_sum {value * count}"
        yield f"vllm:{name}_count {count}"


class MetricsWorld:
    """Serves the engines' metrics and the list of targets on loopback, and lets time pass for them."""

    def __init__(self) -> None:
        self.engines: dict[str, Engine] = {}
        self.port = 0

    def add(self, *engines: Engine) -> None:
        """Start engines; Prometheus finds them within a second."""
        self.engines.update({engine.pod: engine for engine in engines})

    async def serve(self) -> web.AppRunner:
        """Listen on a free port; clean the returned runner up at the end."""
        application = web.Application()
        application.router.add_get("/targets", self._targets)
        application.router.add_get("/metrics/{pod}", self._metrics)
        runner = web.AppRunner(application, access_log=None)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        self.port = runner.addresses[0][1]
        return runner

    async def live(self) -> None:
        """Let time pass until cancelled."""
        last = time.time()
        while True:
            await asyncio.sleep(0.02)
            now = time.time()
            for engine in self.engines.values():
                engine.advance(now, now - last)
            last = now

    def scrape_config(self) -> dict[str, object]:
        """The scrape job of Prometheus that finds and labels the engines."""
        return {
            "job_name": "engines",
            "scrape_interval": "1s",
            "scrape_timeout": "1s",
            "http_sd_configs": [{"url": f"http://127.0.0.1:{self.port}/targets", "refresh_interval": "500ms"}],
        }

    async def _targets(self, _: web.Request) -> web.Response:
        return web.json_response([self._target(engine) for engine in self.engines.values()])

    def _target(self, engine: Engine) -> dict[str, object]:
        labels = {"__metrics_path__": f"/metrics/{engine.pod}", "namespace": NAMESPACE, "pod": engine.pod}
        if engine.labelled:
            labels["baseload_workload"] = f"Deployment/{engine.workload}"
        return {"targets": [f"127.0.0.1:{self.port}"], "labels": {**labels, "instance": engine.pod}}

    async def _metrics(self, request: web.Request) -> web.Response:
        engine = self.engines.get(request.match_info["pod"])
        if engine is None or engine.broken:
            raise web.HTTPServiceUnavailable
        return web.Response(text=engine.exposition())
