"""Streams, when the backend, a writer or the disk lets them down."""

import re
import threading

import httpx
import pytest

from backend_process import Backend, small_disk
from patience import until
from stream_job import (
    GONE, Job, MiB, PIECE, PIECES, WINDOW, fill_window, job, memory_kb,
    numbers, records,
)
from stream_job import agent  # noqa: F401

pytestmark = pytest.mark.timeout(120)


def test_kill_in_the_middle(tmp_path):
    """Nothing is lost, doubled or put in another order, on either side."""
    backend = Backend(str(tmp_path))
    job = Job(backend, backend.agent())
    total, got, problems = 3000, bytearray(), []

    def write():
        at = 0
        while at < total:
            n = min(7, total - at)
            try:
                reply = job.emit(records(at, n, 200), f"?from={at}")
            except GONE:
                continue
            if reply.status == 200:
                at = reply.json["next"]
            elif reply.status != 503:
                problems.append(reply)
                return

    def read():
        while got.count(b"\n") < total and not problems:
            whole = got.rfind(b"\n") + 1
            del got[whole:]
            try:
                reading = job.read(got.count(b"\n"))
                while piece := reading.response.read1(65536):
                    got.extend(piece)
                    if got.count(b"\n") == total:
                        return
            except GONE:
                continue

    threads = [threading.Thread(target=f) for f in (write, read)]
    for t in threads:
        t.start()
    kills = 0
    while any(t.is_alive() for t in threads):
        mark = got.count(b"\n")
        until(lambda: got.count(b"\n") > mark + 200 or
              not any(t.is_alive() for t in threads))
        if kills < 8:
            backend.kill()
            backend.start()
            kills += 1
    assert not problems and kills >= 5
    assert bytes(got) == records(0, total, 200)
    assert job.streams["output"]["records"] == total
    assert backend.stop() == 0


def test_kill_and_keys(tmp_path):
    """Appends without a number, repeated with their key: once each."""
    backend = Backend(str(tmp_path))
    job = Job(backend, backend.agent())
    done = [0, 0, 0]

    def write(w):
        for i in range(60):
            while True:
                try:
                    reply = job.emit(records(1000 * w + i, 1),
                                     **{"Idempotency-Key": f"{w}-{i}"})
                except GONE:
                    continue
                if reply.status == 200:
                    break
            done[w] = i + 1

    threads = [threading.Thread(target=write, args=(w,)) for w in range(3)]
    for t in threads:
        t.start()
    for mark in (20, 60, 100, 140):
        until(lambda: sum(done) >= mark)
        backend.kill()
        backend.start()
    for t in threads:
        t.join()
    got = numbers(job.read(follow=0).rest()[0])
    assert sorted(got) == [1000 * w + i for w in range(3) for i in range(60)]
    for w in range(3):
        assert [n for n in got if n // 1000 == w] == \
            [1000 * w + i for i in range(60)]
    assert backend.stop() == 0


def open_connections(backend):
    text = backend.admin.get("/metrics").body.decode()
    return int(re.search(r"^cronium_http_connections (\d+)$", text,
                         re.MULTILINE)[1])


def test_a_writer_that_leaves(backend, agent):
    """While it waits its records are not stored; the stream goes on."""
    job = Job(backend, agent)
    fill_window(job.send)
    before = open_connections(backend)
    with httpx.Client(http1=False, http2=True, timeout=1,
                      headers={"Authorization": f"Bearer {backend.api_key}"}
                      ) as client, pytest.raises(httpx.ReadTimeout):
        client.post(f"http://127.0.0.1:{backend.port}/v1/jobs/{job.id}"
                    "/input/stream", content=PIECE)
    until(lambda: open_connections(backend) <= before)
    reading = job.receive()
    reading.take(WINDOW)
    assert job.streams["input"]["records"] == 1024 * PIECES
    assert job.send(records(0, 1)).json == {"next": 1024 * PIECES + 1}
    assert reading.line() == records(0, 1)
    reading.close()


@pytest.mark.usefixtures("sqlite")
def test_full_disk(tmp_path):
    backend = Backend(str(tmp_path), wrapper=small_disk(tmp_path / "data"))
    try:
        agent = backend.agent()
        job = Job(backend, agent)
        at, reply = 0, None
        while at < 100:
            reply = job.emit(records(at * 100, 100, 1000), f"?from={at * 100}")
            if reply.status != 200:
                break
            at += 1
        assert (reply.status, reply.code) == (507, "disk_full")
        assert 0 < at < 100
        assert job.read(follow=0).rest() == (records(0, at * 100, 1000), True)
    finally:
        assert backend.stop() == 0


def test_memory_stays_flat(backend, agent):
    """256 MiB pass from one job to another."""
    first = Job(backend, agent)
    second = Job(backend, agent, input_from=first.id)
    total, read = 256, [0]

    def take():
        reading = second.receive()
        while piece := reading.response.read1(MiB):
            read[0] += len(piece)

    thread = threading.Thread(target=take)
    thread.start()
    most = base = 0
    for i in range(total):
        while first.emit(PIECE).status != 200:
            pass
        most = max(most, memory_kb(backend))
        if i == 32:
            base = most
    first.end()
    thread.join()
    assert read[0] == total * len(PIECE)
    assert most - base < 48 * 1024, f"{base} kB, then {most} kB"
