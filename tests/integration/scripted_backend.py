"""A backend that does what a test tells it to, mistakes included.

It speaks the orchestrator's part of the protocol (ARCHITECTURE.md) over
HTTP/2 on a unix socket. What the orchestrator says is kept in order; a test
may put its own answer in the place of any reply. Only for what the real
backend cannot be brought to do on request.
"""

import json
import os
import queue
import socket
import threading
import time
from urllib.parse import parse_qs, urlsplit

import h2.config
import h2.connection
import h2.events
import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

import frames
from signing import SIGNER

CUT = object()      # as an answer: the connection is closed instead
SILENCE = object()  # as an answer: none

KEY = ec.generate_private_key(ec.SECP256R1())
PUBLIC_PEM = KEY.public_key().public_bytes(
    serialization.Encoding.PEM,
    serialization.PublicFormat.SubjectPublicKeyInfo).decode()


def token(execution, audience):
    now = int(time.time())
    return jwt.encode(
        {"iss": "cronium", "aud": audience, "sub": execution, "job": "job_1",
         "jti": f"tok_{audience}", "iat": now, "nbf": now, "exp": now + 3600,
         "scope": ["input", "output", "variables", "condition", "context"],
         "vars_read": ["*"], "vars_write": ["*"], "ro": False},
        KEY, algorithm="ES256")


def problem(status, code, **more):
    return status, {"status": status, "code": code, "title": code,
                    "detail": f"{code} of the script", **more}


class Request:
    def __init__(self, method, target):
        split = urlsplit(target)
        self.method, self.path = method, split.path
        self.query = {k: v[0] for k, v in parse_qs(split.query).items()}
        self.body = bytearray()

    def json(self):
        return json.loads(self.body)

    def frames(self):
        pending, out = bytes(self.body), []
        while pending:
            size = int.from_bytes(pending[1:5], "big")
            out.append((pending[0], pending[5:5 + size]))
            pending = pending[5 + size:]
        return out


class Connection(threading.Thread):
    def __init__(self, backend, sock):
        super().__init__(daemon=True)
        self.backend, self.sock = backend, sock
        self.lock = threading.RLock()
        self.h2 = h2.connection.H2Connection(
            h2.config.H2Configuration(client_side=False))
        self.requests, self.queued = {}, {}
        self.start()

    def flush(self):
        data = self.h2.data_to_send()
        if data:
            self.sock.sendall(data)

    def cut(self):
        try:
            self.sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass

    def run(self):
        try:
            with self.lock:
                self.h2.initiate_connection()
                self.h2.increment_flow_control_window(1 << 30)
                self.flush()
            while True:
                data = self.sock.recv(1 << 18)
                if not data:
                    break
                with self.lock:
                    for event in self.h2.receive_data(data):
                        self.handle(event)
                    self.pump()
                    self.flush()
        except OSError:
            pass
        finally:
            self.backend.forget(self)
            self.sock.close()

    def handle(self, event):
        if isinstance(event, h2.events.RequestReceived):
            head = dict(event.headers)
            head = {k.decode() if isinstance(k, bytes) else k:
                    v.decode() if isinstance(v, bytes) else v
                    for k, v in head.items()}
            self.requests[event.stream_id] = Request(head[":method"],
                                                     head[":path"])
            self.h2.increment_flow_control_window(1 << 28, event.stream_id)
        elif isinstance(event, h2.events.DataReceived):
            self.requests[event.stream_id].body += event.data
            self.h2.acknowledge_received_data(
                event.flow_controlled_length, event.stream_id)
        elif isinstance(event, h2.events.StreamEnded):
            self.backend.serve(self, event.stream_id,
                               self.requests.pop(event.stream_id))
        elif isinstance(event, h2.events.StreamReset):
            self.requests.pop(event.stream_id, None)
            self.queued.pop(event.stream_id, None)
            self.backend.forget(self, event.stream_id)

    def answer(self, stream, status, body):
        data = json.dumps(body).encode()
        with self.lock:
            self.h2.send_headers(stream, [
                (":status", str(status)),
                ("content-type", "application/json"),
                ("content-length", str(len(data)))])
            self.write(stream, data, end=True)

    def open_stream(self, stream):
        with self.lock:
            self.h2.send_headers(stream, [
                (":status", "200"),
                ("content-type", "application/vnd.cronium.frames")])
            self.flush()

    def write(self, stream, data, end=False):
        with self.lock:
            pending = self.queued.setdefault(stream, [bytearray(), False])
            pending[0] += data
            pending[1] = end
            self.pump()
            self.flush()

    def pump(self):
        """Sends what flow control lets through."""
        for stream, pending in list(self.queued.items()):
            data, end = pending
            while data:
                n = min(len(data), 16384,
                        self.h2.local_flow_control_window(stream))
                if n <= 0:
                    break
                self.h2.send_data(stream, bytes(data[:n]))
                del data[:n]
            if not data and end:
                self.h2.end_stream(stream)
                del self.queued[stream]


