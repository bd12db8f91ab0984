"""A real cronium-backend, and the ways to talk to it."""

import hashlib
import http.client
import json
import os
import re
import signal
import socket
import subprocess
import threading
import urllib.parse

import frames

BIN = os.environ.get("CRONIUM_BIN_DIR", "build/bin")
BACKEND = os.path.abspath(os.path.join(BIN, "cronium-backend"))
FRAMES = "application/vnd.cronium.frames"
TIMEOUT = 20
# A PostgreSQL server, for a store in a schema of its own; else it is SQLite.
STORE = os.environ.get("CRONIUM_TEST_STORE")
# With the usual quarantine a sanitized backend seems to keep what it freed.
ASAN = os.environ.get("ASAN_OPTIONS", "") + ":quarantine_size_mb=8"


def store_url(directory):
    """For all backends of one directory the same."""
    if not STORE:
        return None
    name = hashlib.sha256(str(directory).encode()).hexdigest()[:24]
    return f"{STORE}{'&' if '?' in STORE else '?'}schema=backend_{name}"


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path, timeout=TIMEOUT):
        super().__init__("localhost", timeout=timeout)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


class Reply:
    def __init__(self, response):
        self.status = response.status
        self.headers = response.headers
        self.body = response.read()

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def code(self):
        """Of a problem document."""
        assert self.headers["content-type"] == "application/problem+json"
        problem = self.json
        assert problem["status"] == self.status
        assert problem["title"] and problem["detail"]
        assert problem["trace_id"]
        return problem["code"]

    def __repr__(self):
        return f"{self.status} {self.body[:500]!r}"


class ResponseSocket:
    """An endless reply as frames.Stream wants it."""

    def __init__(self, connection, response):
        self.connection, self.response = connection, response

    def settimeout(self, seconds):
        self.connection.sock.settimeout(seconds)

    def recv(self, n):
        return self.response.read1(n)

    def close(self):
        # The response holds the socket as well.
        self.connection.sock.shutdown(socket.SHUT_RDWR)
        self.response.close()
        self.connection.close()


class Peer:
    """Somebody who calls: where, and with which credential."""

    def __init__(self, connect, bearer=None):
        self.connect, self.bearer = connect, bearer

    def _send(self, connection, method, path, body, headers):
        headers = dict(headers or {})
        if self.bearer:
            headers.setdefault("Authorization", f"Bearer {self.bearer}")
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body).encode()
        connection.request(method, path, body, headers)
        return connection.getresponse()

    def call(self, method, path, body=None, headers=None):
        connection = self.connect()
        try:
            return Reply(self._send(connection, method, path, body, headers))
        finally:
            connection.close()

    def get(self, path, **headers):
        return self.call("GET", path, headers=headers)

    def post(self, path, body=None, **headers):
        return self.call("POST", path, body, headers)

    def put(self, path, body=None, **headers):
        return self.call("PUT", path, body, headers)

    def delete(self, path, **headers):
        return self.call("DELETE", path, headers=headers)

    def stream(self, path, timeout=TIMEOUT):
        """A reply of frames."""
        connection = self.connect()
        response = self._send(connection, "GET", path, None,
                              {"Accept": FRAMES})
        assert response.status == 200, (response.status, response.read())
        assert response.headers["content-type"] == FRAMES
        return frames.Stream(ResponseSocket(connection, response), timeout)


class Claim:
    def __init__(self, assign, script, input):
        self.assign, self.script, self.input = assign, script, input
        self.id = assign["execution"]
        self.job = assign["job"]
        self.epoch = assign["epoch"]


class Agent:
    """An orchestrator, as far as the backend can tell."""

    def __init__(self, admin, name="agent-1", slots=4,
                 executors="docker,sandbox", labels=""):
        self.admin, self.name = admin, name
        self.events = []
        self.stream = admin.stream(
            f"/v1/agents/{name}/claims?slots={slots}"
            f"&executors={executors}&labels={labels}")

    def next(self):
        """The next message that is no EVENT: those are kept."""
        while True:
            kind, payload = self.stream.next()
            if kind != frames.EVENT:
                return kind, payload
            self.events.append(json.loads(payload))

    def claim(self):
        kind, assign = self.next()
        assert kind == frames.ASSIGN, (kind, assign)
        assign = json.loads(assign)
        kind, script = self.stream.next()
        assert kind == frames.SCRIPT
        kind, input = self.stream.next()
        assert kind == frames.INPUT
        assert len(script) == assign["script_bytes"]
        assert len(input) == assign["input_bytes"]
        return Claim(assign, script, input)

    def started(self, claim, **more):
        return self.admin.post(f"/v1/executions/{claim.id}/started", {
            "epoch": claim.epoch, "pod": "pod_1", "executor": "sandbox",
            **more})

    def log(self, claim, offset, *chunks):
        body = b"".join(frames.encode(kind, data) for kind, data in chunks)
        return self.admin.post(
            f"/v1/executions/{claim.id}/logs?epoch={claim.epoch}"
            f"&offset={offset}", body)

    def complete(self, claim, state="succeeded", **more):
        return self.admin.post(f"/v1/executions/{claim.id}/complete", {
            "epoch": claim.epoch, "state": state, "exit_code": 0, **more})

    def heartbeat(self, *claims, **more):
        return self.admin.post(f"/v1/agents/{self.name}/heartbeat", {
            "executions": [{"id": c.id, "epoch": c.epoch} for c in claims],
            **more})

    def recover(self, *claims):
        return self.admin.post(f"/v1/agents/{self.name}/recover", {
            "executions": [{"id": c.id, "epoch": c.epoch} for c in claims]})

    def close(self):
        self.stream.close()


