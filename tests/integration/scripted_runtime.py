"""A runtime that does what a test tells it to, mistakes included: HTTP/1.1
for what a real sidecar cannot be brought to do on request.

    def answer(request):
        request.open({"Content-Type": "application/x-ndjson"})
        request.send(b"1\\n")
        request.cut()

    with ScriptedRuntime(answer) as runtime:
        ...
"""

import json
import socket
import threading
from urllib.parse import parse_qs, urlsplit

TOKEN = "scripted"
TRACE = "0" * 31 + "1"
NDJSON = "application/x-ndjson"


class Request:
    """One request, and the ways to answer it."""

    def __init__(self, connection, head, body, number):
        line, *lines = head.decode().split("\r\n")
        self.method, self.target, _ = line.split(" ")
        self.headers = {
            name.lower(): value.strip()
            for name, _, value in (text.partition(":") for text in lines)}
        split = urlsplit(self.target)
        self.path = split.path
        self.query = {k: v[0] for k, v in parse_qs(split.query).items()}
        self.body = body
        self.number = number  # of the request, from 0
        self._connection = connection
        self._chunked = False

    @property
    def records(self):
        return [json.loads(line) for line in self.body.splitlines()]

    def _write(self, data):
        self._connection.sendall(data)

    def _head(self, status, headers):
        lines = [f"HTTP/1.1 {status} {status}",
                 f"X-Cronium-Trace-Id: {TRACE}"]
        lines += [f"{k}: {v}" for k, v in headers.items()]
        return "\r\n".join([*lines, "", ""]).encode()

    def reply(self, status, body=b"", headers=None):
        """body: a JSON value, or bytes."""
        if not isinstance(body, bytes):
            body = json.dumps(body).encode()
        self._write(self._head(status, {
            "Content-Type": "application/json", **(headers or {}),
            "Content-Length": len(body)}) + body)

    def problem(self, status, code, headers=None, **more):
        self.reply(status, {
            "status": status, "code": code, "title": code, "detail": code,
            "trace_id": TRACE, **more},
            {"Content-Type": "application/problem+json", **(headers or {})})

    def open(self, headers):
        self._write(self._head(
            200, {**headers, "Transfer-Encoding": "chunked"}))

    def records_from(self, number):
        self.open({"Content-Type": NDJSON, "X-Cronium-Stream-From": number})

    def events(self):
        self.open({"Content-Type": "text/event-stream"})

    def send(self, data):
        self._write(b"%x\r\n%s\r\n" % (len(data), data))

    def event(self, kind, data, id=None):
        line = f"id: {id}\n" if id is not None else ""
        self.send(f"event: {kind}\n{line}data: {json.dumps(data)}\n\n"
                  .encode())

    def end(self):
        self._write(b"0\r\n\r\n")

    def cut(self):
        """The connection is gone, without a proper end."""
        self._connection.shutdown(socket.SHUT_RDWR)


class ScriptedRuntime:
    """answer(request) is called by a thread for each connection."""

    def __init__(self, answer):
        self.answer = answer
        self.requests = []
        self.errors = []
        self._lock = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = "http://127.0.0.1:%d" % self._listener.getsockname()[1]
        self._connections = []
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for connection in self._connections:
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
        if not exc[0]:
            assert not self.errors, self.errors

    def _accept(self):
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self._connections.append(connection)
            threading.Thread(
                target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection):
        try:
            data = b""
            while True:
                while b"\r\n\r\n" not in data:
                    more = connection.recv(1 << 16)
                    if not more:
                        return
                    data += more
                head, _, data = data.partition(b"\r\n\r\n")
                with self._lock:
                    request = Request(
                        connection, head, b"", len(self.requests))
                    self.requests.append(request)
                length = int(request.headers.get("content-length", 0))
                while len(data) < length:
                    more = connection.recv(1 << 16)
                    if not more:
                        return
                    data += more
                request.body, data = data[:length], data[length:]
                self.answer(request)
        except OSError:
            pass
        except Exception as error:
            self.errors.append(repr(error))
        finally:
            connection.close()