class ScriptedBackend:
    def __init__(self, path):
        self.path = str(path)
        self.lock = threading.RLock()
        self.said = queue.Queue()  # (verb, execution, Request)
        self.answers = {}          # verb -> fn(execution, request) or None
        self.logs = {}             # execution -> list of (type, bytes)
        self.offsets = {}          # execution -> payload bytes
        self.connections, self.claims = set(), []
        self.opened = threading.Semaphore(0)  # a claim stream was opened
        self.n = 0
        self.listen()

    # --- life ---

    def listen(self):
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(self.path)
        self.listener.listen(64)
        threading.Thread(target=self.accept, args=(self.listener,),
                         daemon=True).start()

    def accept(self, listener):
        while True:
            try:
                sock, _ = listener.accept()
            except OSError:
                return
            with self.lock:
                self.connections.add(Connection(self, sock))

    def cut(self):
        """Closes every connection."""
        with self.lock:
            for c in list(self.connections):
                c.cut()

    def stop(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        os.unlink(self.path)
        self.cut()

    def forget(self, connection, stream=None):
        with self.lock:
            if stream is None:
                self.connections.discard(connection)
            self.claims = [c for c in self.claims
                           if not (c[0] is connection
                                   and stream in (None, c[1]))]

    # --- what a test does ---

    def assign(self, script, *, runtime="bash", epoch=1, execution=None,
               lease_ms=30000, runtime_block=None, **spec):
        self.n += 1
        execution = execution or f"ex_{self.n}"
        script = script.encode()
        self.push(
            frames.encode(frames.ASSIGN, {
                "execution": execution, "job": f"job_{self.n}",
                "epoch": epoch, "attempt": 1, "lease_ms": lease_ms,
                "spec": {"name": "script", "runtime": runtime_block or {
                    "type": runtime, "permissions": True}, **spec},
                "script_bytes": len(script), "input_bytes": 2,
                "runtime_token": token(execution, "runtime"),
                "backend_token": token(execution, "backend"),
                "issuer": "cronium", "public_key": PUBLIC_PEM,
                "signature": SIGNER.sign(script),
                "payload_key": SIGNER.key,
                "context": {"attempt": 1}})
            + frames.encode(frames.SCRIPT, script)
            + frames.encode(frames.INPUT, b"{}"))
        return execution

    def push(self, data):
        """Sends bytes on the open claim stream."""
        with self.lock:
            connection, stream = self.claims[-1]
        connection.write(stream, data)

    def wait(self, verb, timeout=30):
        """The next thing said that is `verb`; what comes before is
        returned, too: (execution, request, [verbs before])."""
        before = []
        while True:
            said, execution, request = self.said.get(timeout=timeout)
            if said == verb:
                return execution, request, before
            before.append(said)

    def text(self, execution):
        return b"".join(data for _, data in self.logs.get(execution, []))

    # --- what the orchestrator asks ---

    def serve(self, connection, stream, request):
        part = request.path.strip("/").split("/")
        if part[1] == "agents" and part[3] == "claims":
            connection.open_stream(stream)
            with self.lock:
                self.claims.append((connection, stream))
            connection.write(stream, frames.encode(frames.HEARTBEAT))
            self.opened.release()
            return
        verb, execution = part[3], part[2]
        self.said.put((verb, execution, request))
        scripted = self.answers.get(verb)
        answer = scripted(execution, request) if scripted else None
        if answer is None:
            answer = getattr(self, "do_" + verb)(execution, request)
        if answer is CUT:
            connection.cut()
        elif answer is not SILENCE:
            connection.answer(stream, *answer)

    def do_heartbeat(self, name, request):
        return 200, {"lease_ms": 30000, "cancel": [], "lost": []}

    do_recover = do_heartbeat

    def do_started(self, execution, request):
        return 200, {}

    def do_release(self, execution, request):
        return 200, {}

    def do_complete(self, execution, request):
        return 200, {}

    def do_logs(self, execution, request):
        have = self.offsets.get(execution, 0)
        skip = have - int(request.query["offset"])
        if skip < 0:
            return problem(409, "log_gap", expected=have)
        for kind, data in request.frames():
            fresh = data[skip:]
            skip = max(0, skip - len(data))
            if fresh:
                self.logs.setdefault(execution, []).append((kind, fresh))
                self.offsets[execution] = \
                    self.offsets.get(execution, 0) + len(fresh)
        return 200, {"next": self.offsets.get(execution, 0)}
