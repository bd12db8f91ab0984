"""Streams of records: in order, once, from any number, as fast as they are
read and no faster."""

import http.client
import json
import os
import re
import threading
import time

import httpx
import pytest

from backend_process import Backend, UnixConnection
from patience import until

pytestmark = pytest.mark.timeout(120)
MiB = 1024 * 1024
WINDOW = 16 * MiB
GONE = (OSError, http.client.HTTPException)


@pytest.fixture
def backend(tmp_path):
    b = Backend(str(tmp_path))
    yield b
    assert b.stop() == 0, "".join(b.log)


@pytest.fixture
def agent(backend):
    return backend.agent(slots=16)


class Job:
    """A job that runs, and those who write and read its streams."""

    def __init__(self, backend, agent, **spec):
        self.backend, self.agent = backend, agent
        self.id = backend.submit(**spec)
        self.claim = agent.claim()
        assert self.claim.job == self.id
        assert agent.started(self.claim).status == 200

    @property
    def script(self):
        return self.backend.sidecar(self.claim)

    def send(self, body, query="", **headers):
        """As an administrator, to its input."""
        return self.backend.admin.post(
            f"/v1/jobs/{self.id}/input/stream{query}", body, **headers)

    def emit(self, body, query="", **headers):
        return self.script.post(f"/v1/runtime/output/stream{query}", body,
                                **headers)

    def read(self, start=0, follow=1):
        return Reading(self.backend.admin,
                       f"/v1/jobs/{self.id}/output/stream?from={start}"
                       f"&follow={follow}")

    def receive(self, start=0):
        return Reading(self.script, f"/v1/runtime/input/stream?from={start}")

    @property
    def streams(self):
        reply = self.backend.admin.get(f"/v1/jobs/{self.id}/streams")
        assert reply.status == 200, reply
        return reply.json

    def end(self, state="succeeded", **more):
        assert self.agent.complete(self.claim, state, **more).status == 200


class Reading:
    """A reply that streams records."""

    def __init__(self, peer, path):
        self.connection = peer.connect()
        self.response = peer._send(self.connection, "GET", path, None, None)
        self.status = self.response.status
        if self.status == 200:
            assert self.response.headers["content-type"] == \
                "application/x-ndjson"
            self.start = int(self.response.headers["x-cronium-stream-from"])
        else:
            self.problem = json.loads(self.response.read())

    def line(self):
        return self.response.readline()

    def rest(self):
        """What comes until the end, and whether that was the proper one."""
        got = bytearray()
        try:
            while piece := self.response.read1(MiB):
                got += piece
        except http.client.IncompleteRead as broken:
            return bytes(got + broken.partial), False
        return bytes(got), True

    def take(self, n):
        got = bytearray()
        while len(got) < n:
            piece = self.response.read1(n - len(got))
            assert piece
            got += piece
        return bytes(got)

    def close(self):
        self.response.close()
        self.connection.close()


@pytest.fixture
def job(backend, agent):
    return Job(backend, agent)


def records(first, n, size=0):
    return b"".join(json.dumps({"n": i, "x": "x" * size}).encode() + b"\n"
                    for i in range(first, first + n))


def numbers(text):
    return [json.loads(line)["n"] for line in text.splitlines()]


# --- appending and reading

def test_records_come_at_once_and_in_order(job):
    reading = job.receive()
    assert reading.start == 0
    for i in range(20):
        record = b'{"n": %d}\n' % i
        assert job.send(record).json == {"next": i + 1}
        # The next one is not even written before this one has arrived.
        assert reading.line() == record
    assert job.send(None, "?end=1").json == {"next": 20}
    assert reading.rest() == (b"", True)
    assert job.streams == {
        "input": {"state": "ended", "records": 20, "bytes": 190,
                  "from": None},
        "output": {"state": "open", "records": 0, "bytes": 0, "from": None}}


def test_resume_from_every_number(job):
    expected = [json.dumps({"n": i}).encode() + b"\n" for i in range(60)]
    at = 0
    for size in (1, 2, 3, 5, 7, 11, 13, 18):
        reply = job.emit(b"".join(expected[at:at + size]), f"?from={at}")
        at += size
        assert reply.json == {"next": at}
    for start in range(61):
        reading = job.read(start, follow=0)
        assert reading.start == start
        assert reading.rest() == (b"".join(expected[start:]), True)
    reading = job.read(61, follow=0)
    assert (reading.status, reading.problem["code"]) == (409, "stream_gap")
    assert reading.problem["next"] == 60


