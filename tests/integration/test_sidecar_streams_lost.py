"""Streams through a sidecar whose backend fails in the way a test asks for, or
whose job ends."""

import itertools
import threading
import time

import frames
import pytest
from http_server import Reader
from patience import until
from runtime_backend import CUT, SILENCE, Flow, problem
from sidecar_harness import Sidecar
from sidecar_streams import (
    MIB, NDJSON, PATIENCE_S, SANITIZED, Writer, anonymous_bytes, chunk,
    connect, head, lines, read, reset, write,
)

pytestmark = pytest.mark.timeout(60)

# --- a backend that fails -----------------------------------------------------

class Records:
    """The stream of a backend, which keeps its numbers and keys."""

    def __init__(self):
        self.records, self.keys = [], {}
        self.ended = False
        self.lock = threading.Lock()

    def append(self, request):
        key = request.headers.get("idempotency-key")
        with self.lock:
            if key not in self.keys:
                new = bytes(request.body).splitlines()
                if "from" in request.query:
                    first = int(request.query["from"])
                    assert first <= len(self.records)
                    new = new[len(self.records) - first:]
                else:
                    assert key or not new
                self.records += new
                self.ended |= request.query.get("end") == "1"
                if key:
                    self.keys[key] = len(self.records)
            return 200, {}, b'{"next":%d}' % self.keys.get(
                key, len(self.records))


@pytest.mark.parametrize("query", ["", "?from=0"])
def test_appends_are_repeated(tmp_path, query):
    """Of each way to fail one: before it was stored, and after."""
    with Sidecar(tmp_path) as s:
        stored, turn = Records(), itertools.count()
        failures = [
            lambda r: CUT, lambda r: (stored.append(r), CUT)[1],
            lambda r: problem(503, "store_failed"),
            lambda r: (stored.append(r), problem(502, "bad_gateway"))[1],
            lambda r: problem(429, "slow_down"),
            lambda r: (stored.append(r), problem(504, "late"))[1]]
        s.backend.hook = lambda r: (
            failures.pop() if failures and next(turn) % 2 else
            stored.append)(r)
        w = Writer(s, query)
        data = []
        while failures or len(data) < 1000:
            data.append(b"%d\n" % len(data))
            w.send(data[-1])
        w.end()
        w.wait_acknowledged(len(data))
        assert b"\n".join(stored.records) + b"\n" == b"".join(data)
        w.close()


def test_full_is_asked_again_for_as_long_as_it_takes(tmp_path):
    with Sidecar(tmp_path) as s:
        stored, times = Records(), []

        def answer(request):
            times.append(time.monotonic())
            if len(times) < 5:
                status, headers, body = problem(503, "stream_full")
                return status, {**headers, "retry-after": "1"}, body
            return stored.append(request)

        s.backend.hook = answer
        assert write(s, b"1\n2\n").json() == {"next": 2}
        assert times[-1] - times[0] > 3.9
        assert len({r.headers["idempotency-key"]
                    for r in s.backend.seen}) == 1


def test_refusals_are_passed_on(tmp_path):
    with Sidecar(tmp_path) as s:
        stored = Records()
        for status, code in ((409, "stream_ended"), (507, "disk_full"),
                             (413, "too_large"), (401, "execution_ended")):
            s.backend.hook = lambda r: (stored.append(r) if not r.body
                                        else problem(status, code))
            r = write(s, b"1\n")
            assert (r.status_code, r.json()["code"], r.json()["next"]) == (
                status, code, 0)
            r = write(s, b"1\n", **{"Accept": NDJSON})
            assert (r.status_code, r.json()["code"]) == (status, code)
            s.backend.hook = lambda r: problem(status, code)
            r = read(s)
            assert (r.status_code, r.json()["code"]) == (status, code)
        s.backend.hook = lambda r: (200, {}, b"nothing")
        r = write(s, b"1\n")
        assert (r.status_code, r.json()["code"]) == (
            502, "backend_unavailable")


def test_what_was_stored_before_a_refusal(tmp_path):
    with Sidecar(tmp_path) as s:
        stored = Records()
        s.backend.hook = lambda r: (stored.append(r) if b"9" not in r.body
                                    else problem(507, "disk_full"))
        w = Writer(s)
        w.send(b"1\n2\n")
        assert w.acknowledged() == {"next": 2}
        w.send(b"9\n")
        seen = w.acknowledged()
        assert (seen["code"], seen["next"]) == ("disk_full", 2)
        w.close()


