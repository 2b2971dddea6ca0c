"""Queries to Prometheus, or to anything that speaks its API, from a private pool of two threads."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from math import nan
from typing import Any, TypeVar
from urllib.parse import urlsplit

import numpy as np
import orjson
import requests
from prometheus_api_client import PrometheusConnect
from prometheus_api_client.exceptions import PrometheusApiClientException
from urllib3.util.retry import Retry

from baseload.errors import ConfigError, MetricsError
from baseload.observe.address_guard import GuardedAdapter, names_loopback, refusal
from baseload.observe.metrics_source import RangeSeries, Series
from baseload.observe.prometheus_auth import Credentials
from baseload.observe.prometheus_session import BoundedSession

THREADS = 2
"""Enough to hide latency, too few to be a load on a Prometheus that others use as well."""

TIMEOUT_SECONDS = 4.0
"""Below the tick of 5 s; a retry would answer for an instant that has passed."""

PAST_TIMEOUT_SECONDS = 60.0
"""A query over days takes longer, and no tick waits for it."""

T = TypeVar("T")


class PrometheusSource:
    """A MetricsSource over the Prometheus HTTP API.

    `url` is the API's root (`http://prometheus.monitoring:9090`, a path prefix is kept). A loopback address is
    connected to only when the URL names it. Raises ConfigError when the URL or the credentials cannot be used.
    """

    def __init__(
        self,
        url: str,
        credentials: Credentials | None = None,
        *,
        timeout_seconds: float = TIMEOUT_SECONDS,
    ) -> None:
        self.url = checked_url(url)
        host = urlsplit(self.url).hostname or ""
        adapter = GuardedAdapter(loopback_allowed=names_loopback(host), deadline_seconds=timeout_seconds)
        self._session = BoundedSession(timeout_seconds, adapter)
        # A query that we have given up should not go on to load Prometheus.
        self._timeout = f"{timeout_seconds * 1000:.0f}ms"
        (credentials or Credentials()).apply(self._session)
        self._client = PrometheusConnect(
            self.url, session=self._session, retry=Retry(total=0, redirect=False), timeout=timeout_seconds
        )
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="prometheus")

    @property
    def clock_offset_seconds(self) -> float:
        """How far the clock of Prometheus was ahead of ours in its last answer, 0 when by less than a second."""
        return self._session.clock_offset_seconds

    async def query(self, promql: str, time: float) -> tuple[Series, ...]:
        """Evaluate an instant query at the Unix time `time`; raises MetricsError on any failure."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._query, promql, time)

    async def query_range(self, promql: str, start: float, end: float, step_seconds: float) -> tuple[RangeSeries, ...]:
        """Evaluate a query at Unix times from `start` to `end`; raises MetricsError on any failure."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, self._query_range, promql, start, end, step_seconds)

    def close(self) -> None:
        """Drop waiting queries and connections; a running query ends by its own timeout."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._client.close()

    def _query(self, promql: str, time: float) -> tuple[Series, ...]:
        params = {"time": f"{time:.3f}", "timeout": self._timeout}
        return self._told(lambda: self._client.custom_query(promql, params=params), _series)

    def _query_range(self, promql: str, start: float, end: float, step_seconds: float) -> tuple[RangeSeries, ...]:
        # The client would round both ends to whole seconds.
        params = {"start": f"{start:.3f}", "end": f"{end:.3f}", "timeout": self._timeout}
        first, last = datetime.fromtimestamp(start, UTC), datetime.fromtimestamp(end, UTC)
        step = f"{step_seconds:.3f}"
        return self._told(lambda: self._client.custom_query_range(promql, first, last, step, params), _range_series)

    def _told(self, ask: Callable[[], Any], read: Callable[[Mapping[str, Any]], T]) -> tuple[T, ...]:
        """The rows of an answer; everything that can go wrong as a MetricsError in words."""
        try:
            return tuple(read(row) for row in ask())
        except MetricsError:
            raise
        except PrometheusApiClientException as error:
            raise MetricsError(f"Prometheus at {self.url} refused a query: {str(error)[:300]}") from error
        except requests.RequestException as error:
            raise MetricsError(f"Prometheus at {self.url} did not answer: {_cause(error)}") from error
        except OSError as error:
            # A certificate that is not mounted, or is no certificate.
            raise MetricsError(f"Prometheus at {self.url} could not be asked: {str(error)[:300]}") from error
        except (orjson.JSONDecodeError, LookupError, TypeError, ValueError) as error:
            message = f"Prometheus at {self.url} answered something that is no result: {str(error)[:200]}"
            raise MetricsError(message) from error


def checked_url(url: str) -> str:
    """The URL without a trailing slash; raises ConfigError when scheme, host or credentials are not acceptable."""
    remedy = "give http(s)://HOST[:PORT][/PREFIX] and put credentials into a token file"
    try:
        parts = urlsplit(url)
        port_is_valid = parts.port is None or parts.port > 0
    except ValueError as error:
        raise ConfigError(f"Prometheus URL {url!r} cannot be read: {error}; {remedy}") from error
    if parts.username is not None or parts.password is not None:
        # The value is a secret then, so the message must not repeat it.
        raise ConfigError(f"Prometheus URL for host {parts.hostname!r} carries credentials; {remedy}")
    if parts.scheme not in ("http", "https") or not parts.hostname or not port_is_valid:
        raise ConfigError(f"Prometheus URL {url!r} is not usable; {remedy}")
    if parts.query or parts.fragment:
        raise ConfigError(f"Prometheus URL {url!r} carries a query or a fragment; {remedy}")
    try:
        why = refusal(parts.hostname, loopback_allowed=True)
    except ValueError:
        # A name; what it resolves to is looked at when it is connected to.
        why = None
    if why is not None:
        raise ConfigError(f"Prometheus URL {url!r} names {why}; {remedy}")
    return url.rstrip("/")


def _series(row: Mapping[str, Any]) -> Series:
    at, value = row["value"]
    return Series(row["metric"], _number(value), at)


def _range_series(row: Mapping[str, Any]) -> RangeSeries:
    points = row["values"]
    times, values = np.empty(len(points)), np.empty(len(points))
    for index, (at, value) in enumerate(points):
        times[index], values[index] = at, _number(value)
    return RangeSeries(row["metric"], times, values)


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return nan


def _cause(error: requests.RequestException) -> str:
    """The innermost reason: the outer ones repeat addresses of Python objects."""
    if isinstance(error, requests.Timeout):
        return "timed out"
    if isinstance(error, requests.TooManyRedirects):
        return "it redirects, which is not followed; give the final URL"
    cause: object = error
    arguments: Sequence[object] = error.args
    while arguments and isinstance(arguments[0], Exception):
        cause = getattr(arguments[0], "reason", None) or arguments[0]
        arguments = cause.args if isinstance(cause, Exception) else ()
    return str(cause).rsplit(": ", 1)[-1][:200]
