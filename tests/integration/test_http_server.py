"""HTTP/1.1 as common/http serves it: framing, limits, what is refused."""

import concurrent.futures
import json
import os
import signal
import socket
import ssl
import subprocess

import httpx
import pytest

from http_server import ECHO, Reader, Server, chunked, request

pytestmark = pytest.mark.timeout(60)

BIG = os.urandom(1 << 20) * 10


@pytest.fixture(scope="module")
def server():
    with Server() as s:
        yield s


def ask(server, *raw):
    """Sends, then returns all replies until the connection is closed."""
    with server.connect() as sock:
        for piece in raw:
            sock.sendall(piece)
        reader, replies = Reader(sock), []
        while reply := reader.reply():
            replies.append(reply)
        return replies


# --- what is refused ---------------------------------------------------------

SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n"


def get(line=b"GET /hello HTTP/1.1", *headers, host=b"Host: localhost"):
    lines = [line, *([host] if host else []), *headers]
    return b"\r\n".join(lines) + b"\r\n\r\n"


def post(*headers, body=b""):
    return get(b"POST /echo HTTP/1.1", *headers) + body


def post_chunked(body):
    return post(b"Transfer-Encoding: chunked", body=body)


MALFORMED = {
    # Content-Length
    "length twice, differing": post(
        b"Content-Length: 5", b"Content-Length: 6", body=b"hello!"),
    "length twice, the same": post(
        b"Content-Length: 5", b"Content-Length: 5", body=b"hello"),
    "length as a list": post(b"Content-Length: 5, 5", body=b"hello"),
    "length as a list, differing": post(b"Content-Length: 5, 6"),
    "length with plus": post(b"Content-Length: +5", body=b"hello"),
    "length with minus": post(b"Content-Length: -5", body=b"hello"),
    "length minus zero": post(b"Content-Length: -0"),
    "length hexadecimal": post(b"Content-Length: 0x5", body=b"hello"),
    "length with a space inside": post(b"Content-Length: 1 0", body=b"hello"),
    "length with a letter": post(b"Content-Length: 5a", body=b"hello"),
    "length with a point": post(b"Content-Length: 5.0", body=b"hello"),
    "length with an exponent": post(b"Content-Length: 1e1", body=b"hello"),
    "length empty": post(b"Content-Length:", body=b"hello"),
    "length blank": post(b"Content-Length:   ", body=b"hello"),
    "length quoted": post(b'Content-Length: "5"', body=b"hello"),
    "length with underscore": post(b"Content-Length: 1_0", body=b"hello"),
    "length over 64 bits": post(b"Content-Length: 18446744073709551621"),
    "length over 63 bits": post(b"Content-Length: 9223372036854775808"),
    "length of many digits": post(b"Content-Length: " + b"9" * 200),
    "length over the limit": post(b"Content-Length: 99999999999"),
    # Transfer-Encoding
    "length and chunked": post(
        b"Content-Length: 5", b"Transfer-Encoding: chunked",
        body=b"0\r\n\r\n" + SMUGGLED),
    "chunked and length": post(
        b"Transfer-Encoding: chunked", b"Content-Length: 5",
        body=b"0\r\n\r\n" + SMUGGLED),
    "length zero and chunked": post(
        b"Content-Length: 0", b"Transfer-Encoding: chunked",
        body=b"0\r\n\r\n"),
    "encoding unknown": post(b"Transfer-Encoding: xchunked", body=SMUGGLED),
    "encoding identity": post(b"Transfer-Encoding: identity", body=SMUGGLED),
    "encoding gzip": post(b"Transfer-Encoding: gzip", body=SMUGGLED),
    "encoding gzip, chunked": post(
        b"Transfer-Encoding: gzip, chunked", body=b"0\r\n\r\n"),
    "encoding chunked, gzip": post(
        b"Transfer-Encoding: chunked, gzip", body=b"0\r\n\r\n"),
    "encoding chunked, chunked": post(
        b"Transfer-Encoding: chunked, chunked", body=b"0\r\n\r\n"),
    "encoding chunked twice": post(
        b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked",
        body=b"0\r\n\r\n"),
    "encoding chunked, identity apart": post(
        b"Transfer-Encoding: chunked", b"Transfer-Encoding: identity",
        body=b"0\r\n\r\n"),
    "encoding with parameter": post(
        b"Transfer-Encoding: chunked;q=1", body=b"0\r\n\r\n"),
    "encoding quoted": post(
        b'Transfer-Encoding: "chunked"', body=b"0\r\n\r\n"),
    "encoding with comma": post(
        b"Transfer-Encoding: ,chunked", body=b"0\r\n\r\n"),
    "encoding empty": post(b"Transfer-Encoding:", body=b"0\r\n\r\n"),
    "encoding vertical tab": post(
        b"Transfer-Encoding: \x0bchunked", body=b"0\r\n\r\n"),
    "encoding with HTTP/1.0": get(
        b"POST /echo HTTP/1.0", b"Transfer-Encoding: chunked")
        + b"0\r\n\r\n",
    "encoding, space before colon": post(
        b"Transfer-Encoding : chunked", body=b"0\r\n\r\n"),
    # Chunks
    "chunk size with minus": post_chunked(b"-5\r\nhello\r\n0\r\n\r\n"),
    "chunk size with plus": post_chunked(b"+5\r\nhello\r\n0\r\n\r\n"),
    "chunk size with 0x": post_chunked(b"0x5\r\nhello\r\n0\r\n\r\n"),
    "chunk size not hexadecimal": post_chunked(b"g\r\nhello\r\n0\r\n\r\n"),
    "chunk size empty": post_chunked(b"\r\nhello\r\n0\r\n\r\n"),
    "chunk size with leading space": post_chunked(b" 5\r\nhello\r\n0\r\n\r\n"),
    "chunk size with trailing space": post_chunked(
        b"5 \r\nhello\r\n0\r\n\r\n"),
    "chunk size with tab": post_chunked(b"5\t\r\nhello\r\n0\r\n\r\n"),
    "chunk size with underscore": post_chunked(b"1_0\r\nhello\r\n0\r\n\r\n"),
    "chunk size over 64 bits": post_chunked(
        b"10000000000000005\r\nhello\r\n0\r\n\r\n"),
    "chunk size of 64 bits": post_chunked(b"ffffffffffffffff\r\nhello\r\n"),
    "chunk size only semicolon": post_chunked(b";a\r\nhello\r\n0\r\n\r\n"),
    "chunk line ends in LF": post_chunked(b"5\nhello\r\n0\r\n\r\n"),
    "chunk line ends in CR": post_chunked(b"5\rhello\r\n0\r\n\r\n"),
    "chunk without CR LF behind": post_chunked(b"5\r\nhello0\r\n\r\n"),
    "chunk with LF behind": post_chunked(b"5\r\nhello\n0\r\n\r\n"),
    "chunk longer than its size": post_chunked(b"5\r\nhelloo\r\n0\r\n\r\n"),
    "last chunk ends in LF": post_chunked(b"5\r\nhello\r\n0\n\n"),
    "last chunk, bare LF behind": post_chunked(b"0\r\n\n" + SMUGGLED),
    "chunk extension too long": post_chunked(
        b"5;" + b"a" * 5000 + b"\r\nhello\r\n0\r\n\r\n"),
    "chunk extensions too long together": post_chunked(
        b"1;aaaaaaa\r\nh\r\n" * 1000 + b"0\r\n\r\n"),
    "chunk extension with LF": post_chunked(
        b"5;a\nb\r\nhello\r\n0\r\n\r\n"),
    "chunk extension with NUL": post_chunked(
        b"5;a\0b\r\nhello\r\n0\r\n\r\n"),
    "trailer": post_chunked(b"0\r\nX-A: b\r\n\r\n"),
    "trailer that smuggles": post_chunked(b"0\r\n" + SMUGGLED),
    "chunks over the body limit": post_chunked(
        b"fffffff\r\n" + b"x" * (17 << 20)),
    # Line ends and control characters
    "bare LF": b"GET /hello HTTP/1.1\nHost: localhost\n\n",
    "bare LF after the request line":
        b"GET /hello HTTP/1.1\nHost: localhost\r\n\r\n",
    "bare LF after a header":
        b"GET /hello HTTP/1.1\r\nHost: localhost\nX-A: b\r\n\r\n",
    "bare LF at the end": b"GET /hello HTTP/1.1\r\nHost: localhost\r\n\n",
    "bare CR in a value": get(b"GET /hello HTTP/1.1", b"X-A: b\rX-B: c"),
    "bare CR in a name": get(b"GET /hello HTTP/1.1", b"X-\rA: b"),
    "bare CR in the request line": get(b"GET /hello\rHTTP/1.1"),
    "CR CR LF": b"GET /hello HTTP/1.1\r\r\nHost: localhost\r\n\r\n",
    "CR as a line end": b"GET /hello HTTP/1.1\rHost: localhost\r\r",
    "NUL in a value": get(b"GET /hello HTTP/1.1", b"X-A: b\0c"),
    "NUL in a name": get(b"GET /hello HTTP/1.1", b"X-\0A: b"),
    "NUL in the target": get(b"GET /hel\0lo HTTP/1.1"),
    "NUL in the method": get(b"G\0ET /hello HTTP/1.1"),
    "NUL in Host": get(host=b"Host: local\0host"),
    "control character in a value": get(b"GET /hello HTTP/1.1",
                                        b"X-A: b\x01c"),
    "DEL in a value": get(b"GET /hello HTTP/1.1", b"X-A: b\x7fc"),
    "escape in the target": get(b"GET /hel\x1blo HTTP/1.1"),
    "two empty lines first": b"\r\n\r\n" + get(),
    "empty LF line first": b"\n" + get(),
    "TLS ClientHello": bytes.fromhex("16030100c8010000c40303") + b"\0" * 40,
    # Headers
    "folded header": get(b"GET /hello HTTP/1.1", b"X-A: b\r\n c"),
    "folded with tab": get(b"GET /hello HTTP/1.1", b"X-A: b\r\n\tc"),
    "fold in front": b"GET /hello HTTP/1.1\r\n Host: localhost\r\n\r\n",
    "folded length": post(b"Content-Length:\r\n 5", body=b"hello"),
    "space before the colon": get(b"GET /hello HTTP/1.1", b"X-A : b"),
    "tab before the colon": get(b"GET /hello HTTP/1.1", b"X-A\t: b"),
    "no colon": get(b"GET /hello HTTP/1.1", b"X-A"),
    "empty name": get(b"GET /hello HTTP/1.1", b": b"),
    "space in a name": get(b"GET /hello HTTP/1.1", b"X A: b"),
    "brackets in a name": get(b"GET /hello HTTP/1.1", b"X(A): b"),
    "slash in a name": get(b"GET /hello HTTP/1.1", b"X/A: b"),
    "quote in a name": get(b"GET /hello HTTP/1.1", b'X"A: b'),
    "non-ASCII name": get(b"GET /hello HTTP/1.1", b"X-\xc3\xa4: b"),
    "too many headers": get(b"GET /hello HTTP/1.1",
                            *[b"X-%d: b" % i for i in range(200)]),
    "too long a header": get(b"GET /hello HTTP/1.1", b"X-A: " + b"b" * 40000),
    "too long a name": get(b"GET /hello HTTP/1.1", b"X" * 40000 + b": b"),
    "unknown expectation": post(b"Expect: 200-ok", b"Content-Length: 0"),
    # Host
    "Host missing": get(host=None),
    "Host twice": get(b"GET /hello HTTP/1.1", b"Host: localhost"),
    "Host twice, differing": get(b"GET /hello HTTP/1.1", b"Host: other"),
    "Host empty": get(host=b"Host:"),
    "Host with a space": get(host=b"Host: local host"),
    "Host with a path": get(host=b"Host: localhost/x"),
    "Host with a user": get(host=b"Host: me@localhost"),
    "Host as a list": get(host=b"Host: localhost, other"),
    "Host with a bad port": get(host=b"Host: localhost:x"),
    "Host with too high a port": get(host=b"Host: localhost:65536"),
    "Host with an open bracket": get(host=b"Host: [::1"),
    "Host with nothing in brackets": get(host=b"Host: []"),
    "Host with a hash": get(host=b"Host: local#host"),
    "Host in HTTP/1.0 twice": get(b"GET /hello HTTP/1.0", b"Host: localhost"),
    # The request line
    "HTTP/0.9": b"GET /hello\r\n\r\n",
    "HTTP/0.9 with headers": get(b"GET /hello"),
    "version 0.9": get(b"GET /hello HTTP/0.9"),
    "version 1.2": get(b"GET /hello HTTP/1.2"),
    "version 2.0": get(b"GET /hello HTTP/2.0"),
    "version 2": get(b"GET /hello HTTP/2"),
    "version 1": get(b"GET /hello HTTP/1"),
    "version 1.": get(b"GET /hello HTTP/1."),
    "version 1.10": get(b"GET /hello HTTP/1.10"),
    "version 01.1": get(b"GET /hello HTTP/01.1"),
    "version 1.1 with a space": get(b"GET /hello HTTP/1.1 "),
    "version in lower case": get(b"GET /hello http/1.1"),
    "version misspelt": get(b"GET /hello HTPP/1.1"),
    "version with letters": get(b"GET /hello HTTP/a.b"),
    "version of another protocol": get(b"GET /hello RTSP/1.0"),
    "two spaces before the target": get(b"GET  /hello HTTP/1.1"),
    "two spaces before the version": get(b"GET /hello  HTTP/1.1"),
    "tab before the target": get(b"GET\t/hello HTTP/1.1"),
    "tab before the version": get(b"GET /hello\tHTTP/1.1"),
    "space in front": get(b" GET /hello HTTP/1.1"),
    "space in the target": get(b"GET /hel lo HTTP/1.1"),
    "no target": get(b"GET HTTP/1.1"),
    "empty target": get(b"GET  HTTP/1.1"),
    "only a method": b"GET\r\n\r\n",
    "method unknown": get(b"BREW /hello HTTP/1.1"),
    "method in lower case": get(b"get /hello HTTP/1.1"),
    "method with a colon": get(b"G:T /hello HTTP/1.1"),
    "method too long": get(b"G" * 300 + b" /hello HTTP/1.1"),
    "method empty": get(b" /hello HTTP/1.1"),
    "method non-ASCII": get(b"G\xc3\x8bT /hello HTTP/1.1"),
    "method TRACE": get(b"TRACE /hello HTTP/1.1"),
    "CONNECT": get(b"CONNECT localhost:80 HTTP/1.1"),
    "PRI": get(b"PRI * HTTP/2.0"),
    "asterisk with GET": get(b"GET * HTTP/1.1"),
    "target without a slash": get(b"GET hello HTTP/1.1"),
    "target with a fragment": get(b"GET /hello#x HTTP/1.1"),
    "target with a backslash": get(b"GET /hel\\lo HTTP/1.1"),
    "target with a quote": get(b'GET /hel"lo HTTP/1.1'),
    "target with brackets": get(b"GET /<hello> HTTP/1.1"),
    "target non-ASCII": get(b"GET /h\xc3\xa4llo HTTP/1.1"),
    "target too long": get(b"GET /" + b"a" * 40000 + b" HTTP/1.1"),
    "escape cut short": get(b"GET /hello% HTTP/1.1"),
    "escape with one digit": get(b"GET /hello%2 HTTP/1.1"),
    "escape not hexadecimal": get(b"GET /hello%zz HTTP/1.1"),
    "escape cut short in the query": get(b"GET /hello?a=%4 HTTP/1.1"),
    "escaped NUL in a parameter": get(b"GET /inspect/a%00b HTTP/1.1"),
    "absolute, other authority": get(b"GET http://other/hello HTTP/1.1"),
    "absolute, no authority": get(b"GET http:///hello HTTP/1.1"),
    "absolute, with a user": get(b"GET http://me@localhost/hello HTTP/1.1"),
    "absolute, other scheme": get(b"GET ftp://localhost/hello HTTP/1.1"),
    "absolute, no path": get(b"GET http://localhost HTTP/1.1"),
    "absolute, broken": get(b"GET http:/localhost/hello HTTP/1.1"),
    "authority alone": get(b"GET localhost:80 HTTP/1.1"),
    "garbage": b"\x00\x01\x02\x03garbage\r\n\r\n",
    "text": b"what is this?\r\n\r\n",
}


