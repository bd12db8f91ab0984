"""Processes, processors, ports and memory: what every group needs."""

import dataclasses
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import time

from report import Samples

ROOT = pathlib.Path(__file__).resolve().parent.parent
BIN = pathlib.Path(os.environ.get("CRONIUM_BIN_DIR",
                                  ROOT / "build-release" / "bin")).resolve()
PROGRAMS = BIN.parent / "bench"
TIMEOUT_S = 60
STOP_TIMEOUT_S = 10
TICKS = os.sysconf("SC_CLK_TCK")

CORES = sorted(os.sched_getaffinity(0))
SERVER_CORE, LOAD_CORE = CORES[-1], CORES[0]


class Skip(Exception):
    """Why a group cannot run here, or all of it but these rows."""

    def __init__(self, why, rows=()):
        super().__init__(why)
        self.rows = rows


@dataclasses.dataclass
class Settings:
    rounds: int
    seconds: float  # of load
    repeats: int    # of what takes milliseconds
    jobs: int       # of a batch
    stream_mb: int  # of a stream that is long
    directory: pathlib.Path


def need(*programs):
    for program in programs:
        if not shutil.which(program):
            raise Skip(f"{program} is not installed")


def interleave(rounds, measured):
    """{name: function} is called round by round, so that each sees the same
    machine; {name: Samples}."""
    values = {name: [] for name in measured}
    for _ in range(rounds):
        for name, measure in measured.items():
            values[name].append(measure())
    return {name: Samples(name, v) for name, v in values.items()}


def pin(core):
    return ["taskset", "-c", str(core)]


class Program:
    """A process of ours that runs beside the measuring; ends with it."""

    def __init__(self, argv, **options):
        options.setdefault("stdin", subprocess.DEVNULL)
        options.setdefault("stdout", subprocess.DEVNULL)
        options.setdefault("stderr", subprocess.DEVNULL)
        self.process = subprocess.Popen([str(a) for a in argv], **options)
        self.pid = self.process.pid

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.stop()

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def children(self):
        with open(f"/proc/{self.pid}/task/{self.pid}/children") as f:
            return [int(pid) for pid in f.read().split()]

    def cpu_s(self):
        """User and system time of it and of its children."""
        return sum(cpu_s(pid) for pid in [self.pid, *self.children()])


def cpu_s(pid):
    with open(f"/proc/{pid}/stat") as f:
        fields = f.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def _mb(pid, name, key):
    with open(f"/proc/{pid}/{name}") as f:
        for line in f:
            if line.startswith(key):
                return int(line.split()[1]) / 1024
    raise RuntimeError(f"no {key} of process {pid}")


def pss_mb(pid):
    return _mb(pid, "smaps_rollup", "Pss:")


def peak_rss_mb(pid):
    return _mb(pid, "status", "VmHWM:")


def free_port():
    """One that was free a moment ago."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def wait_until(condition, what):
    deadline = time.monotonic() + TIMEOUT_S
    while not condition():
        if time.monotonic() > deadline:
            raise RuntimeError(f"{what} took more than {TIMEOUT_S} s")
        time.sleep(0.01)


def answers(port):
    with socket.socket() as s:
        return s.connect_ex(("127.0.0.1", port)) == 0


def bench_exec(*args, env=None):
    """Milliseconds; see bench_exec.c."""
    done = subprocess.run(
        [PROGRAMS / "bench_exec", *map(str, args)], env=env,
        stdin=subprocess.DEVNULL, capture_output=True, text=True,
        timeout=2 * TIMEOUT_S)
    if done.returncode:
        raise RuntimeError(f"{' '.join(map(str, args))}: {done.stderr}")
    return int(done.stdout) / 1000
