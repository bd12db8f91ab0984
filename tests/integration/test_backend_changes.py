"""Changes of variables: of one key, of all, of secrets, and the end."""

import json
import time

import pytest

import frames
from backend_process import Backend
from changes import ADMIN, BROKEN, Changes, LATENCY_S, RUNTIME, put, told

pytestmark = pytest.mark.timeout(180)


# --- one key ----------------------------------------------------------------

def test_snapshot_then_changes(shared):
    admin = shared.admin
    first = put(admin, "s/one", b'{"a": 1.10}')
    with Changes(admin, "s/one") as changes:
        assert changes.position >= first and not changes.reset
        snapshot = changes.next()
        assert snapshot["snapshot"] and not snapshot["secret"]
        assert told([snapshot]) == [("s/one", first, False, b'{"a": 1.10}')]
        second = put(admin, "s/one", b"2")
        put(admin, "s/other", b"3")
        assert admin.post("/v1/variables/s%2Fone/increment").status == 200
        assert admin.delete("/v1/variables/s%2Fone").status == 204
        last = put(admin, "s/one", b"null")
        got = changes.take(4)
    assert [c["snapshot"] for c in got] == [False] * 4
    assert told(got) == [("s/one", second, False, b"2"),
                         ("s/one", second + 2, False, b"3"),
                         ("s/one", second + 3, True, None),
                         ("s/one", last, False, b"null")]


def test_snapshot_of_what_is_not_there(shared):
    with Changes(shared.admin, "absent/key") as changes:
        snapshot = changes.next()
        assert snapshot["snapshot"] and snapshot["deleted"]
        assert snapshot["version"] == changes.position
        version = put(shared.admin, "absent/key", b"1")
        assert told(changes.take(1)) == [("absent/key", version, False, b"1")]
    # What the snapshot said is good to come back with.
    with Changes(shared.admin, "absent/key", changes.position) as changes:
        assert not changes.reset
        assert changes.next()["version"] == version


def test_from_each_version(shared):
    """Whatever a reader saw last, it gets exactly the rest."""
    admin, expected = shared.admin, []
    for i in range(12):
        if i % 4 == 3:
            assert admin.delete("/v1/variables/each").status == 204
            expected.append(("each", expected[-1][1] + 2, True, None))
        else:
            expected.append(("each", put(admin, "each", b"%d" % i), False,
                             b"%d" % i))
        put(admin, "each/noise", b"0")
    for i in range(expected[0][1] - 1, expected[-1][1] + 1):
        rest = [e for e in expected if e[1] > i]
        with Changes(admin, "each", i) as changes:
            assert changes.position == i and not changes.reset
            assert told(changes.take(len(rest))) == rest
    with Changes(admin, "each", expected[-1][1]) as changes:
        version = put(admin, "each", b'"new"')
        assert told(changes.take(1)) == [("each", version, False, b'"new"')]


def test_repeated_writes_are_told_once(shared):
    shared.submit(agent="repeats")
    agent = shared.agent(name="repeats")
    sidecar = shared.sidecar(agent.claim())
    with Changes(sidecar, "rep", path=RUNTIME) as changes:
        changes.next()
        once = {"Idempotency-Key": "k1"}
        first = put(sidecar, "rep", b"1", True, **once)
        assert put(sidecar, "rep", b"1", True, **once) == first
        path = "/v1/runtime/variables/rep"
        for _ in range(3):
            assert sidecar.post(f"{path}/increment", {"by": 2},
                                **{"Idempotency-Key": "k2"}).status == 200
            assert sidecar.put(path, b"7", **{"If-Match": '"1"'}
                               ).status == 412
        for _ in range(3):
            assert sidecar.delete(path, **{"Idempotency-Key": "k3"}
                                  ).status == 204
        assert sidecar.delete(path).status == 404
        last = put(sidecar, "rep", b"4", True)
        assert told(changes.take(4)) == [
            ("rep", first, False, b"1"), ("rep", first + 1, False, b"3"),
            ("rep", first + 2, True, None), ("rep", last, False, b"4")]
    agent.close()


def test_told_soon(shared):
    """Each write arrives within LATENCY_S, at many watchers."""
    put(shared.admin, "soon", b"0")
    watchers = [Changes(shared.admin, "soon") for _ in range(50)]
    for w in watchers:
        w.next()
    worst = 0
    for i in range(10):
        put(shared.admin, "soon", b"%d" % i)
        since = time.monotonic()
        for w in watchers:
            assert w.next()["value"] == b"%d" % i
        worst = max(worst, time.monotonic() - since)
    for w in watchers:
        w.close()
    assert worst < LATENCY_S


def test_bad_requests(shared):
    for query in ("key=a%20b", "key=" + "k" * 257, "from=-1", "from=x",
                  "from=99999999999999999999"):
        reply = shared.admin.get(f"{ADMIN}?{query}")
        assert reply.status == 400, (query, reply)
    assert shared.admin.call("HEAD", ADMIN).status == 405
    assert shared.tcp().get(ADMIN).status == 401
    assert shared.admin.post(ADMIN).status in (404, 405)


# --- all of them ------------------------------------------------------------

def test_all_without_values(shared):
    admin = shared.admin
    with Changes(admin) as changes:
        first = put(admin, "all/a", b"[1]")
        put(admin, "all/b", b"2")
        admin.delete("/v1/variables/all%2Fa")
        got = changes.take(3)
    assert told(got) == [("all/a", first, False, None),
                         ("all/b", first + 1, False, None),
                         ("all/a", first + 2, True, None)]
    with Changes(admin, since=first) as changes:
        assert changes.position == first
        assert told(changes.take(2)) == told(got[1:])