def test_repeats_and_gaps(job):
    assert job.emit(records(0, 5), "?from=0").json == {"next": 5}
    assert job.emit(records(0, 5), "?from=0").json == {"next": 5}
    assert job.emit(records(3, 4), "?from=3").json == {"next": 7}
    reply = job.emit(records(9, 1), "?from=9")
    assert (reply.status, reply.code, reply.json["next"]) == (
        409, "stream_gap", 7)
    assert job.emit(None).json == {"next": 7}
    assert job.emit(b"\n\n", "?from=7").json == {"next": 7}
    assert job.emit(records(7, 1), "?from=7&end=1").json == {"next": 8}
    assert job.emit(records(7, 1), "?from=7&end=1").json == {"next": 8}
    reply = job.emit(records(8, 1), "?from=8")
    assert (reply.status, reply.code, reply.json["next"]) == (
        409, "stream_ended", 8)
    text, proper = job.read().rest()
    assert numbers(text) == list(range(8)) and proper


def test_two_who_write_by_number(job):
    """One of them is told, and its records are not silently dropped."""
    assert job.send(b"1\n2\n", "?from=0").json == {"next": 2}
    for body in (b"1\n3\n", b"9\n", b"1\n20\n3\n"):
        reply = job.send(body, "?from=0")
        assert (reply.status, reply.code, reply.json["next"]) == (
            409, "stream_conflict", 2)
    assert job.send(b"2\n3\n", "?from=1").json == {"next": 3}


