"""Changes of variables: told in order, once, to those who may know."""

import concurrent.futures
import http.client
import json
import random
import select
import socket
import threading
import time

import pytest

import frames
from backend_process import Backend, TIMEOUT, quote
from patience import until

pytestmark = pytest.mark.timeout(180)

ADMIN, RUNTIME = "/v1/changes", "/v1/runtime/changes"
LATENCY_S = 10  # on a loaded machine; bench/ has the real figure
HISTORY = 4096  # STORE_CHANGES_MAX
BROKEN = (OSError, http.client.HTTPException)  # EOFError is a proper end


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    b = Backend(str(tmp_path_factory.mktemp("backend")))
    yield b
    assert b.stop() == 0, "".join(b.log)


@pytest.fixture
def backend(tmp_path):
    b = Backend(str(tmp_path))
    yield b
    assert b.stop() == 0, "".join(b.log)


class Changes:
    """One stream of changes."""

    def __init__(self, peer, key=None, since=None, path=ADMIN):
        query = [f"key={quote(key)}"] if key else []
        query += [f"from={since}"] if since is not None else []
        self.stream = peer.stream(path + "?" + "&".join(query))
        position = self.stream.expect(frames.POSITION)
        assert set(position) == {"version", "reset"}
        self.position, self.reset = position["version"], position["reset"]

    def next(self):
        """The next change, with its value (bytes) if one came."""
        change = self.stream.expect(frames.CHANGE)
        assert set(change) == {"key", "version", "deleted", "secret",
                               "snapshot", "value_bytes"}
        change["value"] = None
        if change["value_bytes"]:
            kind, change["value"] = self.stream.next()
            assert kind == frames.VALUE
            assert len(change["value"]) == change["value_bytes"]
        return change

    def take(self, n):
        return [self.next() for _ in range(n)]

    def close(self):
        self.stream.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def put(peer, key, value, runtime=False, **headers):
    """Its version."""
    base = "/v1/runtime/variables" if runtime else "/v1/variables"
    reply = peer.put(f"{base}/{quote(key)}", value, **headers)
    assert reply.status in (201, 204), reply
    return int(reply.headers["etag"].strip('"'))


def told(changes):
    return [(c["key"], c["version"], c["deleted"], c["value"])
            for c in changes]


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


# --- order, and nothing missed or doubled -----------------------------------

class Writer(threading.Thread):
    """Writes a key, and notes what was acknowledged."""

    def __init__(self, backend, key, n):
        super().__init__(daemon=True)
        self.backend, self.key, self.n = backend, key, n
        self.acked, self.stop = [], False

    def run(self):
        for i in range(self.n):
            if self.stop:
                break
            try:
                version = put(self.backend.admin, self.key, b"%d" % i)
            except BROKEN:
                continue
            self.acked.append((version, b"%d" % i))


def read_until(backend, key, last, seen, breaks=0):
    """Reads up to a version, over as many streams as it takes."""
    since = seen[-1][0] if seen else None
    while not seen or seen[-1][0] < last:
        with Changes(backend.admin, key, since) as changes:
            assert not changes.reset
            left = random.randrange(1, 40) if breaks else 1 << 30
            while left and (not seen or seen[-1][0] < last):
                change = changes.next()
                seen.append((change["version"], change["value"]))
                left -= not change["snapshot"]
        since = seen[-1][0]
    return seen


def test_writers_and_readers_that_come_and_go(shared):
    put(shared.admin, "race", b'"begin"')
    writers = [Writer(shared, "race", 150) for _ in range(4)]
    noise = Writer(shared, "race/noise", 200)
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        start = Changes(shared.admin, "race")
        begin = start.next()["version"]
        start.close()
        for w in (*writers, noise):
            w.start()
        late = [pool.submit(read_part, shared, "race", begin, 100)
                for _ in range(6)]
        for w in (*writers, noise):
            w.join(TIMEOUT)
        expected = sorted(v for w in writers for v in w.acked)
        assert len(expected) == 600
        for f in late:
            seen = f.result(TIMEOUT)
            assert seen == expected[:len(seen)] and len(seen) >= 100
        last = expected[-1][0]
        everything = [pool.submit(read_until, shared, "race", last,
                                  [(begin, None)], 1) for _ in range(4)]
        for f in everything:
            assert f.result(TIMEOUT)[1:] == expected


