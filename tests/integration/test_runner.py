"""cronium-runner driven over its control stream, as PID 1 and as a child."""

import io
import os
import signal
import subprocess
import tarfile
import time

import pytest

import frames
from patience import stands
from proc import processes_with
from signing import SIGNER, Signer

BIN = os.environ.get("CRONIUM_BIN_DIR", "build/bin")
RUNNER = os.path.abspath(os.path.join(BIN, "cronium-runner"))
ROOT = os.getuid() == 0
UNSHARE = ["unshare", "--pid", "--fork", "--mount-proc",
           "--kill-child=SIGKILL"]

pytestmark = pytest.mark.timeout(60)


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
        line = b""
        while not line.endswith(b"\n"):
            kind, payload = self.stream.next()
            assert kind in (frames.STARTED, frames.STDOUT), (kind, payload)
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


def test_output_exit_code_and_usage(runner):
    out, err, end = runner.run("echo out; echo err >&2; exit 7")
    assert (out, err) == (b"out\n", b"err\n")
    assert end["exit_code"] == 7
    assert end["signal"] is None and end["error"] is None
    assert not end["oom_killed"]
    assert end["user_us"] + end["system_us"] > 0
    assert end["max_rss_kb"] > 0
    assert abs(end["started_us"] / 1e6 - time.time()) < 60
    assert runner.process.returncode == 0


def test_started_comes_before_output(runner):
    runner.assign("echo hi")
    assert runner.stream.expect(frames.STARTED)["pid"] > 0
    assert runner.stream.expect(frames.STDOUT) == b"hi\n"


def test_the_place_of_the_script(runner):
    uid = 1000 if ROOT else os.getuid()
    out, _, end = runner.run(
        "id -u; pwd; echo $HOME; cat; echo ${#A} $(ulimit -c); ls -l main",
        env={"A": "x" * 1000})
    lines = out.decode().splitlines()
    assert lines[1:4] == [str(runner.work), str(runner.work), "1000 0"]
    assert lines[4].startswith("-rw-------")
    if ROOT:
        assert lines[0] == str(uid)
    assert end["exit_code"] == 0


def test_the_script_has_only_its_three_descriptors(runner):
    out, _, _ = runner.run("ls /proc/self/fd | wc -l; readlink /proc/self/fd/0")
    # the fourth is the directory that ls itself reads
    assert out == b"4\n/dev/null\n"


def test_no_capability_and_no_new_privileges(runner):
    out, _, _ = runner.run("grep -E 'Cap(Eff|Prm|Amb)|NoNew' /proc/self/status")
    values = dict(line.split(":\t") for line in out.decode().splitlines())
    assert values["NoNewPrivs"] == "1"
    if ROOT:
        assert {values[k] for k in ("CapEff", "CapPrm", "CapAmb")} == {"0" * 16}


def test_no_way_to_the_hypervisor(runner):
    runner.assign("""
import ctypes, errno, socket
for family in socket.AF_VSOCK, socket.AF_INET:
    try:
        socket.socket(family).close()
        print("made")
    except OSError as e:
        print(e.strerror)
libc = ctypes.CDLL(None, use_errno=True)
# A socket could be made through a ring.
r = libc.syscall(425, 1, ctypes.create_string_buffer(256)) # io_uring_setup
print(r, errno.errorcode[ctypes.get_errno()])
""", argv=["/usr/bin/python3", "main"])
    assert runner.finish()[0] == b"Operation not permitted\nmade\n-1 ENOSYS\n"


def test_a_child_has_a_clean_environment(work, monkeypatch):
    monkeypatch.setenv("CRONIUM_MASTER_KEY", "secret")
    r = Runner(False, work)
    out, _, _ = r.run("env", uid=-1, env={"K": "V"}, permissions={**ALL, "env": False})
    r.kill()
    names = {line.split("=")[0] for line in out.decode().splitlines()}
    assert names <= {"PATH", "LANG", "HOME", "K", "PWD", "SHLVL", "_"}
    assert b"K=V" in out


