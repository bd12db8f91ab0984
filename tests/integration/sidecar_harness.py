"""A sidecar with everything around it: control stream, backend, tokens.

    with Sidecar(tmp_path) as sidecar:
        sidecar.get("/variables/k")

The backend is RuntimeBackend, which fails when it is told to. With a real
one, as backend_process.py starts it:

    claim = agent.claim()
    with Sidecar.of(tmp_path, backend, claim) as sidecar:
        ...
"""

import itertools
import json
import os
import pathlib
import queue
import socket
import struct
import subprocess
import threading
import time

import frames
import jwt
import requests
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from runtime_backend import RuntimeBackend

BIN_DIR = pathlib.Path(os.environ.get(
    "CRONIUM_BIN_DIR",
    pathlib.Path(__file__).parent.parent.parent / "build" / "bin"))
TIMEOUT_S = 30
SCOPES = ["input", "output", "variables", "condition", "context", "tools"]
EXECUTION = "ex_01j0000000000000000000000a"
JOB = "job_01j0000000000000000000000a"


def private_pem(key):
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption()).decode()


def public_pem(key):
    return key.public_key().public_bytes(
        serialization.Encoding.PEM,
        serialization.PublicFormat.SubjectPublicKeyInfo).decode()


class Tokens:
    """Mints what the backend would mint; claims are to be overridden."""

    ids = itertools.count()

    def __init__(self):
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.public_pem = public_pem(self.key)

    def claims(self, **more):
        now = int(time.time())
        claims = {
            "iss": "cronium", "aud": "runtime", "sub": EXECUTION, "job": JOB,
            "jti": f"tok_{next(self.ids)}", "iat": now, "nbf": now,
            "exp": now + 600, "scope": SCOPES, "vars_read": ["*"],
            "vars_write": ["*"], "tools": ["*"], "ro": False, **more}
        return {k: v for k, v in claims.items() if v is not None}

    def mint(self, headers=None, **more):
        return jwt.encode(self.claims(**more), self.key, algorithm="ES256",
                          headers=headers)


class Control(threading.Thread):
    """The orchestrator's end of the control stream."""

    def __init__(self, sock):
        super().__init__(daemon=True)
        self.sock = sock
        self.stream = frames.Stream(sock, timeout=None)
        self.lock = threading.Lock()
        self.inbox = queue.Queue()
        self.redacted = []
        self.hold_acks = False
        self.held = []
        self.closed = threading.Event()
        self.start()
        threading.Thread(target=self._beat, daemon=True).start()

    def run(self):
        try:
            while True:
                kind, payload = self.stream.next()
                if kind == frames.REDACT:
                    self._on_redact(payload)
                else:
                    self.inbox.put((kind, payload))
        except (OSError, EOFError, ValueError):
            self.inbox.put((None, b""))

    def _beat(self):
        while not self.closed.wait(5):
            try:
                self.send(frames.HEARTBEAT)
            except OSError:
                return

    def _on_redact(self, payload):
        self.redacted.append(payload[4:])
        if self.hold_acks:
            self.held.append(payload[:4])
            self.inbox.put((frames.REDACT, payload))
        else:
            self.send(frames.ACK, payload[:4])

    def release_acks(self):
        self.hold_acks = False
        while self.held:
            self.send(frames.ACK, self.held.pop(0))

    def send(self, kind, payload=b""):
        with self.lock:
            self.stream.send(kind, payload)

    def expect(self, kind):
        got, payload = self.inbox.get(timeout=TIMEOUT_S)
        assert got == kind, f"{got} came instead of {kind}: {payload!r}"
        return payload

    def close(self):
        self.closed.set()
        try:
            self.sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.sock.close()


def wait_end(started):
    """Until the process of it ends; then its log and its backend do, too."""
    try:
        started.process.wait(TIMEOUT_S)
    except subprocess.TimeoutExpired:
        started.process.kill()
        started.process.wait()
        raise
    finally:
        started.log.close()
        if started.backend:
            started.backend.down()


