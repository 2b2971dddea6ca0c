"""The Prometheus client against servers that answer well, badly, slowly or elsewhere."""

import asyncio
import base64
import contextlib
import socket
import threading
import time
from collections.abc import Awaitable, Callable
from math import inf, isnan
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from baseload.errors import ConfigError, MetricsError
from baseload.observe import prometheus_session
from baseload.observe.address_guard import refusal
from baseload.observe.metrics_source import PartialAnswerError, Series
from baseload.observe.prometheus import PrometheusSource
from baseload.observe.prometheus_auth import Credentials

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


async def ask(
    handler: Handler,
    *,
    timeout_seconds: float = 4.0,
    token_file: Path | None = None,
    basic_file: Path | None = None,
) -> tuple[Series, ...]:
    """One query for `up` at 12.5 s to a server with this handler."""
    application = web.Application()
    application.router.add_get("/prefix/api/v1/query", handler)
    async with TestServer(application) as server:
        url = f"{server.make_url('/prefix/')}"
        source = PrometheusSource(
            url, Credentials(token_file=token_file, basic_file=basic_file), timeout_seconds=timeout_seconds
        )
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
        assert request.query["timeout"] == "4000ms"
        token.write_text("second\n")
        return await answer([])(request)

    assert await ask(handler, token_file=token) == ()
    assert await ask(handler, token_file=token) == ()
    assert seen == [("up", "12.500", "Bearer first"), ("up", "12.500", "Bearer second")]


async def test_basic_auth_comes_from_a_file(tmp_path: Path) -> None:
    """User and password stand in one file, never in the URL."""
    secret = tmp_path / "basic"
    secret.write_text("baseload:p:ä\n", encoding="utf-8")
    seen: list[str] = []

    async def handler(request: web.Request) -> web.StreamResponse:
        seen.append(request.headers["Authorization"])
        return await answer([])(request)

    await ask(handler, basic_file=secret)
    assert base64.b64decode(seen[0].removeprefix("Basic ")).decode() == "baseload:p:ä"


@pytest.mark.parametrize(
    ("content", "said"),
    [(b"", "must hold one line"), (b"hunter2\nmore", "must hold one line"), (b"\xff\xfe", "it is no text")],
    ids=["empty", "two lines", "no text"],
)
@pytest.mark.parametrize("scheme", ["token_file", "basic_file"])
async def test_a_secret_that_cannot_be_sent_is_named_but_not_told(
    tmp_path: Path, content: bytes, said: str, scheme: str
) -> None:
    """The message has the path and what is wrong with it; the secret reaches neither log nor status."""
    secret = tmp_path / "secret"
    secret.write_bytes(content)
    with pytest.raises(MetricsError, match=said) as caught:
        await ask(answer([]), **{scheme: secret})  # type: ignore[arg-type]
    assert "hunter2" not in str(caught.value)
    assert str(secret) in str(caught.value)


async def test_a_basic_auth_file_without_a_user_is_refused(tmp_path: Path) -> None:
    """A token in the wrong file would be sent as a user name."""
    secret = tmp_path / "secret"
    secret.write_text("hunter2")
    with pytest.raises(MetricsError, match="must hold user:password") as caught:
        await ask(answer([]), basic_file=secret)
    assert "hunter2" not in str(caught.value)


def test_credentials_that_contradict_each_other_are_refused(tmp_path: Path) -> None:
    """Said at the start, where the admin looks."""
    one, two = tmp_path / "one", tmp_path / "two"
    with pytest.raises(ConfigError, match="unset the other"):
        Credentials(token_file=one, basic_file=two)
    with pytest.raises(ConfigError, match="give both files or none"):
        Credentials(certificate_file=one)


async def test_a_token_file_that_is_gone_is_named(tmp_path: Path) -> None:
    """A Secret that was not mounted shows as a failed query with the path, not as a crash."""
    with pytest.raises(MetricsError, match=r"token file .*/absent cannot be read"):
        await ask(answer([]), token_file=tmp_path / "absent")


@pytest.mark.parametrize(
    ("remarks", "said"),
    [
        ({"warnings": ["store s2 is down"]}, "store s2 is down"),
        ({"infos": ["some shards were skipped"]}, "some shards were skipped"),
        ({"isPartial": True}, "isPartial is true"),
        ({"warnings": ["PromQL info: x", "no store matches"]}, "no store matches"),
        ({"warnings": 7, "infos": ["x"]}, "unreadable"),
    ],
    ids=["Thanos", "infos", "VictoriaMetrics", "among harmless ones", "odd"],
)
async def test_what_says_that_data_is_missing_makes_an_answer_partial(remarks: dict[str, object], said: str) -> None:
    """A sum over half of the stores must not be taken for the whole."""
    with pytest.raises(PartialAnswerError, match=said):
        await ask(answer([], **remarks))


async def test_remarks_on_the_query_itself_are_harmless() -> None:
    """Prometheus says when a counter is not named like one; and a label may hold any text."""
    rows = [{"metric": {"warnings": '"warnings":["x"],"isPartial":true'}, "value": [1, "1"]}]
    info = "PromQL info: metric might not be a counter, name does not end in _total"
    assert await ask(answer(rows, infos=[info], warnings=[], isPartial=False)) != ()


