"""HTTP/2 as common/http serves it, driven frame by frame with python h2."""

import os
import signal
import struct
import subprocess

import h2.config
import h2.connection
import h2.errors
import h2.events
import h2.exceptions
import h2.settings
import httpx
import pytest

from http_server import Reader, Server

pytestmark = pytest.mark.timeout(60)

BIG = os.urandom(1 << 20) * 10
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH, PING, GOAWAY, \
    WINDOW_UPDATE, CONTINUATION = range(10)
END_STREAM, END_HEADERS, ACK = 1, 4, 1


def frame(kind, flags=0, stream=0, payload=b""):
    return (struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) +
            struct.pack(">I", stream) + payload)


class Client:
    """A connection by prior knowledge. Checks on our side are off, so that
    it can misbehave."""

    def __init__(self, server, receive_buffer=None, window=None):
        self.sock = server.connect(receive_buffer)
        self.h2 = h2.connection.H2Connection(h2.config.H2Configuration(
            validate_outbound_headers=False,
            normalize_outbound_headers=False,
            validate_inbound_headers=True))
        self.h2.initiate_connection()
        if window is not None:
            self.h2.update_settings({
                h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: window})
        self.flush()
        self.streams = {}
        self.goaway = None
        self.closed = False
        self.acknowledge = True

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.sock.close()

    def flush(self):
        self.sock.sendall(self.h2.data_to_send())

    def ask(self, method, path, body=None, headers=(), end=True, drop=()):
        stream = self.h2.get_next_available_stream_id()
        fields = [(":method", method), (":scheme", "http"),
                  (":authority", "localhost"), (":path", path)]
        fields = [f for f in fields if f[0] not in drop]
        self.h2.send_headers(stream, [*fields, *headers],
                             end_stream=end and body is None)
        self.streams[stream] = {"headers": None, "body": bytearray(),
                                "ended": False, "reset": None}
        self.flush()
        if body is not None:
            self.send(stream, body, end)
        return stream

    def send(self, stream, body, end=True):
        at = 0
        while at < len(body):
            room = min(self.h2.local_flow_control_window(stream),
                       self.h2.max_outbound_frame_size, len(body) - at)
            if room:
                self.h2.send_data(stream, body[at:at + room])
                at += room
                self.flush()
            else:
                self.step()
                if self.streams[stream]["reset"] is not None:
                    return
        if end:
            self.h2.end_stream(stream)
            self.flush()

    def step(self):
        """Reads once."""
        try:
            data = self.sock.recv(65536)
        except ConnectionResetError:
            data = b""
        if not data:
            self.closed = True
            return
        for event in self.h2.receive_data(data):
            self.handle(event)
        try:
            self.flush()
        except (BrokenPipeError, ConnectionResetError):
            self.closed = True

    def handle(self, event):
        stream = self.streams.get(getattr(event, "stream_id", None))
        if isinstance(event, h2.events.ResponseReceived):
            stream["headers"] = {k.decode() if isinstance(k, bytes) else k:
                                 v.decode() if isinstance(v, bytes) else v
                                 for k, v in event.headers}
        elif isinstance(event, h2.events.DataReceived):
            stream["body"] += event.data
            if self.acknowledge:
                self.h2.acknowledge_received_data(
                    event.flow_controlled_length, event.stream_id)
        elif isinstance(event, h2.events.StreamEnded):
            stream["ended"] = True
        elif isinstance(event, h2.events.StreamReset):
            stream["reset"] = event.error_code
        elif isinstance(event, h2.events.ConnectionTerminated):
            self.goaway = event.error_code

    def wait(self, *streams):
        """Until the replies are complete; (status, body) of the last."""
        for number in streams:
            stream = self.streams[number]
            while not (stream["ended"] or stream["reset"] is not None or
                       self.closed):
                self.step()
        headers = stream["headers"] or {}
        return int(headers.get(":status", 0)), bytes(stream["body"])

    def wait_headers(self, stream):
        while not self.streams[stream]["headers"] and not self.closed:
            self.step()
        return int(self.streams[stream]["headers"][":status"])

    def wait_closed(self):
        while not self.closed:
            self.step()
        return self.goaway


@pytest.fixture(scope="module")
def server():
    with Server() as s:
        yield s


