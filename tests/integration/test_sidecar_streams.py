"""Streams of a script through its sidecar: reading and writing."""

import http.client
import json
import random
import subprocess
import threading

import pytest

from backend_process import Backend
from http2_client import Client
from http_server import Reader
from patience import stands, until
from runtime_backend import problem
from sidecar_harness import Sidecar
from sidecar_streams import (
    Job, MIB, NDJSON, PATIENCE_S, Writer, chunk, connect, head, lines, numbers,
    read, running, write,
)

pytestmark = pytest.mark.timeout(60)


# --- with a real backend: reading ---------------------------------------------

def test_read_to_the_end(tmp_path):
    records = [{"a": 1}, [2, None], "ü€\n", False, 1e300, "x" * 200000]
    with running(tmp_path) as (job, s):
        job.feed(lines(records), "?end=1")
        r = read(s)
        assert (r.status_code, r.headers["content-type"]) == (200, NDJSON)
        assert r.headers["x-cronium-stream-from"] == "0"
        assert r.headers["cache-control"] == "no-store"
        assert r.content == lines(records)
        assert read(s, "?from=4").content == lines(records[4:])
        assert read(s, "?from=4").headers["x-cronium-stream-from"] == "4"
        assert read(s, "?from=6").content == b""
        r = read(s, "?from=7")
        assert (r.status_code, r.json()["code"], r.json()["next"]) == (
            409, "stream_gap", 6)
        assert s.metric('stream_records_total{stream="input"}') == 10
        assert s.metric("input_streams") == 0


@pytest.mark.parametrize("query", [
    "?from=", "?from=-1", "?from=1.5", "?from=x", "?from=9223372036854775808",
    "?from=%zz", "?from=" + "1" * 100])
def test_numbers_that_are_none(tmp_path, query):
    with Sidecar(tmp_path) as s:
        for r in (read(s, query), write(s, b"1\n", query)):
            assert (r.status_code, r.json()["code"]) == (400, "invalid_query")
        r = write(s, b"1\n", "?end=maybe")
        assert (r.status_code, r.json()["code"]) == (400, "invalid_query")
        assert s.backend.seen == []


def test_scopes(tmp_path):
    with Sidecar(tmp_path) as s:
        token = s.tokens.mint(scope=["variables"])
        for method, path in (("GET", "/input/stream"),
                             ("POST", "/output/stream")):
            r = s.request(method, path, token=token)
            assert (r.status_code, r.json()["code"]) == (403, "scope_missing")
            assert s.request(method, path, token=None).status_code == 401


def test_records_are_passed_on_as_they_come(tmp_path):
    with running(tmp_path) as (job, s):
        with read(s, stream=True) as r:
            got = r.iter_lines()
            for n in range(20):
                job.feed(b"%d\n" % n)
                assert next(got) == b"%d" % n
            job.feed(b"", "?end=1")
            assert list(got) == []


def test_none_to_read(tmp_path):
    with running(tmp_path, input_stream="none") as (_, s):
        r = read(s)
        assert (r.status_code, r.content) == (200, b"")


def test_head_of_a_stream(tmp_path):
    with running(tmp_path) as (job, s):
        r = s.request("HEAD", "/input/stream")
        assert (r.status_code, r.content) == (200, b"")
        assert s.metric("input_streams") == 0


def test_read_across_deaths_of_the_backend(tmp_path):
    """Nothing is lost, doubled or out of order."""
    n = 30000
    with running(tmp_path) as (job, s):
        def feed():
            at = 0
            while at < n:
                try:
                    at = job.feed(numbers(at, min(at + 500, n)),
                                  f"?from={at}")
                except (OSError, AssertionError, http.client.HTTPException):
                    pass  # it is down
            while True:
                try:
                    job.feed(b"", f"?from={n}&end=1")
                    return
                except (OSError, AssertionError, http.client.HTTPException):
                    pass

        feeder = threading.Thread(target=feed)
        got = []
        with read(s, stream=True) as r:
            feeder.start()
            for line in r.iter_lines(chunk_size=256):
                got.append(int(line))
                if len(got) in (1000, 9000, 20000):
                    job.backend.kill()
                    job.backend.start()
        feeder.join()
        assert got == list(range(n))
        assert s.metric('stream_records_total{stream="input"}') == n


