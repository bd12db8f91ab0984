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
from runner_process import ALL, ROOT, RUNNER, Runner, runner_pid
from runner_process import pid1, runner, work  # noqa: F401
from signing import SIGNER, Signer

pytestmark = pytest.mark.timeout(60)


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
