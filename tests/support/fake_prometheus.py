"""A Prometheus that answers the operator's queries with numbers a test sets, and fails in every way a test asks for."""

import asyncio
import re
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from aiohttp import web

from baseload.observe.profiles import load_profiles
from baseload.observe.queries import Windows, render

PER_BUCKET = ("0.25", "0.5", "1", "2.5", "+Inf")
MODES = ("ok", "empty", "nan", "stale", "error")


@dataclass
class Load:
    """What one workload does: requests a second, sequences running and waiting, share inside the objectives.

    `running_by_pod` spreads the running sequences by hand; without it each of `replicas` pods has an equal part.
    """

    rps: float = 1.0
    running: float = 2.0
    waiting: float = 0.0
    attainment: float = 1.0
    tokens_per_request: float = 100.0
    inter_token_seconds: float = 0.02
    replicas: int = 1
    running_by_pod: dict[str, float] = field(default_factory=dict)


class FakePrometheus:
    """Serves /api/v1/query on 127.0.0.1 from a thread; `loads` by (namespace, `Kind/name`), `mode` one of MODES."""

    def __init__(self, clock: Callable[[], float] = time.time, profile: Mapping[str, str] | None = None) -> None:
        self.loads: dict[tuple[str, str], Load] = {}
        self.mode = "ok"
        self.queries = 0
        self.port = 0
        self._clock = clock
        self._loop = asyncio.new_event_loop()
        self._started = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        windows = Windows.for_scrapes(2.0, 15.0)
        given = load_profiles()["vllm"].templates() if profile is None else profile
        texts = {name: render(text, windows) for name, text in given.items()}
        self._prefixes = {name: re.split(r'\[|le=~"', text)[0] for name, text in texts.items()}

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> "FakePrometheus":
        self._thread.start()
        assert self._started.wait(10)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)

    def _serve(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._begin())
        self._started.set()
        self._loop.run_forever()

    async def _begin(self) -> None:
        application = web.Application()
        application.router.add_route("*", "/api/v1/query", self._answer)
        application.router.add_route("*", "/api/v1/query_range", self._answer_past)
        runner = web.AppRunner(application, access_log=None)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        self.port = runner.addresses[0][1]

    async def _answer(self, request: web.Request) -> web.Response:
        self.queries += 1
        if self.mode == "error":
            return web.json_response({"status": "error", "errorType": "internal", "error": "broken"}, status=500)
        given = {**request.query, **(await request.post())}
        rows = [] if self.mode == "empty" else self._rows(" ".join(str(given["query"]).split()))
        return web.json_response({"status": "success", "data": {"resultType": "vector", "result": rows}})

    async def _answer_past(self, _request: web.Request) -> web.Response:
        """Nothing is kept."""
        return web.json_response({"status": "success", "data": {"resultType": "matrix", "result": []}})

    def _rows(self, query: str) -> list[dict[str, object]]:
        matching = [name for name, prefix in self._prefixes.items() if query.startswith(prefix)]
        name = max(matching, key=lambda n: len(self._prefixes[n]))
        now = self._clock()
        if name in ("unlabelled", "suspects", "faults"):
            return []
        if name.endswith("_boundaries"):
            return [_row({"le": le}, 1.0, now) for le in PER_BUCKET]
        rows = []
        for (namespace, workload), load in self.loads.items():
            labels = {"namespace": namespace, "baseload_workload": workload}
            for extra, value in self._values(name, load, now):
                shown = float("nan") if self.mode == "nan" and name != "freshness" else value
                rows.append(_row({**labels, **extra}, shown, now))
        return rows

    def _values(self, name: str, load: Load, now: float) -> list[tuple[dict[str, str], float]]:
        if name == "freshness":
            return [({}, now - (120.0 if self.mode == "stale" else 0.5))]
        if name.endswith("_buckets"):
            # All requests are either within the smallest bucket or over the largest.
            return [({"le": le}, load.rps * (1.0 if le == "+Inf" else load.attainment)) for le in PER_BUCKET]
        simple = {
            "samples": 10.0,
            "running": load.running,
            "waiting": load.waiting,
            "completions": load.rps,
            "in_flight_growth": 0.0,
            "output_tokens": load.rps * load.tokens_per_request,
            "output_tokens_per_request": load.tokens_per_request,
        }
        if name in simple:
            return [({}, simple[name])]
        each = {
            "replica_running": load.running / load.replicas,
            "replica_inter_token_seconds": load.inter_token_seconds,
            "replica_time_to_first_token_seconds": 0.1,
            "replica_cache_usage": 0.1,
        }[name]
        by_pod = load.running_by_pod or {f"pod-{i}": each for i in range(load.replicas)}
        return [({"pod": pod}, n if name == "replica_running" else each) for pod, n in by_pod.items()]


def _row(labels: dict[str, str], value: float, now: float) -> dict[str, object]:
    return {"metric": labels, "value": [now, str(value)]}