def read_part(backend, key, since, n):
    """At least n changes, while they are being made, reconnecting."""
    seen = []
    while len(seen) < n:
        with Changes(backend.admin, key, since) as changes:
            for _ in range(random.randrange(1, 30)):
                change = changes.next()
                seen.append((change["version"], change["value"]))
                if len(seen) == n:
                    break
        since = seen[-1][0]
    return seen


def test_across_kills_of_the_backend(backend):
    """What was acknowledged is told, in order, once, whoever dies."""
    put(backend.admin, "k", b'"begin"')
    seen = []
    with Changes(backend.admin, "k") as changes:
        begin = changes.next()["version"]
    acked = []
    for round in range(4):
        writers = [Writer(backend, "k", 100000) for _ in range(3)]
        with Changes(backend.admin, "k", seen[-1][0] if seen else begin) \
                as changes:
            assert not changes.reset
            for w in writers:
                w.start()
            for _ in range(40 + 30 * round):
                change = changes.next()
                seen.append((change["version"], change["value"]))
            backend.kill()
            with pytest.raises((EOFError, *BROKEN)):
                while True:
                    change = changes.next()
                    seen.append((change["version"], change["value"]))
        for w in writers:
            w.stop = True
        for w in writers:
            w.join(TIMEOUT)
            acked += w.acked
        backend.start()
    last = put(backend.admin, "k", b'"end"')
    read_until(backend, "k", last, seen)
    versions = [v for v, _ in seen]
    assert versions == list(range(begin + 1, last + 1))
    assert set(acked) <= set(seen)


def test_from_a_version_of_another_database(shared):
    version = put(shared.admin, "restored", b"1")
    with Changes(shared.admin, "restored", version + 100000) as changes:
        assert changes.reset
        assert changes.next()["version"] == version
    with Changes(shared.admin, since=version + 100000) as changes:
        assert changes.reset and changes.position < version + 100000


def test_history_that_was_trimmed(backend):
    admin = backend.admin
    still = put(admin, "still", b'"here"')
    gone = put(admin, "gone", b"1")
    admin.delete("/v1/variables/gone")
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda i: put(backend.admin, f"noise-{i % 7}", b"1"),
                      range(HISTORY)))
    last = put(admin, "last", b"1")
    with Changes(admin, since=last - HISTORY) as changes:
        assert not changes.reset
        got = changes.take(HISTORY)
        assert [c["version"] for c in got] == \
            list(range(last - HISTORY + 1, last + 1))
    with Changes(admin, since=last - HISTORY - 1) as changes:
        assert changes.reset and changes.position == last
        put(admin, "last", b"2")
        assert changes.next()["key"] == "last"
    with Changes(admin, "still", still) as changes:
        assert not changes.reset and changes.position == still
        put(admin, "still", b'"changed"')
        assert changes.next()["value"] == b'"changed"'
    with Changes(admin, "still", still - 1) as changes:
        assert changes.reset
        snapshot = changes.next()
        assert snapshot["snapshot"] and snapshot["value"] == b'"changed"'
    with Changes(admin, "gone", gone) as changes:
        assert changes.reset
        snapshot = changes.next()
        assert snapshot["snapshot"] and snapshot["deleted"]


# --- large and many ---------------------------------------------------------

