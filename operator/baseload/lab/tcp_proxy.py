"""A TCP proxy in front of the API server whose network fails on demand: held, delayed or cut connections."""

import asyncio
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any, Final

_CHUNK_BYTES: Final = 2**16
# Long enough for the server to answer what came last; a closed connection would make it drop the request.
_LINGER_SECONDS: Final = 2.0

_End = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class TcpProxy:
    """Forwards each connection to 127.0.0.1:`target_port`; what it does with them can change at any time.

    What a client sent is taken from it at once, so a request that is held here outlives the process that sent it.
    """

    def __init__(self, target_port: int) -> None:
        self.port = 0
        self._target_port = target_port
        self._server: asyncio.Server | None = None
        self._passing = asyncio.Event()
        self._passing.set()
        self._delay_seconds = 0.0
        self._is_cut = False
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Listen on a free port of 127.0.0.1, which is `port` from then on."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        """Close every connection and listen no more."""
        if self._server is not None:
            self._server.close()
        self.cut()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def hold(self) -> None:
        """Keep what clients send until `pass_on`."""
        self._passing.clear()

    def delay(self, seconds: float) -> None:
        """Forward each piece that a client sends so much later."""
        self._delay_seconds = seconds

    def cut(self) -> None:
        """Abort every connection, and each new one, until `pass_on`."""
        self._is_cut = True
        for writer in tuple(self._writers):
            writer.transport.abort()

    def pass_on(self) -> None:
        """Work again as a network should; what was held is forwarded now."""
        self._is_cut = False
        self._delay_seconds = 0.0
        self._passing.set()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # The server's own tasks complain when they are cancelled, so these are ours.
        task = asyncio.create_task(self._connect(reader, writer))
        self._tasks.add(task)
        await asyncio.wait({task})
        self._tasks.discard(task)

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._is_cut:
            writer.transport.abort()
            return
        try:
            target: _End = await asyncio.open_connection("127.0.0.1", self._target_port)
        except OSError:
            writer.transport.abort()
            return
        ends = {writer, target[1]}
        self._writers |= ends
        queue: asyncio.Queue[bytes] = asyncio.Queue()
        try:
            await asyncio.gather(
                _quietly(_take(reader, queue)),
                _quietly(self._forward(queue, target[1])),
                _quietly(_answer(target[0], writer)),
            )
        finally:
            self._writers -= ends
            for end in ends:
                end.transport.abort()

    async def _forward(self, queue: "asyncio.Queue[bytes]", target: asyncio.StreamWriter) -> None:
        while data := await queue.get():
            await self._passing.wait()
            await asyncio.sleep(self._delay_seconds)
            target.write(data)
            await target.drain()
        await asyncio.sleep(_LINGER_SECONDS)
        target.transport.abort()


async def _take(reader: asyncio.StreamReader, queue: "asyncio.Queue[bytes]") -> None:
    """Put what a client sends into a queue; empty bytes are its end."""
    try:
        while data := await reader.read(_CHUNK_BYTES):
            queue.put_nowait(data)
    finally:
        queue.put_nowait(b"")


async def _answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Forward what the server says until it ends, although nobody may listen any more."""
    try:
        while data := await reader.read(_CHUNK_BYTES):
            if not writer.is_closing():
                with suppress(OSError):
                    writer.write(data)
                    await writer.drain()
    finally:
        writer.transport.abort()


async def _quietly(work: Coroutine[Any, Any, None]) -> None:
    """A connection that breaks is what this is for."""
    with suppress(OSError):
        await work
