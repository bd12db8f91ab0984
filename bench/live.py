"""Running jobs of a real backend, each with its sidecar. There is no script:
the benchmark plays it, and the orchestrator."""

import contextlib
import json
import pathlib
import socket
import tempfile
import threading
import time

import machine
from server import ASSIGN, HEADER, Backend, Connection, bash_job

INPUT, ACK, HEARTBEAT, READY = 19, 23, 26, 16
HEARTBEAT_S = 5
AGENT = "/v1/agents/bench/claims?slots=64&executors=sandbox"
# Of one execution there is no limit here, and nobody renews leases.
OPTIONS = ["--rate-forward", "0", "--rate-tools", "0", "--lease", "1h"]


class Live(contextlib.ExitStack):
    """A backend, and its only orchestrator."""

    def __init__(self, settings, *options):
        super().__init__()
        self.settings = settings
        self.backend = self.enter_context(
            Backend(settings, *OPTIONS, *options))
        self.admin = self.connect()
        self.claims = self.connect().frames(AGENT)
        next(self.claims)  # it greets

    def connect(self):
        return self.enter_context(
            contextlib.closing(Connection(self.backend.api)))

    def job(self, **spec):
        """Its sidecar, assigned; ends with self."""
        job = self.admin.call("POST", "/v1/jobs",
                              {**bash_job("sandbox"), **spec})["id"]
        assign = json.loads(next(p for k, p in self.claims if k == ASSIGN))
        self.admin.call(
            "POST", f"/v1/executions/{assign['execution']}/started",
            {"epoch": assign["epoch"], "pod": "pod_bench",
             "executor": "sandbox"})
        return self.enter_context(
            LiveSidecar(self.settings, self.backend, job, assign))

    def end(self, sidecar):
        """The job's."""
        self.admin.call(
            "POST", f"/v1/executions/{sidecar.assign['execution']}/complete",
            {"epoch": sidecar.assign["epoch"], "state": "succeeded",
             "exit_code": 0})
        sidecar.stop()


class LiveSidecar(machine.Program):
    def __init__(self, settings, backend, job, assign):
        self.job, self.assign = job, assign
        self.token = assign["runtime_token"]
        directory = pathlib.Path(tempfile.mkdtemp(dir=settings.directory))
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(directory / "control.sock"))
            listener.listen(1)
            listener.settimeout(machine.TIMEOUT_S)
            super().__init__([
                machine.BIN / "cronium-sidecar", "--log-level", "error",
                "--control", directory / "control.sock", "--backend",
                f"unix:{backend.api.parent / 'runtime' / 'backend.sock'}",
                "--listen", "127.0.0.1:0"])
            try:
                self.control = listener.accept()[0]
                self._assign()
            except BaseException:
                self.stop()
                raise

    def _send(self, kind, payload=b""):
        self.control.sendall(HEADER.pack(kind, len(payload)) + payload)

    def _expect(self, kind):
        while True:
            got, n = HEADER.unpack(self._take(HEADER.size))
            payload = self._take(n)
            if got == kind:
                return payload
            if got != HEARTBEAT:
                raise RuntimeError(f"the sidecar sent {got}: {payload!r}")

    def _take(self, n):
        data = self.control.recv(n, socket.MSG_WAITALL) if n else b""
        if len(data) < n:
            raise RuntimeError("the sidecar ended")
        return data

    def _assign(self):
        listen = json.loads(self._expect(READY))["listen"]
        self.port = int(listen[0].rpartition(":")[2])
        a = self.assign
        self._send(ASSIGN, json.dumps({
            "input_bytes": 4, "limits": {"forward_per_min": 0,
                                         "tools_per_min": 0},
            **{k: a[k] for k in ("execution", "job", "issuer",
                                 "backend_token", "public_key", "context")},
        }).encode())
        self._send(INPUT, b"null")
        self._expect(ACK)
        self.ended = threading.Event()
        threading.Thread(target=self._beat, daemon=True).start()

    def _beat(self):
        while not self.ended.wait(HEARTBEAT_S):
            try:
                self._send(HEARTBEAT)
                self.control.recv(1 << 16, socket.MSG_DONTWAIT)
            except BlockingIOError:
                pass
            except OSError:
                return

    def stop(self):
        super().stop()
        if hasattr(self, "ended"):
            self.ended.set()

    def head(self, method, path, *headers):
        """Bytes of a request's head."""
        return "\r\n".join([
            f"{method} {path} HTTP/1.1", "Host: localhost",
            f"Authorization: Bearer {self.token}", *headers, "", ""]).encode()

    def connect(self):
        s = socket.create_connection(("127.0.0.1", self.port),
                                     machine.TIMEOUT_S)
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return s
