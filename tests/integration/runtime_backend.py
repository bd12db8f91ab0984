"""The runtime part of a backend, which fails in the way a test asks for.

It speaks /v1/runtime/… (ARCHITECTURE.md) over HTTP/2 on a unix socket. Only
for what the real backend cannot be brought to do on request: to hang, to
answer 500, to die in the middle, to hold an answer until later.
"""

import json
import os
import socket
import threading
from urllib.parse import parse_qs, unquote, urlsplit

import h2.config
import h2.connection
import h2.events
import h2.exceptions

CUT = object()      # as an answer: the connection is closed instead
SILENCE = object()  # as an answer: none


class Request:
    def __init__(self, headers):
        self.headers = {k.decode(): v.decode() for k, v in headers}
        split = urlsplit(self.headers[":path"])
        self.method = self.headers[":method"]
        self.path = split.path.removeprefix("/v1/runtime")
        self.query = {k: v[0] for k, v in parse_qs(split.query).items()}
        self.body = bytearray()

    def __repr__(self):
        return f"{self.method} {self.path}"


class Store:
    """Variables with versions, secrets, output and condition."""

    def __init__(self):
        self.lock = threading.Lock()
        self.version = 0
        self.variables = {}
        self.secrets = set()
        self.output = None
        self.condition = None
        self.results = {}  # of an Idempotency-Key

    def set(self, key, value, secret=False):
        with self.lock:
            return self._set(key, json.dumps(value).encode(), secret)

    def _set(self, key, raw, secret=False):
        self.version += 1
        self.variables[key] = (bytes(raw), self.version)
        if secret:
            self.secrets.add(key)
        return self.version

    def answer(self, request):
        with self.lock:
            idempotent = request.headers.get("idempotency-key")
            if idempotent in self.results:
                return self.results[idempotent]
            answer = self._answer(request)
            if idempotent:
                self.results[idempotent] = answer
            return answer

    def _answer(self, r):
        if r.path == "/output":
            self.output = bytes(r.body)
            return 204, {}, b""
        if r.path == "/condition":
            return self._condition(r)
        if r.path == "/variables":
            prefix = r.query.get("prefix", "")
            names = sorted(k for k in self.variables if k.startswith(prefix))
            return 200, {}, json.dumps(names).encode()
        key = unquote(r.path.removeprefix("/variables/"))
        if key.endswith("/increment") and r.method == "POST":
            return self._increment(key.removesuffix("/increment"), r)
        return self._variable(key, r)

    def _condition(self, r):
        if r.method == "POST":
            self.condition = bytes(r.body)
            return 204, {}, b""
        if self.condition is None:
            return problem(404, "no_condition")
        return 200, {}, self.condition

    def _headers(self, key, version):
        headers = {"etag": f'"{version}"'}
        if key in self.secrets:
            headers["x-cronium-secret"] = "1"
        return headers

    def _increment(self, key, r):
        now = int(self.variables.get(key, (b"0", 0))[0])
        now += json.loads(r.body)["by"]
        version = self._set(key, str(now).encode())
        return (200, self._headers(key, version),
                json.dumps({"value": now}).encode())

    def _variable(self, key, r):
        value, version = self.variables.get(key, (None, 0))
        match = r.headers.get("if-match")
        if r.method == "GET":
            if value is None:
                return problem(404, "variable_not_found")
            return 200, self._headers(key, version), value
        if (match and match != f'"{version}"') or (
                r.headers.get("if-none-match") == "*" and value is not None):
            return problem(412, "version_conflict")
        if r.method == "PUT":
            new = self._set(key, r.body)
            return 201 if value is None else 204, self._headers(key, new), b""
        if value is None:
            return problem(404, "variable_not_found")
        del self.variables[key]
        return 204, {}, b""


def problem(status, code):
    body = {"status": status, "code": code, "title": code, "detail": code}
    return (status, {"content-type": "application/problem+json"},
            json.dumps(body).encode())


class Flow:
    """As the body of an answer: one that goes on for as long as a test likes.

    `taken` says how many bytes flow control has let through.
    """

    def __init__(self, data=b""):
        self.pending = bytearray(data)
        self.ended = False
        self.taken = 0
        self.asked = threading.Event()  # it was answered with
        self.left = threading.Event()   # the sidecar reset it
        self.connection = self.stream = None

    def _start(self, connection, stream):
        self.connection, self.stream = connection, stream
        connection.flows[stream] = self
        self.asked.set()

    def _push(self):
        if self.connection:
            with self.connection.lock:
                self.connection._flush()

    def write(self, data):
        self.pending += data
        self._push()

    def end(self):
        self.ended = True
        self._push()

    def reset(self):
        """Breaks it off, and nothing else."""
        with self.connection.lock:
            self.connection.flows.pop(self.stream, None)
            self.connection.h2.reset_stream(self.stream)
            self.connection._flush()