@pytest.mark.parametrize("name", MALFORMED)
def test_malformed_is_refused(server, name):
    before = server.stats()["smuggled"]
    with server.connect() as sock:
        try:
            sock.sendall(MALFORMED[name] + SMUGGLED * 2)
            sock.shutdown(socket.SHUT_WR)
        except (BrokenPipeError, ConnectionResetError):
            pass
        reader = Reader(sock)
        reply = reader.reply()
        assert reply is None or 400 <= reply.status <= 505
        if reply:
            assert reply.headers["content-type"] == "application/problem+json"
        if name != "escaped NUL in a parameter":
            assert reply is None or reply.headers["connection"] == "close"
            assert reader.at_end()
            assert server.stats()["smuggled"] == before


@pytest.mark.parametrize("name", MALFORMED)
def test_malformed_in_small_pieces(server, name):
    raw = MALFORMED[name]
    if len(raw) > 2000:
        raw = raw[:2000]
    before = server.stats()["smuggled"]
    with server.connect() as sock:
        try:
            for i in range(0, len(raw), 7):
                sock.sendall(raw[i:i + 7])
            sock.sendall(SMUGGLED)
            sock.shutdown(socket.SHUT_WR)
            reply = Reader(sock).reply()
            assert reply is None or reply.status >= 400
        except (BrokenPipeError, ConnectionResetError):
            pass
    if name != "escaped NUL in a parameter":
        assert server.stats()["smuggled"] == before