def raw(server, *frames):
    """Sends frames after the preface; returns the GOAWAY's error code, None
    where the connection was closed without one."""
    with server.connect() as sock:
        try:
            sock.sendall(PREFACE + frame(SETTINGS))
            for piece in frames:
                sock.sendall(piece)
        except (BrokenPipeError, ConnectionResetError):
            pass
        data = b""
        try:
            while piece := sock.recv(65536):
                data += piece
        except ConnectionResetError:
            pass
    error = None
    while len(data) >= 9:
        size = int.from_bytes(data[:3], "big")
        if data[3] == GOAWAY:
            error = int.from_bytes(data[13:17], "big")
        data = data[9 + size:]
    return error


# --- what works --------------------------------------------------------------

def test_requests_one_after_the_other(server):
    with Client(server) as client:
        for i in range(50):
            body = b"x" * i * 1000
            assert client.wait(client.ask("POST", "/echo", body)) == (200, body)


def test_requests_at_once(server):
    with Client(server) as client:
        streams = [client.ask("GET", "/late") for _ in range(100)]
        assert client.wait(*streams) == (200, b"")
        assert all(client.streams[s]["headers"][":status"] == "200"
                   for s in streams)


def test_preface_one_byte_at_a_time(server):
    with server.connect() as sock:
        for byte in PREFACE + frame(SETTINGS) + frame(PING, 0, 0, b"12345678"):
            sock.sendall(bytes([byte]))
        data = b""
        while b"12345678" not in data:
            data += sock.recv(1000)


@pytest.mark.parametrize("path", ["/echo", "/late"])
def test_large_bodies(server, path):
    with Client(server) as client:
        assert client.wait(client.ask("POST", path, BIG)) == (200, BIG)


@pytest.mark.parametrize("path", ["/echo", "/pipe", "/late"])
def test_large_bodies_by_nghttp(server, path, tmp_path):
    (tmp_path / "body").write_bytes(BIG)
    result = subprocess.run(
        ["nghttp", "--data", tmp_path / "body", "-H:method: POST",
         server.url + path], stdout=subprocess.PIPE, check=True, timeout=30)
    assert result.stdout == BIG


def test_head_and_options(server):
    with Client(server) as client:
        stream = client.ask("HEAD", "/hello")
        assert client.wait(stream) == (200, b"")
        assert client.streams[stream]["headers"]["content-length"] == "6"
        assert client.wait(client.ask("OPTIONS", "*"))[0] == 204


def test_httpx(server):
    with httpx.Client(http1=False, http2=True) as client:
        reply = client.get(server.url + "/inspect/a%20b?c=d",
                           headers={"X-Thing": "1"})
        assert reply.http_version == "HTTP/2"
        assert "param a b\n" in reply.text and "query c=d\n" in reply.text
        assert "x-thing: 1\n" in reply.text


def test_expect_continue(server):
    with Client(server) as client:
        stream = client.ask("POST", "/echo", end=False, headers=[
            ("expect", "100-continue"), ("content-length", "5")])
        informed = False
        while not informed:
            for event in client.h2.receive_data(client.sock.recv(65536)):
                informed |= isinstance(
                    event, h2.events.InformationalResponseReceived)
                client.handle(event)
        client.send(stream, b"hello")
        assert client.wait(stream) == (200, b"hello")


def test_aborted_reply_is_visible(server):
    with Client(server) as client:
        stream = client.ask("GET", "/abort")
        client.wait(stream)
        assert client.streams[stream]["reset"] == \
            h2.errors.ErrorCodes.INTERNAL_ERROR


def test_abort_within_a_body(server):
    with Client(server) as client:
        stream = client.ask("POST", "/abort-body", end=False)
        client.h2.send_data(stream, b"one")
        client.h2.send_data(stream, b"two", end_stream=True)
        client.flush()
        client.wait(stream)
        assert client.streams[stream]["reset"] is not None
        assert client.wait(client.ask("GET", "/hello")) == (200, b"hello\n")


def test_early_reply_stops_the_body(server):
    with Client(server) as client:
        stream = client.ask("POST", "/early", end=False)
        assert client.wait(stream) == (200, b"hello\n")
        while client.streams[stream]["reset"] is None:
            client.step()
        assert client.streams[stream]["reset"] == 0
        assert client.wait(client.ask("GET", "/hello")) == (200, b"hello\n")


# --- flow control -------------------------------------------------------------