class Connection(threading.Thread):
    def __init__(self, backend, sock):
        super().__init__(daemon=True)
        self.backend, self.sock = backend, sock
        self.lock = threading.Lock()
        self.h2 = h2.connection.H2Connection(
            h2.config.H2Configuration(client_side=False))
        self.requests, self.unsent, self.flows = {}, {}, {}

    def run(self):
        try:
            self._serve()
        except (OSError, h2.exceptions.ProtocolError):
            pass
        finally:
            self.sock.close()

    def cut(self):
        try:
            self.sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass

    def _serve(self):
        with self.lock:
            self.h2.initiate_connection()
            self._flush()
        while True:
            data = self.sock.recv(1 << 16)
            if not data:
                return
            with self.lock:
                for event in self.h2.receive_data(data):
                    self._on_event(event)
                self._flush()

    def _on_event(self, e):
        if isinstance(e, h2.events.RequestReceived):
            self.requests[e.stream_id] = Request(e.headers)
        elif isinstance(e, h2.events.DataReceived):
            if e.stream_id in self.requests:
                self.requests[e.stream_id].body += e.data
            self.h2.acknowledge_received_data(
                e.flow_controlled_length, e.stream_id)
        elif isinstance(e, h2.events.StreamReset):
            self.requests.pop(e.stream_id, None)
            self.unsent.pop(e.stream_id, None)
            flow = self.flows.pop(e.stream_id, None)
            if flow:
                flow.left.set()
        elif isinstance(e, h2.events.StreamEnded):
            request = self.requests.pop(e.stream_id)
            threading.Thread(target=self._answer, daemon=True,
                             args=(e.stream_id, request)).start()

    def _answer(self, stream, request):
        answer = self.backend.answer(request)
        if answer is CUT:
            self.cut()
        if answer in (CUT, SILENCE):
            return
        status, headers, body = answer
        headers = {"content-type": "application/json", **headers}
        with self.lock:
            try:
                self.h2.send_headers(
                    stream, [(":status", str(status)), *headers.items()],
                    end_stream=not body)
                if isinstance(body, Flow):
                    body._start(self, stream)
                elif body:
                    self.unsent[stream] = body
                self._flush()
            except (OSError, h2.exceptions.ProtocolError):
                pass

    def _flush(self):
        for stream, body in list(self.unsent.items()):
            while body:
                n = min(self.h2.local_flow_control_window(stream),
                        self.h2.max_outbound_frame_size, len(body))
                if n <= 0:
                    break
                self.h2.send_data(stream, body[:n], end_stream=n == len(body))
                body = body[n:]
            self.unsent[stream] = body
            if not body:
                del self.unsent[stream]
        for stream, flow in list(self.flows.items()):
            self._flush_flow(stream, flow)
        data = self.h2.data_to_send()
        if data:
            self.sock.sendall(data)

    def _flush_flow(self, stream, flow):
        while flow.pending:
            n = min(self.h2.local_flow_control_window(stream),
                    self.h2.max_outbound_frame_size, len(flow.pending))
            if n <= 0:
                return
            self.h2.send_data(stream, bytes(flow.pending[:n]))
            del flow.pending[:n]
            flow.taken += n
        if flow.ended:
            self.h2.end_stream(stream)
            del self.flows[stream]


class RuntimeBackend:
    """hook(request) gives an answer, or None for what the store answers.
    on_changes(request) does so for a stream of changes: as it is, the backend
    is one that has none, so that nothing is forgotten but by time."""

    def __init__(self, path):
        self.path = str(path)
        self.store = Store()
        self.hook = None
        self.on_changes = lambda request: problem(404, "not_found")
        self.seen = []
        self.audited = []
        self.connections = []
        self.listener = None
        self.up()

    def up(self):
        self.listener = socket.socket(socket.AF_UNIX)
        if os.path.exists(self.path):
            os.unlink(self.path)
        self.listener.bind(self.path)
        self.listener.listen(64)
        threading.Thread(target=self._accept, args=(self.listener,),
                         daemon=True).start()

    def down(self):
        """As after kill -9: the socket file stays, nobody answers."""
        if self.listener:
            self.listener.shutdown(socket.SHUT_RDWR)
            self.listener.close()
        self.listener = None
        for connection in self.connections:
            connection.cut()
        self.connections = []

    def _accept(self, listener):
        while True:
            try:
                sock, _ = listener.accept()
            except OSError:
                return
            connection = Connection(self, sock)
            self.connections.append(connection)
            connection.start()

    def answer(self, request):
        if request.path == "/changes":
            return self.on_changes(request)
        if request.path == "/audit":
            self.audited.append(request)
            answer = self.hook(request) if self.hook else None
            return answer or (204, {}, b"")
        self.seen.append(request)
        answer = self.hook(request) if self.hook else None
        return self.store.answer(request) if answer is None else answer

    def count(self, method, path):
        return sum(r.method == method and r.path == path for r in self.seen)
