"""A job of a backend's, and those who write and read its streams."""

import http.client
import json
import threading
import time

import pytest


MiB = 1024 * 1024
WINDOW = 16 * MiB
GONE = (OSError, http.client.HTTPException)


@pytest.fixture
def agent(backend):
    return backend.agent(slots=16)


class Job:
    """A job that runs, and those who write and read its streams."""

    def __init__(self, backend, agent, **spec):
        self.backend, self.agent = backend, agent
        self.id = backend.submit(**spec)
        self.claim = agent.claim()
        assert self.claim.job == self.id
        assert agent.started(self.claim).status == 200

    @property
    def script(self):
        return self.backend.sidecar(self.claim)

    def send(self, body, query="", **headers):
        """As an administrator, to its input."""
        return self.backend.admin.post(
            f"/v1/jobs/{self.id}/input/stream{query}", body, **headers)

    def emit(self, body, query="", **headers):
        return self.script.post(f"/v1/runtime/output/stream{query}", body,
                                **headers)

    def read(self, start=0, follow=1):
        return Reading(self.backend.admin,
                       f"/v1/jobs/{self.id}/output/stream?from={start}"
                       f"&follow={follow}")

    def receive(self, start=0):
        return Reading(self.script, f"/v1/runtime/input/stream?from={start}")

    @property
    def streams(self):
        reply = self.backend.admin.get(f"/v1/jobs/{self.id}/streams")
        assert reply.status == 200, reply
        return reply.json

    def end(self, state="succeeded", **more):
        assert self.agent.complete(self.claim, state, **more).status == 200


class Reading:
    """A reply that streams records."""

    def __init__(self, peer, path):
        self.connection = peer.connect()
        self.response = peer._send(self.connection, "GET", path, None, None)
        self.status = self.response.status
        if self.status == 200:
            assert self.response.headers["content-type"] == \
                "application/x-ndjson"
            self.start = int(self.response.headers["x-cronium-stream-from"])
        else:
            self.problem = json.loads(self.response.read())

    def line(self):
        return self.response.readline()

    def rest(self):
        """What comes until the end, and whether that was the proper one."""
        got = bytearray()
        try:
            while piece := self.response.read1(MiB):
                got += piece
        except http.client.IncompleteRead as broken:
            return bytes(got + broken.partial), False
        return bytes(got), True

    def take(self, n):
        got = bytearray()
        while len(got) < n:
            piece = self.response.read1(n - len(got))
            assert piece
            got += piece
        return bytes(got)

    def close(self):
        self.response.close()
        self.connection.close()


@pytest.fixture
def job(backend, agent):
    return Job(backend, agent)


def records(first, n, size=0):
    return b"".join(json.dumps({"n": i, "x": "x" * size}).encode() + b"\n"
                    for i in range(first, first + n))


def numbers(text):
    return [json.loads(line)["n"] for line in text.splitlines()]


PIECE = (b'"' + b"x" * 1021 + b'"\n') * 1024
PIECES = WINDOW // len(PIECE)


def fill_window(append):
    for _ in range(PIECES):
        assert append(PIECE).status == 200


class Held:
    """An append that has to wait."""

    def __init__(self, append, body):
        self.reply = None
        self.thread = threading.Thread(target=self._run, args=(append, body))
        self.begun = time.monotonic()
        self.thread.start()

    def _run(self, append, body):
        self.reply = append(body)
        self.took = time.monotonic() - self.begun

    def join(self):
        self.thread.join(30)
        assert self.reply
        return self.reply


def waits(backend, held, seconds=0.3):
    """Requests of others come and go, this one does not."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        assert backend.admin.get("/healthz").status == 200
    return held.reply is None


def memory_kb(backend):
    with open(f"/proc/{backend.process.pid}/status") as f:
        return int(next(l for l in f if l.startswith("VmRSS")).split()[1])
