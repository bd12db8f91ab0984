"""cronium-runner whose orchestrator goes away and comes back."""

import os
import pathlib
import random
import shutil
import socket
import subprocess
import tempfile
import time

import pytest

import frames
from patience import stands, until
from proc import processes_with
from runner_again import (
    COUNT, EXECUTION, KEPT_MAX, Orchestrator, PARTS, unique,
)
from runner_again import lost, make  # noqa: F401
from runner_host import USERS
from runner_process import ROOT, RUNNER, work

pytestmark = pytest.mark.timeout(120)


def lines(word, n):
    return "".join(f"{word} {i}\n" for i in range(n)).encode()


@pytest.mark.parametrize("seed", range(3))
def test_a_log_is_the_same_whenever_the_stream_is_cut(lost, work, seed):
    rng = random.Random(seed)
    n, cuts = 30000, 0
    lost.assign(work, COUNT.format(n=n))
    while lost.end is None:
        # Of a busy machine the whole log comes in few, large frames.
        for _ in range(rng.randrange(60 if cuts >= 10 else 2)):
            if lost.read() == frames.EXIT:
                break
            if rng.random() < 0.3:
                lost.take()
        if lost.end is None and cuts < 40:
            # What was sent but not read is lost, and so may a TAKEN be.
            cuts += 1
            lost.die()
            lost.come_back()
        else:
            lost.take()
    assert bytes(lost.log["stdout"]) == lines("out", n)
    assert bytes(lost.log["stderr"]) == lines("err", n)
    assert lost.end["exit_code"] == 5
    assert cuts >= 10
    assert lost.dismiss() == 0


def test_the_order_of_both_outputs_stays(lost, work):
    lost.assign(work, "echo a; sleep .05; echo b >&2; sleep .05; echo c;"
                      "sleep .05; echo d >&2")
    assert lost.read_exit(take=False)["exit_code"] == 0
    first = lost.order
    assert [text for _, text in first] == [b"a\n", b"b\n", b"c\n", b"d\n"]
    lost.die()
    lost.order, lost.log = [], {n: bytearray() for n in PARTS.values()}
    lost.come_back()
    lost.read_exit(take=False)
    assert lost.order == first
    lost.die()
    # Taken in another order: only what is missing comes.
    lost.order = []
    lost.come_back(taken={"stdout": 1, "stderr": 4})
    lost.read_exit(take=False)
    assert lost.order == [(frames.STDOUT, b"\n"), (frames.STDOUT, b"c\n")]
    assert lost.dismiss() == 0


def test_cut_before_it_started(lost, work):
    lost.assign(work, "echo hello; exit 3")
    lost.die()
    lost.come_back()
    assert lost.read() == frames.STARTED
    assert lost.read_exit()["exit_code"] == 3
    assert lost.log["stdout"] == b"hello\n"
    assert lost.dismiss() == 0


def test_cut_between_assignment_and_script(lost, work):
    lost.assign(work, "echo never", send_script=False)
    lost.die()
    lost.come_back()
    end = lost.read_exit()
    assert end["exit_code"] == 126
    assert "before it sent the program" in end["error"]
    assert lost.started == 0
    assert lost.dismiss() == 0


def test_cut_after_exit_and_again(lost, work):
    lost.assign(work, "echo bye; exit 9")
    assert lost.read_exit()["exit_code"] == 9
    for _ in range(3):
        lost.die()
        lost.started, lost.end = 0, None
        lost.come_back()
        assert lost.read_exit()["exit_code"] == 9
        assert lost.started == 1
    assert lost.log["stdout"] == b"bye\n"
    assert lost.dismiss() == 0


def test_it_ends_while_nobody_is_there(lost, work, tmp_path):
    done = work / "done"
    lost.assign(work, f"echo one; read -t .3 <> <(:); echo two; touch {done};"
                      "exit 4")
    lost.read_until(b"one\n")
    lost.die()
    until(done.exists)
    lost.come_back()
    assert lost.read_exit()["exit_code"] == 4
    assert lost.log["stdout"] == b"one\ntwo\n"
    assert lost.dismiss() == 0


def test_nobody_comes_back(lost, work):
    marker = f"marker-again-{os.getpid()}-{next(unique)}"
    lost.assign(work, f"(exec -a {marker} sleep 1000) & echo up; wait",
                keep_ms=1500)
    lost.read_until(b"up\n")
    until(lambda: processes_with(marker))
    before = time.monotonic()
    lost.die()
    assert lost.process.wait(10) != 0
    assert time.monotonic() - before > 1.4
    until(lambda: not processes_with(marker))


def test_coming_back_late_does_not_shorten_the_next_time(make, work):
    lost = make()
    lost.assign(work, "echo up; sleep 1000", keep_ms=2000)
    lost.read_until(b"up\n")
    for _ in range(3):
        lost.die()
        time.sleep(1.2)  # of what is measured
        lost.come_back()
        assert lost.read() == frames.STARTED
    lost.stream.send(frames.SIGNAL, {"signal": 9, "grace_ms": 0})
    assert lost.read_exit()["signal"] == 9
    assert lost.dismiss() == 0


