"""Changes in order, none missed or doubled, across kills and trims."""

import concurrent.futures
import random
import threading

import pytest

from backend_process import TIMEOUT
from changes import BROKEN, Changes, HISTORY, put

pytestmark = pytest.mark.timeout(180)


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