WELL_FORMED = {
    "lower-case header names": get(host=b"host: localhost"),
    "no space after the colon": get(host=b"Host:localhost"),
    "white space around a value": get(b"GET /hello HTTP/1.1", b"X: \t b \t "),
    "empty value": get(b"GET /hello HTTP/1.1", b"X-A:"),
    "obs-text in a value": get(b"GET /hello HTTP/1.1", b"X-A: \xe4\xff"),
    "one empty line first": b"\r\n" + get(),
    "Host with a port": get(host=b"Host: localhost:8081"),
    "Host, IPv6": get(host=b"Host: [::1]:8081"),
    "absolute target": get(b"GET http://localhost/hello HTTP/1.1"),
    "absolute target, case": get(b"GET HTTP://LOCALHOST/hello HTTP/1.1"),
    "query": get(b"GET /hello?a=b&c=%20d?/ HTTP/1.1"),
    "escape": get(b"GET /inspect/%41%2f HTTP/1.1"),
    "upgrade is ignored": get(b"GET /hello HTTP/1.1", b"Upgrade: h2c",
                              b"Connection: Upgrade, HTTP2-Settings",
                              b"HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA"),
    "chunked in capitals": post(b"Transfer-Encoding: CHUNKED",
                                body=b"0\r\n\r\n"),
    "chunk extension": post_chunked(b"5;a=b\r\nhello\r\n0\r\n\r\n"),
    "chunk size in capitals": post_chunked(
        b"0A\r\nhellohello\r\n000\r\n\r\n"),
    "length with zeros in front": post(b"Content-Length: 005", body=b"hello"),
    "body of a GET": get(b"GET /hello HTTP/1.1", b"Content-Length: 5")
        + b"hello",
    "chunked body of a GET": get(
        b"GET /echo HTTP/1.1", b"Transfer-Encoding: chunked")
        + b"2\r\nhi\r\n0\r\n\r\n",
}


