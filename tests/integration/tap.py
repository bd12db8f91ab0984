"""A tap between an SDK and a sidecar: what passes is what sdk/openapi.yaml
describes, or the test fails.

    with tapped(sidecar):
        ...                        # with sidecar.base_url
    assert sidecar.tap.exchanges
"""

import contextlib
import http.client
import io
import socket
import threading

from openapi_check import OpenAPI
from requests.structures import CaseInsensitiveDict

BYTES = 1 << 16
TIMEOUT_S = 30
DOCUMENT = OpenAPI()


class _Recording:
    """What went both ways on one connection."""

    def __init__(self):
        self.request, self.reply = bytearray(), bytearray()


class _Reply:
    """As requests have it; broken: the body breaks off."""

    def __init__(self, response):
        self.status_code = response.status
        self.headers = CaseInsensitiveDict(response.getheaders())
        self.broken = False
        try:
            self.content = response.read()
        except http.client.IncompleteRead as error:
            self.content, self.broken = error.partial, True

    @property
    def text(self):
        # A character may have been cut through.
        return self.content.decode(
            errors="ignore" if self.broken else "strict")


class _File(io.BytesIO):
    """Many responses are read from it, one after the other."""

    def makefile(self, *_):
        return self

    def close(self):
        pass


class Exchange:
    def __init__(self, method, target, headers, body, reply):
        self.method, self.target, self.headers = method, target, headers
        self.body, self.reply = body, reply


def _read_request(file):
    """(method, target, headers, body); the body None where it is not all
    there; None where there is no more."""
    line = file.readline()
    if not line.endswith(b"\r\n"):
        return None
    method, target, _ = line.decode().split(" ")
    headers = CaseInsensitiveDict(http.client.parse_headers(file).items())
    if headers.get("transfer-encoding", "") == "chunked":
        body = _read_chunks(file)
    else:
        length = int(headers.get("content-length", 0))
        body = file.read(length)
        body = body if len(body) == length else None
    return method, target, headers, body


def _read_chunks(file):
    body = b""
    while size := int(file.readline() or b"0", 16):
        body += file.read(size)
        if not file.readline():
            return None
    return body if file.readline() else None


def _exchanges(recording):
    requests = _File(bytes(recording.request))
    replies = _File(bytes(recording.reply))
    while request := _read_request(requests):
        response = http.client.HTTPResponse(replies, method=request[0])
        try:
            response.begin()
        except (http.client.BadStatusLine, http.client.IncompleteRead):
            return  # the connection was lost before
        yield Exchange(*request, _Reply(response))


class Tap:
    def __init__(self, target):
        self.target = target
        self.exchanges = []
        self._recordings, self._threads = [], []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = self._listener.getsockname()
        self.url = "http://127.0.0.1:%d" % self.address[1]
        self._start(self._accept)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()
        if not exc[0]:
            self.check()

    def _start(self, call, *args):
        thread = threading.Thread(target=call, args=args, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self):
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return  # it was closed
            try:
                server = socket.create_connection(self.target)
            except OSError:
                client.close()
                continue
            recording = _Recording()
            self._recordings.append((client, server, recording))
            self._start(self._pump, client, server, recording.request)
            self._start(self._pump, server, client, recording.reply)

    def _pump(self, source, sink, record):
        try:
            while data := source.recv(BYTES):
                record += data
                sink.sendall(data)
        except OSError:
            pass
        # The other direction goes on: who refuses a request does not read it.
        for sock, how in (source, socket.SHUT_RD), (sink, socket.SHUT_WR):
            try:
                sock.shutdown(how)
            except OSError:
                pass

    def close(self):
        try:
            self._listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self._listener.close()
        for client, server, _ in self._recordings:
            for sock in client, server:
                try:
                    sock.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass
        for thread in self._threads:
            thread.join(TIMEOUT_S)

    def check(self):
        """Every exchange that passed; fails where one is not described."""
        for _, _, recording in self._recordings:
            for exchange in _exchanges(recording):
                self.exchanges.append(exchange)
                try:
                    DOCUMENT.check(
                        exchange.method, exchange.target, exchange.headers,
                        exchange.body, exchange.reply)
                except Exception as error:
                    raise AssertionError(
                        f"{exchange.method} {exchange.target} -> "
                        f"{exchange.reply.status_code} "
                        f"{exchange.reply.content[:500]!r}: {error}"
                    ) from error


@contextlib.contextmanager
def tapped(sidecar):
    """From now on sidecar.base_url is a tap's."""
    with Tap(("127.0.0.1", sidecar.port)) as sidecar.tap:
        sidecar.base_url = sidecar.tap.url
        yield sidecar
