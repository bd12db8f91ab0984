"""`cronium` without a server: it runs one of its own."""

import json
import os
import pty
import select
import shutil
import signal
import subprocess
import time

import pytest

from cli_process import BIN, Home, TIMEOUT, wait_gone, wait_log
from patience import until
from proc import processes_with

NOBODY = 65534
SLEEP = """
import time, sys
print("started", flush=True)
time.sleep(600)
"""


@pytest.fixture
def home():
    home = Home()
    yield home
    if (home.run_dir / "up.lock").exists():
        home.wait_server_gone()
    left = home.processes()
    home.remove()
    assert not left


# --- results -----------------------------------------------------------------

def test_output_alone_on_stdout(home):
    r = home.run(home.script("""
import cronium, sys
print("to stdout")
print("to stderr", file=sys.stderr)
cronium.output({"hello": cronium.input()["name"]})
"""), "--input", '{"name":"Ada"}')
    assert r.code == 0, r
    assert json.loads(r.out) == {"hello": "Ada"}
    assert r.out.endswith("\n") and r.out.count("\n") == 1
    assert sorted(r.err.splitlines()) == ["to stderr", "to stdout"]


def test_no_output(home):
    r = home.run(home.script("pass"))
    assert (r.code, r.out, r.err) == (0, "", "")


def test_as_an_ordinary_user(home):
    """All of it, sandbox included, without one right that root has."""
    uid, become = os.getuid(), []
    script = home.script("import os; print(os.getuid())")
    programs = home.dir / "bin"
    shutil.copytree(BIN, programs)
    if uid == 0:
        uid = NOBODY
        become = ["setpriv", f"--reuid={uid}", f"--regid={uid}",
                  "--clear-groups"]
        subprocess.check_call(["chown", "-R", f"{uid}:{uid}", home.dir])
    r = home.finish(subprocess.Popen(
        [*become, programs / "cronium", "run", "--executor", "sandbox",
         script], env=home.env, cwd=home.dir, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE))
    assert (r.code, r.err) == (0, f"{uid}\n"), r


def test_log_byte_for_byte(home):
    data = bytes(range(256)) * 1000 + b"\xff no newline at the end"
    path = home.script("""
import sys
sys.stdout.buffer.write(bytes(range(256)) * 1000 + b"\\xff no newline at the end")
""")
    r = home.run(path, text=False)
    assert r.code == 0
    assert r.err == data


@pytest.mark.parametrize("text, code, says", [
    ("import sys; sys.exit(7)", 7, ""),
    ("raise SystemExit(255)", 255, ""),
    ("import os; os.kill(os.getpid(), 11)", 139, "signal 11"),
])
def test_exit_code_is_the_scripts(home, text, code, says):
    r = home.run(home.script(text))
    assert r.code == code, r
    assert says in r.err


def test_timeout_is_124(home):
    r = home.run(home.script(SLEEP), "--timeout", "500ms")
    assert r.code == 124, r
    assert "--timeout" in r.err


def test_out_of_memory_is_said(home):
    r = home.run(home.script("x = bytearray(10**9); print(len(x))"),
                 "--memory", "64m")
    assert r.code not in (0, 2), r
    assert "more memory" in r.err or "MemoryError" in r.err


def test_json(home):
    r = home.run(home.script("""
import cronium
print("log")
cronium.output([1, 2.50, "ü"])
"""), "--json")
    assert r.code == 0, r
    result = r.json
    assert result["job"].startswith("job_")
    assert result["state"] == "succeeded"
    assert result["exit_code"] == 0
    assert result["executor"] == "sandbox"
    assert result["output"] == [1, 2.5, "ü"]
    assert result["duration_ms"] >= 0
    assert result["log_dropped_bytes"] == 0
    assert r.err == "log\n"


def test_json_of_a_failure(home):
    r = home.run(home.script("import sys; sys.exit(3)"), "--json")
    assert r.code == 3
    assert r.json["state"] == "failed"
    assert r.json["exit_code"] == 3
    assert r.json["output"] is None


# --- what goes in ------------------------------------------------------------

ECHO = "import cronium; cronium.output(cronium.input())"


def test_input_from_file_and_stdin(home):
    path = home.script(ECHO)
    (home.dir / "in.json").write_text('{"from": "file"}\n')
    assert home.run(path, "-i", "@in.json").json == {"from": "file"}
    assert home.run(path, "-i", "-", stdin=b'["stdin"]').json == ["stdin"]
    assert home.run(path).json is None