def test_slow_reader_holds_the_writer_back(server):
    before = server.resident_bytes()
    with Client(server, window=1000) as client:
        client.acknowledge = False
        streams = [client.ask("GET", "/bytes/10000000") for _ in range(20)]
        while not all(client.streams[s]["body"] for s in streams):
            client.step()
        assert server.resident_bytes() - before < 24 << 20
        assert client.wait(client.ask("HEAD", "/hello"))[0] == 200


def test_body_that_nobody_reads_does_not_block_others(server):
    """/wait never reads; its stream's window is all it gets."""
    before = server.resident_bytes()
    with Client(server) as client:
        for _ in range(10):
            stream = client.ask("GET", "/wait", end=False)
            while client.h2.local_flow_control_window(stream) > 0:
                n = min(client.h2.local_flow_control_window(stream), 16384)
                client.h2.send_data(stream, b"x" * n)
                client.flush()
            assert client.wait(client.ask("POST", "/echo", b"y" * 100000)) \
                == (200, b"y" * 100000)
        assert server.resident_bytes() - before < 24 << 20


# --- what is refused ------------------------------------------------------------

REFUSED = {
    "path without slash": dict(path="hello"),
    "path empty": dict(path=""),
    "path with a space": dict(path="/hel lo"),
    "path with a fragment": dict(path="/hello#x"),
    "path with a NUL": dict(path="/hel\0lo"),
    "path with CR LF": dict(path="/hello\r\nX-A: b"),
    "path non-ASCII": dict(path="/h\u00e4llo"),
    "path with a bad escape": dict(path="/hello%zz"),
    "path absolute": dict(path="http://localhost/hello"),
    "path asterisk with GET": dict(path="*"),
    "path missing": dict(drop=[":path"]),
    "method missing": dict(drop=[":method"]),
    "method unknown": dict(method="BREW"),
    "method in lower case": dict(method="get"),
    "method with a space": dict(method="GET /smuggled"),
    "method CONNECT": dict(method="CONNECT"),
    "scheme missing": dict(drop=[":scheme"]),
    "authority missing": dict(drop=[":authority"]),
    "authority bad": dict(drop=[":authority"],
                          headers=[(":authority", "me@localhost")]),
    "authority empty": dict(drop=[":authority"],
                            headers=[(":authority", "")]),
    "authority and another Host": dict(headers=[("host", "other")]),
    "Host bad": dict(drop=[":authority"], headers=[("host", "local host")]),
    "pseudo header twice": dict(headers=[(":path", "/smuggled")]),
    "pseudo header unknown": dict(headers=[(":what", "x")]),
    "pseudo header of a reply": dict(headers=[(":status", "200")]),
    "pseudo header late": dict(drop=[":path"],
                               headers=[("x-a", "b"), (":path", "/hello")]),
    "name in upper case": dict(headers=[("X-A", "b")]),
    "name with a space": dict(headers=[("x a", "b")]),
    "name with CR LF": dict(headers=[("x-a\r\nx-b", "b")]),
    "name empty": dict(headers=[("", "b")]),
    "value with CR LF": dict(headers=[("x-a", "b\r\nx-c: d")]),
    "value with a NUL": dict(headers=[("x-a", "b\0c")]),
    "connection": dict(headers=[("connection", "close")]),
    "keep-alive": dict(headers=[("keep-alive", "1")]),
    "upgrade": dict(headers=[("upgrade", "h2c")]),
    "transfer-encoding": dict(headers=[("transfer-encoding", "chunked")]),
    "te": dict(headers=[("te", "gzip")]),
    "length twice": dict(headers=[("content-length", "0"),
                                  ("content-length", "1")]),
    "length signed": dict(headers=[("content-length", "+0")]),
    "length of nothing": dict(headers=[("content-length", "5")]),
    "headers too many": dict(headers=[(f"x-{i}", "b") for i in range(200)]),
    "headers too large": dict(headers=[("x-a", "b" * 40000)]),
    "expectation unknown": dict(headers=[("expect", "200-ok")]),
}


@pytest.mark.parametrize("name", REFUSED)
def test_malformed_is_refused(server, name):
    before = server.stats()
    ask = {"method": "GET", "path": "/hello", **REFUSED[name]}
    with Client(server) as client:
        stream = client.ask(**ask)
        status, _ = client.wait(stream)
        reset = client.streams[stream]["reset"]
        assert 400 <= status <= 505 or reset or client.goaway
    after = server.stats()
    assert after["requests"] == before["requests"] + 1 # for the statistics


