"""The sandbox executor, seen from inside scripts and from the host.

Pods are made by the sandbox_pod program, which drives the executor without
backend and core: once as the user who runs the tests, and, where that is
root, again as an ordinary user.
"""

import glob
import json
import os
import shutil
import signal
import subprocess
import tempfile
import time

import pytest

from patience import until
from proc import processes_with
from signing import SIGNER

BIN = os.path.abspath(os.environ.get("CRONIUM_BIN_DIR", "build/bin"))
DRIVER = os.path.join(BIN, "..", "tests", "integration", "sandbox_pod")
ROOT = os.getuid() == 0
SOMEBODY = 54321  # an ordinary user, who needs no entry in /etc/passwd

pytestmark = pytest.mark.timeout(120)


class Result:
    def __init__(self, code, out, err, reports):
        self.code, self.out, self.err = code, out, err
        self.reports = reports

    @property
    def exit(self):
        return self.reports[0]["exit"]


class Sandboxes:
    def __init__(self, root, user):
        self.root, self.user = root, user
        self.run_dir = os.path.join(root, "run")
        self.instance = os.path.basename(root)  # many tests at once
        os.makedirs(self.run_dir)
        self.programs = {}
        for name in ("cronium-runner", "cronium-sidecar"):
            self.programs[name] = shutil.copy(os.path.join(BIN, name), root)
        self.driver = shutil.copy(DRIVER, root)
        if user:
            subprocess.check_call(["chown", "-R", f"{user}:{user}", root])
        os.chmod(root, 0o755)

    def start(self, script, *args, options=(), name="script.sh", before=()):
        path = os.path.join(self.root, name)
        with open(path, "w") as f:
            f.write(script)
        command = [*before, self.driver, "--run-dir", self.run_dir,
                   "--instance", self.instance,
                   "--runner", self.programs["cronium-runner"],
                   "--sidecar", self.programs["cronium-sidecar"],
                   "--key", SIGNER.key,
                   "--signature", SIGNER.sign(script.encode()),
                   *options, path, *args]
        if self.user:
            command = ["setpriv", f"--reuid={self.user}",
                       f"--regid={self.user}", "--clear-groups", *command]
        self.report = tempfile.TemporaryFile()
        fd = self.report.fileno()  # its reports go to descriptor 3
        return subprocess.Popen(
            ["bash", "-c", f'exec 3>&{fd}; exec "$@"', "-", *command],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, pass_fds=[fd])

    def run(self, *args, **kwargs):
        process = self.start(*args, **kwargs)
        out, err = process.communicate(timeout=100)
        self.report.seek(0)
        reports = [json.loads(line) for line in self.report]
        return Result(process.returncode, out.decode(), err.decode(), reports)

    def processes(self):
        """Who still runs programs of ours (the path of the run directory is
        in the command lines of bwrap; the rest are found by their cgroup)."""
        return processes_with(self.run_dir)

    def cgroups(self, pattern="pod_*"):
        ours = f"cronium/{self.instance}/{pattern}"
        return (glob.glob(f"/sys/fs/cgroup/{ours}") +
                glob.glob(f"/sys/fs/cgroup/*/{ours}"))


@pytest.fixture(params=["self"] + (["somebody"] if ROOT else []))
def sandboxes(request):
    root = tempfile.mkdtemp(prefix="cronium-sandbox-")
    yield Sandboxes(root, SOMEBODY if request.param == "somebody" else None)
    shutil.rmtree(root)


def python(sandboxes, script, **how):
    return sandboxes.run(script, name="script.py", **how)


def test_output_and_exit_code(sandboxes):
    r = sandboxes.run("echo out; echo err >&2; pwd; hostname; exit 3")
    assert r.out.splitlines() == ["out", "/work", "cronium"]
    assert "err" in r.err
    assert r.exit["exit_code"] == 3 and r.exit["error"] is None


def test_python_and_node_run(sandboxes):
    r = python(sandboxes, "import ssl, json, multiprocessing as m\n"
                          "with m.Pool(2) as p: print(p.map(abs, [-1, 2]))")
    assert r.out == "[1, 2]\n", r.err
    r = sandboxes.run("console.log(process.cwd())", name="script.mjs")
    assert r.out == "/work\n", r.err


def test_the_script_is_nobody_of_the_host(sandboxes):
    r = sandboxes.run("id -u; grep -E 'Cap|NoNew|Seccomp:' /proc/self/status")
    uid, *lines = r.out.splitlines()
    values = dict(line.split(":\t") for line in lines)
    assert uid == str(1000 if ROOT and not sandboxes.user else
                      sandboxes.user or os.getuid())
    for name in ("CapInh", "CapPrm", "CapEff", "CapAmb"):
        assert int(values[name], 16) == 0
    assert (values["NoNewPrivs"], values["Seccomp"]) == ("1", "2")


