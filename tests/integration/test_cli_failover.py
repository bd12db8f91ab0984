"""`cronium` with a list of backends of one database: what it does goes on when
the one that it talks to is killed."""

import os
import select
import threading
import time

import pytest

import frames
from cli_process import Home, TIMEOUT
from shared_backends import LEASE_S, server, world  # noqa: F401

pytestmark = pytest.mark.timeout(180)


@pytest.fixture
def home():
    home = Home()
    yield home
    home.remove()


class Team:
    """A CLI that knows both backends, the one that is to be killed first; the
    agent is the other one's."""

    def __init__(self, home, world):
        self.home, self.world = home, world
        self.agent = world.b.agent(name="there")
        self.over, self.beats = threading.Event(), []
        self.url = ",".join(f"http://127.0.0.1:{b.port}"
                            for b in (world.a, world.b))
        self.env = {"CRONIUM_URL": self.url,
                    "CRONIUM_API_KEY": world.api_key_file.read_text().strip()}

    def __call__(self, *args):
        return self.home(*args, env=self.env)

    def start(self, *args):
        return self.home.start(*args, env=self.env)

    def kill_first(self):
        self.world.a.kill()

    def keep(self, claim):
        """Its lease, until the test is over."""
        def beat():
            while not self.over.wait(LEASE_S / 4):
                self.agent.heartbeat(claim)

        self.beats.append(threading.Thread(target=beat))
        self.beats[-1].start()

    def close(self):
        self.over.set()
        for thread in self.beats:
            thread.join(TIMEOUT)
        self.agent.close()

    def print(self, claim, offset, text):
        assert self.agent.log(claim, offset, (frames.STDOUT, text)
                              ).status == 200


@pytest.fixture
def team(home, world):
    team = Team(home, world)
    yield team
    team.close()


def read_until(process, text, stream="stdout"):
    """What it prints, until that has come."""
    pipe = getattr(process, stream)
    seen, deadline = b"", time.monotonic() + TIMEOUT
    while text not in seen:
        left = deadline - time.monotonic()
        assert select.select([pipe], [], [], left)[0], seen
        piece = os.read(pipe.fileno(), 4096)
        assert piece, (seen, process.wait(TIMEOUT))
        seen += piece
    return seen


def begin(team, claim, text):
    assert team.agent.started(claim).status == 200
    team.keep(claim)
    team.print(claim, 0, text)


def test_run(team):
    """Submitted at the one, its output (on stderr) and its end come from the
    other."""
    process = team.start("run", team.home.script("pass"))
    claim = team.agent.claim()
    begin(team, claim, b"one\n")
    read_until(process, b"one\n", "stderr")
    team.kill_first()
    team.print(claim, 4, b"two\n")
    assert team.agent.complete(claim, state="failed", exit_code=3
                               ).status == 200
    result = team.home.finish(process)
    assert result.code == 3 and "two\n" in result.err, result
    assert "one" not in result.err
    team.world.a.start()


def test_logs_follow(team):
    job = team.world.a.submit()
    claim = team.agent.claim()
    begin(team, claim, b"one\n")
    process = team.start("logs", "-f", job)
    read_until(process, b"one\n")
    team.kill_first()
    team.print(claim, 4, b"two\n")
    assert read_until(process, b"two\n") == b"two\n"
    assert team.agent.complete(claim).status == 200
    assert team.home.finish(process).code == 0
    team.world.a.start()


def test_vars_watch(team):
    process = team.start("vars", "watch", "k")
    put = team.world.b.admin.put
    assert put("/v1/variables/k", b"1").status == 201
    read_until(process, b'"value":1')
    team.kill_first()
    assert put("/v1/variables/k", b"2").status == 204
    seen = read_until(process, b'"value":2')
    assert b'"value":1' not in seen
    process.kill()
    process.communicate()
    team.world.a.start()


def ask_once(team, *server):
    job = team.world.a.submit()
    team.kill_first()
    listed = team("jobs", "--json", *server)
    assert job in listed.out and listed.code == 0, listed
    assert team("vars", "set", "k", "1", *server).code == 0
    assert team("vars", "get", "k", *server).out.strip() == "1"
    submitted = team("submit", *server, team.home.script("pass"))
    assert submitted.code == 0, submitted
    assert team("cancel", *server, submitted.out.strip()).code == 0
    team.world.a.start()


def test_what_asks_once(team):
    ask_once(team)


def test_what_asks_once_by_option(team):
    del team.env["CRONIUM_URL"]
    ask_once(team, "--server", team.url)


def test_nobody_of_them_answers(team):
    team.agent.close()
    team.kill_first()
    team.world.b.kill()
    begun = time.monotonic()
    result = team("jobs")
    assert result.code == 1 and "cannot" in result.err
    assert time.monotonic() - begun < 30
    for backend in (team.world.a, team.world.b):
        backend.start()
    team.agent = team.world.b.agent(name="there")