def test_nobody_comes_back_after_exit(make, work):
    lost = make()
    lost.assign(work, "echo bye", keep_ms=1000)
    lost.read_exit()
    before = time.monotonic()
    lost.die()
    lost.process.wait(10)
    assert time.monotonic() - before > 0.9


def test_without_keep_ms_the_stream_is_all(lost, work):
    marker = f"marker-once-{os.getpid()}-{next(unique)}"
    lost.assign(work, f"echo up; exec -a {marker} sleep 1000", keep_ms=0)
    lost.read_until(b"up\n")
    until(lambda: processes_with(marker))
    lost.die()
    assert lost.process.wait(10) != 0
    until(lambda: not processes_with(marker))


def test_before_the_assignment_it_comes_back_as_new(lost, work):
    lost.die()
    ready = lost.knock()
    assert "resumed" not in ready and "execution" not in ready
    lost.assign(work, "echo begun")
    lost.read_exit()
    assert lost.log["stdout"] == b"begun\n"
    assert lost.dismiss() == 0


@pytest.mark.parametrize("wrong", [
    (frames.RESUME, {"execution": "ex_other", "taken": {}}),
    (frames.RESUME, {"execution": EXECUTION}),
    (frames.RESUME, {"execution": EXECUTION, "taken": {"stdout": -1}}),
    (frames.RESUME, {"execution": EXECUTION, "taken": {"stdout": "1"}}),
    (frames.RESUME, b"[]"),
    (frames.TAKEN, {"stdout": 0}),
    (frames.SIGNAL, {"signal": 9, "grace_ms": 0}),
    (frames.ASSIGN, {}),
])
def test_who_does_not_resume_it_is_left_again(make, work, wrong):
    lost = make()
    lost.assign(work, "echo one; sleep .2; echo two")
    lost.read_until(b"one\n")
    lost.die()
    lost.knock()
    lost.stream.send(*wrong)
    with pytest.raises((EOFError, ConnectionError)):
        lost.stream.next()
    lost.die()
    lost.come_back()
    assert lost.read_exit()["exit_code"] == 0
    assert lost.log["stdout"] == b"one\ntwo\n"
    assert lost.dismiss() == 0


def test_who_says_nothing_does_not_hold_it_up(make, work):
    lost = make()
    lost.assign(work, "echo up; sleep 1000", keep_ms=1500)
    lost.read_until(b"up\n")
    before = time.monotonic()
    lost.die()
    lost.knock()
    lost.process.wait(10)
    assert time.monotonic() - before > 1.4


def test_dismissed_while_it_runs(lost, work):
    marker = f"marker-dismissed-{os.getpid()}-{next(unique)}"
    lost.assign(work, f"echo up; exec -a {marker} sleep 1000")
    lost.read_until(b"up\n")
    until(lambda: processes_with(marker))
    lost.die()
    lost.knock()
    assert lost.dismiss() == 0
    until(lambda: not processes_with(marker))


def test_a_signal_goes_on_counting(lost, work):
    lost.assign(work, "trap 'echo told' TERM; echo up;"
                      "while true; do sleep .05; done")
    lost.read_until(b"up\n")
    lost.stream.send(frames.SIGNAL, {"signal": 15, "grace_ms": 1000})
    lost.read_until(b"told\n")
    lost.die()
    time.sleep(1.5)  # the grace, while nobody is there
    lost.come_back()
    assert lost.read_exit()["signal"] == 9
    assert lost.dismiss() == 0


def test_positions_that_cannot_be(make, work):
    lost = make()
    lost.assign(work, "echo one; echo two; exit 2")
    lost.read_exit()
    lost.die()
    lost.order = []
    # All was TAKEN, and is asked for again: it says what is gone.
    lost.come_back(taken={"stdout": 4})
    assert lost.read_exit(take=False)["exit_code"] == 2
    (kind, text), = lost.order
    assert kind == frames.NOTICE
    assert text.startswith(b"4 bytes of the log are missing")
    lost.die()
    # More than there ever was: nothing is left to be said.
    lost.order = []
    lost.come_back(taken={"stdout": 1 << 40, "stderr": 5, "notice": 1 << 40})
    assert lost.read_exit(take=False)["exit_code"] == 2
    assert lost.order == []
    assert lost.dismiss() == 0


def written(path):
    return int(path.read_text() or 0) if path.exists() else 0


ENDLESS = """
printf -v block '%*s' 8191 ''
n=0
while true; do
  echo "$block"
  (( n += 8192 ))
  echo $n > {progress}
done
"""


def memory_kb(pid):
    with open(f"/proc/{pid}/status") as f:
        for line in f:
            if line.startswith("VmRSS"):
                return int(line.split()[1])


