"""cronium-orchestrator with the sandbox executor against a backend that errs.

What needs no mistake of the backend is tested end to end in tests/jobs.
"""

import os
import pathlib
import resource
import signal
import subprocess
import time

import pytest

import frames
from patience import until
from proc import processes_with
from scripted_backend import CUT, ScriptedBackend, problem

BIN = pathlib.Path(os.environ.get("CRONIUM_BIN_DIR", "build/bin")).resolve()
PROGRAM = BIN / "cronium-orchestrator"

pytestmark = pytest.mark.timeout(120)


class Orchestrator:
    def __init__(self, base, *options):
        self.base, self.run_dir = base, base / "run"
        (self.run_dir / "runtime").mkdir(parents=True)
        self.backend = ScriptedBackend(self.run_dir / "api.sock")
        self.log = base / "log"
        self.command = [
            PROGRAM, "--data-dir", base / "data", "--run-dir", self.run_dir,
            "--executors", "sandbox", "--name", "here", "--log-level", "debug",
            *options]
        self.start()

    def start(self):
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                self.command, stderr=log,
                env={**os.environ, "CRONIUM_GUARD": "off"})
        self.connected()

    def connected(self):
        assert self.backend.opened.acquire(timeout=30), self.log.read_text()

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(60)
        text = self.log.read_text()
        assert code == 0, text
        assert "ERROR: " not in text and "runtime error" not in text, text

    def pods(self):
        """The processes that pods are made of."""
        try:
            task = f"/proc/{self.process.pid}/task/{self.process.pid}"
            return pathlib.Path(task, "children").read_text().split()
        except OSError:
            return processes_with(str(self.run_dir))

    def rss_mb(self):
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        line = next(n for n in status.splitlines() if n.startswith("VmRSS"))
        return int(line.split()[1]) // 1024


@pytest.fixture
def orchestrator(tmp_path):
    o = Orchestrator(tmp_path)
    yield o
    if o.process.poll() is None:
        o.stop()
    assert not o.pods()


@pytest.fixture
def backend(orchestrator):
    return orchestrator.backend


def completion(backend, execution=None):
    said, request, _ = backend.wait("complete")
    assert execution in (None, said)
    return request.json()


def wait_text(backend, execution, text):
    deadline = time.monotonic() + 30
    while text not in backend.text(execution):
        backend.wait("logs", timeout=max(0, deadline - time.monotonic()))


# --- the order of things ---

def test_order_and_contents(backend):
    execution = backend.assign("echo out; echo err >&2; printf end",
                               executor="auto")
    verbs = []
    while "complete" not in verbs:
        verb, said, request = backend.said.get(timeout=30)
        if verb in ("heartbeat", "recover"):
            continue
        assert said == execution
        verbs.append(verb)
        if verb == "started":
            started = request.json()
    assert verbs.index("started") < verbs.index("complete")
    assert max(i for i, v in enumerate(verbs) if v == "logs") < \
        verbs.index("complete")
    assert started["executor"] == "sandbox" and started["epoch"] == 1
    done = request.json()
    assert (done["state"], done["exit_code"], done["reason"]) == \
        ("succeeded", 0, None)
    logs = backend.logs[execution]
    for kind, text in ((frames.STDOUT, b"out\nend"), (frames.STDERR, b"err\n")):
        assert b"".join(d for k, d in logs if k == kind) == text


@pytest.mark.parametrize("script, state, reason, exit_code, signal_", [
    ("exit 3", "failed", "exit code 3", 3, None),
    ("kill -SEGV $$", "failed", "killed by signal 11 (SIGSEGV)", 139, 11),
])
def test_endings(backend, script, state, reason, exit_code, signal_):
    backend.assign(script)
    done = completion(backend)
    assert (done["state"], done["reason"], done["exit_code"],
            done["signal"]) == (state, reason, exit_code, signal_)


def test_timeout(backend):
    backend.assign("trap 'echo bye; exit 0' TERM; echo up; "
                   "while :; do sleep 0.05; done", timeout_ms=300)
    done = completion(backend)
    assert done["state"] == "timed_out"
    assert done["reason"] == "timed out after 300 ms"
    assert b"bye" in backend.text("ex_1")


