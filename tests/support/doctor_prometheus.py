"""An HTTP server in the place of Prometheus, with the answers that a test gives it, and wrong in every way."""

import json
import threading
import time
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

Row = tuple[Mapping[str, str], float]


class RecordedPrometheus:
    """Answers each query by the rows of the first of `rows` whose key is a part of it; `mode` says how it behaves.

    Modes: ok, empty, redirect, refused, not-found, page, broken, partial. `ahead_seconds` shifts its clock.
    """

    def __init__(self) -> None:
        self.mode = "ok"
        self.ahead_seconds = 0.0
        self.rows: dict[str, list[Row]] = {}
        self.queries: list[str] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> "RecordedPrometheus":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)

    def answer(self, path: str) -> tuple[int, dict[str, str], bytes]:
        """Status, headers and body of a request."""
        simple: dict[str, tuple[int, dict[str, str], bytes]] = {
            "redirect": (302, {"Location": "https://login.example.com/"}, b""),
            "refused": (401, {}, b"Unauthorized"),
            "not-found": (404, {}, b"404 page not found"),
            "page": (200, {}, b"<html><title>Grafana</title></html>"),
            "broken": (503, {}, b'{"status": "error", "error": "tsdb not ready"}'),
        }
        if self.mode in simple:
            return simple[self.mode]
        query = parse_qs(urlsplit(path).query).get("query", [""])[0]
        self.queries.append(query)
        body: dict[str, Any] = {"status": "success", "data": {"resultType": "vector", "result": self._result(query)}}
        if self.mode == "partial":
            body["warnings"] = ["store 10.0.0.7 is not available"]
        return 200, {}, json.dumps(body).encode()

    def _result(self, query: str) -> list[dict[str, object]]:
        now = time.time() + self.ahead_seconds
        if "time()" in query:
            rows: list[Row] = [({}, now)] if self.mode == "empty" else [({}, now), ({"what": "targets"}, 3.0)]
        else:
            rows = next((found for part, found in self.rows.items() if part in query), [])
        return [{"metric": dict(labels), "value": [now, str(value)]} for labels, value in rows]

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        prometheus = self

        class Handler(BaseHTTPRequestHandler):
            """Answers GET and POST alike."""

            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                status, headers, body = prometheus.answer(self.path)
                self.send_response(status)
                for name, value in {**headers, "Content-Length": str(len(body))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class' name
                """Stay silent."""

        return Handler
