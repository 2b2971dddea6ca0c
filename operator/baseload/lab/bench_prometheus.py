"""A Prometheus for the benchmark's fleet: it answers the operator's queries for thousands of workloads.

A real one would hold a million series to say the same; what is measured is the operator, so only the answers are
real: their size, their labels, their number. Each is computed when it is asked for, with a little noise.
"""

import argparse
import asyncio
import json
import re
import time
from random import Random
from typing import Any, Final

from aiohttp import web

from baseload.lab.bench_world import REPLICAS, name_of, namespace_of, pod_names

# What a query asks for, by what only it contains; the first that fits.
_SIGNS: Final = (
    (r"^label_replace", "faults"),
    (r"^count by \(namespace, baseload_workload\)", "suspects"),
    (r"^count by \(namespace, pod\)", "unlabelled"),
    (r"^count by \(le\).*time_to_first_token", "time_to_first_token_boundaries"),
    (r"^count by \(le\)", "inter_token_boundaries"),
    (r"^sum by \([a-z_, ]*\ble\).*time_to_first_token", "time_to_first_token_buckets"),
    (r"^sum by \([a-z_, ]*\ble\)", "inter_token_buckets"),
    (r"^max by \([a-z_, ]*\bpod\)", "replica_cache_usage"),
    (r"^sum by \([a-z_, ]*\bpod\).*time_to_first_token", "replica_time_to_first_token_seconds"),
    (r"^sum by \([a-z_, ]*\bpod\).*avg_over_time", "replica_running"),
    (r"^sum by \([a-z_, ]*\bpod\)", "replica_inter_token_seconds"),
    (r"timestamp\(", "freshness"),
    (r"count_over_time", "samples"),
    (r"present_over_time", "in_flight_growth"),
    (r"generation_tokens.*request_success", "output_tokens_per_request"),
    (r"generation_tokens", "output_tokens"),
    (r"request_success", "completions"),
    (r"num_requests_waiting", "waiting"),
    (r"num_requests_running", "running"),
)

_BOUNDARIES: Final = ("0.25", "0.5", "0.75", "1", "2.5", "+Inf")
_NEIGHBOURS: Final = {
    "time_to_first_token_buckets": ("0.75", "1", "+Inf"),
    "inter_token_buckets": ("0.025", "0.05", "+Inf"),
}
_RUNNING: Final = 12.0
_OUTPUT_TOKENS: Final = 200.0
_ALPHA_SECONDS, _SLOPE_SECONDS = 0.022, 0.0005
_HIGH: Final = 1.5
"""Factor of the demand of a serving that wants more replicas."""


class Fleet:
    """The load of every serving: low or high, and which ones flip at each tick of the operator."""

    def __init__(self, servings: int) -> None:
        self.servings = servings
        self.changing = 0.0
        self.queries = 0
        self.bytes = 0
        self._high = [False] * servings
        self._at = 0
        self._random = Random(1)  # noqa: S311 (a reproducible load, no secret)

    def flip(self) -> None:
        """Flip the demand of the next servings in turn."""
        for _ in range(round(self.changing * self.servings)):
            self._high[self._at] = not self._high[self._at]
            self._at = (self._at + 1) % self.servings

    def rows(self, name: str, now: float) -> list[str]:
        """The rows of one query as JSON texts."""
        if name in ("unlabelled", "suspects", "faults", ""):
            return []
        if name.endswith("_boundaries"):
            edges = _BOUNDARIES if name.startswith("time") else ("0.01", "0.025", "0.05", "0.1", "+Inf")
            return [_row(f'"le":"{le}"', float(self.servings), now) for le in edges]
        return [row for number in range(self.servings) for row in self._rows_of(name, number, now)]

    def _rows_of(self, name: str, number: int, now: float) -> list[str]:
        labels = f'"baseload_workload":"Deployment/{name_of(number)}"'
        namespace = f'"namespace":"{namespace_of(number)}"'
        if name in _NEIGHBOURS:
            return [_row(f'{labels},"le":"{le}",{namespace}', 1.5, now) for le in _NEIGHBOURS[name]]
        replicas = REPLICAS
        running = _RUNNING * (_HIGH if self._high[number] else 1.0) * (1.0 + 0.02 * self._random.random())
        if name.startswith("replica_"):
            value = _of_replica(name, running)
            return [_row(f'{labels},{namespace},"pod":"{pod}"', value, now) for pod in pod_names(number, replicas)]
        return [_row(f"{labels},{namespace}", _of_workload(name, running, replicas, now), now)]


def _of_replica(name: str, running: float) -> float:
    return {
        "replica_running": running,
        "replica_inter_token_seconds": _ALPHA_SECONDS + _SLOPE_SECONDS * running,
        "replica_time_to_first_token_seconds": 0.12,
        "replica_cache_usage": 0.3,
    }[name]


def _of_workload(name: str, running: float, replicas: int, now: float) -> float:
    """Little's law: requests a second are what runs over how long each takes."""
    seconds = _OUTPUT_TOKENS * (_ALPHA_SECONDS + _SLOPE_SECONDS * running)
    rps = replicas * running / seconds
    return {
        "freshness": now - 2.0,
        "samples": 4.0,
        "running": replicas * running,
        "waiting": 0.0,
        "completions": rps,
        "in_flight_growth": 0.0,
        "output_tokens": rps * _OUTPUT_TOKENS,
        "output_tokens_per_request": _OUTPUT_TOKENS,
    }[name]


def _row(labels: str, value: float, now: float) -> str:
    return f'{{"metric":{{{labels}}},"value":[{now:.3f},"{value:.15g}"]}}'


class Server:
    """The HTTP side: Prometheus' query API, and /control to read the counts and to set the share that changes."""

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet

    def application(self) -> web.Application:
        """The routes."""
        application = web.Application()
        application.router.add_route("*", "/api/v1/query", self._query)
        application.router.add_route("*", "/control", self._control)
        return application

    async def _query(self, request: web.Request) -> web.Response:
        given = {**request.query, **(await request.post())}
        query = " ".join(str(given["query"]).split())
        name = next((name for sign, name in _SIGNS if re.search(sign, query)), "")
        if name == "freshness":
            # The first question of each tick.
            self._fleet.flip()
        rows = ",".join(self._fleet.rows(name, time.time()))
        body = f'{{"status":"success","data":{{"resultType":"vector","result":[{rows}]}}}}'.encode()
        self._fleet.queries += 1
        self._fleet.bytes += len(body)
        return web.Response(body=body, content_type="application/json")

    async def _control(self, request: web.Request) -> web.Response:
        if "changing" in request.query:
            self._fleet.changing = float(request.query["changing"])
        counts: dict[str, Any] = {"queries": self._fleet.queries, "bytes": self._fleet.bytes}
        return web.Response(text=json.dumps(counts), content_type="application/json")


async def _serve(port: int, servings: int) -> None:
    runner = web.AppRunner(Server(Fleet(servings)).application(), access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--servings", type=int, required=True)
    arguments = parser.parse_args()
    asyncio.run(_serve(arguments.port, arguments.servings))