def test_only_loopback_and_only_the_sidecar_on_it(sandboxes):
    r = python(sandboxes, """
import socket, urllib.request
print([name for _, name in socket.if_nameindex()])
for host in "127.0.0.1", "localhost", "[::1]":
    print(urllib.request.urlopen(f"http://{host}:8081/healthz").status)
for where in ("10.0.0.1", 80), ("169.254.169.254", 80), ("8.8.8.8", 53):
    try:
        socket.create_connection(where, 2)
        print("connected", where)
    except OSError as e:
        print(e.strerror)
listening = [l.split()[1] for f in ("tcp", "tcp6")
             for l in open(f"/proc/net/{f}") if " 0A " in l]
print(len(listening))
""")
    assert r.out.splitlines() == ["['lo']"] + ["200"] * 3 + [
        "Network is unreachable"] * 3 + ["1"], r.err


def test_abstract_sockets_of_the_host_are_out_of_reach(sandboxes):
    import socket
    name = f"\0cronium-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(name)
        server.listen()
        r = python(sandboxes, "import socket\n"
                              "s = socket.socket(socket.AF_UNIX)\n"
                              f"print(s.connect_ex({name!r}))")
    assert r.out == "111\n"  # ECONNREFUSED


def test_files_of_the_host_are_not_there(sandboxes):
    r = sandboxes.run("ls -A /; ls -A /work /opt/cronium; ls -d /home /root "
                      "/var/run /run /var/lib /sys /mnt /tmp/* 2>&1; "
                      "cat /etc/shadow 2>&1; ls /opt/cronium/etc; "
                      f"ls {sandboxes.root} 2>&1")
    top = r.out.split("/work:")[0]
    assert set(top.split()) <= {
        "bin", "dev", "etc", "lib", "lib32", "lib64", "libx32", "opt",
        "node_modules", "proc", "sbin", "tmp", "usr", "var", "work",
        "/opt/cronium:", "cronium-runner", "sdk"}
    assert r.out.count("No such file or directory") == 10


def test_the_system_is_read_only(sandboxes):
    r = sandboxes.run(
        "for d in / /usr /usr/bin /etc /opt /opt/cronium /opt/cronium/etc "
        "/proc/sys/kernel /var /dev; do "
        "(: > $d/probe) 2>/dev/null && echo wrote $d; done; "
        "(: >> /opt/cronium/cronium-runner) 2>/dev/null && echo runner; "
        "for d in /work /tmp /dev/shm /var/tmp; do : > $d/probe || echo $d; "
        "done; echo done")
    assert r.out == "done\n"


def test_other_processes_are_not_there(sandboxes):
    r = sandboxes.run("echo /proc/[0-9]*; cat /proc/1/environ 2>&1; "
                      "ls -l /proc/1/fd 2>&1; cat /proc/1/mem 2>&1; "
                      "kill -KILL 1; kill -TERM 1; sleep 0.1; echo alive")
    lines = r.out.splitlines()
    assert lines[0] == "/proc/1 /proc/2"
    assert r.out.count("ermission denied") == 3
    assert lines[-1] == "alive"
    assert r.exit["exit_code"] == 0


SYSCALLS = """
import ctypes, errno, os, platform
libc = ctypes.CDLL(None, use_errno=True)
names = dict(x86_64=dict(mount=165, unshare=272, setns=308, ptrace=101,
    bpf=321, keyctl=250, perf_event_open=298, userfaultfd=323,
    io_uring_setup=425, process_vm_readv=310, kexec_load=246, clone3=435),
  aarch64=dict(mount=40, unshare=97, setns=268, ptrace=117, bpf=280,
    keyctl=219, perf_event_open=241, userfaultfd=282, io_uring_setup=425,
    process_vm_readv=270, kexec_load=104, clone3=435))
for name, number in names[platform.machine()].items():
    ctypes.set_errno(0)
    r = libc.syscall(number, *[ctypes.c_long(0)] * 6)
    print(name, errno.errorcode.get(ctypes.get_errno()))
CLONE_NEWUSER, SIGCHLD = 0x10000000, 17
number = 56 if platform.machine() == "x86_64" else 220
r = libc.syscall(number, CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0)
if r == 0:
    os._exit(0)
print("clone", errno.errorcode.get(ctypes.get_errno()))
"""


def test_what_the_kernel_refuses(sandboxes):
    r = python(sandboxes, SYSCALLS)
    answers = dict(line.split() for line in r.out.splitlines())
    # So that who would use them does without.
    assert answers.pop("clone3") == "ENOSYS"
    assert answers.pop("io_uring_setup") == "ENOSYS"
    assert set(answers.values()) == {"EPERM"}, answers


def test_a_daemon_does_not_outlive_its_script(sandboxes):
    r = sandboxes.run("(setsid setsid sleep 987654 &); trap '' TERM; echo hi")
    assert r.out == "hi\n"
    assert sandboxes.processes() == []
    assert sandboxes.cgroups() == []
    assert not processes_with("sleep 987654")


