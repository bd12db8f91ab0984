"""A running Cronium for tests: `cronium up` on directories of its own, and
the command line against it."""

import json
import os
import pathlib
import signal
import socket
import subprocess
import sys

# What is of use to all tests is there.
sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "integration"))

from patience import until  # noqa: E402

ROOT = pathlib.Path(__file__).resolve().parents[2]
BIN = pathlib.Path(os.environ.get("CRONIUM_BIN_DIR", ROOT / "build" / "bin"))
# Bun, as ./dev setup installs it; what is not there fails the jobs with it.
PATH = subprocess.run(
    ["bash", "-euc",
     '. "$0/tools/lib.sh"; . "$0/tools/npm.sh"; echo "$(npm_dir)/bin:$PATH"',
     ROOT], check=True, capture_output=True, text=True).stdout.strip()
READY_TIMEOUT_S = 60
RUN_TIMEOUT_S = 180
# For what is not about permissions: held by nothing but the pod.
FREE = ("--allow-read", "--allow-write", "--allow-env", "--allow-run")
ENDS = ("succeeded", "failed", "timed_out", "cancelled", "lost")


class Result:
    """What one `cronium` command did."""

    def __init__(self, process):
        self.code = process.returncode
        self.out = process.stdout
        self.err = process.stderr

    @property
    def json(self):
        return json.loads(self.out)

    def ok(self):
        assert self.code == 0, f"exit {self.code}\n{self.out}\n{self.err}"
        return self


class Server:
    """`cronium up` without a TCP port, in `base`."""

    wrapper = ()  # a command that execs its arguments

    def __init__(self, base, *options):
        self.base = pathlib.Path(base)
        self.run_dir = self.base / "run"
        self.data_dir = self.base / "data"
        self.options = options
        self.process = None
        self.log = self.base / "server.log"
        self.start()

    def start(self):
        self.base.mkdir(parents=True, exist_ok=True)
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                [
                    *self.wrapper,
                    BIN / "cronium",
                    "up",
                    "--listen",
                    "none",
                    "--data-dir",
                    self.data_dir,
                    "--run-dir",
                    self.run_dir,
                    *map(str, self.options),
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**os.environ, "PATH": PATH, "CRONIUM_GUARD": "off"},
            )
        self.wait_ready()

    def wait_ready(self):
        until(self._ready, self.log.read_text, READY_TIMEOUT_S)

    def _ready(self):
        assert self.process.poll() is None, self.log.read_text()
        try:
            return self.get("/readyz")[0] == 200 and self.agents()
        except (OSError, IndexError):
            return False

    def agents(self):
        status, body = self.get("/v1/agents")
        return status == 200 and [a for a in json.loads(body)["agents"]
                                  if a["connected"]]

    def get(self, path):
        """(status, body) over the administrator's socket."""
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(10)
            directory = os.open(self.run_dir, os.O_PATH)
            try:
                s.connect(f"/proc/self/fd/{directory}/api.sock")
            finally:
                os.close(directory)
            s.sendall(
                f"GET {path} HTTP/1.1\r\nHost: c\r\nConnection: close"
                "\r\n\r\n".encode()
            )
            reply = b""
            while part := s.recv(65536):
                reply += part
        head, _, body = reply.partition(b"\r\n\r\n")
        return int(head.split(b" ", 2)[1]), body.decode()

    @property
    def env(self):
        return {
            **os.environ,
            "CRONIUM_URL": f"unix:{self.run_dir}/api.sock",
            "NO_COLOR": "1",
        }

    def popen(self, *args, **more):
        return subprocess.Popen(
            [BIN / "cronium", *map(str, args)],
            env=self.env,
            **{"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE,
               "stderr": subprocess.PIPE, **more},
        )

    def cronium(self, *args, stdin=None, text=True):
        return Result(
            subprocess.run(
                [BIN / "cronium", *map(str, args)],
                env=self.env,
                input=stdin if stdin is not None else ("" if text else b""),
                capture_output=True,
                text=text,
                timeout=RUN_TIMEOUT_S,
            )
        )

    def job(self, job):
        return self.cronium("job", job, "--json").ok().json

    def wait_state(self, job, *states, seconds=RUN_TIMEOUT_S):
        def there():
            found = self.job(job)
            if found["state"] in states:
                return found
            assert found["state"] not in ENDS, found

        return until(there, lambda: self.job(job), seconds, pause=0.05)

    def children(self):
        """Process ids by program name, of the supervisor's children."""
        return {
            name: pid
            for pid, name in processes(parent=self.process.pid)
        }

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=60)


def processes(parent=None):
    """(pid, program) of every process, or of a parent's children."""
    for entry in pathlib.Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            stat = (entry / "stat").read_text()
            program = os.path.basename(
                (entry / "cmdline").read_bytes().split(b"\0")[0].decode()
            )
        except OSError:
            continue
        ppid = int(stat.rsplit(")", 1)[1].split()[1])
        if parent is None or ppid == parent:
            yield int(entry.name), program


def descendants(pid):
    for child in processes(parent=pid):
        yield child
        yield from descendants(child[0])


def docker(*args):
    return subprocess.run(
        ["docker", *args], capture_output=True, text=True, timeout=120
    ).stdout


def docker_answers():
    return (
        subprocess.run(
            ["docker", "version"], capture_output=True, timeout=60
        ).returncode
        == 0
    )
