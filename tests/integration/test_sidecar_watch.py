"""Changes of variables in the sidecar: watches.

The backend is the real one; a scripted one only says what that never would.
"""

import contextlib
import json
import time

import pytest

import frames
from patience import until
from sidecar_harness import BIN_DIR
from sidecar_pods import fill_history, put
from sidecar_pods import backend, pods  # noqa: F401
from sse import Watch

pytestmark = pytest.mark.timeout(120)


# --- watches -----------------------------------------------------------------

def test_events_in_order(pods, backend):
    a, b = pods.new(), pods.new()
    first = put(backend, "k", {"n": 0})
    with Watch(a, "k") as w:
        assert w.status == 200
        assert w.headers["content-type"] == "text/event-stream"
        assert w.headers["cache-control"] == "no-store"
        assert len(w.headers["x-cronium-trace-id"]) == 32
        w.expect("snapshot", key="k", version=first, value={"n": 0})
        for n in range(100):
            (a, b)[n % 2].put("/variables/k", n)
        b.put("/variables/other", 1)
        b.delete("/variables/k")
        b.put("/variables/k", "again")
        seen = [w.expect("change", value=n)["version"] for n in range(100)]
        assert seen == sorted(set(seen))
        gone = w.expect("delete", key="k", deleted=True)
        assert "value" not in gone
        w.expect("change", value="again")
        assert a.metric("watches") == 1
        assert a.metric("watch_events_total") == 103
    until(lambda: a.metric("watches") == 0, "the watch is not gone")


def test_absent_then_made(pods):
    a = pods.new()
    with Watch(a, "none/yet:_") as w:
        w.expect("snapshot", key="none/yet:_", deleted=True)
        a.put("/variables/none%2Fyet:_", None)
        w.expect("change", value=None)


def test_a_value_of_many_lines(pods, backend):
    raw = b'{\n "a": "x\\ny",\r\n "b": [\n1,\r2]\n}'
    r = backend.admin.put("/v1/variables/k", raw)
    assert r.status == 201
    with Watch(pods.new(), "k") as w:
        w.expect("snapshot", value=json.loads(raw))
        assert backend.admin.put("/v1/variables/k", raw + b"\n").status == 204
        w.expect("change", value=json.loads(raw))


@pytest.mark.parametrize("how", ["header", "query", "both"])
def test_resume(pods, backend, how):
    a = pods.new()
    versions = [put(backend, "k", n) for n in range(5)]
    put(backend, "other", 1)
    resume = {"header": {"last_id": versions[1]},
              "query": {"query": f"?from={versions[1]}"},
              "both": {"last_id": versions[1], "query": "?from=0"}}[how]
    with Watch(a, "k", **resume) as w:
        for n in 2, 3, 4:
            w.expect("change", value=n, version=versions[n])
        a.delete("/variables/k")
        gone = w.expect("delete")["version"]
    with Watch(a, "k", last_id=gone) as w:
        a.put("/variables/k", "new")
        w.expect("change", value="new")


def test_resume_after_too_long(pods, backend):
    a = pods.new()
    first = put(backend, "k", "old")
    put(backend, "steady", 1)
    steady = put(backend, "steady", 2)
    put(backend, "k", "missed")
    now = put(backend, "k", "now")
    fill_history(backend)
    with Watch(a, "k", last_id=first) as w:
        w.expect("reset", value="now", version=now)
        put(backend, "k", "later")
        w.expect("change", value="later")
    # Nothing was missed of what nobody wrote.
    with Watch(a, "steady", last_id=steady) as w:
        put(backend, "steady", 3)
        w.expect("change", value=3)


@pytest.mark.parametrize("bad", ["x", "-1", "1.5", "9223372036854775808"])
def test_bad_versions(pods, bad):
    a = pods.new()
    for how in {"last_id": bad}, {"query": f"?from={bad}"}:
        with Watch(a, "k", **how) as w:
            assert (w.status, w.problem()["code"]) == (400, "invalid_version")


def test_the_backend_is_killed(pods, backend):
    """Nothing is missed, nothing comes twice."""
    a = pods.new()
    put(backend, "k", 0)
    with Watch(a, "k") as w:
        w.expect("snapshot", value=0)
        for n in range(1, 4):
            put(backend, "k", n)
            w.expect("change", value=n)
            backend.kill()
            assert w.expect("disconnected")["reason"]
            backend.start()
            # Before or after the watch is back: in any case once.
            put(backend, "k", f"{n} more")
            put(backend, "k", f"{n} most")
            w.expect("connected")
            w.expect("change", value=f"{n} more")
            w.expect("change", value=f"{n} most")


def test_the_backend_stops_in_order(pods, backend):
    a = pods.new()
    with Watch(a, "k") as w:
        w.expect("snapshot", deleted=True)
        assert backend.stop() == 0
        w.expect("disconnected")
        backend.start()
        w.expect("connected")
        put(backend, "k", 1)
        w.expect("change", value=1)


def test_a_watch_that_begins_without_a_backend(pods, backend):
    a = pods.new()
    a.get("/variables/k")
    backend.kill()
    with Watch(a, "k") as w:
        assert w.status == 200
        w.expect("disconnected")
        backend.start()
        w.expect("connected")
        w.expect("snapshot", deleted=True)


def test_the_end_of_the_job(pods, backend):
    a = pods.new()
    with Watch(a, "k") as w, Watch(a, "l") as other:
        w.expect("snapshot")
        other.expect("snapshot")
        a.control.send(frames.DRAIN)
        for watch in w, other:
            with pytest.raises(EOFError, match="the stream ended"):
                watch.next()
        a.control.expect(frames.DRAINED)