@pytest.mark.parametrize("there", [True, False], ids=["there", "away"])
def test_what_nobody_takes_holds_the_script_up(make, work, there):
    lost = make()
    before = memory_kb(lost.process.pid)
    progress = work / "progress"
    lost.assign(work, ENDLESS.format(progress=progress))
    lost.read_until(b"\n")
    if not there:
        lost.die()
    pipe = 1 << 20  # launch.h; less without root
    bound = KEPT_MAX + pipe + (1 << 16)
    if there:
        while len(lost.log["stdout"]) <= KEPT_MAX * 9 // 10:
            lost.read()
        assert len(lost.log["stdout"]) <= KEPT_MAX
    until(lambda: written(progress) > KEPT_MAX * 9 // 10)
    stuck = stands(lambda: written(progress))
    assert stuck <= bound
    assert memory_kb(lost.process.pid) - before < 8 * 1024
    if there:
        lost.take()
    else:
        lost.come_back()
    while written(progress) < 3 * bound:
        lost.read()
        lost.take()
    lost.stream.send(frames.SIGNAL, {"signal": 9, "grace_ms": 0})
    lost.read_exit()
    out = bytes(lost.log["stdout"])
    assert out.strip(b" \n") == b"" and len(out) >= 3 * bound - pipe
    assert all(len(line) == 8191 for line in out.split(b"\n")[:-1])
    assert lost.dismiss() == 0


def test_notices_are_kept(make, work):
    lost = make()
    lost.assign(work, "echo abcdefgh >&2; echo ijk >&2; echo end",
                max_stderr_bytes=4)
    lost.read_exit(take=False)
    notices = bytes(lost.log["notice"])
    assert b"stderr is over 4 bytes" in notices
    assert b"bytes of stderr were dropped" in notices
    half = len(notices) // 2
    lost.die()
    lost.log["notice"] = lost.log["notice"][:half]
    lost.come_back()
    lost.read_exit()
    assert bytes(lost.log["notice"]) == notices
    assert lost.log["stderr"] == b"abcd\n"
    assert lost.dismiss() == 0


def test_the_script_has_no_descriptor_of_it(make, work):
    lost = make(inherited=True)
    lost.assign(work, "ls -l /proc/self/fd; ls /proc/$PPID/fd || echo shut")
    lost.read_exit()
    assert b"control" not in lost.log["stdout"]
    assert b"shut" in lost.log["stdout"] or not ROOT
    assert lost.dismiss() == 0


@pytest.fixture(params=USERS, ids=lambda u: f"uid{u}" if u else "self")
def sandboxed(request):
    """In bwrap as an orchestrator calls it, whose directory is not there."""
    user = request.param
    top = pathlib.Path(tempfile.mkdtemp(prefix="cronium-again-"))
    root = top / "control"
    root.mkdir()
    for path in (top, root):
        path.chmod(0o755)
    if user:
        os.chown(root, user, user)
    wrapper = ["bwrap", "--unshare-pid", "--unshare-ipc", "--unshare-uts",
               "--new-session", "--as-pid-1", "--cap-drop", "ALL"]
    if ROOT and not user:
        for cap in ("SETUID", "SETGID", "KILL"):
            wrapper += ["--cap-add", f"CAP_{cap}"]
    else:
        wrapper += ["--unshare-user"]
    runner = shutil.copy(RUNNER, top)
    wrapper += ["--ro-bind", "/", "/", "--proc", "/proc", "--dev", "/dev",
                "--tmpfs", "/tmp", "--ro-bind", runner, "/tmp/runner",
                "--perms", "1777", "--tmpfs", "/tmp/again-work"]
    if user:
        wrapper = ["setpriv", f"--reuid={user}", f"--regid={user}",
                   "--clear-groups", *wrapper]
    started = Orchestrator(root, inherited=True, wrapper=wrapper,
                           runner="/tmp/runner")
    started.uid = 1000 if ROOT and not user else -1
    yield started
    started.kill()
    shutil.rmtree(top)


def test_in_a_sandbox(sandboxed):
    lost = sandboxed
    lost.assign("/tmp/again-work", """
id -u; echo up
ls -l /proc/1/fd 2>/dev/null
test -e /proc/1/fd/3/control.sock && echo leak
ls -l /proc/self/fd | grep -q /control && echo leak
read -t .3 <> <(:)
echo end; exit 6
""")
    lost.read_until(b"up\n")
    for _ in range(3):
        lost.die()
        lost.come_back()
        lost.read()
    assert lost.read_exit()["exit_code"] == 6
    uid = b"1000" if lost.uid == 1000 else str(os.stat(lost.root).st_uid).encode()
    assert lost.log["stdout"] == uid + b"\nup\nend\n"
    assert lost.dismiss() == 0


@pytest.mark.parametrize("where", ["dir:999", "dir:x", "dir:"])
def test_a_descriptor_that_is_none(where):
    ours, theirs = socket.socketpair()
    with ours, theirs:
        done = subprocess.run(
            [RUNNER, "--control", f"fd:{theirs.fileno()}", "--again", where],
            pass_fds=[theirs.fileno()], capture_output=True, timeout=20)
    assert done.returncode == 1
    assert f"--again {where}" in done.stderr.decode()