def test_pid_1_keeps_the_environment_of_its_image(work, monkeypatch):
    monkeypatch.setenv("IMAGE_SAYS", "hello")
    monkeypatch.setenv("CLASH", "image")
    r = Runner(True, work)
    out, _, _ = r.run("env", env={"CLASH": "job", "PATH": "/usr/bin:/bin"})
    r.kill()
    lines = out.decode().splitlines()
    names = [line.split("=")[0] for line in lines]
    assert {"IMAGE_SAYS=hello", "CLASH=job", "PATH=/usr/bin:/bin",
            f"HOME={work}", f"PWD={work}"} <= set(lines)
    assert len(names) == len(set(names))


def test_the_script_cannot_touch_the_runner(pid1):
    out, _, _ = pid1.run(
        "kill -9 1 2>&1; ls /proc/1/fd 2>&1; cat /proc/1/environ 2>&1; "
        "echo done")
    assert out.lower().count(b"permission denied") == 2
    assert out.endswith(b"done\n")


@pytest.mark.parametrize("program, code, words", [
    ("no/such/bash", 127, "no/such/bash is not"),
    ("file/bash", 126, "file/bash: Permission denied"),
    ("directory/bash", 126, "Permission denied"),
])
def test_what_cannot_be_started_is_told(runner, tmp_path, program, code,
                                        words):
    (tmp_path / "directory" / "bash").mkdir(parents=True)
    (tmp_path / "file").mkdir()
    (tmp_path / "file" / "bash").write_text("")
    out, err, end = runner.run("", argv=[str(tmp_path / program), "main"])
    assert end["exit_code"] == code
    assert words in end["error"]
    assert end["started_us"] == 0
    assert (out, err) == (b"", b"")


EVIL = "echo evil"


@pytest.mark.parametrize("how", [
    {"argv": ["bash", "-c", EVIL, "main"]},
    {"argv": ["bash", "--rcfile", "main", "-c", EVIL]},
    {"argv": ["bash"]},
    {"argv": ["sh", "main"]},
    {"argv": ["find", "main", "-exec", "bash", "-c", EVIL, ";"]},
    {"argv": ["/usr/bin/env", "main"]},
    {"argv": ["python3", "-c", "print('evil')", "main"]},
    {"argv": ["python3", "-u", "/usr/lib/python3/evil.py", "main"]},
    {"argv": ["node", "-e", "console.log('evil')", "main"]},
    {"argv": ["node", "--import=data:,console.log('evil')", "main"]},
    {"argv": ["node", "--title", "main", "-e", "console.log('evil')"]},
    {"argv": ["bun", "x", "evil", "main"]},
    {"argv": ["bash", "-s"], "name": "-s"},
    {"env": {"LD_PRELOAD": "/tmp/evil.so"}},
    {"env": {"BASH_ENV": "/tmp/evil"}},
    {"env": {"BASH_FUNC_ls%%": "() { echo evil; }"}},
])
def test_nothing_runs_but_what_is_signed(runner, how):
    """Of ASSIGN, which whoever carries it may have changed."""
    out, err, end = runner.run("ls", **how)
    assert end["exit_code"] == 126 and end["started_us"] == 0
    assert "refused to run" in end["error"] and "signed" in end["error"]
    assert (out, err) == (b"", b"")


@pytest.mark.parametrize("name", ["a/b", "..", ".", "", "/etc/x", "n" * 256])
def test_a_script_name_is_one_component(runner, name):
    runner.stream.send(frames.ASSIGN, {
        "argv": ["true"], "script_name": name, "script_bytes": 0,
        "work_dir": str(runner.work), "uid": -1, "gid": -1})
    end = runner.stream.expect(frames.EXIT)
    assert "script_name" in end["error"]


@pytest.mark.parametrize("change, words", [
    ({"signature": ""}, "not signed"),
    ({"signature": None}, "not signed"),
    ({"signature": "nonsense"}, "signature is not one"),
    ({"signature": SIGNER.sign(b"echo other")}, "altered"),
    ({"signature": Signer().sign(b"echo ran")}, "another key"),
])
def test_what_is_not_signed_is_not_written(runner, change, words):
    out, err, end = runner.run("echo ran", **change)
    assert end["exit_code"] == 126 and words in end["error"], end
    assert (out, err, end["started_us"]) == (b"", b"", 0)
    assert list(runner.work.iterdir()) == []