@pytest.mark.parametrize("name", WELL_FORMED)
@pytest.mark.parametrize("size", [1, 1 << 20])
def test_well_formed_is_served(server, name, size):
    raw = WELL_FORMED[name] + request("GET", "/hello", close=True)
    replies = ask(server, *[raw[i:i + size] for i in range(0, len(raw), size)])
    assert [r.status for r in replies] == [200, 200]
    assert replies[1].body == b"hello\n"


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


# --- peers that go away ----------------------------------------------------------

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


# --- deadlines and limits ------------------------------------------------------------

def test_slow_head():
    with Server("--header-timeout", "300ms") as server:
        with server.connect() as sock:
            sock.sendall(b"GET /hello HTTP/1.1\r\nHost: local")
            reader = Reader(sock)
            assert reader.reply().status == 408
            assert reader.at_end()


def test_slow_head_does_not_live_by_dripping():
    with Server("--header-timeout", "300ms") as server:
        with server.connect() as sock:
            sock.sendall(b"GET /hello HTTP/1.1\r\n")
            sock.settimeout(0.02)
            while True:
                try:
                    if sock.recv(1):
                        break
                except TimeoutError:
                    sock.sendall(b"X")


def test_slow_body():
    with Server("--body-timeout", "300ms") as server:
        for path in ("/echo", "/pipe"):
            with server.connect() as sock:
                sock.sendall(request("POST", path, b"x" * 10)[:-1])
                reply = Reader(sock).head()
                assert reply[0] == (408 if path == "/echo" else 200)
                assert sock.makefile("rb").read() == b""