def test_a_script_that_does_not_end_is_killed(sandboxes):
    began = time.monotonic()
    r = sandboxes.run("trap '' TERM; sleep 1000",
                      options=["--timeout", "500ms"])
    assert time.monotonic() - began < 20
    assert "timeout" in r.err
    assert sandboxes.processes() == []
    assert sandboxes.cgroups() == []


EAT = """
blocks = []
while True:
    blocks.append(bytearray(8 << 20))
    print(len(blocks), flush=True)
"""


def test_memory_is_limited(sandboxes):
    r = python(sandboxes, EAT, options=["--memory", "100m"])
    eaten = int(r.out.split()[-1]) * 8
    assert eaten < 110
    if ROOT and not sandboxes.user:  # a cgroup, so the kernel killed it
        assert r.reports[0]["oom_killed"]
        assert r.exit["signal"] == signal.SIGKILL
    else:  # an rlimit, so it was refused
        assert "MemoryError" in r.err


def read(groups, *names):
    """The words of the first of these files that one of the cgroups has."""
    for name in names:
        for group in groups:
            if os.path.exists(os.path.join(group, name)):
                with open(os.path.join(group, name)) as f:
                    return f.read().split()
    return []


def test_the_sidecar_is_limited_beside_its_pod(sandboxes):
    def runs_sidecar(group):
        return [os.readlink(f"/proc/{pid}/exe")
                for pid in read([group], "cgroup.procs")] == [
                    sandboxes.programs["cronium-sidecar"]]

    process = sandboxes.start("echo up; sleep 1000", options=["--count", "2"])
    if ROOT and not sandboxes.user:  # others have no cgroups
        until(lambda: read(sandboxes.cgroups("pod_1.sidecar"),
                           "cgroup.procs"))
        sidecars = sandboxes.cgroups("pod_1.sidecar")
        until(lambda: all(runs_sidecar(group) for group in sidecars))
        assert read(sidecars, "memory.max", "memory.limit_in_bytes") == [
            str(256 << 20)]
        assert read(sidecars, "pids.max") == ["16"]
        assert read(sidecars, "cpu.max", "cpu.cfs_quota_us")[0] == "100000"
    process.kill()
    process.communicate()
    assert sandboxes.run("echo again").out == "again\n"  # and reaps
    assert sandboxes.cgroups() == []


def test_files_count_as_memory(sandboxes):
    r = sandboxes.run("head -c 2000m /dev/zero > /work/big; "
                      "stat -c %s /work/big", options=["--memory", "64m"])
    big = r.out.split()
    assert not big or int(big[0]) <= 64 << 20


def test_a_fork_bomb_is_limited_and_ends(sandboxes):
    began = time.monotonic()
    r = python(sandboxes, """
import os, time
n = 0
try:
    while n < 5000:
        if os.fork() == 0:
            time.sleep(1000)
        n += 1
except OSError as e:
    print(n, e.strerror)
""", options=["--pids", "50"])
    n, reason = r.out.split(" ", 1)
    assert int(n) < 60, r.out
    assert "unavailable" in reason
    assert time.monotonic() - began < 20
    assert sandboxes.cgroups() == []


def test_two_hundred_at_once(sandboxes):
    r = sandboxes.run("echo hi", options=["--count", "200",
                                          "--timeout", "100s"])
    assert r.out.count("hi\n") == 200, r.err[-2000:]
    assert [x["exit"]["exit_code"] for x in r.reports] == [0] * 200
    assert sandboxes.processes() == []
    assert sandboxes.cgroups() == []


def sleepers():
    return subprocess.run(["pgrep", "-fx", "sleep 456789"],
                          capture_output=True).stdout.split()


def test_kill_minus_nine_leaves_nothing(sandboxes):
    process = sandboxes.start("trap '' TERM HUP; (setsid sleep 456789 &); "
                              "echo up; sleep 456789",
                              options=["--count", "5"])
    # stdout of the driver is buffered: look at the host.
    until(lambda: len(sleepers()) == 10)
    driver = [pid for pid in sandboxes.processes()
              if os.readlink(f"/proc/{pid}/exe") == sandboxes.driver]
    os.kill(driver[0], signal.SIGKILL)
    process.wait(10)
    until(lambda: sandboxes.processes() == [])
    until(lambda: not sleepers())
    process.stdout.close()
    process.stderr.close()
    # the next process of this instance removes what only it can remove
    assert sandboxes.run("echo again").out == "again\n"
    assert sandboxes.cgroups() == []


def test_who_asks_for_the_network_is_told(sandboxes):
    r = sandboxes.run("echo hi", options=["--egress"])
    assert r.code == 1
    assert "no way to the network: run the job with the docker" in r.err


def test_without_bubblewrap_the_reason_is_told(sandboxes, tmp_path):
    path = str(tmp_path)
    r = sandboxes.run("echo hi", before=["/usr/bin/env", f"PATH={path}"])
    assert r.code == 2
    assert "install the package bubblewrap" in r.err