def test_without_a_key_nothing_runs(work):
    r = Runner(False, work, key=None)
    end = r.run("echo ran", uid=-1)[2]
    r.kill()
    assert end["exit_code"] == 126 and "--key" in end["error"]
    assert list(work.iterdir()) == []


@pytest.mark.parametrize("kind", ["file", "base64"])
def test_the_key_is_a_file_or_stands_there(work, tmp_path, kind):
    file = tmp_path / "payload.pub"
    file.write_bytes(SIGNER.pem)
    r = Runner(False, work, key=str(file) if kind == "file" else SIGNER.key)
    out = r.run("echo ran", uid=-1)[0]
    r.kill()
    assert out == b"ran\n"


@pytest.mark.parametrize("key, words", [
    ("base64:nonsense", "base64"),
    ("/nonexistent", "/nonexistent: No such file"),
    ("/etc/hostname", "no public key"),
])
def test_a_key_that_is_none(key, words):
    r = subprocess.run([RUNNER, "--key", key], capture_output=True, text=True)
    assert r.returncode == 1 and words in r.stderr


@pytest.mark.parametrize("mode", [0o600, 0o644, 0o755, 0o400])
def test_the_mode_of_the_script(runner, mode):
    out, _, _ = runner.run("stat -c %a main", file_mode=mode)
    assert out == f"{mode:o}\n".encode()


@pytest.mark.parametrize("mode", [0o1777, -1, 0o077, 0o4755])
def test_a_mode_that_is_none(runner, mode):
    assert "file_mode" in runner.run("echo", file_mode=mode)[2]["error"]


def archive(files):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as tar:
        for name, (mode, text) in files.items():
            info = tarfile.TarInfo(name)
            info.size, info.mode = len(text), mode
            tar.addfile(info, io.BytesIO(text.encode()))
    return out.getvalue()


def test_a_payload(runner):
    data = archive({
        "manifest.yaml": (0o644, "version: v1\n"),
        "bin/main.sh": (0o644, "bin/tool; cat lib/data; stat -c '%a %u' "
                               "bin/main.sh bin/tool lib/data"),
        "bin/tool": (0o755, "#!/bin/sh\necho tool\n"),
        "lib/data": (0o644, "data\n")})
    uid = 1000 if ROOT else os.getuid()
    out, err, end = runner.run(
        data, argv=["bash", "bin/main.sh"], name="bin/main.sh", payload=True)
    assert end["exit_code"] == 0, (err, end)
    assert out.decode().splitlines() == [
        "tool", "data", f"600 {uid}", f"700 {uid}", f"600 {uid}"]


def test_a_payload_that_leaves_its_place(runner):
    data = archive({"../out": (0o644, "x"), "main": (0o644, "echo ran")})
    _, _, end = runner.run(data, payload=True)
    assert end["exit_code"] == 126 and ".." in end["error"]
    assert list(runner.work.iterdir()) == []
    assert not (runner.work.parent / "out").exists()


def test_a_file_that_is_there_is_not_replaced(runner):
    target = runner.work.parent / "target"
    target.write_text("mine")
    (runner.work / "main").symlink_to(target)
    _, _, end = runner.run("echo no")
    assert "File exists" in end["error"]
    assert target.read_text() == "mine"


@pytest.mark.parametrize("junk", [
    b"GET / HTTP/1.1\r\n\r\n",
    frames.encode(frames.SCRIPT, b"too early"),
    frames.encode(frames.SIGNAL, {"signal": 4711}),
    frames.encode(frames.SIGNAL, b"nonsense"),
])
def test_a_broken_stream_ends_the_runner(runner, junk):
    runner.stream.sock.sendall(junk)
    assert runner.process.wait(10) == 1


def test_bytes_arrive_as_they_are(runner):
    out, _, _ = runner.run(
        r"printf '\377\376 no newline \0 at the end ü'")
    assert out == b"\xff\xfe no newline \0 at the end \xc3\xbc"