def test_cancel(backend):
    execution = backend.assign("echo up; sleep 600")
    wait_text(backend, execution, b"up")
    cancel = {"execution": execution, "epoch": 9, "reason": "a stale one"}
    backend.push(frames.encode(frames.CANCEL, cancel))
    cancel = {"execution": execution, "epoch": 1, "reason": "Ada said so"}
    backend.push(frames.encode(frames.CANCEL, cancel))
    done = completion(backend)
    assert (done["state"], done["reason"]) == ("cancelled", "Ada said so")


def test_tokens_are_masked(backend):
    execution = backend.assign(
        'echo "[$CRONIUM_EXECUTION_TOKEN]"; '
        'printf %s "$CRONIUM_EXECUTION_TOKEN" | base64 -w0')
    assert completion(backend)["state"] == "succeeded"
    text = backend.text(execution)
    assert text.startswith(b"[********]\n")
    assert b"eyJ" not in text and b"ZXlK" not in text


def test_executor_that_is_not_here(backend):
    backend.assign("echo", executor="docker")
    done = completion(backend)
    assert done["state"] == "failed" and "docker" in done["reason"]


def test_assignment_that_makes_no_sense(backend):
    backend.assign("echo", runtime="cobol")
    done = completion(backend)
    assert done["state"] == "failed" and "runtime" in done["reason"]
    backend.assign("echo")
    assert completion(backend)["state"] == "succeeded"


# --- leases and epochs ---

def test_stale_epoch_on_started(orchestrator, backend):
    backend.answers["started"] = lambda e, r: problem(409, "stale_epoch")
    backend.assign("echo up; sleep 600")
    backend.wait("started")  # and the answer may be there already
    until(lambda: not orchestrator.pods())
    orchestrator.stop()
    assert "complete" not in drain(backend)


def test_lost_by_heartbeat(orchestrator, backend):
    backend.answers["heartbeat"] = lambda e, r: (200, {
        "lease_ms": 300, "cancel": [],
        "lost": [x["id"] for x in r.json()["executions"]]})
    backend.assign("echo up; sleep 600", lease_ms=300)
    backend.wait("heartbeat")
    until(lambda: not orchestrator.pods())
    orchestrator.stop()
    assert "complete" not in drain(backend)


def test_cancel_by_heartbeat(backend):
    backend.answers["heartbeat"] = lambda e, r: (200, {
        "lease_ms": 300, "lost": [],
        "cancel": [{"id": x["id"], "reason": "Ada"}
                   for x in r.json()["executions"]]})
    backend.assign("echo up; sleep 600", lease_ms=300)
    assert completion(backend)["state"] == "cancelled"


def test_claimed_anew(orchestrator, backend):
    """The same execution with a new epoch ends the old one quietly."""
    backend.assign("echo old; sleep 600", execution="ex_1", epoch=1)
    wait_text(backend, "ex_1", b"old")
    backend.assign("echo new", execution="ex_1", epoch=2)
    done = completion(backend)
    assert (done["epoch"], done["state"]) == (2, "succeeded")


# --- a backend that fails ---

def test_completion_is_repeated(backend):
    answers = [CUT, (503, {}), (500, {}), (200, {})]
    backend.answers["complete"] = lambda e, r: answers.pop(0)
    backend.assign("exit 0")
    bodies = [completion(backend) for _ in range(4)]
    assert all(b == bodies[0] for b in bodies)
    assert not answers


def test_claims_reconnect_and_jobs_go_on(orchestrator, backend):
    execution = backend.assign("echo up; while [ ! -e go ]; do sleep 0.05; "
                               "i=$((i+1)); [ $i -gt 20 ] && break; done; "
                               "echo down")
    wait_text(backend, execution, b"up")
    backend.cut()
    orchestrator.connected()
    other = backend.assign("echo other")
    ended = {completion(backend)["state"] for _ in range(2)}
    assert ended == {"succeeded"}
    assert backend.text(execution) == b"up\ndown\n"
    assert backend.text(other) == b"other\n"


