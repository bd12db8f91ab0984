"""The HTTP/1.1 server: connections, bodies, peers that go away."""

import concurrent.futures
import json
import signal
import socket

import httpx
import pytest

from http_fixtures import BIG, ask, get
from http_fixtures import server  # noqa: F401
from http_server import Reader, Server, chunked, request

pytestmark = pytest.mark.timeout(60)


# --- connections -------------------------------------------------------------

def test_keep_alive(server):
    with server.connect() as sock:
        reader = Reader(sock)
        for i in range(50):
            body = b"x" * i * 100
            sock.sendall(request("POST", "/echo", body))
            assert reader.reply().body == body


def test_http_1_0_closes_unless_asked(server):
    [reply] = ask(server, b"GET /hello HTTP/1.0\r\n\r\n")
    assert reply.status == 200 and reply.headers["connection"] == "close"
    with server.connect() as sock:
        reader = Reader(sock)
        for _ in range(2):
            sock.sendall(b"GET /hello HTTP/1.0\r\n"
                         b"Connection: keep-alive\r\n\r\n")
            assert reader.reply().headers["connection"] == "keep-alive"
    [reply] = ask(server, b"GET /bytes/5 HTTP/1.0\r\n\r\n")
    assert reply.body == bytes(5) and "transfer-encoding" not in reply.headers


@pytest.mark.parametrize("path", ["/hello", "/late", "/echo", "/bytes/3"])
def test_pipelining(server, path):
    raw = request("GET", path) * 100 + request("GET", "/hello", close=True)
    replies = ask(server, raw)
    assert [r.status for r in replies] == [200] * 101


def test_pipelined_posts_keep_their_order(server):
    bodies = [b"%d" % i * (i % 7) for i in range(300)]
    raw = b"".join(request("POST", "/echo", b) for b in bodies)
    replies = ask(server, raw, request("GET", "/hello", close=True))
    assert [r.body for r in replies[:-1]] == bodies


def test_pipelined_large_replies_are_bounded(server):
    before = server.resident_bytes()
    with server.connect(receive_buffer=4096) as sock:
        sock.sendall(request("GET", "/bytes/1000000?sized=1") * 40)
        server.stats()
        assert server.resident_bytes() - before < 8 << 20
        reader = Reader(sock)
        for _ in range(40):
            assert len(reader.reply().body) == 1000000


def test_replies_that_nobody_reads_are_bounded():
    body = b"r" * (8 << 20)  # more than a socket's buffers take
    with Server("--reply-bytes", "20m") as server:
        before = server.resident_bytes()
        socks = [server.connect(receive_buffer=4096) for _ in range(24)]
        for sock in socks:
            sock.sendall(request("POST", "/echo", body))
        server.wait_until(lambda stats: stats["requests"] >= 24)
        assert server.resident_bytes() - before < 96 << 20
        replies = [Reader(sock).reply() for sock in socks]
        refused = [r for r in replies if r.status == 503]
        assert 0 < len(refused) < 24
        for r in refused:
            assert json.loads(r.body)["code"] == "too_many_replies"
            assert r.headers["retry-after"] == "1"
        assert all(r.body == body for r in replies if r.status == 200)
        # What was taken makes room again.
        socks[0].sendall(request("POST", "/echo", body))
        assert Reader(socks[0]).reply().body == body
        for sock in socks:
            sock.close()


def test_one_byte_at_a_time(server):
    raw = request("POST", "/echo", b"hello") + request(
        "POST", "/echo", headers=["Transfer-Encoding: chunked"]) + chunked(
        b"wor", b"ld") + request("GET", "/hello", close=True)
    replies = ask(server, *[raw[i:i + 1] for i in range(len(raw))])
    assert [r.body for r in replies] == [b"hello", b"world", b"hello\n"]


def test_half_closed_peer_gets_its_reply(server):
    with server.connect() as sock:
        sock.sendall(request("POST", "/late", b"still here"))
        sock.shutdown(socket.SHUT_WR)
        assert Reader(sock).reply().body == b"still here"


