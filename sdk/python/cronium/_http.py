"""One kept-alive HTTP/1.1 connection to the runtime on localhost.

On a bare socket: importing http.client costs 16 ms, more than everything else
the SDK does.
"""

import socket

_READ_BYTES = 65536
_HEADERS_MAX_BYTES = 65536


class ConnectionLost(Exception):
    """The connection broke. `sent` says whether the runtime may have acted."""

    def __init__(self, why, sent):
        super().__init__(why)
        self.sent = sent


class Connection:
    """Not thread-safe: the client holds a lock around `request`."""

    def __init__(self, scheme, host, port):
        self._scheme, self._host, self._port = scheme, host, port
        self._socket = None
        self._rest = b""

    def close(self):
        if self._socket is not None:
            self._socket.close()
        self._socket = None
        self._rest = b""

    def request(self, method, path, headers, body, timeout):
        """Sends one request and returns (status, headers, body).

        timeout: seconds for each wait on the socket. Header names are lower
        case in both directions.
        """
        reused = self._socket is not None
        sent = False
        try:
            if not reused:
                self._connect(timeout)
            self._socket.settimeout(timeout)
            self._socket.sendall(self._head(method, path, headers, body))
            sent = True
            return self._reply(method)
        except (OSError, ValueError) as error:
            self.close()
            # A kept-alive connection that ended before any answer had been
            # closed by the peer while it was idle.
            idle = reused and isinstance(error, _NoAnswer)
            raise ConnectionLost(str(error), sent and not idle) from error

    def _connect(self, timeout):
        raw = socket.create_connection((self._host, self._port), timeout)
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self._scheme == "https":
            import ssl

            context = ssl.create_default_context()
            raw = context.wrap_socket(raw, server_hostname=self._host)
        self._socket = raw

    def _head(self, method, path, headers, body):
        lines = [f"{method} {path} HTTP/1.1", f"host: {self._host}:{self._port}"]
        lines += [f"{name}: {value}" for name, value in headers]
        if body is not None:
            lines.append(f"content-length: {len(body)}")
        return "\r\n".join(lines + ["", ""]).encode() + (body or b"")

    def _more(self):
        data = self._socket.recv(_READ_BYTES)
        if not data:
            raise _NoAnswer("the runtime closed the connection")
        self._rest += data

    def _line(self):
        while b"\r\n" not in self._rest:
            if len(self._rest) > _HEADERS_MAX_BYTES:
                raise ValueError("the reply's headers are too long")
            self._more()
        line, self._rest = self._rest.split(b"\r\n", 1)
        return line.decode("latin-1")

    def _exactly(self, count):
        parts, have = [self._rest], len(self._rest)
        while have < count:
            data = self._socket.recv(min(_READ_BYTES, count - have))
            if not data:
                raise ValueError("the reply was cut off")
            parts.append(data)
            have += len(data)
        whole = b"".join(parts)
        self._rest = whole[count:]
        return whole[:count]

    def _reply(self, method):
        status = 100
        while status < 200:
            status = int(self._line().split(" ", 2)[1])
            headers = self._headers()
        body = self._body(method, status, headers)
        if headers.get("connection", "").lower() == "close":
            self.close()
        return status, headers, body

    def _headers(self):
        headers = {}
        while line := self._line():
            name, _, value = line.partition(":")
            headers[name.lower()] = value.strip()
        return headers

    def _body(self, method, status, headers):
        if method == "HEAD" or status in (204, 304):
            return b""
        if headers.get("transfer-encoding", "").lower() == "chunked":
            return self._chunks()
        if "content-length" not in headers:
            raise ValueError("the reply has no length")
        return self._exactly(int(headers["content-length"]))

    def _chunks(self):
        parts = []
        while size := int(self._line().split(";")[0], 16):
            parts.append(self._exactly(size))
            self._line()
        while self._line():
            pass
        return b"".join(parts)


class _NoAnswer(ValueError):
    """The connection ended where a reply was to begin."""