def test_a_gigabyte_of_output_in_little_memory(runner):
    size = 1 << 30
    runner.assign(f"head -c {size} /dev/zero")
    got, end, began = 0, None, time.monotonic()
    while not end:
        kind, payload = runner.stream.next()
        if kind == frames.STDOUT:
            got += len(payload)
        elif kind == frames.EXIT:
            end = frames.json.loads(payload)
    took = time.monotonic() - began
    status = open(f"/proc/{runner_pid(runner)}/status").read()
    peak = int(status.split("VmHWM:")[1].split()[0])
    assert got == size
    assert peak < 24 * 1024, "kB of peak memory"
    print(f"{size / took / 1e6:.0f} MB/s, peak {peak} kB")


def runner_pid(runner):
    """Seen from outside: unshare's only child is PID 1 of the namespace."""
    if not runner.pid1:
        return runner.process.pid
    pid = runner.process.pid
    children = open(f"/proc/{pid}/task/{pid}/children").read()
    return int(children.split()[0])


def test_a_reader_that_waits_holds_the_script_back(runner):
    runner.assign("head -c 64000000 /dev/zero; echo over >&2")
    runner.stream.expect(frames.STARTED)
    pid = runner_pid(runner)
    # Until it has stopped reading.
    stands(lambda: open(f"/proc/{pid}/io").read(), 0.2)
    out, err, end = runner.finish()
    assert len(out) == 64000000 and err == b"over\n"
    assert end["exit_code"] == 0


def test_children_do_not_outlive_the_script(runner, tmp_path):
    marker = f"sleep 54{os.getpid()}{int(runner.pid1)}"
    out, _, end = runner.run(
        f"{marker} & (setsid setsid {marker} &) ; "
        f"(trap '' TERM HUP; {marker}) & sleep 0.2; echo bye")
    assert out == b"bye\n"
    assert end["exit_code"] == 0
    assert processes_with(marker) == []


def test_output_that_was_written_before_the_end_is_whole(runner):
    out, _, _ = runner.run("sleep 100 & for i in {1..20000}; do echo $i; done")
    assert out.split() == [b"%d" % i for i in range(1, 20001)]


def test_a_script_may_close_its_output(runner):
    out, _, end = runner.run("echo a; exec >&- 2>&-; sleep 0.3; exit 3")
    assert out == b"a\n"
    assert end["exit_code"] == 3


def test_sigterm_reaches_the_whole_tree(runner):
    runner.assign("trap 'wait; echo parent; exit 5' TERM; "
                  "(trap 'echo child; exit' TERM; echo up; "
                  "while :; do sleep 0.05; done) & wait")
    assert runner.read_line() == "up"
    runner.stream.send(frames.SIGNAL,
                       {"signal": signal.SIGTERM, "grace_ms": 5000})
    out, _, end = runner.finish()
    assert out == b"child\nparent\n"
    assert end["exit_code"] == 5 and end["signal"] is None


def test_who_is_stopped_gets_its_sigterm(runner):
    runner.assign("trap 'echo ended; exit 5' TERM; echo up; kill -STOP $$")
    assert runner.read_line() == "up"
    runner.stream.send(frames.SIGNAL,
                       {"signal": signal.SIGTERM, "grace_ms": 60000})
    out, _, end = runner.finish()
    assert out == b"ended\n"
    assert end["exit_code"] == 5 and end["signal"] is None


def test_who_ignores_sigterm_is_killed_after_the_grace(runner):
    runner.assign("trap '' TERM; echo up; while :; do sleep 1; done")
    assert runner.read_line() == "up"
    began = time.monotonic()
    runner.stream.send(frames.SIGNAL,
                       {"signal": signal.SIGTERM, "grace_ms": 300})
    _, _, end = runner.finish()
    assert (end["signal"], end["exit_code"]) == (signal.SIGKILL, 137)
    assert 0.25 < time.monotonic() - began < 10


def test_a_signal_before_the_script(runner):
    runner.stream.send(frames.SIGNAL,
                       {"signal": signal.SIGTERM, "grace_ms": 1000})
    end = runner.stream.expect(frames.EXIT)
    assert "before it started" in end["error"]


