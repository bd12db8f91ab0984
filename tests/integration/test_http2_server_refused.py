"""The HTTP/2 server: what it refuses, and floods."""

import functools

import h2.errors
import h2.settings
import pytest

from http2_client import (
    BIG, CONTINUATION, Client, DATA, GOAWAY, HEADERS, PING, PRIORITY, PUSH,
    RST_STREAM, SETTINGS, WINDOW_UPDATE, frame, raw,
)
from http2_client import server  # noqa: F401
from http_server import Reader, Server

pytestmark = pytest.mark.timeout(60)


# --- what is refused ----------------------------------------------------------

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


# --- floods -------------------------------------------------------------------

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
            # Huffman's code in Python takes longer than all the rest.
            encoder = client.h2.encoder
            encoder.encode = functools.partial(encoder.encode, huffman=False)
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
