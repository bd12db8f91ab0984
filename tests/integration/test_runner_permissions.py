"""The runner keeps a script to what it is permitted."""

import signal
import subprocess

import pytest

import frames
from runner_process import ALL, Runner
from runner_process import pid1, runner, work  # noqa: F401

pytestmark = pytest.mark.timeout(60)

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
                       {"signal": signal.SIGTERM, "grace_ms": 60000})
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