def test_a_script_that_ends_by_a_signal(runner):
    _, _, end = runner.run("kill -SEGV $$")
    assert (end["signal"], end["exit_code"]) == (signal.SIGSEGV, 139)


def test_a_fork_bomb_ends_in_time(runner):
    runner.assign("ulimit -u 200; echo up; f() { f | f & }; "
                  "for i in {1..50}; do f; done 2>/dev/null; sleep 100")
    assert runner.read_line() == "up"
    runner.stream.send(frames.SIGNAL,
                       {"signal": signal.SIGKILL, "grace_ms": 0})
    _, _, end = runner.finish()
    assert end["signal"] == signal.SIGKILL


def test_losing_the_control_stream_kills_everything(runner):
    marker = f"sleep 55{os.getpid()}{int(runner.pid1)}"
    runner.assign(f"trap '' TERM; (setsid {marker} &); echo up; {marker}")
    assert runner.read_line() == "up"
    runner.close()
    assert runner.process.returncode != 0
    assert processes_with(marker) == []


def test_orphans_are_reaped(pid1):
    out, _, _ = pid1.run("for i in {1..50}; do (setsid true &) ; done; "
                         "sleep 0.3; grep -l 'State:.Z' /proc/[0-9]*/status"
                         " 2>/dev/null | wc -l")
    assert out == b"0\n"


def test_being_told_to_stop_from_outside(runner):
    runner.assign("trap 'echo told; exit 9' TERM; echo up; "
                  "while :; do sleep 0.05; done", grace_ms=60000)
    assert runner.read_line() == "up"
    os.kill(runner_pid(runner), signal.SIGTERM)
    out, _, end = runner.finish()
    assert (out, end["exit_code"]) == (b"told\n", 9)


# --- permissions --------------------------------------------------------------

NO_LANDLOCK = """
import ctypes, os, struct, sys
nr = 444
code = b"".join(struct.pack("HBBI", *i) for i in (
    (0x20, 0, 0, 0), (0x15, 0, 1, nr), (0x06, 0, 0, 0x50000 | 38),
    (0x06, 0, 0, 0x7fff0000)))
buffer = ctypes.create_string_buffer(code)
program = struct.pack("HxxxxxxP", len(code) // 8, ctypes.addressof(buffer))
libc = ctypes.CDLL(None, use_errno=True)
assert libc.prctl(38, 1, 0, 0, 0) == 0 or os.getuid() == 0
assert libc.prctl(22, 2, program) == 0, os.strerror(ctypes.get_errno())
os.execv(sys.argv[1], sys.argv[1:])
"""


def notices(runner):
    """(log by type, exit), notices among it."""
    out = {frames.STDOUT: b"", frames.STDERR: b"", frames.NOTICE: b""}
    while True:
        kind, payload = runner.stream.next()
        if kind == frames.EXIT:
            runner.close()
            return out, frames.json.loads(payload)
        if kind in out:
            out[kind] += payload


def test_nothing_is_granted_that_is_not_said(runner):
    runner.assign("ls; echo > x; read -r _ < /var/lib/dpkg/status; echo end",
                  permissions={}, runtime="bash")
    out, end = notices(runner)
    assert out[frames.STDOUT] == b"end\n"
    assert out[frames.STDERR].count(b"Permission denied") == 3
    assert out[frames.NOTICE].count(b"may not run programs") == 1
    assert end["exit_code"] == 0


@pytest.mark.parametrize("bad", [
    {"read": "all"}, {"write": [1]}, {"run": ["ls"]}, {"env": [""]}, []])
def test_permissions_that_are_none(pid1, bad):
    pid1.stream.send(frames.ASSIGN, {
        "argv": ["true"], "script_name": "main", "script_bytes": 0,
        "work_dir": str(pid1.work), "uid": -1, "gid": -1, "permissions": bad})
    assert "permissions" in pid1.stream.expect(frames.EXIT)["error"]