@pytest.mark.parametrize(
    "result",
    [[1.0, "1"], [{"metric": {}}], [{"metric": {}, "values": [[1, "1"]]}], None, "text"],
    ids=["scalar", "no value", "matrix", "null", "string"],
)
async def test_what_is_no_vector_is_an_error(result: object) -> None:
    """An answer of another shape is an error and not an empty vector."""
    with pytest.raises(MetricsError, match="no result"):
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

    with pytest.raises(MetricsError, match="no result"):
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


async def test_a_head_that_drips_ends_at_the_deadline_too() -> None:
    """Each byte would begin the timeout of the socket anew."""

    def drip(listening: socket.socket) -> None:
        with listening.accept()[0] as connected, contextlib.suppress(OSError):
            connected.sendall(b"HTTP/1.1 200 OK\r\nX-Slow: ")
            for _ in range(600):
                connected.sendall(b"a")
                time.sleep(0.05)

    with socket.create_server(("127.0.0.1", 0)) as listening:
        dripping = threading.Thread(target=drip, args=(listening,))
        dripping.start()
        source = PrometheusSource(f"http://127.0.0.1:{listening.getsockname()[1]}", timeout_seconds=0.3)
        with pytest.raises(MetricsError, match="timed out"):
            await source.query("up", 1.0)
        source.close()
        dripping.join(20)
    assert not dripping.is_alive()


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


async def test_a_redirect_takes_the_token_nowhere(tmp_path: Path) -> None:
    """Not even the address of the other host is connected to."""
    token = tmp_path / "token"
    token.write_text("hunter2")
    elsewhere: list[str] = []

    async def other(request: web.Request) -> web.StreamResponse:
        elsewhere.append(request.headers.get("Authorization", ""))
        return web.Response()

    application = web.Application()
    application.router.add_get("/{rest:.*}", other)
    async with TestServer(application) as server:

        async def handler(_: web.Request) -> web.Response:
            raise web.HTTPTemporaryRedirect(f"{server.make_url('/')}")

        with pytest.raises(MetricsError, match="redirects"):
            await ask(handler, token_file=token)
    assert elsewhere == []


async def test_a_name_that_resolves_to_a_forbidden_address_gets_no_request(monkeypatch: pytest.MonkeyPatch) -> None:
    """DNS can say anything; the address is looked at once connected, and nothing is sent."""
    asked: list[str] = []

    async def handler(request: web.Request) -> web.StreamResponse:
        asked.append(request.path)
        return await answer([])(request)

    application = web.Application()
    application.router.add_get("/{rest:.*}", handler)
    resolve = socket.getaddrinfo
    monkeypatch.setattr(socket, "getaddrinfo", lambda host, *rest, **more: resolve("127.0.0.1", *rest, **more))
    async with TestServer(application) as server:
        source = PrometheusSource(f"http://prometheus.monitoring:{server.port}")
        with pytest.raises(MetricsError, match=r"'prometheus.monitoring' is 127\.0\.0\.1, a loopback address"):
            await source.query("up", 1.0)
        source.close()
    assert asked == []


@pytest.mark.parametrize(
    "address",
    ["169.254.169.254", "fe80::1%eth0", "::ffff:169.254.169.254", "fd00:ec2::254", "100.100.100.200", "0.0.0.0", "::"],
)
def test_metadata_services_are_never_connected_to(address: str) -> None:
    """Whatever way the address is written."""
    assert refusal(address, loopback_allowed=True) is not None


@pytest.mark.parametrize("address", ["10.0.0.7", "192.168.1.1", "8.8.8.8", "fd00::7", "2001:db8::1"])
def test_a_prometheus_may_be_anywhere_else(address: str) -> None:
    """Inside the cluster and outside."""
    assert refusal(address, loopback_allowed=False) is None


@pytest.mark.parametrize(
    "url", ["http://169.254.169.254/latest", "http://[fe80::1]:9090", "http://0.0.0.0:9090", "http://100.100.100.200"]
)
def test_a_url_that_names_a_forbidden_address_is_refused_at_once(url: str) -> None:
    """The operator does not start with it."""
    with pytest.raises(ConfigError, match="give http"):
        PrometheusSource(url)


@pytest.mark.parametrize(
    ("date", "sent", "received", "offset"),
    [
        ("Thu, 01 Jan 1970 00:01:40 GMT", 100.2, 100.4, 0.0),
        ("Thu, 01 Jan 1970 00:01:40 GMT", 99.5, 101.5, 0.0),
        ("Thu, 01 Jan 1970 00:02:10 GMT", 100.0, 100.0, 30.5),
        ("Thu, 01 Jan 1970 00:01:10 GMT", 100.0, 100.0, -29.5),
        ("", 100.0, 100.0, 0.0),
        ("yesterday", 100.0, 100.0, 0.0),
    ],
    ids=["agrees", "slow answer", "ahead", "behind", "none", "no date"],
)
def test_the_clock_of_prometheus_is_known_from_its_answers(
    date: str, sent: float, received: float, offset: float
) -> None:
    """A header of whole seconds tells a difference of a second or more."""
    assert prometheus_session.clock_offset_seconds(date, sent, received) == offset


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
