"""The HTTP session below the Prometheus client: bounded in time and size, no redirects, partial answers refused.

The client library reads whole bodies without a limit and drops the `warnings` of an answer; both are decided here.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Any

import orjson
import requests
import requests.auth

from baseload.errors import MetricsError
from baseload.observe.metrics_source import PartialAnswerError

MOST_BYTES = 64 * 2**20
"""A fleet of 5,000 servings with 8 replicas each answers with about 8 MiB."""

CHUNK_BYTES = 2**16

WARNINGS = re.compile(rb'"warnings"\s*:\s*\[\s*[^\s\]]')
"""A list with something in it; a label value cannot look like this, for inside a JSON string quotes are escaped."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer, in the shape that the client library reads: status code, body and its JSON."""

    status_code: int
    content: bytes

    def json(self) -> Any:  # noqa: ANN401 - the shape of the JSON is checked where it is used
        """Parse the body; raises ValueError when it is no JSON."""
        return orjson.loads(self.content)


class BearerFile(requests.auth.AuthBase):
    """Sends the token of a file, read for each request because mounted tokens are rotated."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Add the Authorization header; raises MetricsError when the file cannot be read."""
        try:
            token = self._path.read_text(encoding="utf-8").strip()
        except OSError as error:
            message = f"Prometheus token file {self._path} cannot be read: {error.strerror}; mount it or unset it"
            raise MetricsError(message) from error
        request.headers["Authorization"] = f"Bearer {token}"
        return request


class BoundedSession(requests.Session):
    """A session whose requests end after `deadline_seconds` in total, however slowly the body drips."""

    def __init__(self, deadline_seconds: float, *, token_file: Path | None, ca_file: Path | None) -> None:
        super().__init__()
        self._deadline_seconds = deadline_seconds
        # Neither proxies nor credentials may come from the environment or from ~/.netrc.
        self.trust_env = False
        self.max_redirects = 0
        self.auth = BearerFile(token_file) if token_file else None
        self.verify = str(ca_file) if ca_file else True

    def request(  # type: ignore[override] # the client library needs no more of an answer than Answer has
        self,
        method: str,
        url: str,
        **options: Any,  # noqa: ANN401 - as in the base class
    ) -> Answer:
        """Send a request and read its body inside the bounds; raises MetricsError when they are exceeded."""
        end = monotonic() + self._deadline_seconds
        with super().request(method, url, stream=True, **options) as response:
            content = self._body(response, end)
            if WARNINGS.search(content):
                message = f"Prometheus answered with warnings, so data may be missing: {_warnings(content)}"
                raise PartialAnswerError(message)
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


def _warnings(content: bytes) -> str:
    """The first warning of an answer, cut to a line."""
    try:
        return str(orjson.loads(content)["warnings"][0])[:200]
    except (ValueError, LookupError, TypeError):
        return "unreadable"