def test_write_across_deaths_of_the_backend(tmp_path):
    n = 40000
    with running(tmp_path) as (job, s):
        w, pieces = Writer(s, "?from=0"), random.Random(1)
        data, at = numbers(0, n), 0
        deaths = [len(data) // 5, len(data) // 2, len(data) * 4 // 5]
        while at < len(data):
            size = pieces.randrange(1, 4000)
            w.send(data[at:at + size])
            at += size
            if deaths and at > deaths[0]:
                deaths.pop(0)
                job.backend.kill()
                job.backend.start()
        w.end()
        w.wait_acknowledged(n)
        assert job.output() == data
        w.close()


def test_appends_without_numbers_are_stored_once(tmp_path):
    with running(tmp_path) as (job, s):
        w = Writer(s)
        for n in range(300):
            w.send(b"%d\n" % n)
            if n % 100 == 50:
                job.backend.kill()
                job.backend.start()
        w.end()
        w.wait_acknowledged(300)
        assert job.output() == numbers(0, 300)
        w.close()


def test_pipe_whose_writer_fails(tmp_path):
    backend = Backend(str(tmp_path))
    agent = backend.agent()
    try:
        one = Job(tmp_path / "one", backend, agent)
        two = Job(tmp_path / "two", backend, agent, input_from=one.id)
        with one.sidecar as a, two.sidecar as b:
            assert write(a, numbers(0, 100)).json() == {"next": 100}
            with connect(b) as sock:
                sock.sendall(head(b, "GET", "/input/stream"))
                reader = Reader(sock)
                assert reader.head()[0] == 200
                pieces, got = reader.chunks(), b""
                while got.count(b"\n") < 100:
                    got += next(pieces)
                assert agent.complete(one.claim, "failed",
                                      exit_code=1).status == 200
                assert got == numbers(0, 100)
                with pytest.raises(ValueError):  # it broke off
                    next(pieces)
            r = read(b, "?from=100")
            assert (r.status_code, r.json()["code"]) == (409, "stream_broken")
    finally:
        agent.close()
        backend.stop()


# --- with a real backend: writing ---------------------------------------------

def test_write_and_end(tmp_path):
    with running(tmp_path) as (job, s):
        r = write(s, b"")
        assert (r.status_code, r.json()) == (200, {"next": 0})
        assert r.headers["cache-control"] == "no-store"
        assert write(s, b"1\n2\n").json() == {"next": 2}
        assert write(s, b"\n \r\n3\r\n  [4, 5]\t").json() == {"next": 4}
        assert write(s, b"[4, 5]\n2\n", "?from=3").json() == {"next": 5}
        r = write(s, b"1\n2\n", "?from=3")
        assert (r.status_code, r.json()["code"], r.json()["next"]) == (
            409, "stream_conflict", 5)
        r = write(s, b"1\n", "?from=6")
        assert (r.status_code, r.json()["code"], r.json()["next"]) == (
            409, "stream_gap", 5)
        assert job.state("output") == "open"
        assert write(s, b"6\n", "?end=1").json() == {"next": 6}
        assert job.state("output") == "ended"
        r = write(s, b"7\n")
        assert (r.status_code, r.json()["code"], r.json()["next"]) == (
            409, "stream_ended", 6)
        assert job.output() == b"1\n2\n3\n[4, 5]\n2\n6\n"
        assert s.metric("output_streams") == 0


def test_end_without_a_record(tmp_path):
    with running(tmp_path) as (job, s):
        assert write(s, b"", "?end=1&from=0").json() == {"next": 0}
        assert job.state("output") == "ended"


def test_a_record_alone_is_sent_at_once(tmp_path):
    with running(tmp_path) as (job, s):
        w = Writer(s)
        for n in range(10):
            w.send(b"%d\n" % n)
            assert w.acknowledged() == {"next": n + 1}
        w.send(b"10")  # not a line yet
        w.end()
        assert w.acknowledged() == {"next": 11}
        with pytest.raises(StopIteration):
            w.acknowledged()
        # The connection goes on.
        w.sock.sendall(head(s, "GET", "/input"))
        assert w.reader.reply().status == 200
        w.close()
        assert job.output() == numbers(0, 11)


def test_one_byte_at_a_time(tmp_path):
    data = lines([{"ü": [1, 2]}, "a\\n", None])
    with running(tmp_path) as (job, s):
        w = Writer(s, acks=False)
        for byte in data:
            w.send(bytes([byte]))
        w.end()
        assert json.loads(w.reader.reply().body) == {"next": 3}
        w.close()
        assert job.output().splitlines() == data.splitlines()


def test_curl_reads_what_it_writes(tmp_path):
    """Both directions of one command, as a script in a shell has it."""
    with running(tmp_path) as (job, s):
        curl = subprocess.Popen(
            ["curl", "-sSNT", ".", "-X", "POST",
             "-H", f"Authorization: Bearer {s.token}",
             "-H", f"Accept: {NDJSON}", s.base_url + "/output/stream"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        for n in range(5):
            curl.stdin.write(b"[%d]\n" % n)
            curl.stdin.flush()
            assert json.loads(curl.stdout.readline()) == {"next": n + 1}
        curl.stdin.close()
        assert curl.stdout.read() == b""
        assert curl.wait(PATIENCE_S) == 0
        curl.stdout.close()
        job.feed(b"1\n2\n", "?end=1")
        out = subprocess.run(
            ["curl", "-sSf", "-H", f"Authorization: Bearer {s.token}",
             s.base_url + "/input/stream"], capture_output=True, check=True)
        assert out.stdout == b"1\n2\n"


def test_expect_continue(tmp_path):
    with running(tmp_path) as (job, s), connect(s) as sock:
        sock.sendall(head(s, "POST", "/output/stream",
                          "Expect: 100-continue", "Content-Length: 4",
                          f"Accept: {NDJSON}"))
        reader = Reader(sock)
        assert reader.head()[0] == 100
        sock.sendall(b"1\n2\n")
        reply = reader.reply()
        assert (reply.status, reply.body) == (200, b'{"next":2}\n')


def test_requests_behind_a_stream(tmp_path):
    with running(tmp_path) as (job, s), connect(s) as sock:
        job.feed(b"1\n", "?end=1")
        body = chunk(b"1\n2\n") + b"0\r\n\r\n"
        ask = head(s, "POST", "/output/stream", "Transfer-Encoding: chunked")
        sock.sendall((ask + body) * 3 + head(s, "GET", "/input/stream") +
                     head(s, "GET", "/input"))
        reader = Reader(sock)
        for n in (2, 4, 6):
            assert json.loads(reader.reply().body) == {"next": n}
        assert reader.reply().body == b"1\n"
        assert reader.reply().body == b"null"


def test_http2(tmp_path):
    with running(tmp_path) as (job, s):
        data = lines({"n": n, "x": "y" * 500} for n in range(10000))

        class Address:
            def connect(self, buffer):
                return connect(s, buffer)

        with Client(Address()) as client:
            token = [("authorization", f"Bearer {s.token}")]
            stream = client.ask("POST", "/output/stream?from=0", data,
                                headers=token)
            status, body = client.wait(stream)
            assert (status, json.loads(body)) == (200, {"next": 10000})
            assert job.output() == data
            # Acknowledged while it goes on.
            stream = client.ask("POST", "/output/stream", headers=[
                *token, ("accept", NDJSON)], end=False)
            for n in range(10001, 10004):
                client.send(stream, b"1\n", end=False)
                while b'"next":%d' % n not in client.streams[stream]["body"]:
                    client.step()
            client.h2.end_stream(stream)
            client.flush()
            client.wait(stream)
            job.feed(data[:MIB // 2] + b"\"}\n", "?end=1")
            assert client.wait(client.ask(
                "GET", "/input/stream",
                headers=token))[1] == data[:MIB // 2] + b"\"}\n"


def test_large_records(tmp_path):
    records = [json.dumps("a" * (size - 2)).encode() + b"\n"
               for size in (MIB, MIB, 2, 700000, 700000, MIB - 1, 3, MIB)]
    data = b"".join(records)
    with running(tmp_path) as (job, s):
        assert write(s, data).json() == {"next": len(records)}
        assert write(s, iter(records)).json() == {"next": 2 * len(records)}
        assert job.output() == data * 2
        r = write(s, b"1\n" + b" " * 500 + b"1" * (MIB + 1) + b"\n2\n",
                  "?from=16")
        assert (r.status_code, r.json()["code"]) == (413, "too_large")
        assert (r.json()["record"], r.json()["next"]) == (17, 17)


def test_limit_of_a_record(tmp_path):
    with Sidecar(tmp_path, limits={"value_bytes": 10}) as s:
        asked = []

        def answer(request):
            asked.append(bytes(request.body))
            return 200, {}, b'{"next":%d}' % sum(
                a.count(b"\n") for a in asked)

        s.backend.hook = answer
        r = write(s, b"1\n1234567890\n12345678901\n")
        assert (r.status_code, r.json()["code"], r.json()["next"],
                r.json()["record"]) == (413, "too_large", 2, 2)
        assert b"".join(asked) == b"1\n1234567890\n"


BAD = {
    "not closed": (b'{"a":', 5),
    "not JSON": (b"[1,}", 3),
    "two": (b"1 2", 2),
    "no UTF-8": (b'"a\xff"', 2),
    "white space before": (b"   nope", 4),
}


@pytest.mark.parametrize("name", BAD)
@pytest.mark.parametrize("numbered", [True, False])
def test_a_bad_record(tmp_path, name, numbered):
    bad, offset = BAD[name]
    with running(tmp_path) as (job, s):
        for number, before in ((0, b""), (0, b"1\n\n2\n")):
            next = before.count(b"\n\n") * 2
            r = write(s, before + bad + b"\n4\n",
                      "?from=0" if numbered else "")
            problem = r.json()
            assert (r.status_code, problem["code"]) == (400, "invalid_record")
            assert (problem["record"], problem["next"]) == (next, next)
            assert abs(problem["offset"] - offset) <= 1
            assert problem["trace_id"] == r.headers["x-cronium-trace-id"]
        assert job.output() == b"1\n2\n"


def test_a_bad_record_is_the_last_line_of_acknowledgements(tmp_path):
    with running(tmp_path) as (job, s):
        w = Writer(s)
        w.send(b"1\n2\n")
        assert w.acknowledged() == {"next": 2}
        w.send(b"3\nnope\n")
        seen = w.acknowledged()
        if "code" not in seen:
            assert seen == {"next": 3}
            seen = w.acknowledged()
        assert (seen["code"], seen["next"], seen["record"]) == (
            "invalid_record", 3, 3)
        with pytest.raises(StopIteration):
            w.acknowledged()
        w.close()


def test_a_body_that_is_cut(tmp_path):
    """Whole lines that arrived are stored, half a line is not."""
    with running(tmp_path) as (job, s):
        for _ in range(2):
            with connect(s) as sock:
                sock.sendall(head(s, "POST", "/output/stream",
                                  "Transfer-Encoding: chunked") +
                             chunk(b"1\n2\n3"))
        until(lambda: job.output() == b"1\n2\n1\n2\n")
        until(lambda: s.metric("output_streams") == 0)


def test_key_of_a_whole_body(tmp_path):
    with running(tmp_path) as (job, s):
        for _ in range(3):
            r = write(s, b"1\n2\n", **{"Idempotency-Key": "k"})
            assert r.json() == {"next": 2}
        assert job.output() == b"1\n2\n"
        r = write(s, iter([b"1\n"]), **{"Idempotency-Key": "l"})
        assert (r.status_code, r.json()["code"]) == (411, "length_required")
        r = write(s, b"1\n" * MIB, **{"Idempotency-Key": "m"})
        assert (r.status_code, r.json()["code"]) == (413, "too_large")
        r = write(s, b"1\n", **{"Idempotency-Key": "n" * 129})
        assert (r.status_code, r.json()["code"]) == (
            400, "invalid_idempotency_key")
        # Numbers say it better.
        r = write(s, iter([b"3\n"]), "?from=2", **{"Idempotency-Key": "k"})
        assert r.json() == {"next": 3}


def test_full_stream_slows_its_writer_down(tmp_path):
    """Back-pressure all the way, for longer than the backend waits: nothing
    is lost, and little is held."""
    record = json.dumps("x" * 65533).encode() + b"\n"
    n = 600  # 37 MiB
    backend = Backend(str(tmp_path))
    agent = backend.agent()
    try:
        one = Job(tmp_path / "one", backend, agent)
        two = Job(tmp_path / "two", backend, agent, input_from=one.id)
        with one.sidecar as a, two.sidecar as b:
            reply = []
            writer = threading.Thread(target=lambda: reply.append(
                write(a, (record for _ in range(n)), "?from=0&end=1")))
            writer.start()
            with read(b, stream=True) as r:
                def written():
                    return a.metric('stream_records_total{stream="output"}')

                until(lambda: written() > 100)
                stands(written, 0.5)
                until(lambda: a.metric(
                    'backend_calls_total{result="failed"}') > 0)
                assert not reply
                got = sum(map(len, r.iter_content(MIB)))
                assert got == n * len(record)
            writer.join(PATIENCE_S)
            assert reply[0].json() == {"next": n}
    finally:
        agent.close()
        backend.stop()
