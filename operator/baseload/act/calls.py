"""One call of the official client, with Baseload's errors instead of the client's and aiohttp's."""

from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
from kubernetes.aio import client

from baseload.errors import api_error

Reload = Callable[[], Awaitable[None]]
"""Reads the credentials again; called after a 401."""


async def call_api(what: str, call: Callable[[], Awaitable[Any]], reload: Reload) -> Any:  # noqa: ANN401 - JSON
    """Await `call()`; raises ApiError, whose message begins with `what`."""
    try:
        return await call()
    except client.ApiException as error:
        if error.status == 401:
            await reload()
        body = str(error.body or error.reason)[:300]
        raise api_error(int(error.status or 0), f"{what}: {error.status} {body}", _retry_after(error)) from error
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        raise api_error(0, f"{what}: {type(error).__name__}: {error}") from error


def _retry_after(error: client.ApiException) -> float | None:
    """Seconds that the server asks to wait; None when it does not, or names a date."""
    try:
        return float((error.headers or {}).get("Retry-After", ""))
    except ValueError:
        return None