def test_garbage_on_the_claim_stream(orchestrator, backend):
    backend.push(b"\xff" * 64)
    orchestrator.connected()
    backend.push(frames.encode(frames.INPUT, b"{}"))
    orchestrator.connected()
    backend.push(frames.encode(frames.ASSIGN, b"not json"))
    orchestrator.connected()
    backend.assign("echo fine")
    assert completion(backend)["state"] == "succeeded"


def test_log_is_whole_whatever_happens_to_uploads(backend):
    """Uploads that are cut, refused and repeated: no byte twice or never."""
    n = 0

    def trouble(execution, request):
        nonlocal n
        n += 1
        if n % 4 == 0:
            return 503, {}
        if n % 4 == 2:
            # Committed, but the answer is lost.
            ScriptedBackend.do_logs(backend, execution, request)
            return CUT
        return None

    backend.answers["logs"] = trouble
    execution = backend.assign(
        "import sys, time\n"
        "for i in range(40000):\n"
        "    print(i)\n"
        "    if i % 4000 == 0: time.sleep(0.03)\n", runtime="python")
    assert completion(backend)["state"] == "succeeded"
    assert n > 4
    assert backend.text(execution) == \
        b"".join(b"%d\n" % i for i in range(40000))


def test_log_gap(backend):
    """A backend whose database was put back: the rest still arrives."""
    def forgetful(execution, request):
        if int(request.query["offset"]) and not forgetful.done:
            forgetful.done = True
            backend.offsets[execution] = 0
            backend.logs[execution] = []
        return None

    forgetful.done = False
    backend.answers["logs"] = forgetful
    execution = backend.assign(
        "import time\n"
        "for i in range(20):\n"
        "    print(i, flush=True); time.sleep(0.03)\n", runtime="python")
    done = completion(backend)
    assert done["state"] == "succeeded" and done["log_dropped_bytes"] > 0
    assert forgetful.done
    assert backend.text(execution).endswith(b"18\n19\n")


def test_full_log_does_not_hold_the_script_up(orchestrator, backend):
    limit = 1 << 20

    def full(execution, request):
        if backend.offsets.get(execution, 0) < limit:
            return None
        return 200, {"next": limit, "full": True}

    backend.answers["logs"] = full
    backend.assign("head -c 1073741824 /dev/zero | tr '\\0' x")
    done = completion(backend)
    assert done["state"] == "succeeded"
    assert done["log_dropped_bytes"] >= (1 << 30) - (4 << 20)
    assert orchestrator.rss_mb() < 64 or "asan" in str(BIN)


def test_back_pressure(orchestrator, backend):
    """A backend that is away: the script waits, memory stays flat."""
    backend.answers["logs"] = lambda e, r: (503, {})
    execution = backend.assign(
        "head -c 67108864 /dev/zero | tr '\\0' x; echo; echo end")
    backend.wait("logs")
    for _ in range(5):
        backend.wait("logs")
    assert orchestrator.rss_mb() < 64 or "asan" in str(BIN)
    backend.answers.clear()
    assert completion(backend)["state"] == "succeeded"
    text = backend.text(execution)
    assert len(text) == 67108864 + 5 and text.endswith(b"x\nend\n")


def test_timeout_while_the_backend_is_away(orchestrator, backend):
    backend.answers["logs"] = lambda e, r: (503, {})
    backend.assign("yes", timeout_ms=200)
    backend.wait("started")
    assert orchestrator.pods()
    until(lambda: not orchestrator.pods())
    backend.answers.clear()
    assert completion(backend)["state"] == "timed_out"


def test_backend_away_for_a_while(orchestrator, backend):
    execution = backend.assign("echo one; sleep 0.5; echo two; exit 4")
    wait_text(backend, execution, b"one")
    backend.stop()
    time.sleep(1)  # the length of the outage, no synchronisation
    backend.listen()
    assert completion(backend)["exit_code"] == 4
    assert backend.text(execution) == b"one\ntwo\n"


# --- the end of the process ---

def test_stop_ends_what_runs(orchestrator, backend):
    execution = backend.assign("echo up; sleep 600")
    wait_text(backend, execution, b"up")
    orchestrator.stop()
    done = completion(backend)
    assert done["state"] == "cancelled"
    assert done["reason"] == "the orchestrator was stopped"


