"""Streams of records: appending, reading, and how they end."""

import json
import threading

import httpx
import pytest

from backend_process import Backend
from patience import until
from stream_job import Job, MiB, PIECE, Reading, fill_window, numbers, records
from stream_job import agent, job  # noqa: F401

pytestmark = pytest.mark.timeout(120)


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