def test_arguments_and_environment(home):
    path = home.script('echo "$#:$1:$2:$A:$B" >&2', "s.sh")
    r = home.run(path, "--env", "A=x=y", "-e", "B", "--", "--json", "b c",
                 env={"B": "passed"})
    assert r.code == 0, r
    assert r.err == "2:--json:b c:x=y:passed\n"


@pytest.mark.parametrize("name, text, runtime", [
    ("a.py", "print('ran')", []),
    ("a.mjs", "console.log('ran')", []),
    ("a.sh", "echo ran", []),
    ("plain", "#!/usr/bin/env python3\nprint('ran')", []),
    ("plain", "#!/bin/bash -e\necho ran", []),
    ("plain", "echo ran", ["--runtime", "bash"]),
])
def test_runtime(home, name, text, runtime):
    r = home.run(home.script(text, name), *runtime)
    assert (r.code, r.err) == (0, "ran\n")


def test_script_from_stdin(home):
    r = home.run("-", "-r", "bash", stdin=b"echo from stdin")
    assert (r.code, r.err) == (0, "from stdin\n")


def usage(home, says, *args, **options):
    r = home(*args, **options)
    assert r.code == 2, r
    assert says in r.err
    assert not home.log, "a server was started for it"


def test_usage_errors(home):
    path = home.script("pass")
    usage(home, "no command 'nope'", "nope")
    usage(home, "usage: cronium run", "run")
    usage(home, "unknown option '--nope'", "run", path, "--nope")
    usage(home, "cannot read the script missing.py", "run", "missing.py")
    usage(home, f"`cronium pack {home.dir}`", "run", home.dir)
    usage(home, "is empty", "run", home.script("", "empty.py"))
    usage(home, "not JSON at byte", "run", path, "-i", "{a:1}")
    usage(home, "cut off", "run", path, "-i", '{"a":1')
    usage(home, "cannot read the input", "run", path, "-i", "@missing")
    usage(home, "nothing in it", "run", path, "-i", "-")
    usage(home, "--runtime", "run", home.script("x", "noext"))
    usage(home, "--runtime ruby", "run", path, "-r", "ruby")
    usage(home, "--executor lxc", "run", path, "-x", "lxc")
    usage(home, "KEY=VALUE", "run", path, "-e", "UNSET_VARIABLE")
    usage(home, "--timeout: 'soon'", "run", path, "-t", "soon")
    usage(home, "--memory", "run", path, "-m", "much")
    usage(home, "64 bytes is too little; did you mean 64m?", "run", path,
          "-m", "64")
    usage(home, "the least is 16m", "run", path, "-m", "15m")
    usage(home, "the least is 16m", "run", path, "-m", "0")
    usage(home, "--cpus", "run", path, "--cpus", "0")
    usage(home, "cannot both be stdin", "run", "-", "-i", "-")
    usage(home, "usage: cronium vars", "vars", "set", "A")


def test_too_large_is_said_before_it_is_sent(home):
    path = home.script("#" * (10 * 1024 * 1024 + 1))
    usage(home, "larger than the 10 MiB", "run", path)


def test_help(home):
    r = home()
    assert r.code == 2 and "usage: cronium COMMAND" in r.out
    assert home("--help").code == 0
    assert home("version").out.startswith("cronium ")
    r = home("run", "--help")
    assert r.code == 0 and "--executor" in r.out


# --- the embedded server -----------------------------------------------------

def test_server_goes_with_the_command(home):
    assert home.run(home.script("pass")).code == 0
    home.wait_server_gone()
    assert home.processes() == []
    # And what it stored is there for the next one.
    jobs = home("jobs", "--json").json["jobs"]
    assert [j["state"] for j in jobs] == ["succeeded"]


def test_many_commands_share_one(home):
    path = home.script("import time; time.sleep(0.3)")
    running = [home.start("run", "-x", "sandbox", path) for _ in range(8)]
    for process in running:
        r = home.finish(process)
        assert r.code == 0, r
    home.wait_server_gone()
    assert home.log.count('who=cronium-backend msg="started') == 1


def test_one_after_the_other_without_a_pause(home):
    """Each finds the one before on its way out."""
    path = home.script("pass")
    for _ in range(10):
        r = home.run(path)
        assert r.code == 0, f"{r}\n{home.log}"


def test_killed_command_leaves_nothing(home):
    process = home.start("run", "-x", "sandbox", home.script(SLEEP))
    wait_log(process, "started")
    process.kill()
    process.communicate()
    home.wait_server_gone()
    assert home.processes() == []
    job = home("jobs", "--json").json["jobs"][0]
    assert job["state"] == "cancelled"
    assert "was ended" in job["reason"]


