"""A Docker engine that goes away: its jobs wait until it is back, and nothing
else does."""

import json
import os
import signal
import socket

import pytest

from harness import FREE, Server
from patience import until
from relay import Relay
from two_hosts import IMAGE, PATIENT, Engine, Namespace, run

HELLO = "echo ran\n"
pytestmark = pytest.mark.timeout(400)


@pytest.fixture(scope="module")
def engine(tmp_path_factory):
    archive = tmp_path_factory.mktemp("image") / "image.tar"
    run("docker", "save", "-o", archive, IMAGE)
    namespace = Namespace(f"cr{os.getpid() % 100000}w")
    engine = Engine(namespace)
    try:
        engine.wait_ready()
        engine("load", "-q", "-i", archive)
        yield engine
    finally:
        engine.stop()
        namespace.remove()


class Activated(Relay):
    """An engine's socket as systemd holds it (docker.socket): who connects
    while there is no engine waits for the next one."""

    def __init__(self, engine, path):
        super().__init__(str(engine.socket))
        self._listener.close()
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))

    def _connect(self):
        server = socket.socket(socket.AF_UNIX)
        until(lambda: server.connect_ex(self.target) == 0)
        return server


class World:
    def __init__(self, base, engine, executors):
        self.base, self.engine = base, engine
        self.server = Server(base / "server", "--executors", executors)

    def script(self, text):
        path = self.base / "script.sh"
        path.write_text(text)
        return path

    def submit(self, text=HELLO, executor="docker", *options):
        return self.server.cronium(
            "submit", "--executor", executor, *FREE, *options,
            self.script(text)).ok().out.strip()

    def log(self, job):
        return self.server.cronium("logs", job).ok().out

    def agent(self):
        agent, = json.loads(self.server.get("/v1/agents")[1])["agents"]
        return agent

    def wait_code(self, code):
        until(lambda: self.agent()["code"] == code, self.what)
        return self.agent()

    def wait_away(self, job):
        """The job waits for the engine, and says so."""
        def is_away():
            waiting = self.server.job(job)["waiting"]
            return waiting and waiting["code"] == "executor_away"

        until(is_away, self.what)
        wanted = f"the Docker engine at {self.engine.socket} does not answer"
        assert wanted in self.server.job(job)["waiting"]["message"]
        assert wanted in self.server.cronium("job", job).ok().out

    def what(self):
        return self.agent(), self.server.log.read_text()

    def succeeds(self, job, text="ran"):
        found = self.server.wait_state(job, "succeeded", "failed", "lost")
        assert found["state"] == "succeeded", (found, self.what())
        assert found["attempt"] == 1 and text in self.log(job)
        return found


@pytest.fixture
def world(engine, tmp_path, monkeypatch):
    worlds = []
    monkeypatch.setenv("DOCKER_HOST", f"unix://{engine.socket}")

    def start(executors):
        worlds.append(World(tmp_path, engine, executors))
        return worlds[0]

    yield start
    if engine.process.poll() is not None:
        engine.start()
    engine.signal(signal.SIGCONT)
    engine.wait_ready()
    for w in worlds:
        assert w.server.stop() == 0, w.server.log.read_text()


def test_killed(world, engine):
    w = world("docker,sandbox")
    w.succeeds(w.submit())
    running = w.submit(PATIENT)
    until(lambda: "begun" in w.log(running), w.what)
    engine.kill()
    agent = w.wait_code("away:docker")
    assert agent["accepting"] and str(engine.socket) in agent["problem"]
    told = w.server.cronium("agents").ok().err
    assert f"takes not all jobs: {agent['problem']}" in told
    job = w.submit()
    w.wait_away(job)
    # Others go on: the sandbox, who does not care, and what runs.
    w.succeeds(w.submit(executor="sandbox"))
    w.succeeds(w.submit(executor="auto"))
    w.server.cronium("vars", "set", "go", "true").ok()
    w.succeeds(running, "done")
    done = w.server.cronium("run", "--no-wait", "--executor", "docker", *FREE,
                            w.script(HELLO))
    assert done.code != 0 and "does not answer" in done.err
    assert w.server.job(job)["state"] == "queued"
    engine.start()
    w.succeeds(job)
    w.wait_code(None)
    # Nobody could remove the pod that ended while it was away.
    until(lambda: not engine.pods("-a"), w.what)


def test_claimed_but_not_begun(world, engine):
    """It goes back, and begins once, later."""
    w = world("docker")
    # It takes requests, and answers none.
    engine.signal(signal.SIGSTOP)
    job = w.submit()
    hasty = w.submit(HELLO, "docker", "--no-wait")
    w.server.wait_state(job, "claimed")
    w.server.wait_state(hasty, "claimed")
    engine.kill()
    w.wait_away(job)
    failed = w.server.wait_state(hasty, "failed")
    assert "does not answer" in failed["reason"] and failed["attempt"] == 1
    engine.start()
    w.succeeds(job)
    assert "given back: " in w.server.log.read_text()
    until(lambda: not engine.pods("-a"), w.what)


def test_back_before_it_was_missed(world, engine, monkeypatch):
    """Nobody is ever refused, but what was asked for is not answered."""
    path = engine.base / "activated.sock"
    with Activated(engine, path).listen():
        monkeypatch.setenv("DOCKER_HOST", f"unix://{path}")
        w = world("docker")
        engine.signal(signal.SIGSTOP)
        job = w.submit()
        w.server.wait_state(job, "claimed")
        engine.kill()
        engine.start()
        w.succeeds(job)
        until(lambda: not engine.pods("-a"), w.what)
        assert w.server.stop() == 0


def test_hangs(world, engine):
    """Nothing ends but the answers."""
    w = world("docker")
    engine.signal(signal.SIGSTOP)
    job = w.submit()
    w.server.wait_state(job, "claimed")
    w.wait_away(job)
    engine.signal(signal.SIGCONT)
    w.succeeds(job)
    until(lambda: not engine.pods("-a"), w.what)


def test_stopped(world, engine):
    """In good order: it ends what runs in it before it goes."""
    w = world("docker")
    running = w.submit(PATIENT)
    until(lambda: "begun" in w.log(running), w.what)
    engine.signal(signal.SIGTERM)
    jobs = [w.submit() for _ in range(4)]
    ended = w.server.wait_state(running, "failed", "succeeded")
    assert ended["state"] == "failed"
    engine.process.wait(60)
    w.wait_away(jobs[-1])
    engine.start()
    for job in jobs:
        w.succeeds(job)


def test_what_is_wrong_still_fails(world, engine):
    w = world("docker")
    job = w.submit(HELLO, "docker", "--image", "cronium-none.invalid/x:1")
    assert w.server.wait_state(job, "failed")["attempt"] == 1
