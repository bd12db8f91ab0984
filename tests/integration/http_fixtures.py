"""The HTTP server of the tests, and who asks it."""

import os

import pytest

from http_server import Reader, Server

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


def get(line=b"GET /hello HTTP/1.1", *headers, host=b"Host: localhost"):
    lines = [line, *([host] if host else []), *headers]
    return b"\r\n".join(lines) + b"\r\n\r\n"


def post(*headers, body=b""):
    return get(b"POST /echo HTTP/1.1", *headers) + body


def post_chunked(body):
    return post(b"Transfer-Encoding: chunked", body=body)