def test_stop_without_a_backend_is_bounded(orchestrator, backend):
    execution = backend.assign("trap '' TERM; echo up; while :; do :; done")
    wait_text(backend, execution, b"up")
    backend.stop()
    orchestrator.stop()
    assert not orchestrator.pods()


def test_stop_gives_back_what_waits(tmp_path):
    """More claims than may be made at once: those that wait go back."""
    o = Orchestrator(tmp_path, "--slots", "1")
    for _ in range(6):
        o.backend.assign("echo up; sleep 600")
    o.backend.wait("started")
    o.stop()
    verbs = drain(o.backend)
    assert verbs.count("release") >= 3
    assert verbs.count("release") + verbs.count("complete") == 6


def test_kill_leaves_nothing(orchestrator, backend):
    """Whom nobody takes up is gone before his lease ends."""
    marker = "86400.125"
    execution = backend.assign(f"echo up; sleep {marker}", lease_ms=3000)
    wait_text(backend, execution, b"up")
    until(lambda: processes_with(marker))
    orchestrator.process.kill()
    orchestrator.process.wait()
    until(lambda: not processes_with(marker))
    orchestrator.start()
    assert completion(backend, execution)["state"] == "lost"
    until(lambda: not orchestrator.pods())


def test_cut_off(orchestrator, backend):
    """What may be tried again elsewhere ends before its lease does; the rest
    goes on, and is told when somebody hears it."""
    markers = "86400.126", "86400.127"
    tried = {"type": "bash", "permissions": True, "retries": 2}
    plain = {"type": "bash", "permissions": True}
    again, once = (
        backend.assign(f"echo up; sleep {m}", lease_ms=3000, runtime_block=b)
        for m, b in zip(markers, (tried, plain)))
    for execution in (again, once):
        wait_text(backend, execution, b"up")
    until(lambda: all(processes_with(m) for m in markers))
    backend.answers["heartbeat"] = lambda *_: (503, {})
    until(lambda: not processes_with(markers[0]))
    assert processes_with(markers[1])
    backend.answers["heartbeat"] = lambda *_: (200, {
        "lease_ms": 3000, "lost": [],
        "cancel": [{"id": once, "reason": "enough"}]})
    assert completion(backend, once)["state"] == "cancelled"


def test_one_per_data_dir(orchestrator):
    second = subprocess.run(orchestrator.command, capture_output=True,
                            text=True, timeout=30)
    assert second.returncode == 1
    assert "another orchestrator" in second.stderr


def test_successor_waits_for_the_one_that_stops(orchestrator, backend):
    execution = backend.assign("trap '' TERM; echo up; while :; do :; done")
    wait_text(backend, execution, b"up")
    first = orchestrator.process
    first.send_signal(signal.SIGTERM)
    orchestrator.start()
    assert first.wait(30) == 0
    assert completion(backend)["state"] == "cancelled"
    backend.assign("echo next")
    assert completion(backend)["state"] == "succeeded"


def test_no_core_and_no_reading(orchestrator):
    pid = orchestrator.process.pid
    assert resource.prlimit(pid, resource.RLIMIT_CORE) == (0, 0)
    if "asan" not in str(BIN):
        owner = os.stat(f"/proc/{pid}/environ").st_uid
        assert owner == 0


@pytest.mark.parametrize("args, word", [
    (["--slots", "x"], "slots"),
    (["--executors", "lambda"], "lambda"),
    (["--name", "a/b"], "name"),
    (["--backend", "ftp://x"], "ftp"),
    (["--log-level", "loud"], "loud"),
    (["--runner", "/nowhere"], "/nowhere"),
    (["--api-key-file", "/nowhere"], "/nowhere"),
    (["extra"], "extra"),
])
def test_bad_options(tmp_path, args, word):
    done = subprocess.run(
        [PROGRAM, "--data-dir", tmp_path / "d", "--run-dir", tmp_path / "r",
         *args], capture_output=True, text=True, timeout=30)
    assert done.returncode in (1, 2)
    assert word in done.stderr


# --- helpers ---

def drain(backend):
    verbs = []
    while not backend.said.empty():
        verbs.append(backend.said.get()[0])
    return verbs


