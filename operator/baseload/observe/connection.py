"""The one connection to the Kubernetes API: credentials, TLS, plain GETs and streams as bytes."""

import logging
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Self

import aiohttp
from kubernetes.aio import client

from baseload.errors import ConfigError, UnavailableError, api_error
from baseload.observe.credentials import load_credentials, take_token, token_file_of

logger = logging.getLogger(__name__)

REQUEST_TIMEOUT_SECONDS = 15.0
LONGEST_LINE_BYTES = 2**21
RELOAD_SPACING_SECONDS = 5.0
TOKEN_SECONDS = 60.0
"""How long a token read from a file is used before the file is read again: long before the old one ends."""


class KubeConnection:
    """Reads from one API server; `api_client` is the official client with the same credentials, for writers.

    Without a kubeconfig the service account of the pod is used. Errors are those of `baseload.errors.ApiError`.
    """

    def __init__(self, kubeconfig: Path | None, api_client: client.ApiClient) -> None:
        self.kubeconfig = kubeconfig
        self.api_client = api_client
        self._reloaded = -RELOAD_SPACING_SECONDS
        self._token_file = token_file_of(kubeconfig)
        self._token_read = time.monotonic()
        # Asked before every request, ours and the official client's.
        self.configuration.refresh_api_key_hook = self._renew_token  # type: ignore[assignment]
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=api_client.rest_client.ssl_context, limit=32),
            read_bufsize=LONGEST_LINE_BYTES,
        )

    @classmethod
    async def open(cls, kubeconfig: Path | None) -> Self:
        """Load credentials; raises ConfigError when there are none or they cannot be read."""
        configuration = client.Configuration()
        await load_credentials(kubeconfig, configuration)
        return cls(kubeconfig, client.ApiClient(configuration))

    @property
    def configuration(self) -> client.Configuration:
        """Host, certificates and token as the official client keeps them."""
        configuration: client.Configuration = self.api_client.configuration
        return configuration

    async def close(self) -> None:
        """Close every connection."""
        await self._session.close()
        await self.api_client.close()  # type: ignore[no-untyped-call]

    async def reload(self) -> None:
        """Read the credentials again after a 401; at most each few seconds, since every watch sees it at once."""
        if time.monotonic() - self._reloaded >= RELOAD_SPACING_SECONDS:
            self._reloaded = time.monotonic()
            try:
                await load_credentials(self.kubeconfig, self.configuration)
            except ConfigError as error:
                # A file that is just being replaced; the old credentials stay until the next 401.
                logger.warning("credentials not read again", extra={"error": str(error)})

    def _renew_token(self, configuration: client.Configuration) -> None:
        now = time.monotonic()
        if self._token_file is not None and now - self._token_read >= TOKEN_SECONDS:
            self._token_read = now
            take_token(self._token_file, configuration)

    async def get(self, path: str, parameters: Mapping[str, str] | None = None) -> bytes:
        """The body of one GET as bytes; raises ApiError."""
        timeout = aiohttp.ClientTimeout(total=REQUEST_TIMEOUT_SECONDS)
        async with self.stream(path, parameters, timeout=timeout) as response:
            return await response.read()

    @asynccontextmanager
    async def stream(
        self,
        path: str,
        parameters: Mapping[str, str] | None = None,
        *,
        timeout: aiohttp.ClientTimeout,  # noqa: ASYNC109 - aiohttp's own, with a separate limit on silence
        accept: str = "application/json",
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """Open a GET whose body is read by the caller; raises ApiError, also for a broken connection."""
        headers = {"Accept": accept, **await self._authorization()}
        url = self.configuration.host + path
        try:
            async with self._session.get(url, params=parameters, headers=headers, timeout=timeout) as response:
                if response.status >= 400:
                    await self._fail(path, response)
                yield response
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise UnavailableError(f"GET {path}: {type(error).__name__}: {error}") from error

    async def _authorization(self) -> dict[str, str]:
        token = await self.configuration.get_api_key_with_prefix("BearerToken")
        return {"Authorization": token} if token else {}

    async def _fail(self, path: str, response: aiohttp.ClientResponse) -> None:
        body = (await response.text())[:500]
        if response.status == 401:
            await self.reload()
        raise api_error(response.status, f"GET {path}: {response.status} {body}", retry_after(response.headers))


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds of a `Retry-After` header; None when absent or not a number."""
    try:
        return float(headers.get("Retry-After", ""))
    except ValueError:
        return None
