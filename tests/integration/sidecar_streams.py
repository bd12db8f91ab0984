"""A job with a sidecar, and scripts that read and write its streams."""

import contextlib
import json
import os
import socket
import struct

from backend_process import Backend
from http_server import Reader
from sidecar_harness import Sidecar

NDJSON = "application/x-ndjson"
MIB = 1 << 20
PATIENCE_S = 20
# A sanitized sidecar keeps what it freed for a while.
SANITIZED = "asan" in os.environ.get("CRONIUM_BIN_DIR", "")


def lines(records):
    return b"".join(json.dumps(r).encode() + b"\n" for r in records)


def numbers(first, last):
    return b"".join(b"%d\n" % n for n in range(first, last))


def anonymous_bytes(pid):
    """What the process has for itself, its program's pages not counted."""
    with open(f"/proc/{pid}/status") as f:
        found = dict(line.split(":", 1) for line in f)
    return int(found["RssAnon"].split()[0]) * 1024


class Job:
    """A running job of a real backend, and its sidecar."""

    def __init__(self, directory, backend, agent, **spec):
        self.backend = backend
        self.id = backend.submit(**spec)
        self.claim = agent.claim()
        assert agent.started(self.claim).status == 200
        directory.mkdir()
        self.sidecar = Sidecar.of(directory, backend, self.claim)

    def feed(self, data, query=""):
        reply = self.backend.admin.post(
            f"/v1/jobs/{self.id}/input/stream{query}", data)
        assert reply.status == 200, reply
        return reply.json["next"]

    def output(self):
        reply = self.backend.admin.get(f"/v1/jobs/{self.id}/output/stream")
        assert reply.status == 200, reply
        return reply.body

    def state(self, kind):
        return self.backend.admin.get(
            f"/v1/jobs/{self.id}/streams").json[kind]["state"]


@contextlib.contextmanager
def running(tmp_path, *options, **spec):
    backend = Backend(str(tmp_path), *options)
    agent = backend.agent()
    try:
        job = Job(tmp_path / "sidecar", backend, agent, **spec)
        with job.sidecar as s:
            yield job, s
    finally:
        agent.close()
        assert backend.stop() == 0, "".join(backend.log)


def read(s, query="", **more):
    return s.get("/input/stream" + query, **more)


def write(s, data, query="", **headers):
    return s.request("POST", "/output/stream" + query, data=data,
                     headers=headers)


def head(s, method, path, *headers):
    return "\r\n".join([f"{method} {path} HTTP/1.1", "Host: x",
                        f"Authorization: Bearer {s.token}", *headers,
                        "", ""]).encode()


def connect(s, receive_buffer=None):
    sock = socket.socket()
    if receive_buffer:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    sock.settimeout(PATIENCE_S)
    sock.connect(("127.0.0.1", s.port))
    return sock


def reset(sock):
    """Away at once: a mere close could mean that the reply is still read."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                    struct.pack("ii", 1, 0))
    sock.close()


def chunk(data):
    return b"%x\r\n%s\r\n" % (len(data), data)


class Writer:
    """A body that goes on, with its acknowledgements."""

    def __init__(self, s, query="", acks=True):
        self.sock = connect(s)
        self.sock.sendall(head(
            s, "POST", "/output/stream" + query,
            "Transfer-Encoding: chunked",
            *([f"Accept: {NDJSON}"] if acks else [])))
        self.reader = Reader(self.sock)
        self.started = False

    def send(self, data):
        self.sock.sendall(chunk(data))

    def acknowledged(self):
        """The next line of the reply."""
        if not self.started:
            status, headers = self.reader.head()
            assert status == 200, status
            self.started = True
            self.lines = (json.loads(line)
                          for piece in self.reader.chunks()
                          for line in piece.splitlines())
        return next(self.lines)

    def wait_acknowledged(self, number):
        while self.acknowledged()["next"] < number:
            pass

    def end(self):
        self.sock.sendall(b"0\r\n\r\n")

    def close(self):
        self.reader.file.close()
        self.sock.close()
