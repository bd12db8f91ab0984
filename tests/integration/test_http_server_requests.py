"""The HTTP/1.1 server: what is a request, and what is refused."""

import socket

import pytest

from http_fixtures import ask, get, post, post_chunked
from http_fixtures import server  # noqa: F401
from http_server import Reader, request

pytestmark = pytest.mark.timeout(60)

SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n"

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