def test_the_execution_is_over_for_the_backend(pods):
    a = pods.new()
    with Watch(a, "k") as w:
        w.expect("snapshot")
        assert pods.agent.complete(a.claim).status == 200
        event = None
        with pytest.raises(EOFError, match="the stream ended"):
            while True:
                event = w.next()
        assert event is None or event.name == "disconnected"


def test_keys_that_the_job_may_not_read(pods, backend):
    a = pods.new({"vars_read": ["mine/*"]})
    with Watch(a, "yours") as w:
        assert (w.status, w.problem()["code"]) == (403, "key_forbidden")
    with Watch(a, "mine/1") as w:
        w.expect("snapshot")
    with Watch(a, "mine/1", token="x") as w:
        assert (w.status, w.problem()["code"]) == (401, "token_invalid")
    with Watch(a, "mine/not a key") as w:
        assert (w.status, w.problem()["code"]) == (400, "invalid_key")


def test_head(pods):
    a = pods.new()
    r = a.request("HEAD", "/variables/k/watch")
    assert r.status_code == 200
    assert r.headers["content-type"] == "text/event-stream"
    assert a.metric("watches") == 0


def test_so_many_watches(pods):
    a = pods.new()
    with contextlib.ExitStack() as stack:
        watches = [stack.enter_context(Watch(a, f"k{n}")) for n in range(64)]
        for w in watches:
            w.expect("snapshot")
        with Watch(a, "more") as w:
            assert (w.status, w.problem()["code"]) == (
                429, "too_many_requests")
            assert w.headers["retry-after"] == "1"
        # Other calls go on.
        assert a.put("/variables/k7", 1).status_code == 201
        watches[7].expect("change", value=1)
    until(lambda: a.metric("watches") == 0, "watches are left")
    with Watch(a, "more") as w:
        w.expect("snapshot")


def test_opening_a_watch_costs_one_call(pods):
    a = pods.new(limits={"forward_per_min": 1, "forward_burst": 2})
    for _ in range(2):
        with Watch(a, "k") as w:
            w.expect("snapshot")
    with Watch(a, "k") as w:
        assert (w.status, w.problem()["code"]) == (429, "rate_limited")


# --- secrets -----------------------------------------------------------------

def test_a_secret_is_masked_before_it_is_told(pods, backend):
    a = pods.new()
    put(backend, "s", "first-secret", "?secret=1")
    a.control.hold_acks = True
    with Watch(a, "s") as w:
        assert a.control.expect(frames.REDACT)[4:] == b'"first-secret"'
        # What follows waits for its turn.
        put(backend, "s", "second-secret", "?secret=1")
        backend.admin.delete("/v1/variables/s")
        w.sock.settimeout(0.5)
        with pytest.raises(TimeoutError):
            w.next()
        w.sock.settimeout(30)
        a.control.send(frames.ACK, a.control.held.pop())
        w.expect("snapshot", value="first-secret")
        assert a.control.expect(frames.REDACT)[4:] == b'"second-secret"'
        a.control.release_acks()
        w.expect("change", value="second-secret")
        w.expect("delete")
        put(backend, "s", "plain")
        w.expect("change", value="plain")
    assert a.control.redacted == [b'"first-secret"', b'"second-secret"']
    assert a.metric("redactions_total") == 2


def test_a_script_that_leaves_while_its_secret_is_masked(pods, backend):
    a = pods.new()
    put(backend, "s", "first-secret", "?secret=1")
    a.control.hold_acks = True
    with Watch(a, "s"):
        a.control.expect(frames.REDACT)
    assert a.get("/input").status_code == 200
    a.control.release_acks()
    until(lambda: a.metric("watches") == 0, "the watch is not gone")


def test_the_job_ends_while_a_secret_is_masked(pods, backend):
    a = pods.new()
    put(backend, "s", "first-secret", "?secret=1")
    a.control.hold_acks = True
    with Watch(a, "s") as w:
        a.control.expect(frames.REDACT)
        a.control.send(frames.DRAIN)
        with pytest.raises(EOFError, match="the stream ended"):
            w.next()


# --- slow scripts ------------------------------------------------------------

def rss_kb(process):
    with open(f"/proc/{process.pid}/status") as f:
        return next(int(line.split()[1]) for line in f
                    if line.startswith("VmRSS"))


def test_a_slow_script_costs_no_memory(pods, backend):
    """It gets everything in the end, or a reset: in order in any case."""
    a = pods.new()
    value, n = "x" * 30000, 700  # 20 MB
    with Watch(a, "k", receive_bytes=4096) as w:
        w.expect("snapshot")
        before = rss_kb(a.process)
        connection = backend.admin.connect()
        for i in range(n):
            connection.request("PUT", "/v1/variables/k",
                               json.dumps([i, value]).encode())
            assert connection.getresponse().read() == b""
        connection.close()
        # Others are not held up.
        assert a.put("/variables/other", 1).status_code == 201
        assert rss_kb(a.process) - before < 4096 or "asan" in str(BIN_DIR)
        last, version = -1, 0
        while last < n - 1:
            event = w.next()
            if event.name in ("disconnected", "connected"):
                continue
            data = event.json
            assert data["version"] > version
            assert data["value"][0] == last + 1 or event.name == "reset"
            last, version = data["value"][0], data["version"]


def test_comments(pods):
    """A line every 15 s says that the stream is alive."""
    a = pods.new()
    with Watch(a, "k") as w:
        w.expect("snapshot")
        start = time.monotonic()
        while b":\n\n" not in w.text:
            w.text += w._chunk()
        assert 14 < time.monotonic() - start < 30