def test_concurrent_appends_without_a_number(job):
    def write(w):
        for i in range(50):
            reply = job.emit(records(1000 * w + i * 2, 2))
            assert reply.status == 200, reply

    threads = [threading.Thread(target=write, args=(w,)) for w in range(6)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    got = numbers(job.read(follow=0).rest()[0])
    assert len(got) == 600
    for w in range(6):  # what one writer sent stays in its order
        assert [n for n in got if n // 1000 == w] == \
            [1000 * w + i for i in range(100)]


@pytest.mark.parametrize("write", ["send", "emit"])
def test_idempotency_keys(job, write):
    append = getattr(job, write)
    first = append(records(0, 2), **{"Idempotency-Key": "a"})
    assert first.json == {"next": 2}
    assert append(records(2, 1)).json == {"next": 3}
    assert append(records(0, 2), **{"Idempotency-Key": "a"}).json == \
        {"next": 2}
    reply = append(records(0, 3), **{"Idempotency-Key": "a"})
    assert (reply.status, reply.code) == (422, "key_reused")
    stream = "input" if write == "send" else "output"
    assert job.streams[stream]["records"] == 3


def test_without_follow_it_ends_where_it_is(job):
    job.emit(records(0, 3))
    assert job.read(follow=0).rest() == (records(0, 3), True)
    assert job.read(3, follow=0).rest() == (b"", True)
    head = job.backend.admin.call(
        "HEAD", f"/v1/jobs/{job.id}/output/stream?follow=1&from=1")
    assert head.status == 200
    assert head.headers["x-cronium-stream-from"] == "1"


# --- bodies

def test_lines(job):
    assert job.send(b'{"a" : 1}\r\n\n \r\n"\xc3\xa9"\n  [2] \nnull').json == \
        {"next": 4}
    job.send(None, "?end=1")
    assert job.receive().rest() == (
        b'{"a" : 1}\n"\xc3\xa9"\n[2]\nnull\n', True)


@pytest.mark.parametrize("body, record, offset", [
    (b'1\n{"a":\n3\n', 1, (4, 5)),
    (b"nonsense\n", 0, (0, 2)),
    (b'1\n2\n"half', 2, (4, 5)),
    (b"1\n\n\n[1] 2\n", 1, (3, 5)),
    (b'"\xff"\n', 0, (1, 2)),
    (b"[" * 100 + b"]" * 100, 0, (60, 70)),
])
def test_what_is_no_json_is_not_stored(job, body, record, offset):
    assert job.send(records(0, 3)).json == {"next": 3}
    for query, first in (("", 3), ("?from=3", 3), ("?from=1", 1)):
        reply = job.send(body, query)
        assert (reply.status, reply.code) == (400, "invalid_record")
        assert reply.json["record"] == first + record
        assert offset[0] <= reply.json["offset"] <= offset[1]
    assert job.streams["input"]["records"] == 3


def test_sizes(job):
    largest = b'"' + b"x" * (MiB - 2) + b'"'
    for body in (largest, largest + b"\n"):
        assert job.send(body).status == 200
    for body in (b"[" + largest, b'"' + b"x" * 2 * MiB + b'"\n',
                 b"1\n" * (MiB // 2) + b"2\n"):
        for append in (job.send, job.emit):
            reply = append(body)
            assert reply.status == 413, reply
    assert job.streams["input"]["records"] == 2
    assert job.streams["output"]["records"] == 0
    text, proper = Reading(job.script, "/v1/runtime/input/stream").take(
        2 * (MiB + 1)), True
    assert text == (largest + b"\n") * 2 and proper


def test_smaller_records_where_the_values_are(tmp_path):
    backend = Backend(str(tmp_path), "--max-value-bytes", "100")
    try:
        agent = backend.agent()
        job = Job(backend, agent)
        assert job.emit(b'"' + b"x" * 98 + b'"\n').status == 200
        reply = job.emit(b'1\n"' + b"x" * 99 + b'"\n')
        assert (reply.status, reply.code) == (413, "too_large")
        assert "line 2" in reply.json["detail"]
        assert job.streams["output"]["records"] == 1
    finally:
        assert backend.stop() == 0


def test_limit_of_a_stream(tmp_path):
    backend = Backend(str(tmp_path), "--max-stream-bytes", "1000")
    try:
        agent = backend.agent()
        job = Job(backend, agent)
        body = b"1\n" * 400
        assert job.emit(body).json == {"next": 400}
        reply = job.emit(body)
        assert (reply.status, reply.code) == (413, "too_large")
        assert reply.json["next"] == 400
        assert "1000 bytes" in reply.json["detail"]
        assert job.emit(body, "?from=0").json == {"next": 400}
        assert job.emit(b"1\n" * 100).json == {"next": 500}
    finally:
        assert backend.stop() == 0


def test_queries_and_ids(job):
    for query in ("?from=-1", "?from=x", "?end=2", "?end=yes"):
        reply = job.send(b"1\n", query)
        assert (reply.status, reply.code) == (400, "invalid_query")
    for path in ("/v1/jobs/x/input/stream", "/v1/jobs/job_" + "0" * 26
                 + "/input/stream"):
        assert job.backend.admin.post(path, b"1\n").status == 404
    for path in ("x", "job_" + "0" * 26):
        for what in ("streams", "output/stream", "output/stream?follow=1"):
            reply = job.backend.admin.get(f"/v1/jobs/{path}/{what}")
            assert (reply.status, reply.code) == (404, "not_found")
    # Each side has its own door.
    assert job.script.post(f"/v1/jobs/{job.id}/input/stream",
                           b"1\n").status in (401, 403, 404)


# --- ends

def test_success_ends_the_output(job):
    job.emit(records(0, 2))
    reading = job.read()
    assert reading.take(len(records(0, 2))) == records(0, 2)
    job.end()
    assert reading.rest() == (b"", True)
    assert job.read(1).rest() == (records(1, 1), True)
    assert job.streams["output"]["state"] == "ended"
    reply = job.emit(b"1\n")
    assert (reply.status, reply.code) == (401, "execution_ended")


def test_a_job_that_fails_breaks_its_output(job):
    job.emit(records(0, 2))
    reading = job.read()
    assert reading.take(len(records(0, 2))) == records(0, 2)
    job.end("failed", reason="it did not like it", exit_code=3)
    assert reading.rest() == (b"", False)
    assert job.read(0).rest() == (records(0, 2), False)
    assert job.read(1, follow=0).rest() == (records(1, 1), False)
    reading = job.read(2)
    assert (reading.status, reading.problem["code"]) == (409, "stream_broken")
    assert "it did not like it" in reading.problem["detail"]
    assert job.streams["output"]["state"] == "broken"


@pytest.mark.parametrize("http2", [True, False])
def test_all_of_a_broken_output_arrives(backend, job, http2):
    expected = b""
    for i in range(5):
        expected += records(i * 100, 100, 9000)
        assert job.emit(records(i * 100, 100, 9000)).status == 200
    job.end("failed")
    got = b""
    with httpx.Client(http1=not http2, http2=http2, timeout=20,
                      headers={"Authorization": f"Bearer {backend.api_key}"}
                      ) as client:
        with client.stream("GET", f"http://127.0.0.1:{backend.port}"
                           f"/v1/jobs/{job.id}/output/stream") as reply:
            with pytest.raises(httpx.RemoteProtocolError):
                for piece in reply.iter_raw():
                    got += piece
    assert got == expected


def test_an_end_that_was_said_stays(job):
    assert job.emit(records(0, 1), "?end=1").json == {"next": 1}
    job.end("failed")
    assert job.read().rest() == (records(0, 1), True)


def test_input_none_and_the_input_of_a_job_that_has_ended(backend, agent):
    job = Job(backend, agent, input_stream="none")
    reply = job.send(b"1\n")
    assert (reply.status, reply.code) == (409, "stream_ended")
    assert job.receive().rest() == (b"", True)
    other = Job(backend, agent)
    other.send(records(0, 3))
    reading = other.receive()
    assert reading.take(len(records(0, 3))) == records(0, 3)
    other.end()
    assert reading.rest() == (b"", False)
    for body, query in ((b"1\n", ""), (records(2, 1), "?from=2"),
                        (None, "?end=1")):
        reply = other.send(body, query)
        assert (reply.status, reply.code) == (409, "job_ended")
    assert other.send(None).json == {"next": 3}


def chunks_of_inputs(backend):
    import sqlite3
    db = sqlite3.connect(f"file:{backend.data}/cronium.db?mode=ro", uri=True,
                         timeout=20)
    try:
        return db.execute("SELECT count(*) FROM stream_chunks WHERE kind = 0"
                          ).fetchone()[0]
    finally:
        db.close()


@pytest.mark.usefixtures("sqlite")
def test_the_records_of_an_input_are_removed(backend, agent):
    """When its job has ended, also where the backend died on the way."""
    for kill in (False, True):
        job = Job(backend, agent)
        for i in range(8):
            assert job.send(records(i * 100, 100, 9000)).status == 200
        job.emit(records(0, 5))
        assert chunks_of_inputs(backend) == 8
        job.end()
        if kill:
            backend.kill()
            backend.start()
        until(lambda: chunks_of_inputs(backend) == 0)
        assert job.read().rest() == (records(0, 5), True)


# --- job to job

def test_pipe_while_both_run(backend, agent):
    first = Job(backend, agent)
    second = Job(backend, agent, input_from=first.id)
    reading = second.receive()
    for i in range(10):
        assert first.emit(records(i, 1)).json == {"next": i + 1}
        assert reading.line() == records(i, 1)
    assert second.streams["input"] == {
        "state": "open", "records": 10, "bytes": len(records(0, 10)),
        "from": first.id}
    reply = second.send(b"1\n")
    assert (reply.status, reply.code) == (409, "stream_ended")
    first.end()
    assert reading.rest() == (b"", True)
    assert second.receive(7).rest() == (records(7, 3), True)


def test_the_writer_of_a_pipe_fails(backend, agent):
    first = Job(backend, agent)
    second = Job(backend, agent, input_from=first.id)
    first.emit(records(0, 3))
    reading = second.receive()
    first.end("failed")
    assert reading.rest() == (records(0, 3), False)
    reading = second.receive(3)
    assert (reading.status, reading.problem["code"]) == (409, "stream_broken")


def test_the_reader_of_a_pipe_fails(backend, agent):
    """A reader that is gone holds nobody up."""
    first = Job(backend, agent)
    second = Job(backend, agent, input_from=first.id)
    reading = second.receive()
    fill_window(first.emit)
    reading.close()
    second.end("failed")
    for i in range(20):
        assert first.emit(PIECE).status == 200


# --- back-pressure

PIECE = (b'"' + b"x" * 1021 + b'"\n') * 1024
PIECES = WINDOW // len(PIECE)


def fill_window(append):
    for _ in range(PIECES):
        assert append(PIECE).status == 200


class Held:
    """An append that has to wait."""

    def __init__(self, append, body):
        self.reply = None
        self.thread = threading.Thread(target=self._run, args=(append, body))
        self.begun = time.monotonic()
        self.thread.start()

    def _run(self, append, body):
        self.reply = append(body)
        self.took = time.monotonic() - self.begun

    def join(self):
        self.thread.join(30)
        assert self.reply
        return self.reply


def waits(backend, held, seconds=0.3):
    """Requests of others come and go, this one does not."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        assert backend.admin.get("/healthz").status == 200
    return held.reply is None


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


# --- what goes wrong

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


FULL_DISK = """
mount -t tmpfs -o size=4m,mode=700 none "$1" || exit 77
shift
exec "$@"
"""


@pytest.mark.usefixtures("sqlite")
def test_full_disk(tmp_path):
    os.mkdir(tmp_path / "data")
    namespaces = "-m" if os.getuid() == 0 else "-Urm"
    backend = Backend(str(tmp_path), wrapper=[
        "unshare", namespaces, "sh", "-c", FULL_DISK, "sh",
        str(tmp_path / "data")])
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


def memory_kb(backend):
    with open(f"/proc/{backend.process.pid}/status") as f:
        return int(next(l for l in f if l.startswith("VmRSS")).split()[1])


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