def test_patterns(shared):
    """A sidecar hears of what its token may read, and of nothing else."""
    shared.submit(vars_read=["team/*", "ONE"], vars_write=["*"], agent="patterns")
    agent = shared.agent(name="patterns")
    claim = agent.claim()
    sidecar = shared.sidecar(claim)
    before = put(shared.admin, "team/old", b"1")
    with Changes(sidecar, path=RUNTIME) as live, \
            Changes(sidecar, since=before - 1, path=RUNTIME) as late:
        assert late.next()["key"] == "team/old"
        for key in ("secretive", "team/x", "ONE", "ONE/2", "other", "team/y"):
            put(shared.admin, key, b"1")
        names = ["team/x", "ONE", "team/y"]
        assert [c["key"] for c in live.take(3)] == names
        assert [c["key"] for c in late.take(3)] == names
        with Changes(sidecar, since=before, path=RUNTIME) as again:
            assert [c["key"] for c in again.take(3)] == names
    reply = sidecar.get(f"{RUNTIME}?key=other")
    assert reply.status == 403 and reply.code == "forbidden"
    with Changes(sidecar, "team/x", path=RUNTIME) as one:
        assert one.next()["value"] == b"1"
    assert sidecar.get(ADMIN).status == 403  # of its socket
    put(shared.admin, "settle", b"1")  # and with it what was noted before
    audit = shared.admin.get(f"/v1/audit?execution={claim.id}").json
    assert [(e["action"], e["target"], e["result"])
            for e in audit["entries"]] == [
                ("variable.watch", "other", "forbidden")]
    agent.close()


# --- secrets ----------------------------------------------------------------

def test_secrets(backend):
    admin = backend.admin
    backend.submit()
    agent = backend.agent()
    claim = agent.claim()
    sidecar = backend.sidecar(claim)
    path = "/v1/variables/API_KEY"
    assert admin.put(f"{path}?secret=1", b'"hunter2-a"').status == 201
    with Changes(sidecar, "API_KEY", path=RUNTIME) as watch, \
            Changes(sidecar, path=RUNTIME) as everything:
        first = watch.next()
        assert first["secret"] and first["value"] == b'"hunter2-a"'
        for value in (b'"hunter2-b"', b'"hunter2-c"'):
            put(admin, "API_KEY", value)
            change = watch.next()
            assert change["secret"] and change["value"] == value
        assert admin.delete(path).status == 204
        assert watch.next()["deleted"]
        assert [(c["secret"], c["value"]) for c in everything.take(3)] == \
            [(True, None)] * 3
    with Changes(sidecar, "API_KEY", first["version"], RUNTIME) as watch:
        assert [c["value"] for c in watch.take(3)] == [
            b'"hunter2-b"', b'"hunter2-c"', None]
    entries = admin.get(f"/v1/audit?execution={claim.id}").json["entries"]
    # The snapshot, each change, and the two that were read together.
    assert [(e["action"], e["target"], e["who"]) for e in entries] == \
        [("secret.read", "API_KEY", f"execution:{claim.id}")] * 4
    assert "hunter2" not in json.dumps(entries)
    assert "hunter2" not in "".join(backend.log)
    agent.close()


def test_what_becomes_a_secret(shared):
    admin = shared.admin
    with Changes(admin, "becomes") as watch:
        watch.next()
        first = put(admin, "becomes", b'"open"')
        assert watch.next()["value"] == b'"open"'
        assert admin.put("/v1/variables/becomes?secret=1", b'"shut"'
                         ).status == 204
        change = watch.next()
        assert change["secret"] and change["value"] == b'"shut"'
    with Changes(admin, "becomes", first - 1) as watch:
        assert watch.reset
        snapshot = watch.next()
        assert snapshot["snapshot"] and snapshot["value"] == b'"shut"'


# --- the end ----------------------------------------------------------------

def test_ends_with_the_execution(shared):
    shared.submit(agent="ends")
    agent = shared.agent(name="ends")
    claim = agent.claim()
    agent.started(claim)
    sidecar = shared.sidecar(claim)
    streams = [Changes(sidecar, path=RUNTIME),
               Changes(sidecar, "ends", path=RUNTIME)]
    streams[1].next()
    other = Changes(shared.admin)
    assert agent.complete(claim).status == 200
    for s in streams:
        with pytest.raises(EOFError):
            s.next()
    reply = sidecar.get(RUNTIME)
    assert reply.status == 401 and reply.code == "execution_ended"
    put(shared.admin, "ends", b"1")
    assert other.next()["key"] == "ends"
    other.close()
    agent.close()


def test_ends_when_the_lease_runs_out(tmp_path):
    backend = Backend(str(tmp_path), "--lease", "500ms")
    backend.submit()
    agent = backend.agent(slots=1)
    changes = Changes(backend.sidecar(agent.claim()), path=RUNTIME)
    with pytest.raises(EOFError):
        changes.next()
    assert backend.stop() == 0


def test_backend_stops(tmp_path):
    """At once, and so that a reader knows that this is not the end."""
    backend = Backend(str(tmp_path))
    streams = [Changes(backend.admin) for _ in range(20)]
    assert backend.stop() == 0
    assert not any("still open" in line for line in backend.log)
    for s in streams:
        with pytest.raises(BROKEN):
            s.next()


def test_heartbeats(shared):
    with Changes(shared.admin) as changes:
        assert changes.stream._take(5) == frames.encode(frames.HEARTBEAT)
