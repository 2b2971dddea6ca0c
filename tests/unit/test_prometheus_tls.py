"""TLS to Prometheus: whose certificates are trusted, and the client's own."""

import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from baseload.errors import MetricsError
from baseload.lab.certificates import CLIENTS, Pki, create_pki
from baseload.observe.prometheus import PrometheusSource
from baseload.observe.prometheus_auth import Credentials

CLIENT = next(iter(CLIENTS))


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    """An authority with a server's and a client's certificate."""
    return create_pki(tmp_path_factory.mktemp("pki"))


@pytest.fixture
async def url(pki: Pki) -> AsyncIterator[str]:
    """A Prometheus with nothing in it that asks for a client certificate."""

    async def answer(_: web.Request) -> web.Response:
        return web.json_response({"status": "success", "data": {"resultType": "vector", "result": []}})

    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(pki.authority))
    context.load_cert_chain(pki.certificate("server"), pki.key("server"))
    context.verify_mode = ssl.CERT_REQUIRED
    application = web.Application()
    application.router.add_get("/api/v1/query", answer)
    server = TestServer(application, scheme="https")
    await server.start_server(ssl=context)
    yield str(server.make_url("/"))
    await server.close()


async def ask(url: str, credentials: Credentials) -> None:
    """One query."""
    source = PrometheusSource(url, credentials)
    try:
        assert await source.query("up", 1.0) == ()
    finally:
        source.close()


async def test_a_client_with_its_certificate_is_answered(url: str, pki: Pki) -> None:
    """Both sides know each other by the same authority."""
    await ask(url, Credentials(None, None, pki.authority, pki.certificate(CLIENT), pki.key(CLIENT)))


async def test_a_server_that_nobody_vouches_for_gets_no_query(url: str, pki: Pki, tmp_path: Path) -> None:
    """Without its authority, or with another one, the connection is refused before anything is sent."""
    other = create_pki(tmp_path / "other")
    for authority in (None, other.authority):
        with pytest.raises(MetricsError, match="did not answer"):
            await ask(url, Credentials(None, None, authority, pki.certificate(CLIENT), pki.key(CLIENT)))


async def test_a_client_without_a_certificate_is_told_so(url: str, pki: Pki) -> None:
    """The server's refusal is an error of the query and not an empty answer."""
    with pytest.raises(MetricsError, match="did not answer"):
        await ask(url, Credentials(ca_file=pki.authority))


async def test_a_file_that_is_gone_is_an_error_of_the_query(url: str, pki: Pki, tmp_path: Path) -> None:
    """A Secret that is not mounted yet must not end the operator."""
    absent = tmp_path / "absent"
    with pytest.raises(MetricsError, match=r"could not be asked: .*absent"):
        await ask(url, Credentials(ca_file=absent))
    with pytest.raises(MetricsError, match=r"could not be asked: .*absent"):
        await ask(url, Credentials(None, None, pki.authority, absent, pki.key(CLIENT)))
    absent.write_text("no certificate")
    with pytest.raises(MetricsError):
        await ask(url, Credentials(None, None, pki.authority, absent, pki.key(CLIENT)))