def test_one_append_at_a_time(tmp_path):
    """What comes meanwhile is one append, however many records it is."""
    with Sidecar(tmp_path) as s:
        stored, go = Records(), threading.Semaphore(0)
        s.backend.hook = lambda r: (go.acquire(), stored.append(r))[1]
        w = Writer(s)
        w.send(b"0\n")
        until(lambda: len(s.backend.seen) == 1)
        for n in range(1, 100):
            w.send(b"%d\n" % n)
        until(lambda: s.metric(
            'stream_records_total{stream="output"}') == 100)
        assert len(s.backend.seen) == 1
        go.release()
        assert w.acknowledged() == {"next": 1}
        until(lambda: len(s.backend.seen) == 2)
        go.release()
        assert w.acknowledged() == {"next": 100}
        w.close()


def test_body_waits_for_the_backend(tmp_path):
    """Two appends are held and a little more; then the script is."""
    with Sidecar(tmp_path) as s:
        stored, go = Records(), threading.Event()
        idle = anonymous_bytes(s.process.pid)
        s.backend.hook = lambda r: (go.wait(), stored.append(r))[1]
        record = b'"' + b"x" * 50000 + b'"\n'
        w = Writer(s)
        w.sock.settimeout(1)
        sent = 0
        with pytest.raises(TimeoutError):
            while sent < 64 * MIB:
                w.sock.sendall(chunk(record))
                sent += len(record)
        assert sent < 16 * MIB
        if not SANITIZED:
            assert anonymous_bytes(s.process.pid) - idle < 4 * MIB
        w.close()
        go.set()
        # It hung up: the lines that had come are stored.
        until(lambda: s.metric("output_streams") == 0)
        assert len(stored.records) >= MIB // len(record)
        assert set(stored.records) == {record[:-1]}
        assert max(len(r.body) for r in s.backend.seen) <= MIB + 1


@pytest.mark.parametrize("how", ["reset", "cut"])
def test_a_reply_that_breaks_is_gone_on_with(tmp_path, how):
    """At every byte, half a line and half a character included."""
    data = lines(["a", {"ü": [1]}, "b" * 50, None])
    with Sidecar(tmp_path) as s:
        for at in range(len(data)):
            flows = []

            def answer(request):
                first = int(request.query["from"])
                rest = b"".join(data.splitlines(True)[first:])
                flow = Flow(rest[:at - (len(data) - len(rest))]
                            if not flows else rest)
                flow.ended = bool(flows)
                flows.append(flow)
                return 200, {"x-cronium-stream-from": str(first)}, flow

            s.backend.hook = answer
            with connect(s) as sock:
                sock.sendall(head(s, "GET", "/input/stream"))
                reader, got = Reader(sock), b""
                assert reader.head()[0] == 200
                pieces = reader.chunks()
                while len(got) < at:
                    got += next(pieces)
                if how == "cut":
                    flows[0].connection.cut()
                else:
                    flows[0].reset()
                got += b"".join(pieces)
            assert got == data
            assert len(flows) == 2


def test_a_reply_that_ends_within_a_line_is_asked_for_again(tmp_path):
    with Sidecar(tmp_path) as s:
        replies = [b"1\n[2", b"[2]\n3\n"]
        s.backend.hook = lambda r: (
            200, {"x-cronium-stream-from": r.query["from"]}, replies.pop(0))
        assert read(s).content == b"1\n[2]\n3\n"
        assert [r.query["from"] for r in s.backend.seen] == ["0", "1"]


BROKEN_REPLIES = {
    "another line": (200, {"x-cronium-stream-from": "1"}, b"2\n3\n"),
    "from elsewhere": (200, {"x-cronium-stream-from": "2"}, b"3\n"),
    "from nowhere": (200, {}, b"[2]\n"),
    "refused": problem(409, "stream_broken"),
}