def test_head(server):
    with server.connect() as sock:
        reader = Reader(sock)
        sock.sendall(request("HEAD", "/hello"))
        reply = reader.reply(head_only=True)
        assert reply.status == 200 and reply.headers["content-length"] == "6"
        sock.sendall(request("HEAD", "/bytes/100"))
        assert reader.reply(head_only=True).status == 200
        sock.sendall(request("HEAD", "/nothing"))
        assert reader.reply(head_only=True).status == 404
        sock.sendall(request("GET", "/hello"))
        assert reader.reply().body == b"hello\n"


def test_options_asterisk(server):
    with server.connect() as sock:
        sock.sendall(get(b"OPTIONS * HTTP/1.1"))
        reply = Reader(sock).reply()
        assert reply.status == 204 and "GET" in reply.headers["allow"]
        assert "content-length" not in reply.headers


def test_method_not_allowed(server):
    with server.connect() as sock:
        sock.sendall(request("DELETE", "/echo"))
        reply = Reader(sock).reply()
        assert reply.status == 405
        assert reply.headers["allow"] == "POST, GET, HEAD"


def test_problem_carries_the_trace_id(server):
    trace = "0af7651916cd43dd8448eb211c80319c"
    reply = httpx.get(server.url + "/nothing", headers={
        "traceparent": f"00-{trace}-b7ad6b7169203331-01"})
    assert reply.headers["x-cronium-trace-id"] == trace
    problem = reply.json()
    assert problem == {"type": "about:blank", "status": 404,
                       "title": "Not Found", "code": "not_found",
                       "detail": "there is nothing at /nothing",
                       "trace_id": trace}
    reply = httpx.get(server.url + "/nothing", headers={
        "traceparent": "00-" + "0" * 32 + "-b7ad6b7169203331-01"})
    assert reply.headers["x-cronium-trace-id"] not in (trace, "0" * 32)


# --- bodies -------------------------------------------------------------------

@pytest.mark.parametrize("path", ["/echo", "/late"])
@pytest.mark.parametrize("coding", ["length", "chunked"])
def test_large_bodies(server, path, coding):
    body = BIG if coding == "length" else iter([BIG[:1 << 20]] * 10)
    reply = httpx.post(server.url + path, content=body, timeout=20)
    assert reply.status_code == 200
    assert reply.content == (BIG if coding == "length" else BIG[:1 << 20] * 10)


def test_slow_reader_holds_the_writer_back(server):
    before = server.resident_bytes()
    with server.connect(receive_buffer=4096) as sock:
        sock.sendall(request("GET", "/bytes/10000000"))
        reader = Reader(sock)
        status, headers = reader.head()
        server.stats()
        assert server.resident_bytes() - before < 8 << 20
        assert sum(map(len, reader.chunks())) == 10000000


def test_slow_consumer_holds_the_sender_back(server):
    """/pipe stops reading while its reply is not taken."""
    before = server.resident_bytes()
    with server.connect(receive_buffer=4096) as sock:
        sock.sendall(request("POST", "/pipe", headers=[
            f"Content-Length: {len(BIG)}"]))
        sock.settimeout(0.3)
        sent = 0
        with pytest.raises(TimeoutError):
            while sent < len(BIG):
                sent += sock.send(BIG[sent:sent + 65536])
        assert server.resident_bytes() - before < 8 << 20
        sock.settimeout(20)
        with concurrent.futures.ThreadPoolExecutor() as pool:
            rest = pool.submit(sock.sendall, BIG[sent:])
            assert Reader(sock).reply().body == BIG
            rest.result()


def test_expect_continue(server):
    with server.connect() as sock:
        reader = Reader(sock)
        for path in ("/echo", "/late"):
            sock.sendall(request("POST", path, headers=[
                "Expect: 100-continue", "Content-Length: 5"]))
            assert reader.reply().status == 100
            sock.sendall(b"hello")
            assert reader.reply().body == b"hello"