def test_body_deadline_starts_when_the_handler_wants_the_body():
    with Server("--body-timeout", "300ms") as server:
        with server.connect() as sock:
            sock.sendall(request("POST", "/late?ms=700", headers=[
                "Content-Length: 5", "Expect: 100-continue"]))
            reader = Reader(sock)
            assert reader.reply().status == 100
            sock.sendall(b"hello")
            assert reader.reply().body == b"hello"


def test_idle_connection():
    with Server("--idle-timeout", "300ms") as server:
        with server.connect() as fresh, server.connect() as used:
            used.sendall(request("GET", "/hello"))
            reader = Reader(used)
            assert reader.reply().status == 200
            assert reader.at_end() and Reader(fresh).at_end()


def test_reply_that_is_not_taken():
    with Server("--write-timeout", "300ms") as server:
        with server.connect(receive_buffer=4096) as sock:
            sock.sendall(request("GET", "/bytes/100000000"))
            server.wait_until(lambda s: s["closed"] == 1 and s["open"] == 1)


def test_half_closed_peer_does_not_wait_for_ever():
    with Server("--write-timeout", "300ms") as server:
        with server.connect() as sock:
            sock.sendall(request("GET", "/wait"))
            sock.shutdown(socket.SHUT_WR)
            assert Reader(sock).reply() is None
        assert server.stats()["closed"] == 1