def test_length_and_data_differ(server):
    for sent in (b"four", b"sixsix"):
        with Client(server) as client:
            stream = client.ask("POST", "/echo", end=False,
                                headers=[("content-length", "5")])
            client.send(stream, sent)
            assert client.wait(stream)[0] == 0
            assert client.streams[stream]["reset"] == \
                h2.errors.ErrorCodes.PROTOCOL_ERROR


def test_body_over_the_limit(server):
    with Client(server) as client:
        status, _ = client.wait(client.ask("POST", "/echo", BIG * 2))
        assert status == 413
        assert client.wait(client.ask("GET", "/hello"))[0] == 200


def test_length_over_the_limit(server):
    with Client(server) as client:
        status, _ = client.wait(client.ask(
            "POST", "/echo", end=False,
            headers=[("content-length", "9" * 12)]))
        assert status == 413


BROKEN = {
    "preface wrong": [frame(SETTINGS, 0, 1)],
    "data on stream 0": [frame(DATA, 0, 0, b"x")],
    "data on an idle stream": [frame(DATA, 0, 1, b"x")],
    "headers on stream 0": [frame(HEADERS, 5, 0, b"\x82")],
    "headers on an even stream": [frame(HEADERS, 5, 2, b"\x82\x84\x86")],
    "headers that do not decode": [frame(HEADERS, 5, 1, b"\xff" * 20)],
    "continuation alone": [frame(CONTINUATION, 4, 1, b"\x82")],
    "headers not continued": [frame(HEADERS, 1, 1, b"\x82"), frame(PING)],
    "settings of odd size": [frame(SETTINGS, 0, 0, b"12345")],
    "settings acknowledged with payload": [
        frame(SETTINGS, 1, 0, b"123456")],
    "window over the limit": [
        frame(WINDOW_UPDATE, 0, 0, b"\x7f\xff\xff\xff")] * 2,
    "window update of nothing": [frame(WINDOW_UPDATE, 0, 0, bytes(4))],
    "ping of odd size": [frame(PING, 0, 0, b"123")],
    "push from a client": [frame(PUSH, 4, 1, bytes(4) + b"\x82")],
    "reset of an idle stream": [frame(RST_STREAM, 0, 1, bytes(4))],
    "frame too large": [frame(DATA, 0, 1, b"x" * 20000)],
    "padding longer than the frame": [frame(HEADERS, 0xd, 1, b"\xff\x82")],
}


@pytest.mark.parametrize("name", BROKEN)
def test_broken_frames_end_the_connection(server, name):
    assert raw(server, *BROKEN[name], frame(GOAWAY, 0, 0, bytes(8))) != 0


def test_connection_preface_must_be_whole(server):
    with server.connect() as sock:
        sock.sendall(b"PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n")
        assert Reader(sock).reply().status == 505


# --- floods -----------------------------------------------------------------------

CALM = h2.errors.ErrorCodes.ENHANCE_YOUR_CALM


def test_rapid_reset():
    with Server("--resets", 50) as server:
        with Client(server) as client:
            try:
                for _ in range(300):
                    stream = client.ask("GET", "/wait")
                    client.h2.reset_stream(stream)
                    client.flush()
            except (BrokenPipeError, ConnectionResetError):
                pass
            assert client.wait_closed() in (CALM, None)
        stats = server.wait_until(lambda s: s["open"] == 1)
        assert stats["requests"] < 120 and stats["waiting"] == 0


@pytest.mark.parametrize("flood", [
    frame(PING, 0, 0, b"12345678"), frame(SETTINGS),
    frame(PRIORITY, 0, 1, bytes(4) + b"\x10")],
    ids=["ping", "settings", "priority"])
def test_control_frame_flood(flood):
    with Server("--control", 100) as server:
        before = server.resident_bytes()
        assert raw(server, *[flood * 100] * 100) in (CALM, None)
        assert server.resident_bytes() - before < 4 << 20
        server.wait_until(lambda s: s["open"] == 1)


def test_empty_data_flood():
    with Server("--control", 100) as server:
        with Client(server) as client:
            stream = client.ask("POST", "/echo", end=False)
            try:
                for _ in range(100):
                    client.sock.sendall(frame(DATA, 0, stream) * 100)
            except (BrokenPipeError, ConnectionResetError):
                pass
            assert client.wait_closed() in (CALM, None)


