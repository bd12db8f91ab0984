"""Large values, and many who follow them."""

import concurrent.futures
import select
import socket
import time

import pytest

from backend_process import Backend
from changes import BROKEN, Changes, RUNTIME, put
from patience import until

pytestmark = pytest.mark.timeout(180)


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
