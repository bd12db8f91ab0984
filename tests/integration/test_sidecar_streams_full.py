"""Streams through a sidecar hold little, whoever is slow."""

import json

import pytest

from http_server import Reader
from patience import stands, until
from runtime_backend import Flow
from sidecar_harness import Sidecar
from sidecar_streams import (
    MIB, NDJSON, PATIENCE_S, SANITIZED, Writer, anonymous_bytes, chunk,
    connect, head, lines, numbers, read, running, write,
)

pytestmark = pytest.mark.timeout(60)


@pytest.mark.timeout(180)
@pytest.mark.parametrize("size", [100, 65536, MIB])
def test_memory_stays_flat(tmp_path, size):
    record = json.dumps("x" * (size - 3)).encode() + b"\n"
    piece = record * max(1, MIB // 4 // size)
    # Sanitizers keep freed memory for a while: no figure to look at.
    n = (16 if SANITIZED else 256) * MIB // len(piece)
    most = [0]
    with running(tmp_path, "--max-stream-bytes", "1g") as (job, s):
        pid = s.process.pid
        idle = anonymous_bytes(pid)

        def pieces():
            for i in range(n):
                if i % 16 == 0:
                    most[0] = max(most[0], anonymous_bytes(pid))
                yield piece

        r = write(s, pieces(), "?from=0")
        assert r.json() == {"next": n * len(piece) // len(record)}
        if not SANITIZED:
            assert most[0] - idle < 8 * MIB


def test_slow_reader(tmp_path):
    """The call to the backend is slowed down, nothing piles up, and the
    reader may take as long as it likes."""
    flow = Flow()
    line = b'"' + b"x" * 999 + b'"\n'
    total = 64 * MIB // len(line)
    with Sidecar(tmp_path) as s:
        idle = anonymous_bytes(s.process.pid)
        s.backend.hook = lambda r: (200, {"x-cronium-stream-from": "0"}, flow)
        with connect(s, receive_buffer=16384) as sock:
            sock.sendall(head(s, "GET", "/input/stream"))
            assert flow.asked.wait(PATIENCE_S)
            flow.write(line * total)
            until(lambda: flow.taken > 256 * 1024)
            # It stands still, with little on the way.
            stands(lambda: flow.taken, 0.3)
            assert flow.taken < 8 * MIB
            if not SANITIZED:
                assert anonymous_bytes(s.process.pid) - idle < 2 * MIB
            flow.end()
            reader = Reader(sock)
            assert reader.head()[0] == 200
            got = sum(map(len, reader.chunks()))
            assert got == total * len(line)
        if not SANITIZED:
            assert anonymous_bytes(s.process.pid) - idle < 2 * MIB


def test_acknowledgements_that_nobody_reads(tmp_path):
    """The body goes on, and the last line tells all."""
    n = 20000
    with running(tmp_path) as (job, s):
        with connect(s, receive_buffer=4096) as sock:
            sock.sendall(head(s, "POST", "/output/stream?from=0",
                              "Transfer-Encoding: chunked",
                              f"Accept: {NDJSON}"))
            for at in range(n):
                sock.sendall(chunk(b"%d\n" % at))
            sock.sendall(b"0\r\n\r\n")
            until(lambda: s.metric(
                'stream_records_total{stream="output"}') == n)
            until(lambda: job.backend.admin.get(
                f"/v1/jobs/{job.id}/streams").json["output"]["records"] == n)
            lines = Reader(sock).reply().body.splitlines()
            told = [json.loads(line)["next"] for line in lines]
            assert told == sorted(set(told)) and told[-1] == n


def test_acknowledgements_are_caught_up_with(tmp_path):
    """Several become one, and the last is told although nothing follows."""
    with Sidecar(tmp_path) as s:
        numbers = iter(range(1, 1 << 60))
        s.backend.hook = lambda r: (200, {}, b'{"next":%d%s}' % (
            next(numbers), b" " * 10))
        with connect(s, receive_buffer=2048) as sock:
            sock.sendall(head(s, "POST", "/output/stream",
                              "Transfer-Encoding: chunked",
                              f"Accept: {NDJSON}"))
            sent = 0
            while sent < 3000:
                sock.sendall(chunk(b"1\n"))
                sent += 1
            until(lambda: s.metric(
                'stream_records_total{stream="output"}') == sent)
            reader = Reader(sock)
            assert reader.head()[0] == 200
            pieces = reader.chunks()
            until(lambda: len(s.backend.seen) and
                  sum(r.body.count(b"\n") for r in s.backend.seen) == sent)
            last = len(s.backend.seen)
            told = 0
            while told < last:
                told = json.loads(next(pieces).splitlines()[-1])["next"]
            assert told == last


def test_number_of_streams(tmp_path):
    with Sidecar(tmp_path) as s:
        s.backend.hook = lambda r: (
            200, {"x-cronium-stream-from": "0"}, Flow())
        readers, writers = [], []
        for _ in range(16):
            readers.append(connect(s))
            readers[-1].sendall(head(s, "GET", "/input/stream"))
            assert Reader(readers[-1]).head()[0] == 200
            writers.append(Writer(s))
        until(lambda: s.metric("output_streams") == 16)
        assert s.metric("input_streams") == 16
        for r in (read(s), write(s, b"1\n")):
            assert (r.status_code, r.json()["code"]) == (
                429, "too_many_requests")
            assert r.headers["retry-after"] == "1"
        readers.pop().close()
        writers.pop().close()
        until(lambda: s.metric("output_streams") == 15)
        until(lambda: s.metric("input_streams") == 15)
        with read(s, stream=True) as r:
            assert r.status_code == 200
        for sock in readers + writers:
            sock.close()
