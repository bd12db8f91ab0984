"""HTTP/2 as common/http serves it, driven frame by frame with python h2."""

import signal
import subprocess

import h2.errors
import h2.events
import httpx
import pytest

from http2_client import (
    BIG, Client, HEADERS, PING, PREFACE, SETTINGS, frame, raw,
)
from http2_client import server  # noqa: F401
from http_server import Server

pytestmark = pytest.mark.timeout(60)


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


# --- ends and deadlines -------------------------------------------------------

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