class Sidecar:
    """Started on entry, assigned unless assign=False, ended on exit."""

    def __init__(self, directory, assign=True, input=b"null", tokens=None,
                 limits=None, args=(), log_level="debug",
                 listen=("127.0.0.1:0",)):
        self.directory = pathlib.Path(directory)
        self.assign_at_once = assign
        self.input = input
        self.tokens = tokens or Tokens()
        self.backend = None
        self.backend_socket = None
        self.backend_token = self.tokens.mint(aud="backend")
        self.token = self.tokens.mint()
        self.issuer = "cronium"
        self.public_pem = self.tokens.public_pem
        self.execution, self.job = EXECUTION, JOB
        self.limits = limits or {}
        self.args = list(args)
        self.log_level = log_level
        self.listen = listen
        self.context = {"job": JOB, "execution": EXECUTION, "attempt": 1,
                        "trigger": "manual", "labels": {"a": "b"}}
        self.session = requests.Session()
        self.session.trust_env = False

    def __enter__(self):
        if not self.backend_socket:
            self.backend_socket = self.directory / "backend.sock"
            self.backend = RuntimeBackend(self.backend_socket)
        self.start()
        if self.assign_at_once:
            self.assign()
        return self

    def start(self):
        path = self.directory / "control.sock"
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(path))
        listener.listen(1)
        listener.settimeout(TIMEOUT_S)
        self.log = open(self.directory / "sidecar.log", "wb")
        listen = [a for l in self.listen for a in ("--listen", l)]
        self.process = subprocess.Popen(
            [BIN_DIR / "cronium-sidecar", "--control", path,
             "--backend", f"unix:{self.backend_socket}",
             "--log-level", self.log_level, *listen, *self.args],
            stderr=self.log, stdout=self.log, stdin=subprocess.DEVNULL)
        sock, _ = listener.accept()
        listener.close()
        self.control = Control(sock)
        self.ready = json.loads(self.control.expect(frames.READY))
        self.address = self.ready["listen"][0]
        self.port = int(self.address.rpartition(":")[2])
        self.base_url = f"http://{self.address}"

    @classmethod
    def of(cls, directory, backend, claim, **options):
        """The sidecar of a claim that a real backend gave."""
        s = cls(directory, input=claim.input, **options)
        a = claim.assign
        s.backend_socket = os.path.join(backend.run, "runtime/backend.sock")
        s.backend_token, s.token = a["backend_token"], a["runtime_token"]
        s.issuer, s.public_pem = a["issuer"], a["public_key"]
        s.execution, s.job = a["execution"], a["job"]
        s.context = a["context"]
        return s

    def assign_message(self):
        return {
            "execution": self.execution, "job": self.job,
            "issuer": self.issuer, "backend_token": self.backend_token,
            "public_key": self.public_pem, "context": self.context,
            "input_bytes": len(self.input),
            # Tests ask faster than scripts should.
            "limits": {"forward_per_min": 0, "tools_per_min": 0,
                       **self.limits}}

    def assign(self, message=None):
        self.control.send(frames.ASSIGN, message or self.assign_message())
        self.control.send(frames.INPUT, self.input)
        assert self.control.expect(frames.ACK) == struct.pack(">I", 0)

    def __exit__(self, *exc):
        self.session.close()
        self.control.close()  # without its orchestrator it ends
        wait_end(self)
        if not exc[0]:
            assert self.process.returncode in (0, 1), self.logged()

    def logged(self):
        return (self.directory / "sidecar.log").read_text()

    def request(self, method, path, token="", **kwargs):
        """token: None sends none, "" the good one."""
        headers = dict(kwargs.pop("headers", {}))
        if token is not None:
            headers["Authorization"] = f"Bearer {token or self.token}"
        return self.session.request(
            method, self.base_url + path, headers=headers, timeout=TIMEOUT_S,
            **kwargs)

    def get(self, path, **kwargs):
        return self.request("GET", path, **kwargs)

    def put(self, path, value, **kwargs):
        return self.request("PUT", path, data=json.dumps(value), **kwargs)

    def post(self, path, value, **kwargs):
        return self.request("POST", path, data=json.dumps(value), **kwargs)

    def delete(self, path, **kwargs):
        return self.request("DELETE", path, **kwargs)

    def metric(self, line):
        """The value of one line of /metrics."""
        text = self.get("/metrics", token=None).text
        for found in text.splitlines():
            if found.startswith(f"cronium_sidecar_{line} "):
                return float(found.rpartition(" ")[2])
        raise AssertionError(f"no metric {line} in\n{text}")
