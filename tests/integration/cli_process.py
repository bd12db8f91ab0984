"""The real `cronium`, in a home of its own."""

import fcntl
import json
import os
import pathlib
import re
import select
import shutil
import subprocess
import tempfile
import threading

from patience import until

BIN = pathlib.Path(os.environ.get("CRONIUM_BIN_DIR", "build/bin")).resolve()
CRONIUM = str(BIN / "cronium")
TIMEOUT = 60
INHERITED = ("PATH", "ASAN_OPTIONS", "UBSAN_OPTIONS", "LANG")


class Result:
    def __init__(self, code, out, err):
        self.code, self.out, self.err = code, out, err

    @property
    def json(self):
        return json.loads(self.out)

    def __repr__(self):
        return f"exit {self.code}\nstdout: {self.out}\nstderr: {self.err}"


class Home:
    """Directories, environment and scripts of one user."""

    def __init__(self):
        # Short, so that sockets fit in it.
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="cli-", dir="/tmp"))
        self.data, self.run_dir = self.dir / "d", self.dir / "d" / "run"
        self.env = {k: os.environ[k] for k in INHERITED if k in os.environ}
        self.env.update(HOME=str(self.dir), CRONIUM_DATA_DIR=str(self.data),
                        TERM="xterm", CRONIUM_GUARD="off")

    def remove(self):
        shutil.rmtree(self.dir, ignore_errors=True)

    def script(self, text, name="script.py"):
        path = self.dir / name
        path.write_text(text)
        return str(path)

    def start(self, *args, env=None, **options):
        options = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE,
                   "stderr": subprocess.PIPE, **options}
        return subprocess.Popen([CRONIUM, *map(str, args)],
                                env={**self.env, **(env or {})},
                                cwd=self.dir, **options)

    def finish(self, process, text=True, stdin=None, timeout=TIMEOUT):
        try:
            out, err = process.communicate(stdin, timeout=timeout)
        except subprocess.TimeoutExpired:
            process.kill()
            out, err = process.communicate()
            raise AssertionError(f"timed out\n{out}\n{err}\n{self.log}")
        if text:
            out, err = out.decode(), err.decode()
        return Result(process.returncode, out, err)

    def __call__(self, *args, stdin=None, text=True, env=None):
        pipe = subprocess.DEVNULL if stdin is None else subprocess.PIPE
        process = self.start(*args, env=env, stdin=pipe)
        return self.finish(process, text, stdin)

    def run(self, script, *args, **options):
        return self("run", "--executor", "sandbox", script, *args, **options)

    @property
    def log(self):
        path = self.data / "log" / "embedded.log"
        return path.read_text() if path.exists() else ""

    def wait_server_gone(self):
        """Until nobody holds RUN/up.lock."""
        with open(self.run_dir / "up.lock", "r+") as f:
            until(lambda: locks(f), seconds=TIMEOUT)
        for pid, line in self.processes():
            if "--embedded" in line:
                assert wait_gone(pid), line

    def processes(self):
        """What still runs with our directory on its command line."""
        found = []
        for pid in os.listdir("/proc"):
            try:
                line = pathlib.Path(f"/proc/{pid}/cmdline").read_bytes()
            except OSError:
                continue
            if os.fsencode(self.dir) in line:
                found.append((int(pid), line.replace(b"\0", b" ").decode()))
        return found


def wait_gone(pid):
    """Waits for the end of a process that is not our child."""
    try:
        fd = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([fd], [], [], TIMEOUT)[0])
    finally:
        os.close(fd)


def wait_log(process, text):
    """Reads stderr until the text was in it."""
    seen = b""
    while text.encode() not in seen:
        piece = os.read(process.stderr.fileno(), 4096)
        assert piece, seen
        seen += piece
    return seen


def locks(f):
    """Without a signal: a test may run in any thread of its worker."""
    try:
        fcntl.lockf(f, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return True
    except BlockingIOError:
        return False


class Up:
    """`cronium up` on a port of its own."""

    def __init__(self, home, *args):
        self.home = home
        self.lines = []
        self.changed = threading.Condition()
        self.process = home.start("up", "--listen", "127.0.0.1:0", *args,
                                  stderr=subprocess.PIPE)
        threading.Thread(target=self.read, daemon=True).start()

    def read(self):
        for line in self.process.stderr:
            with self.changed:
                self.lines.append(line.decode())
                self.changed.notify_all()
        with self.changed:
            self.lines.append("(end of the log)")
            self.changed.notify_all()

    def wait_line(self, pattern, after=0):
        """The match of the first line from `after` on, and its number."""
        def find():
            for i in range(after, len(self.lines)):
                match = re.search(pattern, self.lines[i])
                if match:
                    return match, i
            return None

        with self.changed:
            if not self.changed.wait_for(find, TIMEOUT):
                raise AssertionError(f"no {pattern}:\n{''.join(self.lines)}")
            return find()

    def wait_ready(self):
        match, _ = self.wait_line(r'prog=backend .* port=(\d+)')
        self.port = int(match[1])
        self.wait_line(r'prog=up .*msg="ready')
        self.wait_line(r'prog=backend .*agent connected')
        return self

    def pid(self, name, nth=0):
        at = 0
        for _ in range(nth + 1):
            match, at = self.wait_line(
                rf'prog=up who={name} msg="started, pid (\d+)"', at)
            at += 1
        return int(match[1])

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    @property
    def api_key(self):
        return (self.home.data / "api-key").read_text().strip()

    def stop(self):
        self.process.terminate()
        return self.process.wait(TIMEOUT)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(TIMEOUT)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
