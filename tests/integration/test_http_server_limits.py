"""The HTTP/1.1 server: its deadlines and limits."""

import socket
import subprocess

import pytest

from http_server import Reader, Server, request

pytestmark = pytest.mark.timeout(60)


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