@pytest.mark.parametrize("permissions, flags", [
    ({}, "--allow-read --allow-write"),
    ({"read": True, "run": True}, "--allow-write"),
    ({"write": ["/tmp"], "read": True}, "--allow-write"),
    ({"write": True, "run": True}, "--allow-read"),
])
def test_a_kernel_that_cannot_hold_permissions(work, permissions, flags):
    r = Runner(False, work, wrapper=["python3", "-c", NO_LANDLOCK])
    _, _, end = r.run("print(1)", argv=["/usr/bin/python3", "main"],
                      permissions=permissions, runtime="python", uid=-1)
    r.kill()
    assert end["exit_code"] == 126 and end["started_us"] == 0
    assert "no Landlock" in end["error"]
    assert end["error"].endswith(f"or grant {flags}")


def test_a_kernel_that_need_not_hold_any(work):
    r = Runner(False, work, wrapper=["python3", "-c", NO_LANDLOCK])
    out, _, _ = r.run("print(1)", argv=["/usr/bin/python3", "main"], uid=-1,
                      permissions={"read": True, "write": True})
    r.kill()
    assert out == b"1\n"


def test_where_the_interpreter_lies_elsewhere(runner, tmp_path):
    home = tmp_path / "env"
    subprocess.run(["/usr/bin/python3", "-m", "venv", "--without-pip", home],
                   check=True)
    runner.assign("import sys; print(sys.prefix)", permissions={},
                  argv=[str(home / "bin" / "python3"), "main"])
    out, end = notices(runner)
    assert out[frames.STDOUT].decode().strip() == str(home), (out, end)


@pytest.mark.parametrize("limit, kept", [(1000, 1000), (0, 5000)])
def test_stderr_has_a_limit(runner, limit, kept):
    runner.assign("head -c 5000 /dev/zero | tr '\\0' x >&2; echo out",
                  max_stderr_bytes=limit)
    out, _ = notices(runner)
    assert out[frames.STDOUT] == b"out\n"
    assert out[frames.STDERR].count(b"x") == kept
    said = out[frames.NOTICE].decode()
    assert said == ("" if not limit else
                    "stderr is over 1000 bytes: the rest is dropped\n"
                    "4000 bytes of stderr were dropped\n")


def test_more_stderr_than_a_pipe_holds_does_not_stop_the_script(runner):
    runner.assign("head -c 100000000 /dev/zero >&2; echo out",
                  max_stderr_bytes=1)
    out, _ = notices(runner)
    assert out[frames.STDOUT] == b"out\n"
    assert out[frames.STDERR] == b"\0\n"
    assert b"99999999 bytes of stderr were dropped" in out[frames.NOTICE]


def test_who_asks_for_programs_without_end_is_ended(runner):
    runner.assign("import os, sys\nprint('up', flush=True)\n"
                  "for _ in range(4): os.fork()\n"
                  "while True:\n try: os.execv('/bin/true', ['true'])\n"
                  " except OSError: pass\n", permissions={},
                  argv=["/usr/bin/python3", "main"])
    assert runner.read_line() == "up"
    runner.stream.send(frames.SIGNAL,
                       {"signal": signal.SIGTERM, "grace_ms": 5000})
    _, end = notices(runner)
    assert end["signal"] == signal.SIGTERM


def test_the_environment_that_was_listed(work, monkeypatch):
    monkeypatch.setenv("IMAGE_SAYS", "hello")
    monkeypatch.setenv("IMAGE_HIDES", "hello")
    monkeypatch.setenv("LD_PRELOAD", "")
    monkeypatch.setenv("CRONIUM_MASTER_KEY", "secret")
    for pid1 in True, False:
        for granted, wanted in ((["IMAGE_SAYS", "LD_PRELOAD"], {"IMAGE_SAYS"}),
                                (True, {"IMAGE_SAYS", "IMAGE_HIDES"}),
                                (False, set())):
            r = Runner(pid1, work)
            out, _, _ = r.run("env", permissions={**ALL, "env": granted})
            r.kill()
            (work / "main").unlink()
            names = {line.split("=")[0] for line in out.decode().splitlines()}
            assert names & {"IMAGE_SAYS", "IMAGE_HIDES", "LD_PRELOAD",
                            "CRONIUM_MASTER_KEY"} == wanted
