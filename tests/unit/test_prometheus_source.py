"""The Prometheus client against servers that answer well, badly, slowly or elsewhere."""

import asyncio
import socket
import time
from collections.abc import Awaitable, Callable
from math import inf, isnan
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from baseload.errors import ConfigError, MetricsError
from baseload.observe import prometheus_session
from baseload.observe.metrics_source import PartialAnswerError, Series
from baseload.observe.prometheus import PrometheusSource

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


async def ask(handler: Handler, *, timeout_seconds: float = 4.0, token_file: Path | None = None) -> tuple[Series, ...]:
    """One query for `up` at 12.5 s to a server with this handler."""
    application = web.Application()
    application.router.add_get("/prefix/api/v1/query", handler)
    async with TestServer(application) as server:
        url = f"{server.make_url('/prefix/')}"
        source = PrometheusSource(url, timeout_seconds=timeout_seconds, token_file=token_file)
        try:
            return await source.query("up", 12.5)
        finally:
            source.close()


def answer(result: object, **more: object) -> Handler:
    """A handler that answers 200 with this result."""

    async def handler(_: web.Request) -> web.Response:
        return web.json_response({"status": "success", "data": {"resultType": "vector", "result": result}, **more})

    return handler


async def test_rows_become_series_and_odd_numbers_survive() -> None:
    """Labels, time and value, infinities and NaN as Prometheus writes them, and text that is no number as NaN."""
    values = [{"metric": {"pod": value}, "value": [12.5, value]} for value in ("1.5", "+Inf", "NaN", "x")]
    series = await ask(answer(values))
    assert series[0] == Series({"pod": "1.5"}, 1.5, 12.5)
    assert series[1].value == inf
    assert isnan(series[2].value)
    assert isnan(series[3].value)


async def test_the_query_carries_time_and_a_fresh_token(tmp_path: Path) -> None:
    """The instant is explicit, and a rotated token file is read again."""
    token = tmp_path / "token"
    token.write_text("first\n")
    seen: list[tuple[str, str, str]] = []

    async def handler(request: web.Request) -> web.StreamResponse:
        seen.append((request.query["query"], request.query["time"], request.headers["Authorization"]))
        token.write_text("second\n")
        return await answer([])(request)

    assert await ask(handler, token_file=token) == ()
    assert await ask(handler, token_file=token) == ()
    assert seen == [("up", "12.500", "Bearer first"), ("up", "12.500", "Bearer second")]


async def test_a_token_file_that_is_gone_is_named(tmp_path: Path) -> None:
    """A Secret that was not mounted shows as a failed query with the path, not as a crash."""
    with pytest.raises(MetricsError, match=r"token file .*/absent cannot be read"):
        await ask(answer([]), token_file=tmp_path / "absent")


async def test_warnings_make_an_answer_partial() -> None:
    """A sum over half of the stores must not be taken for the whole."""
    with pytest.raises(PartialAnswerError, match="store s2 is down"):
        await ask(answer([], warnings=["store s2 is down"]))
    assert (
        await ask(answer([{"metric": {"warnings": '"warnings":['}, "value": [1, "1"]}], infos=["x"], warnings=[])) != ()
    )


@pytest.mark.parametrize(
    "result",
    [[1.0, "1"], [{"metric": {}}], [{"metric": {}, "values": [[1, "1"]]}], None, "text"],
    ids=["scalar", "no value", "matrix", "null", "string"],
)
async def test_what_is_no_vector_is_an_error(result: object) -> None:
    """An answer of another shape is an error and not an empty vector."""
    with pytest.raises(MetricsError, match="no instant vector"):
        await ask(answer(result))


async def test_http_errors_carry_the_message() -> None:
    """What Prometheus says about a bad query reaches the person who reads the condition."""

    async def handler(_: web.Request) -> web.Response:
        return web.json_response({"status": "error", "errorType": "bad_data", "error": "unexpected end"}, status=400)

    with pytest.raises(MetricsError, match=r"400.*unexpected end"):
        await ask(handler)


async def test_a_login_page_is_an_error() -> None:
    """HTML with status 200 is no answer."""

    async def handler(_: web.Request) -> web.Response:
        return web.Response(text="<html>log in</html>", content_type="text/html")

    with pytest.raises(MetricsError, match="no instant vector"):
        await ask(handler)


async def test_redirects_are_not_followed() -> None:
    """A redirect could send the token to another host."""

    async def handler(_: web.Request) -> web.Response:
        raise web.HTTPFound("http://127.0.0.1:1/elsewhere")

    with pytest.raises(MetricsError, match="redirects, which is not followed"):
        await ask(handler)


async def test_a_body_that_drips_ends_at_the_deadline() -> None:
    """A byte a moment would keep a read timeout from ever firing."""

    async def handler(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        for _ in range(100):
            await response.write(b" " * prometheus_session.CHUNK_BYTES)
            await asyncio.sleep(0.05)
        return response

    started = time.monotonic()
    with pytest.raises(MetricsError, match=r"did not finish its answer in 0\.3 s"):
        await ask(handler, timeout_seconds=0.3)
    assert time.monotonic() - started < 3.0


async def test_a_body_without_end_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory is bounded whatever the server sends."""
    monkeypatch.setattr(prometheus_session, "MOST_BYTES", 2**20)
    rows = [{"metric": {"pod": "x" * 1000}, "value": [1, "1"]}] * 2000
    with pytest.raises(MetricsError, match="more than 1 MiB"):
        await ask(answer(rows))


async def test_nobody_listening_and_silence_are_errors() -> None:
    """Both end quickly and say in words what happened."""
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(MetricsError, match=r"did not answer: .*refused"):
            await PrometheusSource(url).query("up", 1.0)
        silent.listen()
        with pytest.raises(MetricsError, match="timed out"):
            await PrometheusSource(url, timeout_seconds=0.2).query("up", 1.0)


@pytest.mark.parametrize(
    "url",
    [
        "prometheus:9090",
        "file:///etc/passwd",
        "ftp://host/",
        "http://",
        "http://host:notaport",
        "http://host:99999",
        "http://[::1",
        "http://host?x=1",
        "http://host#f",
        "",
    ],
)
def test_unusable_urls_are_refused_with_the_remedy(url: str) -> None:
    """The message names the value and what to write instead."""
    with pytest.raises(ConfigError, match="give http") as caught:
        PrometheusSource(url)
    assert repr(url) in str(caught.value)


def test_credentials_in_the_url_are_refused_and_not_repeated() -> None:
    """A password must reach neither a log nor a status."""
    with pytest.raises(ConfigError, match="token file") as caught:
        PrometheusSource("https://admin:hunter2@prometheus.example")
    assert "hunter2" not in str(caught.value)