def test_large_values(shared):
    """Live they all arrive; from the history the last one does."""
    values = [b'"' + bytes([c]) * 300_000 + b'"' for c in b"abcd"]
    with Changes(shared.admin, "large") as changes:
        changes.next()
        versions = []
        for value in values:
            versions.append(put(shared.admin, "large", value))
            assert changes.next()["value"] == value
    with Changes(shared.admin, "large", versions[-2]) as changes:
        assert not changes.reset
        assert changes.next()["value"] == values[-1]
    with Changes(shared.admin, "large", versions[0]) as changes:
        assert changes.reset
        assert changes.next()["value"] == values[-1]


def resident_kb(pid):
    with open(f"/proc/{pid}/status") as f:
        return next(int(line.split()[1]) for line in f
                    if line.startswith("VmRSS:"))


def test_slow_reader(shared):
    """It hinders nobody, costs little, and misses nothing."""
    value = b'"' + b"x" * 30_000 + b'"'
    slow = Changes(shared.admin, "slow")
    quick = Changes(shared.admin, "slow")
    slow.next(), quick.next()
    slow.stream.sock.connection.sock.setsockopt(
        socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    before = resident_kb(shared.process.pid)
    versions = []
    for _ in range(300):
        versions.append(put(shared.admin, "slow", value))
        assert quick.next()["version"] == versions[-1]
    grown = resident_kb(shared.process.pid) - before
    assert [c["version"] for c in slow.take(300)] == versions
    slow.close(), quick.close()
    assert grown < 64 * 1024, f"{grown} KiB"


def test_large_values_to_many_who_wait(tmp_path):
    """What is kept for readers is bounded, whatever is written."""
    backend = Backend(str(tmp_path), "--max-value-bytes", "10m")
    value = b'"' + b"x" * (9 << 20) + b'"'
    watchers = [Changes(backend.admin, "huge") for _ in range(80)]
    for w in watchers:
        w.next()
    before = resident_kb(backend.process.pid)
    put(backend.admin, "huge", value)
    last = put(backend.admin, "huge", b'"end"')
    grown = resident_kb(backend.process.pid) - before
    with concurrent.futures.ThreadPoolExecutor(80) as pool:
        ends = list(pool.map(lambda w: reads_to(backend, w, last), watchers))
    assert set(ends) == {b'"end"'}
    assert backend.stop() == 0
    # The backlog of all, and eight that have read before it was full.
    assert grown < 400 * 1024, f"{grown} KiB instead of 720 MiB"


def reads_to(backend, changes, last):
    """The value of a version; a stream that breaks off is made anew."""
    seen = changes.position
    while True:
        try:
            change = changes.next()
        except BROKEN:
            changes.close()
            changes = Changes(backend.admin, "huge", seen)
            continue
        seen = change["version"]
        if seen == last:
            changes.close()
            return change["value"]


def test_reader_that_takes_nothing(shared):
    """It is cut off after 30 s, with what was kept for it."""
    stuck = Changes(shared.admin, "stuck")
    reader = Changes(shared.admin, "stuck")
    stuck.next(), reader.next()
    sock = stuck.stream.sock.connection.sock
    since = time.monotonic()
    for _ in range(40):
        put(shared.admin, "stuck", b'"' + b"x" * 30_000 + b'"')
        reader.next()
    poll = select.poll()
    poll.register(sock, select.POLLRDHUP)
    assert poll.poll(60_000), "still connected"
    assert time.monotonic() - since > 29
    put(shared.admin, "stuck", b"1")
    assert reader.next()["value"] == b"1"
    stuck.close(), reader.close()


def test_many_streams(shared):
    """500 at once, with and without key; each hears of each write."""
    put(shared.admin, "many", b"0")
    streams = []
    for i in range(500):
        streams.append(Changes(shared.admin, "many" if i % 2 else None))
        if i % 2:
            assert streams[-1].next()["snapshot"]
    open_now = streams_open(shared)
    assert open_now >= 500
    versions = [put(shared.admin, "many", b"%d" % i) for i in range(5)]
    for i, s in enumerate(streams):
        got = s.take(5)
        assert [c["version"] for c in got] == versions
        assert [c["value"] for c in got] == (
            [b"%d" % v for v in range(5)] if i % 2 else [None] * 5)
    for s in streams:
        s.close()
    until(lambda: streams_open(shared) <= open_now - 500,
          "some are still counted")


def streams_open(backend):
    text = backend.admin.get("/metrics").body.decode()
    return int(next(l for l in text.splitlines() if l.startswith(
        "cronium_change_streams ")).split()[1])


def test_too_many_of_one_execution(shared):
    shared.submit(agent="greedy")
    agent = shared.agent(name="greedy")
    sidecar = shared.sidecar(agent.claim())
    streams = [Changes(sidecar, path=RUNTIME) for _ in range(256)]
    reply = sidecar.get(RUNTIME)
    assert reply.status == 429 and reply.code == "too_many_streams"
    streams.pop().close()

    def may_watch():
        connection = sidecar.connect()
        response = sidecar._send(connection, "GET", RUNTIME, None, None)
        status = response.status
        connection.sock.close() if connection.sock else None
        response.close()
        connection.close()
        assert status in (200, 429)
        return status == 200

    until(may_watch)
    for s in streams:
        s.close()
    agent.close()


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


# --- what sidecars refuse ---------------------------------------------------

AUDIT = "/v1/runtime/audit"


def test_audit_of_sidecars(shared):
    shared.submit(agent="audit")
    agent = shared.agent(name="audit")
    claim = agent.claim()
    sidecar = shared.sidecar(claim)
    trace_id = "0af7651916cd43dd8448eb211c80319c"
    trace = {"traceparent": f"00-{trace_id}-b7ad6b7169203331-01"}
    assert sidecar.post(AUDIT, {"action": "token.refused",
                                "code": "token_invalid"}, **trace
                        ).status == 204
    assert sidecar.post(AUDIT, {"action": "call.refused",
                                "code": "key_forbidden", "target": "team/x"}
                        ).status == 204
    for body in (b"", b"[]", b"x", {"action": "token.refused"},
                 {"action": "job.submit", "code": "ok"},
                 {"action": "token.refused", "code": "key_forbidden"},
                 {"action": "token.refused", "code": 1},
                 {"action": "call.refused", "code": "key_forbidden",
                  "target": "a b"}):
        reply = sidecar.post(AUDIT, body)
        assert reply.status == 400, (body, reply)
    entries = shared.admin.get(f"/v1/audit?execution={claim.id}"
                               ).json["entries"]
    assert [(e["action"], e["result"], e["target"], e["who"], e["job"])
            for e in entries] == [
        ("call.refused", "key_forbidden", "team/x", f"execution:{claim.id}",
         claim.job),
        ("token.refused", "token_invalid", None, f"execution:{claim.id}",
         claim.job)]
    assert entries[1]["trace_id"] == trace_id
    assert shared.admin.post(AUDIT, {}).status == 403
    agent.close()


def test_audit_of_sidecars_is_bounded(backend):
    """60 a minute of one execution, and one entry that counts the rest."""
    agent = backend.agent()
    claims = []
    for _ in range(2):
        backend.submit()
        claims.append(agent.claim())
    body = {"action": "token.refused", "code": "token_expired"}
    for n, claim in zip((100, 60), claims):
        sidecar = backend.sidecar(claim)
        for _ in range(n):
            assert sidecar.post(AUDIT, body).status == 204
    assert backend.stop() == 0
    backend.start()
    got = [[e for e in backend.admin.get(
        f"/v1/audit?execution={c.id}&limit=1000").json["entries"]]
        for c in claims]
    assert [len(g) for g in got] == [61, 60]
    assert (got[0][0]["action"], got[0][0]["target"]) == \
        ("refusals.counted", "40 more within a minute")
    assert {e["action"] for e in got[0][1:] + got[1]} == {"token.refused"}
