"""Credentials for kopf from the one connection, so that both always use the same."""

import asyncio
import logging
import time
from dataclasses import replace

import kopf

from baseload.observe.connection import RELOAD_SPACING_SECONDS, KubeConnection

logger = logging.getLogger(__name__)

NEW_TOKEN_PATIENCE_SECONDS = 120.0


class Login:
    """kopf asks again after a 401; what was refused a second time would end the process, so others are waited for."""

    def __init__(self, connection: KubeConnection, patience_seconds: float = NEW_TOKEN_PATIENCE_SECONDS) -> None:
        self._connection = connection
        self._patience_seconds = patience_seconds
        self._given: kopf.ConnectionInfo | None = None
        self._repetitions = 0

    async def __call__(self) -> kopf.ConnectionInfo:
        """The credentials now; after a refusal those that differ, or the same again when patience ends."""
        if self._given is None:
            self._given = await self._credentials()
            return self._given
        logger.warning("credentials refused, waiting for others", extra={"seconds": self._patience_seconds})
        deadline = time.monotonic() + self._patience_seconds
        await self._connection.reload()
        found = await self._credentials()
        while found == self._given and time.monotonic() < deadline:
            await asyncio.sleep(RELOAD_SPACING_SECONDS)
            await self._connection.reload()
            found = await self._credentials()
        if found == self._given:
            # They may be accepted by now. kopf never takes what was refused again, so they must look different.
            self._repetitions += 1
        self._given = found
        return replace(found, priority=self._repetitions)

    async def _credentials(self) -> kopf.ConnectionInfo:
        configuration = self._connection.configuration
        header = await configuration.get_api_key_with_prefix("BearerToken")
        token = header.split(" ", 1)[-1].strip() if header else None
        return kopf.ConnectionInfo(
            server=configuration.host,
            ca_path=configuration.ssl_ca_cert,
            insecure=not configuration.verify_ssl,
            scheme="Bearer" if token else None,
            token=token,
            certificate_path=configuration.cert_file,
            private_key_path=configuration.key_file,
        )
