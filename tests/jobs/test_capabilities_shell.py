"""shell.exec: what it gives back, and that nothing of it stays."""

import base64
import contextlib
import os
import pathlib
import time

from capability_world import ALL, SANDBOX, tree
from capability_world import started, world  # noqa: F401
from patience import until


@ALL
def test_shell(world):
    result = world.run("shell.exec", {
        "command": "echo out; echo err >&2; cat; exit 7", "stdin": "in\n"})
    output = result["output"]
    assert result["state"] == "succeeded"
    assert output == {
        "exit_code": 7, "signal": None, "timed_out": False, "truncated": False,
        "stdout": "out\nin\n", "stderr": "err\n"}
    found = world.exec("shell.exec", {"command": "echo out; echo err >&2;"
                                                 "exit 7"})
    assert (found.out, found.code) == ("out\n", 7)
    assert "err\n" in found.err
    output = world.ok("shell.exec", {"argv": ["printf", "%s|", "a b", "$HOME"],
                                     "env": {"A": "1"}})
    assert output["stdout"] == "a b|$HOME|"
    output = world.ok("shell.exec", {"command": "echo $A; kill -9 $$",
                                     "env": {"A": "1"}})
    assert (output["stdout"], output["exit_code"], output["signal"]) == (
        "1\n", 137, 9)


@ALL
def test_shell_and_the_shares(world):
    here = world.fresh("shell")
    world.put(world.ro / "s.txt", b"to read\n")
    output = world.ok("shell.exec", {
        "cwd": str(here),
        "command": f"pwd; cat {world.ro}/s.txt; echo x > made;"
                   f"echo x > {world.ro}/no; echo x > {world.base}/no;"
                   "cat /etc/shadow; ls /root; true"})
    assert output["stdout"] == f"{here}\nto read\n"
    assert (here / "made").read_text() == "x\n"
    assert not (world.ro / "no").exists() and not (world.base / "no").exists()
    assert "--share" in world.reason("shell.exec", {"command": "true",
                                                    "cwd": "/etc"})
    (here / "out").symlink_to("/etc")
    error = world.refused("shell.exec", {"command": "ls",
                                         "cwd": f"{here}/out"})
    assert error["code"] == "not_permitted"


@ALL
def test_shell_writes_its_own_place(world):
    output = world.ok("shell.exec", {
        "command": "echo a > f && cat f && mktemp >/dev/null && echo ok"
        if not world.name.startswith("ssh") else "echo a > f && cat f"})
    assert output["stdout"].startswith("a\n") and output["exit_code"] == 0


@ALL
def test_shell_has_no_token(world):
    output = world.ok("shell.exec", {
        "command": "env; tr '\\0' '\\n' < /proc/$PPID/environ; true"})
    assert "CRONIUM_EXECUTION_TOKEN" not in output["stdout"]
    assert "PATH=" in output["stdout"]


@ALL
def test_shell_huge_and_binary_output(world):
    command = ("head -c 3000000 /dev/zero | tr '\\0' x; printf '\\377\\0' >&2;"
               "echo end")
    found = world.exec("shell.exec", {"command": command}, text=False)
    assert found.out == b"x" * 3000000 + b"end\n" and found.code == 0
    found = world.exec("shell.exec", {
        "command": command, "max_output_bytes": 1000}, "--json", text=False)
    output = found.json["output"]
    assert output["stdout"] == "x" * 1000 and output["truncated"] is True
    assert base64.b64decode(output["stderr_base64"]) == b"\xff\0"


@ALL
def test_shell_that_is_not_there(world):
    error = world.refused("shell.exec", {"argv": ["no-such-program-here"]})
    assert error["code"] == "no_program"


@ALL
def test_shell_dry_run(world):
    here = world.fresh("shell-dry")
    before = tree(here)
    output = world.ok("shell.exec", {"command": "touch a", "cwd": str(here)},
                      "--dry-run")
    assert output["argv"] == ["/bin/sh", "-c", "touch a"]
    assert output["cwd"] == str(here) and output["dry_run"] is True
    assert tree(here) == before


def sleepers(seconds):
    found = []
    for entry in pathlib.Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if entry.name.isdigit() and str(seconds).encode() in (
                    entry / "cmdline").read_bytes().split(b"\0"):
                found.append(int(entry.name))
    return found


STUBBORN = ("trap '' TERM INT HUP; (trap '' TERM; setsid sleep {0}) & "
            "(setsid sh -c \"trap '' TERM; sleep {0}; sleep {0}\") & "
            "echo begun; sleep {0}; sleep {0}")


@ALL
def test_the_jobs_timeout_kills(world):
    """Whatever ignores signals or has left its group and session."""
    seconds = 100000 + os.getpid()
    begun = time.monotonic()
    result = world.run("shell.exec", {"command": STUBBORN.format(seconds)},
                       "--timeout", "1s")
    assert (result["state"], result["output"]) == ("timed_out", None), result
    assert time.monotonic() - begun < 60
    until(lambda: not sleepers(seconds))


@ALL
def test_the_commands_timeout_kills(world):
    seconds = 200000 + os.getpid()
    found = world.exec("shell.exec", {
        "command": STUBBORN.format(seconds), "timeout_ms": 500})
    assert (found.out, found.code) == ("begun\n", 124), found.err
    assert "timeout_ms" in found.err
    until(lambda: not sleepers(seconds))


@SANDBOX
def test_what_is_left_running_ends_with_the_job(world):
    seconds = 300000 + os.getpid()
    output = world.ok("shell.exec", {
        "command": f"setsid sleep {seconds} & echo done"})
    assert (output["stdout"], output["exit_code"]) == ("done\n", 0)
    until(lambda: not sleepers(seconds))


@SANDBOX
def test_cancel(world):
    seconds = 400000 + os.getpid()
    job = world.exec("shell.exec", {"command": f"sleep {seconds}"},
                     "--detach").ok().out.strip()
    until(lambda: sleepers(seconds))
    world.server.cronium("cancel", job).ok()
    world.server.wait_state(job, "cancelled")
    until(lambda: not sleepers(seconds))
