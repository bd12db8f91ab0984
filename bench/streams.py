"""Records through sidecar and backend: written, read, and from job to job;
and what the processes hold of them. The peer is a Redis stream that syncs."""

import concurrent.futures
import contextlib
import json
import os
import time

import machine
from live import Live
from peers import Redis
from report import Row, Samples, Target, pick

SIZES = {"100 B": 100, "64 KiB": 64 << 10}
MB_A_SECOND = 10  # of load: how many that is
PIECE = 1 << 20
MB = 1000000


class Records:
    """n records of so many bytes; each is a JSON string."""

    def __init__(self, size, total):
        self.size, self.n = size, max(1, total // size)
        self.record = b'"' + b"r" * (size - 3) + b'"\n'
        self.piece = self.record * max(1, PIECE // size)

    @property
    def bytes(self):
        return self.n * self.size

    def send(self, sock):
        left = self.bytes
        while left:
            sock.sendall(memoryview(self.piece)[:left])
            left -= min(left, len(self.piece))


def write(sidecar, records):
    """All of the output stream, acknowledged."""
    with contextlib.closing(sidecar.connect()) as s:
        s.sendall(sidecar.head("POST", "/output/stream?from=0&end=1",
                               "Content-Type: application/x-ndjson",
                               f"Content-Length: {records.bytes}",
                               "Connection: close"))
        records.send(s)
        reply = b"".join(iter(lambda: s.recv(4096), b""))
    head, _, body = reply.partition(b"\r\n\r\n")
    if b" 200 " not in head or json.loads(body)["next"] != records.n:
        raise RuntimeError(f"the stream was not taken: {reply!r}")


def read(sidecar, records):
    """All of the input stream, to its proper end."""
    got, tail, buffer = 0, b"", bytearray(PIECE)
    with contextlib.closing(sidecar.connect()) as s:
        s.sendall(sidecar.head("GET", "/input/stream?from=0",
                               "Connection: close"))
        while n := s.recv_into(buffer):
            got += n
            tail = (tail + buffer[max(0, n - 16):n])[-16:]
    if got < records.bytes or not tail.endswith(b"\r\n0\r\n\r\n"):
        raise RuntimeError(f"the stream broke off after {got} bytes: {tail}")


def rate(records, *work):
    """MB/s of what runs at the same time, until the last has ended."""
    with concurrent.futures.ThreadPoolExecutor(len(work)) as pool:
        start = time.perf_counter()
        for done in [pool.submit(w) for w in work]:
            done.result()
        return records.bytes / MB / (time.perf_counter() - start)


def cronium(live, records):
    """(write, read, pipe)"""
    source = live.job()
    wrote = rate(records, lambda: write(source, records))
    sink = live.job(input_from=source.job)
    got = rate(records, lambda: read(sink, records))
    for sidecar in (sink, source):
        live.end(sidecar)
    return wrote, got, pipe(live, records)[0]


def pipe(live, records):
    """MB/s, and the peaks of both sidecars in MB."""
    source = live.job()
    sink = live.job(input_from=source.job)
    both = rate(records, lambda: write(source, records),
                lambda: read(sink, records))
    peaks = [machine.peak_rss_mb(s.pid) for s in (source, sink)]
    for sidecar in (sink, source):
        live.end(sidecar)
    return both, peaks


def redis(server, records):
    server.clear()
    return (rate(records, lambda: server.write(records)),
            rate(records, lambda: server.read(records)),
            redis_pipe(server, records))


def redis_pipe(server, records):
    server.clear()
    return rate(records, lambda: server.write(records),
                lambda: server.read(records))


def disk(directory, records):
    """A file that is synced after each piece: what the disk allows."""
    path = directory / "records"
    with open(path, "wb", buffering=0) as f:
        def work():
            left = records.bytes
            while left:
                left -= f.write(memoryview(records.piece)[:left])
                os.fdatasync(f.fileno())
        took = rate(records, work)
    path.unlink()
    return took


def mb_a_second(name, what, ours, anchor, at_least):
    return Row(f"stream, {name} records: {what}", "MB/s", ours, [anchor],
               Target("ratio", at_least=at_least), higher_is_better=True)


def throughput(settings):
    rows = []
    for name, size in SIZES.items():
        records = Records(size, int(settings.seconds * MB_A_SECOND * MB))
        with Live(settings) as live, Redis(settings.directory) as peer:
            took = machine.interleave(settings.rounds, {
                "cronium": lambda: cronium(live, records),
                "redis": lambda: redis(peer, records),
                "file": lambda: disk(settings.directory, records)})
        for i, what in enumerate(("write", "read", "job → job")):
            both = pick({k: took[k] for k in ("cronium", "redis")}, i)
            rows.append(mb_a_second(name, what, both["cronium"],
                                    both["redis"], 1))
        wrote = pick({"cronium": took["cronium"]}, 0)["cronium"]
        rows.append(mb_a_second(name, "write, beside a file", wrote,
                                took["file"], 0.2))
    return rows


def memory(settings):
    """Of a stream from job to job, in a backend and sidecars of its own."""
    records = Records(SIZES["100 B"], settings.stream_mb * MB)
    with Live(settings) as live, \
            Redis(settings.directory, durable=False) as peer:
        _, sidecars = pipe(live, records)
        backend = machine.peak_rss_mb(live.backend.pid)
        redis_pipe(peer, records)
        anchor = Samples("redis", [machine.peak_rss_mb(peer.pid)])
    size = f"{settings.stream_mb} MB, 100 B records"
    return [
        Row(f"peak RSS, backend: {size}", "MB", Samples("backend", [backend]),
            [anchor], Target("value", at_most=64)),
        Row(f"peak RSS, sidecar: {size}", "MB",
            Samples("sidecar", [max(sidecars)]), [anchor],
            Target("value", at_most=16)),
    ]


def run(settings):
    machine.need("redis-server")
    return throughput(settings) + memory(settings)
