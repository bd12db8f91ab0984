"""An orchestrator that goes away and comes back to its runner."""

import itertools
import json
import os
import socket
import subprocess

import pytest

import frames
from runner_process import ALL, ROOT, RUNNER, UNSHARE, work
from signing import SIGNER

KEEP_MS = 20000
KEPT_MAX = 1 << 20  # runner/kept.h
EXECUTION = "ex_again"
TOKEN = "token-of-the-script"
PARTS = {frames.STDOUT: "stdout", frames.STDERR: "stderr",
         frames.NOTICE: "notice"}
unique = itertools.count()


class Orchestrator:
    """All processes of one: they share a socket and what was recorded."""

    def __init__(self, root, *, runner=RUNNER, **how):
        self.root, self.runner = root, runner
        self.uid = 1000 if ROOT else -1
        self.path = root / "control.sock"
        self.log = {name: bytearray() for name in PARTS.values()}
        self.order = []
        self.listener = self.stream = self.end = None
        self.started = 0
        self.start(**how)

    def start(self, pid1=False, inherited=False, wrapper=()):
        command = [*wrapper, self.runner, "--key", SIGNER.key]
        if pid1:
            command = UNSHARE + ([] if ROOT else ["-U", "-r"]) + command
        if inherited:
            self.stream, theirs = frames.pair()
            where = os.open(self.root, os.O_PATH | os.O_DIRECTORY)
            fds = [theirs.fileno(), where]
            command += ["--control", f"fd:{fds[0]}", "--again", f"dir:{where}"]
            self.process = subprocess.Popen(command, pass_fds=fds)
            theirs.close()
            os.close(where)
        else:
            self.listen()
            command += ["--control", str(self.path)]
            self.process = subprocess.Popen(command)
            self.accept()
        self.stream.expect(frames.READY)

    def listen(self):
        self.path.unlink(missing_ok=True)
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.listener.settimeout(20)
        self.listener.bind(str(self.path))
        self.path.chmod(0o666)
        self.listener.listen(1)

    def accept(self):
        sock, _ = self.listener.accept()
        self.stream = frames.Stream(sock)
        self.die_listening()

    def die_listening(self):
        if self.listener:
            self.listener.close()
            self.listener = None
        self.path.unlink(missing_ok=True)

    def assign(self, work, script, keep_ms=KEEP_MS, send_script=True, **more):
        script = script.encode()
        uid = self.uid
        if uid >= 0 and os.path.isdir(work):
            os.chown(work, uid, uid)
        self.stream.send(frames.ASSIGN, {
            "execution": EXECUTION, "job": "job_1", "argv": ["bash", "main"],
            "script_name": "main", "script_bytes": len(script),
            "env": {"CRONIUM_EXECUTION_TOKEN": TOKEN},
            "signature": SIGNER.sign(script), "work_dir": str(work),
            "uid": uid, "gid": uid, "grace_ms": 200, "permissions": ALL,
            "keep_ms": keep_ms, **more})
        if send_script:
            self.stream.send(frames.SCRIPT, script)

    def taken(self):
        return {name: len(log) for name, log in self.log.items()}

    def take(self):
        self.stream.send(frames.TAKEN, self.taken())

    def die(self):
        self.stream.close()

    def knock(self):
        """The runner connects again and says who it is."""
        self.listen()
        self.accept()
        return self.stream.expect(frames.READY)

    def resume(self, execution=EXECUTION, taken=None):
        self.stream.send(frames.RESUME, {
            "execution": execution, "epoch": 7,
            "taken": self.taken() if taken is None else taken})

    def come_back(self, **how):
        ready = self.knock()
        assert ready["resumed"] is True
        assert ready["execution"] == EXECUTION
        assert ready["token"] == TOKEN
        self.resume(**how)

    def read(self):
        """One frame, recorded; its type."""
        kind, payload = self.stream.next()
        if kind in PARTS:
            self.log[PARTS[kind]] += payload
            self.order.append((kind, payload))
        elif kind == frames.STARTED:
            self.started += 1
        elif kind == frames.EXIT:
            self.end = json.loads(payload)
        else:
            raise AssertionError(f"{kind} came: {payload[:200]!r}")
        return kind

    def read_until(self, marker):
        while marker not in self.log["stdout"]:
            self.read()

    def read_exit(self, take=True):
        while self.read() != frames.EXIT:
            if take:
                self.take()
        return self.end

    def dismiss(self):
        self.stream.send(frames.DISMISS)
        return self.process.wait(10)

    def kill(self):
        self.die_listening()
        if self.stream:
            self.stream.close()
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(10)


@pytest.fixture
def make(tmp_path):
    made = []

    def start(**how):
        root = tmp_path / f"control-{next(unique)}"
        root.mkdir()
        made.append(Orchestrator(root, **how))
        return made[-1]

    yield start
    for orchestrator in made:
        orchestrator.kill()


@pytest.fixture(params=["path", "inherited", "pid1"])
def lost(request, make):
    return make(pid1=request.param == "pid1",
                inherited=request.param != "path")


COUNT = """
i=0
while (( i < {n} )); do
  echo "out $i"
  echo "err $i" >&2
  (( i += 1 ))
done
exit 5
"""