def test_expect_continue_not_wanted(server):
    """A final reply instead of 100: the body may not come, so it closes."""
    with server.connect() as sock:
        sock.sendall(request("POST", "/early", headers=[
            "Expect: 100-continue", "Content-Length: 5"]))
        reader = Reader(sock)
        reply = reader.reply()
        assert reply.status == 200 and reply.headers["connection"] == "close"
        assert reader.at_end()


def test_expect_continue_too_large(server):
    with server.connect() as sock:
        sock.sendall(request("POST", "/echo", headers=[
            "Expect: 100-continue", "Content-Length: 99999999"]))
        assert Reader(sock).reply().status == 413


def test_early_reply_keeps_the_connection_for_a_small_body(server):
    with server.connect() as sock:
        reader = Reader(sock)
        for _ in range(3):
            sock.sendall(request("POST", "/early", b"x" * 5000))
            assert reader.reply().body == b"hello\n"


def test_early_reply_survives_a_large_body(server):
    """The reply is read although the body was not: no reset takes it."""
    with server.connect() as sock:
        try:
            sock.sendall(request("POST", "/early", BIG))
        except (BrokenPipeError, ConnectionResetError):
            pass
        reply = Reader(sock).reply()
        assert reply.body == b"hello\n"
        assert reply.headers["connection"] == "close"


def test_body_over_the_limit(server):
    with server.connect() as sock:
        sock.sendall(request("POST", "/echo", headers=[
            "Transfer-Encoding: chunked"]))
        try:
            for _ in range(20):
                sock.sendall(b"100000\r\n" + b"x" * (1 << 20) + b"\r\n")
        except (BrokenPipeError, ConnectionResetError):
            pass
        assert Reader(sock).reply().status == 413


def test_aborted_reply_is_visible(server):
    with server.connect() as sock:
        sock.sendall(request("GET", "/abort"))
        rest = sock.makefile("rb").read()
        assert b"0\r\n\r\n" not in rest


def test_abort_within_a_body(server):
    with server.connect() as sock:
        sock.sendall(request("POST", "/abort-body", headers=[
            "Transfer-Encoding: chunked"]) + chunked(b"one", b"two"))
        assert Reader(sock).reply() is None


# --- peers that go away -------------------------------------------------------

@pytest.mark.parametrize("path", ["/endless", "/bytes/100000000"])
def test_peer_gone_during_a_reply(path):
    with Server() as server:
        with server.connect() as sock:
            sock.sendall(request("GET", path))
            assert Reader(sock).head()[0] == 200
        server.wait_until(lambda s: s["closed"] == 1 and s["open"] == 1)


def test_peer_gone_during_a_body():
    with Server() as server:
        with server.connect() as sock:
            sock.sendall(request("POST", "/late", b"x" * 100)[:-50])
        server.wait_until(lambda s: s["open"] == 1 and s["exchanges"] == 1)


def test_free_with_requests_under_way():
    with Server() as server:
        socks = [server.connect() for _ in range(20)]
        for sock in socks:
            sock.sendall(request("GET", "/wait"))
        server.wait_until(lambda s: s["waiting"] == 20)
        server.stop(signal.SIGINT)
        for sock in socks:
            sock.close()


def test_drain_finishes_what_is_under_way():
    with Server() as server:
        with server.connect() as idle, server.connect() as busy:
            idle.sendall(request("GET", "/hello"))
            idle_reader = Reader(idle)
            assert idle_reader.reply().status == 200
            busy.sendall(request("GET", "/bytes/20000000?sized=1"))
            reader = Reader(busy)
            head = reader.head()
            server.process.send_signal(signal.SIGTERM)
            assert idle_reader.at_end()
            with pytest.raises(ConnectionRefusedError):
                server.connect()
            assert len(reader.file.read(20000000)) == 20000000
            assert head[0] == 200 and reader.at_end()
        assert server.process.wait(10) == 0
