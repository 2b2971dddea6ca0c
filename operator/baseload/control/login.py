"""Credentials for kopf from the one connection, so that both always use the same."""

import asyncio
import logging
import time

import kopf

from baseload.observe.connection import RELOAD_SPACING_SECONDS, KubeConnection

logger = logging.getLogger(__name__)

NEW_TOKEN_PATIENCE_SECONDS = 120.0


class Login:
    """kopf asks again after a 401; the same token a second time would end the process, so a new one is waited for."""

    def __init__(self, connection: KubeConnection, patience_seconds: float = NEW_TOKEN_PATIENCE_SECONDS) -> None:
        self._connection = connection
        self._patience_seconds = patience_seconds
        self._given: str | None = None

    async def __call__(self) -> kopf.ConnectionInfo:
        """The credentials now; after a refusal those that differ, or the same when patience ends."""
        token = await self._token()
        deadline = time.monotonic() + self._patience_seconds
        while token is not None and token == self._given and time.monotonic() < deadline:
            await asyncio.sleep(RELOAD_SPACING_SECONDS)
            await self._connection.reload()
            token = await self._token()
        self._given = token
        configuration = self._connection.configuration
        return kopf.ConnectionInfo(
            server=configuration.host,
            ca_path=configuration.ssl_ca_cert,
            insecure=not configuration.verify_ssl,
            scheme="Bearer" if token else None,
            token=token,
            certificate_path=configuration.cert_file,
            private_key_path=configuration.key_file,
        )

    async def _token(self) -> str | None:
        header = await self._connection.configuration.get_api_key_with_prefix("BearerToken")
        return header.split(" ", 1)[-1].strip() if header else None
