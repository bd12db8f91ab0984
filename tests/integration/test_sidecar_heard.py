"""What a sidecar has cached is dropped when it hears of a change."""

import contextlib
import threading

import pytest

import frames
from patience import until
from runtime_backend import SILENCE
from sidecar_harness import Sidecar
from sidecar_pods import cached, fill_history, listens, put
from sidecar_pods import backend, pods  # noqa: F401

pytestmark = pytest.mark.timeout(120)


def test_a_write_elsewhere_is_seen_at_once(pods, backend):
    a, b = pods.new(), pods.new()
    listens(a, backend)
    for n in range(50):
        assert b.put("/variables/k", n).status_code in (201, 204)
        until(lambda: a.get("/variables/k").json() == n, "still old")
    # A read that is under way when the change comes has nothing to drop.
    assert a.metric("invalidations_total") >= 25
    assert b.delete("/variables/k").status_code == 204
    until(lambda: a.get("/variables/k").status_code == 404, "still there")
    # Absence is no longer believed either.
    assert b.put("/variables/k", 1).status_code == 201
    until(lambda: a.get("/variables/k").status_code == 200, "still absent",
          seconds=4)  # before CACHE_ABSENT_TTL_MS is over


def test_what_nobody_wrote_stays_cached(pods, backend):
    a, b = pods.new(), pods.new()
    listens(a, backend)
    assert a.put("/variables/mine", 1).status_code == 201
    for n in range(20):
        b.put("/variables/other", n)
        r = a.get("/variables/mine")
        assert (r.json(), r.headers["x-cronium-cache"]) == (1, "hit")


def test_own_writes_are_hits(pods, backend):
    a = pods.new()
    assert a.put("/variables/k", -1).status_code == 201
    assert a.get("/variables/k").headers["x-cronium-cache"] == "hit"
    listens(a, backend)
    for n in range(100):
        assert a.put("/variables/k", n).status_code == 204
        r = a.get("/variables/k")
        assert (r.json(), r.headers["x-cronium-cache"]) == (n, "hit")


def test_readers_converge_while_two_write(pods, backend):
    """Nobody keeps an old value: not the one whose write was overtaken."""
    sidecars = [pods.new(), pods.new()]
    for s in sidecars:
        listens(s, backend)

    def write(s, base):
        for n in range(150):
            s.put("/variables/k", base + n)

    writers = [threading.Thread(target=write, args=(s, i * 1000))
               for i, s in enumerate(sidecars)]
    for w in writers:
        w.start()
    for w in writers:
        w.join()
    now = backend.admin.get("/v1/variables/k").json
    for s in sidecars:
        until(lambda: s.get("/variables/k").json() == now, "an old value")


def test_after_the_backend_was_killed(pods, backend):
    a = pods.new()
    listens(a, backend)
    put(backend, "k", 1)
    cached(a, "k")
    backend.kill()
    assert a.get("/variables/k").json() == 1
    backend.start()
    put(backend, "k", 2)
    until(lambda: a.get("/variables/k").json() == 2, "still old")


def test_too_many_changes_missed(pods, backend):
    """Reset: everything cached before is forgotten."""
    a = pods.new()
    listens(a, backend)
    put(backend, "k", 1)
    put(backend, "still", 1)
    cached(a, "k")
    cached(a, "still")
    with contextlib.ExitStack() as stack:
        stack.callback(lambda: a.process.send_signal(18))
        a.process.send_signal(19)  # SIGSTOP: it hears nothing
        backend.kill()
        backend.start()
        put(backend, "k", 2)
        fill_history(backend)
    until(lambda: a.get("/variables/k").json() == 2, "still old")
    assert a.get("/variables/still").json() == 1


def test_a_backend_that_talks_nonsense(tmp_path):
    """It is asked again, with pauses, from what was understood."""
    position = frames.encode(frames.POSITION, {"version": 5, "reset": False})
    change = frames.encode(frames.CHANGE, {"key": "k", "version": 9})
    answers = [b"", b"nonsense", b"\x25\xff\xff\xff\xff", change,
               frames.encode(frames.POSITION, b"[]"),
               frames.encode(frames.POSITION, b"{}"),
               position + frames.encode(frames.CHANGE, b"{}"),
               position + frames.encode(frames.CHANGE,
                                        {"key": "x" * 257, "version": 9}),
               position + frames.encode(frames.VALUE, b"1"),
               position + change]
    asked = []

    def on_changes(request):
        asked.append(request.query.get("from"))
        if len(asked) > len(answers):
            return SILENCE
        return (200, {"content-type": "application/vnd.cronium.frames"},
                answers[len(asked) - 1])

    with Sidecar(tmp_path) as s:
        s.backend.on_changes = on_changes
        s.backend.store.set("k", 1)
        assert s.get("/variables/k").json() == 1
        until(lambda: len(asked) > len(answers), asked)
        assert asked[0] is None
        assert asked[-1] == "9"
        s.backend.store.set("k", 2)
        assert s.get("/variables/k").json() == 2
