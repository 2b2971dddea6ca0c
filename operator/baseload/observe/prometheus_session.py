"""The HTTP session below the Prometheus client: bounded in time and size, no redirects, partial answers refused.

The client library reads whole bodies without a limit and drops the `warnings` of an answer; both are decided here.
"""

import re
import time
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from time import monotonic
from typing import Any

import orjson
import requests
import requests.auth
from requests.adapters import BaseAdapter

from baseload.errors import MetricsError
from baseload.observe.address_guard import GuardedAdapter
from baseload.observe.metrics_source import PartialAnswerError

MOST_BYTES = 64 * 2**20
"""A fleet of 5,000 servings with 8 replicas each answers with about 8 MiB."""

CHUNK_BYTES = 2**16

ANNOTATIONS = re.compile(rb'"(warnings|infos)"\s*:\s*\[\s*[^\s\]]|"isPartial"\s*:\s*true')
"""A list with something in it, or VictoriaMetrics' mark of a partial answer.

A label value cannot look like this, for inside a JSON string quotes are escaped.
"""

HARMLESS = "PromQL info:"
"""How Prometheus begins a remark on the query itself, such as that a name does not end like a counter's."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer, in the shape that the client library reads: status code, body and its JSON."""

    status_code: int
    content: bytes

    def json(self) -> Any:  # noqa: ANN401 - the shape of the JSON is checked where it is used
        """Parse the body; raises ValueError when it is no JSON."""
        return orjson.loads(self.content)


class BoundedSession(requests.Session):
    """A session whose requests end after `deadline_seconds` in total, however slowly the body drips."""

    def __init__(self, deadline_seconds: float, adapter: GuardedAdapter) -> None:
        super().__init__()
        self.clock_offset_seconds = 0.0
        self._deadline_seconds = deadline_seconds
        self._adapter = adapter
        # Neither proxies nor credentials may come from the environment or from ~/.netrc.
        self.trust_env = False
        self.max_redirects = 0

    def get_adapter(self, url: str | bytes) -> BaseAdapter:  # noqa: ARG002 - there is only one
        """Return the guarded adapter for whatever URL: the client library mounts one of its own that is not."""
        return self._adapter

    def request(  # type: ignore[override] # the client library needs no more of an answer than Answer has
        self,
        method: str,
        url: str,
        **options: Any,  # noqa: ANN401 - as in the base class
    ) -> Answer:
        """Send a request and read its body inside the bounds; raises MetricsError when they are exceeded."""
        sent, end = time.time(), monotonic() + self._deadline_seconds
        with super().request(method, url, stream=True, **options) as response:
            self.clock_offset_seconds = clock_offset_seconds(response.headers.get("Date", ""), sent, time.time())
            content = self._body(response, end)
            why = _partial(content) if ANNOTATIONS.search(content) else None
            if why is not None:
                raise PartialAnswerError(f"Prometheus answered with partial data: {why}")
            return Answer(response.status_code, content)

    def _body(self, response: requests.Response, end: float) -> bytes:
        chunks: list[bytes] = []
        size = 0
        for chunk in response.iter_content(CHUNK_BYTES):
            chunks.append(chunk)
            size += len(chunk)
            if size > MOST_BYTES:
                raise MetricsError(f"Prometheus answered with more than {MOST_BYTES >> 20} MiB")
            if monotonic() > end:
                raise MetricsError(f"Prometheus did not finish its answer in {self._deadline_seconds:g} s")
        return b"".join(chunks)


def clock_offset_seconds(date: str, sent: float, received: float) -> float:
    """How far the clock behind a `Date` header is ahead of ours; 0 when it agrees, or when there is no such header.

    The header was written between `sent` and `received` (Unix seconds, our clock) and counts whole seconds.
    """
    try:
        told = parsedate_to_datetime(date).timestamp()
    except (TypeError, ValueError):
        return 0.0
    least, most = told - received, told + 1.0 - sent
    return 0.0 if least <= 0.0 <= most else (least + most) / 2.0


def _partial(content: bytes) -> str | None:
    """Why an answer is not the whole truth; None when what it remarks is harmless."""
    try:
        answer = orjson.loads(content)
        if answer.get("isPartial") is True:
            return "isPartial is true, so some storage nodes did not answer"
        remarks = [*answer.get("warnings", ()), *answer.get("infos", ())]
    except (ValueError, AttributeError, TypeError):
        return "unreadable"
    return next((str(remark)[:200] for remark in remarks if not str(remark).startswith(HARMLESS)), None)
