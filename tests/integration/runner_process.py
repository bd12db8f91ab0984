"""A cronium-runner on a control stream, as PID 1 of its pod and as a child."""

import os
import subprocess

import pytest

import frames
from signing import SIGNER

BIN = os.environ.get("CRONIUM_BIN_DIR", "build/bin")
RUNNER = os.path.abspath(os.path.join(BIN, "cronium-runner"))
ROOT = os.getuid() == 0
UNSHARE = ["unshare", "--pid", "--fork", "--mount-proc",
           "--kill-child=SIGKILL"]

# Of jobs whose permissions are not what is tested.
ALL = dict.fromkeys(("net", "read", "write", "env", "run"), True)


class Runner:
    def __init__(self, pid1, work, key=SIGNER.key, wrapper=()):
        self.stream, theirs = frames.pair()
        command = [*wrapper, RUNNER, "--control", f"fd:{theirs.fileno()}"]
        command += ["--key", key] if key else []
        if pid1:
            command = UNSHARE + ([] if ROOT else ["-U", "-r"]) + command
        self.pid1 = pid1
        self.work = work
        self.process = subprocess.Popen(
            command, pass_fds=[theirs.fileno()], stderr=subprocess.PIPE)
        theirs.close()
        ready = self.stream.expect(frames.READY)
        assert ready["pid"] == 1 if pid1 else self.process.pid

    def assign(self, script, argv=None, uid=None, env=None, name="main",
               permissions=ALL, **more):
        script = script if isinstance(script, bytes) else script.encode()
        uid = uid if uid is not None else (1000 if ROOT else -1)
        if uid >= 0 and os.stat(self.work).st_uid != uid:
            os.chown(self.work, uid, uid)
        self.stream.send(frames.ASSIGN, {
            "execution": "ex_1", "job": "job_1",
            "argv": argv or ["bash", name], "script_name": name,
            "script_bytes": len(script), "env": env or {},
            "signature": SIGNER.sign(script),
            "work_dir": str(self.work), "uid": uid, "gid": uid,
            "grace_ms": 200, "permissions": permissions, **more})
        self.stream.send(frames.SCRIPT, script)

    def finish(self):
        """Reads to EXIT; (stdout, stderr, exit)."""
        out = {frames.STDOUT: bytearray(), frames.STDERR: bytearray()}
        while True:
            kind, payload = self.stream.next()
            if kind in out:
                out[kind] += payload
            elif kind == frames.EXIT:
                break
            else:
                assert kind == frames.STARTED
        self.close()
        return (bytes(out[frames.STDOUT]), bytes(out[frames.STDERR]),
                frames.json.loads(payload))

    def run(self, script, **how):
        self.assign(script, **how)
        return self.finish()

    def read_line(self):
        """Of stdout; what the runner has to say may come before it."""
        line = b""
        while not line.endswith(b"\n"):
            kind, payload = self.stream.next()
            assert kind in (frames.STARTED, frames.STDOUT, frames.NOTICE), (
                kind, payload)
            line += payload if kind == frames.STDOUT else b""
        return line.decode().strip()

    def close(self):
        self.stream.close()
        self.process.wait(10)

    def kill(self):
        self.stream.close()
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(10)
        self.process.stderr.close()


@pytest.fixture
def work(tmp_path):
    path = tmp_path / "work"
    path.mkdir()
    for parent in path.parents:
        if parent.owner() == path.owner() and not parent.stat().st_mode & 0o1:
            parent.chmod(0o755)
    return path


@pytest.fixture(params=["pid1", "child"])
def runner(request, work):
    r = Runner(request.param == "pid1", work)
    yield r
    r.kill()


@pytest.fixture
def pid1(work):
    r = Runner(True, work)
    yield r
    r.kill()


def runner_pid(runner):
    """Seen from outside: unshare's only child is PID 1 of the namespace."""
    if not runner.pid1:
        return runner.process.pid
    pid = runner.process.pid
    children = open(f"/proc/{pid}/task/{pid}/children").read()
    return int(children.split()[0])