def test_waiting_for_the_handler_is_not_idling():
    with Server("--idle-timeout", "200ms", "--header-timeout", "200ms",
                "--body-timeout", "200ms") as server:
        with server.connect() as sock:
            sock.sendall(request("GET", "/wait"))
            sock.settimeout(1)
            with pytest.raises(TimeoutError):
                sock.recv(1)


def test_connection_limit():
    with Server("--connections", 10) as server:
        socks = [server.connect() for _ in range(10)]
        for sock in socks:
            sock.sendall(request("GET", "/hello"))
            assert Reader(sock).reply().status == 200
        with server.connect() as sock:
            sock.sendall(request("GET", "/hello"))
            reader = Reader(sock)
            reply = reader.reply()
            assert reply.status == 503 and reader.at_end()
        socks.pop().close()
        while True:
            with server.connect() as sock:
                sock.sendall(request("GET", "/hello"))
                if Reader(sock).reply().status == 200:
                    break
        for sock in socks:
            sock.close()


def test_out_of_descriptors():
    """Accepting stops for a moment instead of spinning or failing."""
    with Server() as server:
        subprocess.run(["prlimit", f"--pid={server.process.pid}",
                        "--nofile=20:20"], check=True)
        socks = [server.connect() for _ in range(40)]
        for sock in socks:
            sock.sendall(request("GET", "/hello", close=True))
        for sock in socks:
            assert Reader(sock).reply().status == 200
            sock.close()