SMALL_DISK = """
mount -t tmpfs -o size=4m,mode=700 none "$1" || exit 77
shift
exec "$@"
"""


def small_disk(directory):
    """A backend's wrapper, which alone sees 4 MiB in the place of it."""
    os.makedirs(directory)
    namespaces = "-m" if os.getuid() == 0 else "-Urm"
    return ["unshare", namespaces, "sh", "-c", SMALL_DISK, "sh",
            str(directory)]


class Backend:
    def __init__(self, directory, *options, listen="127.0.0.1:0", env=None,
                 wrapper=(), store=None):
        self.data = os.path.join(directory, "data")
        self.run = os.path.join(directory, "run")
        self.options, self.listen, self.env = options, listen, env
        self.store = store or store_url(directory)
        self.wrapper = list(wrapper)  # what starts the backend
        self.log = []
        self.process = None
        self.start()

    # --- the process

    def start(self):
        self.process = subprocess.Popen(
            [*self.wrapper, BACKEND, "--data-dir", self.data,
             "--run-dir", self.run, "--listen", self.listen, *self.options],
            stderr=subprocess.PIPE, text=True,
            env={**os.environ, "ASAN_OPTIONS": ASAN,
                 "CRONIUM_STORE": self.store or "", **(self.env or {})})
        self.ready, self.port = threading.Event(), None
        self.reader = threading.Thread(target=self._read_log, daemon=True,
                                       args=(self.process,))
        self.reader.start()
        assert self.ready.wait(TIMEOUT), "it did not say ready"
        assert self.port is not None, "".join(self.log)

    def _read_log(self, process):
        for line in process.stderr:
            self.log.append(line)
            found = re.search(r'msg="ready .*port=(\d+)', line)
            if found:
                self.port = int(found[1])
                self.ready.set()
        self.ready.set()

    def kill(self):
        self.process.kill()
        self.process.wait(TIMEOUT)
        self.reader.join(TIMEOUT)

    def stop(self):
        """Orderly; its exit status."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        status = self.process.wait(TIMEOUT)
        self.reader.join(TIMEOUT)
        return status

    # --- who calls

    def unix(self, name, bearer=None):
        path = os.path.join(self.run, name)
        return Peer(lambda: UnixConnection(path), bearer)

    @property
    def admin(self):
        return self.unix("api.sock")

    def sidecar(self, claim):
        return self.unix("runtime/backend.sock",
                         claim.assign["backend_token"])

    def tcp(self, bearer=None):
        return Peer(lambda: http.client.HTTPConnection(
            "127.0.0.1", self.port, timeout=TIMEOUT), bearer)

    @property
    def api_key(self):
        with open(os.path.join(self.data, "api-key")) as f:
            return f.read().strip()

    # --- short forms

    def agent(self, **options):
        return Agent(self.admin, **options)

    def submit(self, script="print(1)", input=None, **spec):
        reply = self.admin.post("/v1/jobs", {
            "runtime": "python",
            "script": {"name": "main.py", "content": script},
            "input": input, **spec})
        assert reply.status == 201, reply
        return reply.json["id"]

    def job(self, job):
        reply = self.admin.get(f"/v1/jobs/{job}")
        assert reply.status == 200, reply
        return reply.json

    def follow(self, job, offset=0):
        return self.admin.stream(
            f"/v1/jobs/{job}/logs?follow=1&offset={offset}")

    def wait_state(self, job, *states):
        """Follows the job until it is in one of the states."""
        stream = self.follow(job)
        try:
            while True:
                kind, payload = stream.next()
                if kind == frames.STATE:
                    now = json.loads(payload)
                    if now["state"] in states:
                        return now
        finally:
            stream.close()


def quote(key):
    return urllib.parse.quote(key, safe="")