def test_continuation_flood():
    with Server() as server:
        before = server.resident_bytes()
        piece = b"\x00\x03x-a\x7f\x81\x01" + b"b" * 256
        assert raw(server, frame(HEADERS, 1, 1, b"\x82\x84\x86"),
                   *[frame(CONTINUATION, 0, 1, piece * 20)] * 1000) != 0
        assert server.resident_bytes() - before < 4 << 20


def test_empty_continuation_flood():
    with Server() as server:
        assert raw(server, frame(HEADERS, 1, 1, b"\x82\x84\x86"),
                   *[frame(CONTINUATION, 0, 1) * 100] * 100) != 0


def test_heads_of_answered_requests_are_not_kept():
    """A window of 0 keeps each stream open, with a head of 30 kB."""
    fields = [(f"x-{i}", "a" * 1000) for i in range(28)]
    with Server() as server:
        before = server.resident_bytes()
        clients = [Client(server, window=0) for _ in range(20)]
        for client in clients:
            streams = [client.ask("GET", "/hello", headers=fields)
                       for _ in range(100)]
            for stream in streams:
                client.wait_headers(stream)
        assert server.resident_bytes() - before < 40 << 20
        for client in clients:
            client.sock.close()


def test_replies_that_nobody_reads_are_bounded():
    body = b"r" * 1000000
    with Server("--reply-bytes", "4m") as server:
        with Client(server, window=0) as client:
            streams = [client.ask("POST", "/echo", body) for _ in range(10)]
            assert [client.wait_headers(s) for s in streams] == (
                [200] * 4 + [503] * 6)


def test_too_many_streams(server):
    with Client(server) as client:
        client.ask("GET", "/hello")
        client.wait(1)
        client.h2.remote_settings[
            h2.settings.SettingCodes.MAX_CONCURRENT_STREAMS] = 1000
        client.h2.remote_settings.acknowledge()
        streams = [client.ask("GET", "/wait") for _ in range(101)]
        client.wait(streams[-1])
        assert client.streams[streams[-1]]["reset"] or client.goaway


# --- ends and deadlines -------------------------------------------------------------

def test_peer_gone():
    with Server() as server:
        with Client(server) as client:
            for _ in range(10):
                client.ask("GET", "/wait")
            server.wait_until(lambda s: s["waiting"] == 10)
        server.wait_until(lambda s: s["closed"] == 10 and s["open"] == 1)


def test_free_with_requests_under_way():
    with Server() as server:
        with Client(server) as client:
            for path in ("/wait", "/endless", "/late", "/bytes/100000000"):
                client.ask("GET", path)
            server.wait_until(lambda s: s["waiting"] == 2)
            server.stop(signal.SIGINT)


def test_drain_finishes_what_is_under_way():
    with Server() as server:
        nghttp = subprocess.Popen(["nghttp", server.url + "/bytes/20000000"],
                                  stdout=subprocess.PIPE)
        with Client(server) as idle, nghttp.stdout:
            idle.wait(idle.ask("GET", "/hello"))
            nghttp.stdout.read(1000)
            server.process.send_signal(signal.SIGTERM)
            assert idle.wait_closed() == 0
            assert len(nghttp.stdout.read()) == 20000000 - 1000
        assert nghttp.wait(10) == 0
        assert server.process.wait(10) == 0


def test_idle_connection():
    with Server("--idle-timeout", "300ms") as server:
        with Client(server) as client:
            client.wait(client.ask("GET", "/hello"))
            assert client.wait_closed() == 0


def test_slow_head():
    with Server("--header-timeout", "300ms") as server:
        assert raw(server, frame(HEADERS, 1, 1, b"\x82\x84\x86")) in (0, None)


def test_slow_body():
    with Server("--body-timeout", "300ms") as server:
        with Client(server) as client:
            stream = client.ask("POST", "/echo", b"half", end=False)
            assert client.wait(stream)[0] == 408
            assert client.wait(client.ask("GET", "/hello"))[0] == 200


def test_reply_that_is_not_taken():
    """The peer reads, but never opens the window."""
    with Server("--write-timeout", "300ms") as server:
        with Client(server, window=100) as client:
            client.acknowledge = False
            stream = client.ask("GET", "/bytes/1000000")
            client.wait(stream)
            assert client.streams[stream]["reset"] == \
                h2.errors.ErrorCodes.CANCEL
            server.wait_until(lambda s: s["closed"] == 1)
