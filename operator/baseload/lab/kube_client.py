"""A small asynchronous Kubernetes client of the lab's own processes: JSON in and out, and a watch that never ends."""

import asyncio
import logging
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import aiohttp
import orjson
from kubernetes.aio import config
from kubernetes.aio.client import Configuration

from baseload.errors import ApiError, ConfigError, ConflictError, ForbiddenError, NotFoundError, UnavailableError

logger = logging.getLogger(__name__)

STRATEGIC_MERGE: Final = "application/strategic-merge-patch+json"
_TIMEOUT_SECONDS: Final = 10.0
_WATCH_SECONDS: Final = 300
_LINE_BYTES: Final = 2**22
_FIRST_PAUSE_SECONDS: Final = 0.2
_LONGEST_PAUSE_SECONDS: Final = 5.0

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Listed:
    """Every object there is; what is not in it is gone."""

    items: list[Json]


@dataclass(frozen=True, slots=True)
class Changed:
    """One object changed."""

    kind: Literal["ADDED", "MODIFIED", "DELETED"]
    item: Json


class KubeClient:
    """Calls one API server; `connect` makes one."""

    def __init__(self, session: aiohttp.ClientSession, url: str, tls: ssl.SSLContext | bool) -> None:
        self._session = session
        self._url = url
        self._tls = tls

    async def call(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        body: Json | None = None,
        content_type: str = "application/json",
    ) -> Json:
        """Send one request and return the JSON answer; an ApiError says what the server did not like."""
        try:
            async with self._session.request(
                method,
                self._url + path,
                params=params,
                data=None if body is None else orjson.dumps(body),
                headers={"Content-Type": content_type},
                ssl=self._tls,
                timeout=aiohttp.ClientTimeout(total=_TIMEOUT_SECONDS),
            ) as response:
                content = await response.read()
                _raise_for(response.status, content, f"{method} {path}")
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise UnavailableError(f"{method} {path}: {error or type(error).__name__}") from error
        answer = orjson.loads(content)
        return answer if isinstance(answer, dict) else {}

    async def follow(self, path: str, params: Mapping[str, str] | None = None) -> AsyncIterator[Listed | Changed]:
        """Yield all objects of a list path, then every change, for ever.

        A lost connection is watched again from where it was; a version that is too old (410) is listed again.
        """
        pause_seconds = _FIRST_PAUSE_SECONDS
        while True:
            try:
                answer = await self.call("GET", path, params=params)
                yield Listed(answer.get("items") or [])
                pause_seconds = _FIRST_PAUSE_SECONDS
                version = answer["metadata"]["resourceVersion"]
                async for change in self._watch(path, params or {}, version):
                    yield change
            except ApiError as error:
                logger.warning("list or watch broke off", extra={"path": path, "error": str(error)})
                await asyncio.sleep(pause_seconds)
                pause_seconds = min(2 * pause_seconds, _LONGEST_PAUSE_SECONDS)

    async def _watch(self, path: str, params: Mapping[str, str], version: str) -> AsyncIterator[Changed]:
        """Yield changes after `version` until the API server wants a new list; ApiError when it cannot be reached."""
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=_TIMEOUT_SECONDS, sock_read=_WATCH_SECONDS + 30)
        while True:
            query = {
                **params,
                "watch": "true",
                "allowWatchBookmarks": "true",
                "resourceVersion": version,
                "timeoutSeconds": str(_WATCH_SECONDS),
            }
            try:
                async with self._session.get(
                    self._url + path, params=query, ssl=self._tls, timeout=timeout, read_bufsize=_LINE_BYTES
                ) as response:
                    if response.status != 200:
                        _raise_for(response.status, await response.read(), f"watch {path}")
                    async for line in response.content:
                        event = orjson.loads(line)
                        if event["type"] == "ERROR":
                            logger.info("watch ended by the server", extra={"path": path})
                            return
                        version = event["object"]["metadata"]["resourceVersion"]
                        if event["type"] != "BOOKMARK":
                            yield Changed(event["type"], event["object"])
            except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
                raise UnavailableError(f"watch {path}: {error or type(error).__name__}") from error


@asynccontextmanager
async def connect(kubeconfig: Path) -> AsyncIterator[KubeClient]:
    """Open a client with the credentials of a kubeconfig; ConfigError if it cannot be used."""
    configuration = Configuration()
    try:
        await config.load_kube_config(config_file=str(kubeconfig), client_configuration=configuration)  # type: ignore[no-untyped-call]
    except (config.ConfigException, OSError) as error:
        raise ConfigError(f"kubeconfig {kubeconfig}: {error}") from error
    url = str(configuration.host)
    settings: Mapping[str, Any] = await configuration.auth_settings()
    headers = {setting["key"]: setting["value"] for setting in settings.values()}
    tls: ssl.SSLContext | bool = True
    if url.startswith("https"):
        tls = ssl.create_default_context(cafile=configuration.ssl_ca_cert)
        if configuration.cert_file:
            tls.load_cert_chain(configuration.cert_file, configuration.key_file)
    async with aiohttp.ClientSession(headers=headers, connector=aiohttp.TCPConnector(limit=32)) as session:
        yield KubeClient(session, url, tls)


def _raise_for(status: int, content: bytes, what: str) -> None:
    """Turn an answer that is not a success into the error of its kind."""
    if status < 300:
        return
    try:
        reason = orjson.loads(content)["message"]
    except (ValueError, KeyError, TypeError):
        reason = content[:200].decode(errors="replace")
    message = f"{what}: {status} {reason}"
    if status in (401, 403):
        raise ForbiddenError(message, status=status)
    if status == 404:
        raise NotFoundError(message, status=status)
    if status == 409:
        raise ConflictError(message, status=status)
    if status == 429 or status >= 500:
        raise UnavailableError(message, status=status)
    raise ApiError(message, status=status)