@pytest.mark.parametrize("name", BROKEN_REPLIES)
def test_a_reply_that_cannot_be_gone_on_with_breaks_off(tmp_path, name):
    with Sidecar(tmp_path) as s:
        replies = [(200, {"x-cronium-stream-from": "0"}, b"1\n[2"),
                   BROKEN_REPLIES[name]]
        s.backend.hook = lambda r: replies.pop(0)
        with connect(s) as sock:
            sock.sendall(head(s, "GET", "/input/stream"))
            got = b""
            while piece := sock.recv(65536):
                got += piece
            assert got.startswith(b"HTTP/1.1 200 ")
            assert b"1\n[2" in got and not got.endswith(b"0\r\n\r\n")
        until(lambda: s.metric("input_streams") == 0)


def test_a_first_reply_from_nowhere(tmp_path):
    with Sidecar(tmp_path) as s:
        s.backend.hook = lambda r: (200, {}, b"1\n")
        r = read(s)
        assert (r.status_code, r.json()["code"]) == (
            502, "backend_unavailable")


def test_busy_backend_in_the_midst(tmp_path):
    """As the first reply it is the script's, later it is waited for."""
    with Sidecar(tmp_path) as s:
        s.backend.hook = lambda r: problem(503, "stopping")
        r = read(s)
        assert (r.status_code, r.json()["code"]) == (503, "stopping")
        replies = [(200, {"x-cronium-stream-from": "0"}, b"1"),
                   problem(503, "stopping"), problem(429, "slow_down"),
                   (200, {"x-cronium-stream-from": "0"}, b"1\n")]
        s.backend.hook = lambda r: replies.pop(0)
        assert read(s).content == b"1\n"


def test_readers_that_leave(tmp_path):
    with Sidecar(tmp_path) as s:
        flow = Flow(b"1\n")
        s.backend.hook = lambda r: (200, {"x-cronium-stream-from": "0"}, flow)
        with read(s, stream=True) as r:
            assert next(r.iter_lines(chunk_size=1)) == b"1"
        assert flow.left.wait(PATIENCE_S)
        assert s.metric("input_streams") == 0
        # Also while the backend is away.
        s.backend.down()
        with connect(s) as sock:
            sock.sendall(head(s, "GET", "/input/stream"))
            until(lambda: s.metric("input_streams") == 1)
            reset(sock)
        until(lambda: s.metric("input_streams") == 0)


# --- the end of the job -------------------------------------------------------

def test_drain_stores_what_came(tmp_path):
    with Sidecar(tmp_path) as s:
        stored, go = Records(), threading.Event()
        s.backend.hook = lambda r: (go.wait(), stored.append(r))[1]
        w = Writer(s)
        w.send(b"1\n2\n3")
        until(lambda: len(s.backend.seen) == 1)
        w.send(b"\n4\n5")
        until(lambda: s.metric(
            'stream_records_total{stream="output"}') == 4)
        w.close()
        s.control.send(frames.DRAIN)
        go.set()
        s.control.expect(frames.DRAINED)
        assert stored.records == [b"1", b"2", b"3", b"4"]


def test_drain_ends_a_body_that_goes_on(tmp_path):
    with Sidecar(tmp_path) as s:
        stored = Records()
        s.backend.hook = stored.append
        w = Writer(s)
        w.send(b"1\n")
        assert w.acknowledged() == {"next": 1}
        s.control.send(frames.DRAIN)
        w.send(b"2\n")  # a body goes on for a while
        assert w.acknowledged() == {"next": 2}
        told = w.acknowledged()
        assert (told["code"], told["next"]) == ("draining", 2)
        s.control.expect(frames.DRAINED)
        assert stored.records == [b"1", b"2"]
        w.close()


def test_drain_gives_up_a_backend_that_does_not_answer(tmp_path):
    with Sidecar(tmp_path) as s:
        s.backend.hook = lambda r: SILENCE
        w = Writer(s)
        w.send(b"1\n")
        until(lambda: len(s.backend.seen) == 1)
        s.control.send(frames.DRAIN)
        s.control.expect(frames.DRAINED)
        assert "1 writes cut off" in s.logged()
        w.close()


def test_reset_in_the_midst(tmp_path):
    with Sidecar(tmp_path) as s:
        stored = Records()
        s.backend.hook = stored.append
        w = Writer(s)
        w.send(b"1\n2")
        assert w.acknowledged() == {"next": 1}
        reset(w.sock)
        w.close()
        until(lambda: s.metric("output_streams") == 0)
        assert stored.records == [b"1"]