def test_many_connections():
    with Server() as server:
        socks = [server.connect() for _ in range(500)]
        for sock in socks:
            sock.sendall(request("GET", "/hello"))
        for sock in socks:
            assert Reader(sock).reply().status == 200
            sock.close()


# --- unix sockets and TLS -------------------------------------------------------------

def test_unix_socket(tmp_path):
    path = tmp_path / "s.sock"
    with Server("--unix", path) as server:
        assert os.stat(path).st_mode & 0o777 == 0o600
        with socket.socket(socket.AF_UNIX) as sock:
            sock.connect(str(path))
            sock.sendall(request("GET", "/inspect/x"))
            body = Reader(sock).reply().body.decode()
        assert f"unix=1 tls=0 uid={os.getuid()} unix:{os.getpid()}" in body
        with pytest.raises(subprocess.CalledProcessError):
            subprocess.run([server.process.args[0], "--unix", str(path)],
                           check=True, capture_output=True, timeout=10)
        server.process.kill()
        server.process.wait()
        with Server("--unix", path):
            with socket.socket(socket.AF_UNIX) as sock:
                sock.connect(str(path))
        assert not path.exists()
        server.stop = lambda *_: None


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    made = tmp_path_factory.mktemp("tls")
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
         "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj",
         "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,"
         "IP:127.0.0.1", "-keyout", made / "key.pem", "-out",
         made / "cert.pem"], check=True, capture_output=True)
    return made


def tls_context(certificate, *protocols):
    context = ssl.create_default_context(cafile=certificate / "cert.pem")
    context.set_alpn_protocols(list(protocols))
    return context


@pytest.fixture(scope="module")
def tls_server(certificate):
    with Server("--cert", certificate / "cert.pem", "--key",
                certificate / "key.pem", "--header-timeout", "1s") as s:
        s.url = s.url.replace("http:", "https:")
        yield s


@pytest.mark.parametrize("http2", [False, True])
def test_tls(tls_server, certificate, http2):
    verify = tls_context(certificate)
    with httpx.Client(http2=http2, verify=verify, timeout=20) as client:
        for _ in range(3):
            reply = client.post(tls_server.url + "/echo", content=BIG)
            assert reply.content == BIG
            assert reply.http_version == ("HTTP/2" if http2 else "HTTP/1.1")


def test_tls_versions_and_alpn(tls_server, certificate):
    context = tls_context(certificate, "h2", "http/1.1")
    with context.wrap_socket(tls_server.connect(),
                             server_hostname="localhost") as sock:
        assert sock.selected_alpn_protocol() == "h2"
    old = tls_context(certificate, "http/1.1")
    with pytest.warns(DeprecationWarning):
        old.maximum_version = ssl.TLSVersion.TLSv1_1
    with pytest.raises((ssl.SSLError, ConnectionResetError)):
        old.wrap_socket(tls_server.connect(), server_hostname="localhost")
    with pytest.raises((ssl.SSLError, ConnectionResetError)):
        tls_context(certificate, "spdy/3").wrap_socket(
            tls_server.connect(), server_hostname="localhost")


def test_tls_handshake_that_never_comes(tls_server):
    with tls_server.connect() as sock:
        assert sock.recv(1) == b""


def test_plain_http_on_a_tls_port(tls_server):
    with tls_server.connect() as sock:
        sock.sendall(request("GET", "/hello"))
        try:
            assert b"hello" not in sock.recv(1000)
        except ConnectionResetError:
            pass


def test_tls_wrong_key(certificate, tmp_path):
    other = tmp_path / "other.pem"
    subprocess.run(["openssl", "genpkey", "-algorithm", "EC", "-pkeyopt",
                    "ec_paramgen_curve:P-256", "-out", other], check=True,
                   capture_output=True)
    result = subprocess.run(
        [ECHO, "--cert", certificate / "cert.pem", "--key", other],
        capture_output=True, text=True, timeout=20)
    assert result.returncode == 2
    assert str(other) in result.stderr
