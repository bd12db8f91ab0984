"""A kept-alive connection to the runtime, for one call at a time."""

from __future__ import annotations

import os
import socket

from . import _wire

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Generator
    from typing import Any, TypeVar

    from ._call import Call, Endpoint

    T = TypeVar("T")

_CONNECT_MIN_S = 0.001  # 0 would not wait at all


class Connection:
    def __init__(self, call: Call[Any]) -> None:
        endpoint = call.endpoint
        self._socket = socket.create_connection(
            (endpoint.host, endpoint.port), max(call.left(), _CONNECT_MIN_S)
        )
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if endpoint.tls:
            self._socket = self._wrap(endpoint)
        self._pid = os.getpid()

    def _wrap(self, endpoint: Endpoint) -> socket.socket:
        try:
            return endpoint.tls_context().wrap_socket(
                self._socket, server_hostname=endpoint.host
            )
        except BaseException:
            self._socket.close()
            raise

    def close(self) -> None:
        self._socket.close()

    def shut_down(self) -> None:
        """Ends what another thread waits for."""
        try:
            # Below TLS, which may be in use by the other thread.
            socket.socket.shutdown(self._socket, socket.SHUT_RDWR)
        except OSError:
            pass  # it is down already

    def is_ours(self) -> bool:
        """False in a process that was forked since."""
        return self._pid == os.getpid()

    def exchange(self, call: Call[Any]) -> _wire.Reply:
        """Raises OSError or BadReply; then the connection is of no more
        use."""
        self._wait_at_most(call)
        unsent = self._send(call.request)
        try:
            reply = self._receive(call, _wire.parse_reply())
        except (OSError, _wire.BadReply) as error:
            raise unsent or error
        if unsent:
            reply.headers["connection"] = "close"
        return reply

    def open(self, call: Call[Any]) -> _wire.Reply | _wire.Body:
        """As exchange(); but the body of a 200 is read() by and by."""
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        self._wait_at_most(call)
        self._socket.sendall(call.request)
        return self._receive(call, _wire.parse_opening())

    def read(self, silence: float | None) -> bytes:
        """silence: seconds that there may be nothing."""
        self._socket.settimeout(silence)
        return self._socket.recv(_wire.READ_BYTES)

    def _receive(
        self, call: Call[Any], parser: Generator[None, bytes, T]
    ) -> T:
        next(parser)
        try:
            while True:
                self._wait_at_most(call)
                parser.send(self._socket.recv(_wire.READ_BYTES))
        except StopIteration as done:
            received: T = done.value
            return received

    def _wait_at_most(self, call: Call[Any]) -> None:
        left = call.left()
        if left <= 0:
            raise socket.timeout("timed out")
        self._socket.settimeout(left)

    def _send(self, request: bytes) -> OSError | None:
        """Who refuses a request may answer before all of it was sent."""
        try:
            self._socket.sendall(request)
        except socket.timeout:
            raise
        except OSError as error:
            return error
        return None