def test_killed_while_the_server_starts(home):
    path = home.script("pass")
    for pause in (0, 0.01, 0.03):
        process = home.start("run", "-x", "sandbox", path)
        time.sleep(pause)  # any moment will do
        process.kill()
        process.communicate()
    r = home.run(path)
    assert r.code == 0, r


def test_submitted_job_goes_on(home):
    path = home.script("""
import time, cronium
time.sleep(0.5)
cronium.output("done")
""")
    job = home("submit", "-x", "sandbox", path).out.strip()
    home.wait_server_gone()
    r = home("job", job, "--json").json
    assert r["state"] == "succeeded"
    r = home("job", job, "--output")
    assert (r.code, r.out) == (0, '"done"\n'), r


def test_job_without_output(home):
    home.run(home.script("pass"))
    job = home("jobs", "--json").json["jobs"][0]["id"]
    r = home("job", job, "--output")
    assert (r.code, r.out) == (1, "") and "has no output" in r.err, r


def test_full_disk_under_a_list(home):
    with open("/dev/full", "wb") as full:
        r = home.finish(home.start("jobs", stdout=full), text=False)
    assert r.code == 1 and b"No space left" in r.err, r


def test_killed_server_is_said(home):
    process = home.start("run", "-x", "sandbox", home.script(SLEEP))
    wait_log(process, "started")
    up = [pid for pid, line in home.processes() if "--embedded" in line]
    assert len(up) == 1
    os.kill(up[0], signal.SIGKILL)
    r = home.finish(process)
    assert r.code == 125, r
    assert "local server ended" in r.err
    for pid, line in home.processes():
        assert wait_gone(pid), line


def test_startup_error_in_plain_words(home):
    (home.data / "keys").mkdir(parents=True, mode=0o700)
    (home.data / "keys" / "signing.pem").write_text("garbage")
    (home.data / "keys" / "signing.pem").chmod(0o600)
    r = home.run(home.script("pass"))
    assert r.code == 125, r
    assert "local server could not start" in r.err
    assert "signing.pem" in r.err


def test_unusable_directory(home):
    r = home("jobs", "--data-dir", "/dev/null/x")
    assert r.code == 1
    assert "cannot make the directory /dev/null" in r.err
    r = home("jobs", "--data-dir", "/tmp/" + "x" * 100)
    assert r.code == 1
    assert "too long" in r.err


# --- Ctrl-C ------------------------------------------------------------------

def test_interrupt_cancels(home):
    process = home.start("run", "-x", "sandbox", home.script(SLEEP))
    wait_log(process, "started")
    process.send_signal(signal.SIGINT)
    r = home.finish(process)
    assert r.code == 130, r
    assert "cancelled" in r.err
    assert home("jobs", "--json").json["jobs"][0]["state"] == "cancelled"


def test_second_interrupt_leaves(home):
    stubborn = home.script("""
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("started", flush=True)
while True:
    time.sleep(600)
""")
    marker = f"marker-stubborn-{os.getpid()}"
    process = home.start("run", "-x", "sandbox", stubborn, "--", marker)
    wait_log(process, "started")
    process.send_signal(signal.SIGINT)
    until(lambda: home("jobs", "--json").json["jobs"][0]["cancel_requested"])
    process.send_signal(signal.SIGINT)
    r = home.finish(process)
    # The script has its grace, for which nobody waits any more.
    assert processes_with(marker)
    assert r.code == 130, r


# --- terminals ---------------------------------------------------------------

def run_on_terminal(home, *args, env=None):
    master, slave = pty.openpty()
    process = home.start(*args, env=env, stdin=slave, stdout=slave,
                         stderr=slave)
    os.close(slave)
    out = b""
    deadline = time.monotonic() + TIMEOUT
    while time.monotonic() < deadline:
        if not select.select([master], [], [], 1)[0]:
            continue
        try:
            piece = os.read(master, 4096)
        except OSError:  # everybody closed the other side
            break
        out += piece
    process.wait(TIMEOUT)
    os.close(master)
    return process.returncode, out.decode()


def test_terminal_shows_state(home):
    path = home.script("import cronium; print('log'); cronium.output(1)")
    code, out = run_on_terminal(home, "run", "-x", "sandbox", path)
    assert code == 0
    assert "· job_" in out
    assert "succeeded in" in out
    assert "\033[2m" in out
    assert out.replace("\r", "").rstrip().endswith("1")


def test_no_color(home):
    code, out = run_on_terminal(home, "jobs", env={"NO_COLOR": "1"})
    assert code == 0
    assert "STATE" in out
    assert "\033[2m" not in out and "\033[3" not in out
