"""A backend whose PostgreSQL server goes away and comes back."""

import os
import pathlib
import random
import shutil
import socket
import subprocess
import tempfile
import threading
import time

import pytest

from backend_process import Backend
from cli_process import Home, wait_log
from patience import until

SCRIPT = pathlib.Path(__file__).parents[2] / "tools/postgres.sh"
pytestmark = pytest.mark.timeout(120)


class Server:
    """One of its own: it is crashed."""

    def __init__(self):
        self.directory = tempfile.mkdtemp(prefix="cronium-pg-", dir="/tmp")
        self.url = self.run("start")

    def run(self, what):
        return subprocess.run([SCRIPT, what, self.directory], check=True,
                              capture_output=True, text=True,
                              timeout=60).stdout.strip()


@pytest.fixture
def server():
    server = Server()
    yield server
    server.run("stop")
    shutil.rmtree(server.directory, ignore_errors=True)


@pytest.fixture
def backends(server, tmp_path):
    """Two that share the database; the URL has a password."""
    url = server.url.replace("cronium@", "cronium:hunter2@")
    backends = [Backend(tmp_path / name, store=url) for name in "ab"
                if not os.mkdir(tmp_path / name)]
    yield backends
    for backend in backends:
        assert backend.stop() == 0
        assert "hunter2" not in "".join(backend.log)


@pytest.fixture
def home():
    home = Home()
    yield home
    home.remove()


SOCKET = ".s.PGSQL.5432"


class Proxy:
    """Between a backend and its server; cuts connections."""

    def __init__(self, directory, server):
        self.server = os.path.join(server.directory, SOCKET)
        self.url = server.url.replace(server.directory, str(directory))
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(os.path.join(directory, SOCKET))
        self.listener.listen()
        self.pairs = []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                client = self.listener.accept()[0]
            except OSError:
                return
            server = socket.socket(socket.AF_UNIX)
            server.connect(self.server)
            pair = {"ends": (client, server), "deaf": threading.Event()}
            self.pairs.append(pair)
            for a, b, deaf in ((client, server, None),
                               (server, client, pair["deaf"])):
                threading.Thread(target=self._relay, args=(a, b, deaf),
                                 daemon=True).start()

    @staticmethod
    def _relay(a, b, deaf):
        try:
            while data := a.recv(65536):
                if not (deaf and deaf.is_set()):
                    b.sendall(data)
        except OSError:
            pass
        for end in (a, b):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def cut(self, seconds):
        """The server still hears what is said, but no more is heard of it."""
        pairs, self.pairs = self.pairs, []
        for pair in pairs:
            pair["deaf"].set()
        time.sleep(seconds)
        for pair in pairs:
            for end in pair["ends"]:
                try:
                    end.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass


def test_one_database(backends):
    a, b = backends
    job = a.submit()
    assert b.job(job)["state"] == "queued"
    assert a.admin.put("/v1/variables/k", 1).status == 201
    assert b.admin.get("/v1/variables/k").body == b"1"
    assert b.admin.put("/v1/variables/k", 2).status == 204
    assert a.admin.get("/v1/variables/k").json == 2


def test_a_server_that_is_away(server, backends):
    a, _ = backends
    assert a.admin.put("/v1/variables/k", 1).status == 201
    server.run("crash")
    begun = time.monotonic()
    reply = a.admin.put("/v1/variables/k", 2)
    assert reply.status == 503
    assert reply.code == "store_failed"
    assert "hunter2" not in reply.json["detail"]
    assert a.admin.get("/v1/variables/k").status == 503
    assert time.monotonic() - begun < 15
    server.run("start")
    until(lambda: a.admin.put("/v1/variables/k", 3).status == 204)
    # Another connection, which is made by itself.
    until(lambda: a.admin.get("/v1/variables/k").status == 200)
    assert a.admin.get("/v1/variables/k").json == 3


def told(process, text):
    """Reads stderr until the text was in it; all that came, and when."""
    begun, seen = time.monotonic(), wait_log(process, text)
    return seen.decode(), time.monotonic() - begun


def test_the_cli_says_that_the_database_is_away(server, backends, home):
    job = backends[0].submit()
    env = {"CRONIUM_URL": f"unix:{backends[0].run}/api.sock"}
    assert home("jobs", env=env).err == ""
    server.run("crash")
    process = home.start("jobs", env=env)
    text, after = told(process, "\n")
    assert "the backend answers, but its database does not" in text
    assert after < 10  # two are meant; the machine may be busy
    result = home.finish(process)
    assert result.code == 1
    assert "cannot list the jobs: " in result.err and "to server" in result.err
    result = home("submit", home.script("pass"), env=env)
    assert result.code not in (0, 2)
    assert "nothing was stored" in result.err
    following = home.start("logs", "-f", job, env=env)
    told(following, "waiting")
    server.run("start")
    until(lambda: backends[0].admin.get(f"/v1/jobs/{job}").status == 200)
    # Another connection, which is made by itself.
    until(lambda: backends[0].admin.post(f"/v1/jobs/{job}/cancel").status ==
          202)
    assert home.finish(following).code != 2


class Worker(threading.Thread):
    """Counts as fast as it can, and submits jobs."""

    def __init__(self, backend, stop):
        super().__init__()
        self.backend, self.stop = backend, stop
        self.done = self.unknown = 0
        self.jobs = []

    def run(self):
        while not self.stop.is_set():
            reply = self.backend.admin.post(
                "/v1/variables/n/increment", {"by": 1})
            self.done += reply.status == 200
            self.unknown += reply.status != 200
            reply = self.backend.admin.post("/v1/jobs", {
                "runtime": "python", "script": {"content": "1"}})
            if reply.status == 201:
                self.jobs.append(reply.json["id"])


def test_crashes_under_load(server, backends):
    stop = threading.Event()
    workers = [Worker(b, stop) for b in backends for _ in range(3)]
    for worker in workers:
        worker.start()
    try:
        for _ in range(3):
            seen = sum(w.done for w in workers)
            until(lambda n=seen: sum(w.done for w in workers) >= n + 50)
            server.run("crash")
            server.run("start")
    finally:
        stop.set()
        for worker in workers:
            worker.join()
    done = sum(w.done for w in workers)
    unknown = sum(w.unknown for w in workers)
    value = backends[0].admin.get("/v1/variables/n").json
    assert done <= value <= done + unknown
    for worker in workers:
        for job in worker.jobs:
            assert backends[1].job(job)["state"] == "queued"


def test_every_commit_that_nobody_heard_of_is_found_out(server, tmp_path):
    """Each increment is acknowledged, and has happened once."""
    dice = random.Random(5)
    with tempfile.TemporaryDirectory(dir="/tmp") as directory:
        proxy = Proxy(directory, server)
        backend = Backend(tmp_path, store=proxy.url)
        stop = threading.Event()
        workers = [Worker(backend, stop) for _ in range(4)]
        for worker in workers:
            worker.start()
        try:
            for _ in range(15):
                seen = sum(w.done for w in workers)
                until(lambda n=seen: sum(w.done for w in workers) > n + 9)
                time.sleep(dice.random() / 100)
                proxy.cut(dice.random() / 20)
        finally:
            stop.set()
            for worker in workers:
                worker.join()
        assert [w.unknown for w in workers] == [0] * 4
        value = backend.admin.get("/v1/variables/n").json
        assert value == sum(w.done for w in workers)
        assert backend.stop() == 0
        proxy.listener.close()
