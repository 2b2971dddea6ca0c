"""One streaming completion over one connection, as lean as it can be: thousands of tokens a second cost little.

HTTP/1.1 with a connection for each request, so that a server which closes idle connections cannot fail one. Token
events are counted where they arrive; nothing is decoded but the token count at the end of the stream.
"""

import asyncio
import re
from collections.abc import Callable
from typing import Final

_HEAD_END: Final = b"\r\n\r\n"
_EVENT: Final = b"data: {"
_DONE: Final = b"data: [DONE]"
_COMPLETION_TOKENS: Final = re.compile(rb'"completion_tokens":\s*(\d+)')
_HEAD_BYTES: Final = 65_536
_FIRST_TOKEN_ID: Final = 3
_TOKEN_IDS: Final = 256


def request_bytes(host: str, model: str, number: int, prompt_tokens: int, output_tokens: int) -> bytes:
    """Return the whole HTTP request; prompts are token ids that differ at their start, so no prefix cache helps."""
    start = [_FIRST_TOKEN_ID + number // _TOKEN_IDS**place % _TOKEN_IDS for place in range(min(3, prompt_tokens))]
    prompt = b",".join(b"%d" % token for token in start) + b",7" * (prompt_tokens - len(start))
    body = (
        b'{"model":"%b","prompt":[%b],"max_tokens":%d,"stream":true,"ignore_eos":true,'
        b'"stream_options":{"include_usage":true}}' % (model.encode(), prompt, output_tokens)
    )
    head = (
        f"POST /v1/completions HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n"
        f"Accept: text/event-stream\r\nConnection: close\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


class CompletionStream(asyncio.Protocol):
    """Sends one request and follows its stream; calls `on_end` once, whatever happens.

    Times are of the loop's clock. `error` is None exactly when the stream was complete.
    """

    def __init__(self, request: bytes, loop: asyncio.AbstractEventLoop, on_end: Callable[[], None]) -> None:
        self.status: int | None = None
        self.error: str | None = None
        self.events = 0
        """Token events; a server may put more than one token into an event."""
        self.completion_tokens: int | None = None
        """Tokens as the server counted them."""
        self.first_token_time: float | None = None
        self.last_token_time: float | None = None
        self._request = request
        self._loop = loop
        self._on_end = on_end
        self._transport: asyncio.Transport | None = None
        self._rest = b""
        self._in_head = True
        self._ended = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send the request."""
        if self._ended:
            transport.close()
            return
        if isinstance(transport, asyncio.Transport):
            self._transport = transport
            transport.write(self._request)
        self._request = b""

    def data_received(self, data: bytes) -> None:
        """Read the head, then count the events of complete lines."""
        if self._ended:
            return
        if self._rest:
            data = self._rest + data
            self._rest = b""
        if self._in_head:
            data = self._read_head(data)
        if not data or self._ended:
            return
        end = data.rfind(b"\n") + 1
        if end < len(data):
            self._rest = data[end:]
            data = data[:end]
        events = data.count(_EVENT)
        if events:
            self.last_token_time = self._loop.time()
            if self.first_token_time is None:
                self.first_token_time = self.last_token_time
            self.events += events
            # Usage comes in an event of its own, which is not a token.
            usage = _COMPLETION_TOKENS.search(data)
            if usage is not None:
                self.completion_tokens = int(usage.group(1))
                self.events -= 1
        if _DONE in data:
            self._end(None)

    def eof_received(self) -> None:
        """Nothing more will come."""
        self._end("incomplete stream")

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone."""
        self._end("connection lost" if exc else "incomplete stream")

    def fail(self, error: str) -> None:
        """Give the request up for a reason of the client's own."""
        self._end(error)

    def _read_head(self, data: bytes) -> bytes:
        """Read status and headers once they are complete; return what follows them."""
        end = data.find(_HEAD_END)
        if end < 0:
            self._rest = data
            if len(data) > _HEAD_BYTES:
                self._end("bad answer")
            return b""
        self._in_head = False
        words = data[:end].split(b"\r\n", 1)[0].split(b" ", 2)
        if len(words) < 2 or not words[0].startswith(b"HTTP/") or not words[1].isdigit():
            self._end("bad answer")
            return b""
        self.status = int(words[1])
        if self.status != 200:
            self._end(f"HTTP {self.status}")
        return data[end + len(_HEAD_END) :]

    def _end(self, error: str | None) -> None:
        if self._ended:
            return
        self._ended = True
        self.error = error
        if self._transport is not None:
            self._transport.close()
        self._on_end()
