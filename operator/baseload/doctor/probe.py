"""Looking at Prometheus as the operator would meet it, and naming what stands in the way."""

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import orjson
import requests

from baseload.doctor.facts import Server, Trouble
from baseload.errors import MetricsError
from baseload.observe.address_guard import GuardedAdapter, names_loopback
from baseload.observe.metrics_source import PartialAnswerError
from baseload.observe.prometheus import checked_url
from baseload.observe.prometheus_auth import Credentials
from baseload.observe.prometheus_session import Answer, BoundedSession

PROBE_SECONDS = 8.0
CLOCK_QUERY = "vector(time()) or label_replace(count(up), 'what', 'targets', '', '')"
"""The server's time, and beside it the number of targets, if there are any."""


@dataclass(frozen=True, slots=True)
class Door:
    """Where Prometheus is and how one gets in."""

    url: str
    credentials: Credentials = field(default_factory=Credentials)


async def probe(door: Door) -> Server:
    """Ask one query without a time; raises ConfigError when the URL itself cannot be used."""
    url = checked_url(door.url)
    return await asyncio.to_thread(_probe, url, door.credentials)


def _probe(url: str, credentials: Credentials) -> Server:
    host = urlsplit(url).hostname or ""
    adapter = GuardedAdapter(loopback_allowed=names_loopback(host), deadline_seconds=PROBE_SECONDS)
    session = BoundedSession(PROBE_SECONDS, adapter)
    credentials.apply(session)
    began = time.time()
    try:
        options = {"params": {"query": CLOCK_QUERY}, "timeout": PROBE_SECONDS}
        answer = session.request("GET", f"{url}/api/v1/query", **options)
    except (requests.RequestException, MetricsError, OSError) as error:
        trouble, detail = _failure(error)
        return Server(url, trouble=trouble, detail=detail)
    finally:
        session.close()
    return judged(url, answer, (began + time.time()) / 2)


def judged(url: str, answer: Answer, asked_time: float) -> Server:
    """What an answer says of the server; `asked_time` is this machine's Unix time in the middle of the request."""
    trouble = _status_trouble(answer.status_code)
    if trouble is not None:
        return Server(url, trouble=trouble, detail=f"it answers {answer.status_code} {_excerpt(answer.content)}")
    try:
        rows = answer.json()["data"]["result"]
        values = {row["metric"].get("what", "time"): float(row["value"][1]) for row in rows}
        skew = values["time"] - asked_time
    except (ValueError, LookupError, TypeError, AttributeError):
        return Server(url, trouble=Trouble.NOT_PROMETHEUS, detail=f"it answers {_excerpt(answer.content)}")
    if "targets" not in values:
        detail = "it has no `up` series, so it scrapes nothing"
        return Server(url, skew_seconds=skew, trouble=Trouble.EMPTY, detail=detail)
    return Server(url, skew_seconds=skew)


def _status_trouble(status: int) -> Trouble | None:
    if status in (401, 403):
        return Trouble.REFUSED
    if status == 404:
        return Trouble.NOT_FOUND
    if 300 <= status < 400:
        return Trouble.REDIRECT
    return Trouble.NO_ANSWER if status >= 500 else None


def _failure(error: Exception) -> tuple[Trouble, str]:
    if isinstance(error, PartialAnswerError):
        return Trouble.PARTIAL, str(error)
    if isinstance(error, requests.TooManyRedirects):
        response = error.response
        headers: Mapping[str, str] = {} if response is None else response.headers
        return Trouble.REDIRECT, f"it redirects to {headers.get('Location', 'somewhere else')}"
    if isinstance(error, requests.exceptions.SSLError):
        return Trouble.TLS, _innermost(error)
    if isinstance(error, requests.Timeout):
        return Trouble.NO_ANSWER, f"nothing came within {PROBE_SECONDS:g} s"
    return Trouble.NO_ANSWER, _innermost(error)


def _innermost(error: BaseException) -> str:
    """The reason at the bottom of a chain, without the addresses of Python objects."""
    seen: BaseException = error
    while True:
        inner = next((a for a in (getattr(seen, "reason", None), *seen.args) if isinstance(a, BaseException)), None)
        if inner is None or inner is seen:
            return str(seen).rpartition(">: ")[2][:200]
        seen = inner


def _excerpt(body: bytes) -> str:
    """The error of a Prometheus answer, or the beginning of whatever it is."""
    try:
        return str(orjson.loads(body)["error"])[:200]
    except (ValueError, LookupError, TypeError):
        return " ".join(body[:200].decode(errors="replace").split())[:80] or "nothing"
