"""Streams whose reader is slow: the writer waits."""

import json
import threading
import time

import pytest

from backend_process import Backend, UnixConnection
from patience import until
from stream_job import (
    Held, Job, MiB, PIECE, PIECES, WINDOW, fill_window, records, waits,
)
from stream_job import agent, job  # noqa: F401

pytestmark = pytest.mark.timeout(120)


def test_without_a_reader_nobody_waits(job):
    for _ in range(3 * PIECES):
        assert job.emit(PIECE).status == 200
    assert job.streams["output"]["bytes"] == 3 * WINDOW


def test_an_input_waits_for_its_job(backend, job):
    fill_window(job.send)
    held = Held(job.send, PIECE)
    assert waits(backend, held)
    assert job.send(None).json == {"next": 1024 * PIECES}  # only asks
    reading = job.receive()
    reading.take(4 * len(PIECE))
    assert held.join().json == {"next": 1024 * (PIECES + 1)}
    assert held.took < 10
    # It goes away: where it was is where it is.
    reading.close()
    for _ in range(PIECES):
        last = Held(job.send, PIECE)
        if waits(backend, last, 0.2):
            break
        assert last.join().status == 200
    assert last.reply is None
    reading = job.receive(1024 * (PIECES + 1))
    assert last.join().status == 200
    reading.close()


def test_who_waits_too_long_is_told(backend, job):
    fill_window(job.send)
    held = Held(job.send, PIECE)
    reply = held.join()
    assert (reply.status, reply.code) == (503, "stream_full")
    assert int(reply.headers["retry-after"]) >= 1
    assert 9 < held.took < 20
    assert job.streams["input"]["records"] == 1024 * PIECES


def test_a_slow_reader_slows_the_writer(backend, job):
    reading = job.read()
    written, stop = [0], threading.Event()

    def write():
        while not stop.is_set() and written[0] < 64 * MiB:
            reply = job.emit(PIECE)
            assert reply.status in (200, 503), reply
            written[0] += len(PIECE) if reply.status == 200 else 0

    thread = threading.Thread(target=write)
    thread.start()
    try:
        taken = 0
        while taken < 24 * MiB:
            taken += len(reading.take(256 * 1024))
            # The window, and what lies in sockets and in the reply.
            assert written[0] <= taken + WINDOW + 4 * MiB
        until(lambda: written[0] > taken + WINDOW // 2)
        assert written[0] < 64 * MiB
        reading.close()  # and then nobody holds it up
        until(lambda: written[0] == 64 * MiB)
    finally:
        stop.set()
        thread.join()


def test_so_many_may_wait(backend, agent):
    """Beyond the bound a writer is refused at once."""
    job = Job(backend, agent)
    fill_window(job.send)
    connections = []
    try:
        for _ in range(70):
            c = UnixConnection(f"{backend.run}/api.sock")
            c.request("POST", f"/v1/jobs/{job.id}/input/stream", PIECE)
            connections.append(c)
        begun = time.monotonic()
        refused = 0
        for c in reversed(connections):  # the last ones are refused
            reply = c.getresponse()
            if time.monotonic() - begun > 5:
                break
            assert reply.status == 503
            assert json.loads(reply.read())["code"] == "stream_full"
            refused += 1
        assert refused == 70 - 64
    finally:
        for c in connections:  # those who wait leave
            c.close()
    job.receive().close()
    assert job.streams["input"]["records"] == 1024 * PIECES


def test_stop_breaks_readers_off_and_lets_nobody_wait(tmp_path):
    backend = Backend(str(tmp_path))
    agent = backend.agent()
    job = Job(backend, agent)
    job.emit(records(0, 1))
    reading = job.read()
    assert reading.line() == records(0, 1)
    fill_window(job.send)
    held = Held(job.send, PIECE)
    assert waits(backend, held)
    assert backend.stop() == 0
    assert reading.rest() == (b"", False)
    reply = held.join()
    assert (reply.status, reply.code) == (503, "stopping")
    agent.close()
