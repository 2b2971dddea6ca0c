"""Connections only to addresses that a Prometheus may have: never to the metadata service of a cloud.

The address is checked on the connected socket, before a byte is sent over it: a name that resolves to something else
a moment later (DNS rebinding) gains nothing.
"""

import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from ipaddress import IPv4Address, IPv6Address, ip_address
from threading import Event, Timer
from typing import Any

from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.response import HTTPResponse
from urllib3.util.retry import Retry

from baseload.errors import MetricsError

METADATA = frozenset({"100.100.100.200", "192.0.0.192", "fd00:ec2::254"})
"""Metadata services outside the link-local range: Alibaba, Oracle, AWS over IPv6."""


def refusal(address: str, *, loopback_allowed: bool) -> str | None:
    """Why an address must not be connected to; None when it may be."""
    found = ip_address(address.partition("%")[0])
    ip: IPv4Address | IPv6Address = getattr(found, "ipv4_mapped", None) or found
    if ip.is_link_local or str(ip) in METADATA:
        return "a link-local or metadata address"
    if ip.is_unspecified or ip.is_multicast:
        return "no address of a server"
    if ip.is_loopback and not loopback_allowed:
        return "a loopback address, which must be written into the URL as such"
    return None


def names_loopback(host: str) -> bool:
    """Whether the host of a URL says by itself that it is this machine."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class GuardedAdapter(HTTPAdapter):
    """Retries nothing, follows nothing, and connects only where `refusal` has nothing to say.

    The head of an answer must be there within `deadline_seconds`, however slowly it drips.
    """

    def __init__(self, *, loopback_allowed: bool, deadline_seconds: float) -> None:
        self._loopback_allowed = loopback_allowed
        self._deadline_seconds = deadline_seconds
        super().__init__(max_retries=Retry(total=0, redirect=False))

    def init_poolmanager(self, *arguments: Any, **options: Any) -> None:  # noqa: ANN401 - as in the base class
        """Make the pool of connections with ours in it."""
        super().init_poolmanager(*arguments, **options)
        self.poolmanager.pool_classes_by_scheme = _pools(
            loopback_allowed=self._loopback_allowed, deadline_seconds=self._deadline_seconds
        )


def _pools(*, loopback_allowed: bool, deadline_seconds: float) -> dict[str, type[HTTPConnectionPool]]:
    """Connection pools by scheme whose connections look at the address they got and at the clock."""

    class Plain(HTTPConnection):
        def _new_conn(self) -> socket.socket:
            return _checked(super()._new_conn(), self.host, loopback_allowed=loopback_allowed)

        def getresponse(self) -> HTTPResponse:  # type: ignore[override] # as in the base class
            with _ended_after(deadline_seconds, self):
                return super().getresponse()

    class Encrypted(HTTPSConnection):
        def _new_conn(self) -> socket.socket:
            return _checked(super()._new_conn(), self.host, loopback_allowed=loopback_allowed)

        def getresponse(self) -> HTTPResponse:  # type: ignore[override] # as in the base class
            with _ended_after(deadline_seconds, self):
                return super().getresponse()

    class PlainPool(HTTPConnectionPool):
        ConnectionCls = Plain

    class EncryptedPool(HTTPSConnectionPool):
        ConnectionCls = Encrypted

    return {"http": PlainPool, "https": EncryptedPool}


@contextmanager
def _ended_after(seconds: float, connection: HTTPConnection) -> Iterator[None]:
    """Cut a connection that is not done in time: a timeout of sockets begins anew with each byte."""
    late = Event()

    def cut() -> None:
        late.set()
        with suppress(OSError, AttributeError):
            connection.sock.shutdown(socket.SHUT_RDWR)

    timer = Timer(seconds, cut)
    timer.daemon = True
    timer.start()
    try:
        yield
    except Exception:
        if not late.is_set():
            raise
    finally:
        timer.cancel()
    # A head that was cut off looks like the whole one.
    if late.is_set():
        raise TimeoutError("no head of an answer in time")


def _checked(connected: socket.socket, host: str, *, loopback_allowed: bool) -> socket.socket:
    address = connected.getpeername()[0]
    why = refusal(address, loopback_allowed=loopback_allowed)
    if why is None:
        return connected
    connected.close()
    raise MetricsError(f"Prometheus host '{host}' is {address}, {why}; give the address of your Prometheus")
