"""A running Cronium, or its backend alone, and a client that is as thin as
Python allows (0.2 ms of its own in each figure)."""

import contextlib
import http.client
import json
import pathlib
import socket
import struct
import tempfile
import time

import machine

FRAMES = "application/vnd.cronium.frames"
HEADER = struct.Struct(">BI")
STDOUT, ASSIGN, MORE = 1, 17, 0x80


class Connection(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("localhost", timeout=machine.TIMEOUT_S)
        self.path = str(path)
        self.connect()

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)

    def call(self, method, path, body=None):
        """The reply's JSON."""
        self.request(method, path, body and json.dumps(body),
                     {"Content-Type": "application/json"} if body else {})
        reply = self.getresponse()
        text = reply.read()
        if reply.status >= 300:
            raise RuntimeError(f"{method} {path}: {reply.status} {text!r}")
        return json.loads(text) if text else None

    def frames(self, path):
        """(type, payload) of each frame of an endless reply, as it comes."""
        self.request("GET", path, headers={"Accept": FRAMES})
        reply = self.getresponse()
        pending = b""
        while data := reply.read1(65536):
            pending += data
            while len(pending) >= HEADER.size:
                kind, n = HEADER.unpack_from(pending)
                end = HEADER.size + n
                if len(pending) < end:
                    break
                yield kind & ~MORE, pending[HEADER.size:end]
                pending = pending[end:]


class Server(machine.Program):
    """argv gets --data-dir and --run-dir; ready() says when it is."""

    def __init__(self, settings, argv):
        self.directory = pathlib.Path(tempfile.mkdtemp(dir=settings.directory))
        self.api = self.directory / "run" / "api.sock"
        super().__init__([*argv, "--data-dir", self.directory / "data",
                          "--run-dir", self.directory / "run",
                          "--log-level", "error"])
        try:
            machine.wait_until(self._ready, str(argv[0]))
        except BaseException:
            self.stop()
            raise

    def _ready(self):
        try:
            with contextlib.closing(Connection(self.api)) as c:
                return self.ready(c)
        except (OSError, RuntimeError, http.client.HTTPException):
            return False

    def ready(self, connection):
        connection.call("GET", "/readyz")
        return True


class Backend(Server):
    def __init__(self, settings, *options):
        super().__init__(settings, [machine.BIN / "cronium-backend",
                                    "--listen", "none", *options])


class Cronium(Server):
    def __init__(self, settings, executor, slots, *options):
        super().__init__(settings, [machine.BIN / "cronium", "up",
                                    "--listen", "none", "--slots", slots,
                                    "--executors", executor, "--guard", "off",
                                    *options])

    def ready(self, connection):
        return bool(connection.call("GET", "/v1/agents")["agents"])


def first_line(server, job):
    """(milliseconds from the submission to it, its bytes) of the script;
    returns when the job has ended."""
    line = None
    with contextlib.closing(Connection(server.api)) as submit, \
            contextlib.closing(Connection(server.api)) as follow:
        start = time.perf_counter()
        job = submit.call("POST", "/v1/jobs", job)["id"]
        for kind, text in follow.frames(f"/v1/jobs/{job}/logs?follow=1"):
            if kind == STDOUT and line is None:
                line = (time.perf_counter() - start) * 1000, text
        ended = submit.call("GET", f"/v1/jobs/{job}")
    if line is None or ended["state"] != "succeeded":
        raise RuntimeError(f"the job did not work: {ended}")
    return line


def first_line_ms(server, job):
    return first_line(server, job)[0]


def bash_job(executor, script="echo first", **permissions):
    return {"runtime": {"type": "bash", "permissions": permissions},
            "executor": executor,
            "script": {"name": "main.sh", "content": script + "\n"}}
