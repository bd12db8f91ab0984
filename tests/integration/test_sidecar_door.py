"""A real sidecar behind its door: what it asks for, and what it is handed."""

import json
import socket
import threading

import pytest

from door_harness import TIMEOUT_S, Door, read_all
from sidecar_harness import Sidecar

CONNECT = b"CONNECT API.example:443 HTTP/1.1\r\nHost: x\r\n\r\n"


@pytest.fixture
def door(tmp_path):
    path = f"{tmp_path}/door.sock"
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
        listener.bind(path)
        listener.listen(1)
        listener.settimeout(TIMEOUT_S)
        with Sidecar(tmp_path, args=("--door", path)):
            yield Door(listener.accept()[0])


def test_api_by_the_door(door):
    with door.serve("api") as s:
        s.sendall(b"GET /healthz HTTP/1.1\r\nHost: a\r\n"
                  b"Connection: close\r\n\r\n")
        assert read_all(s).startswith(b"HTTP/1.1 200 OK\r\n")


def test_tunnel_by_the_door(door):
    with door.serve("proxy") as s:
        s.sendall(CONNECT + b"early")
        asked = door.receive()
        assert asked["connect"] == {"host": "api.example", "port": 443}
        ours, theirs = socket.socketpair()
        door.send({"id": asked["id"], "connected": "192.0.2.1:443"}, [theirs])
        theirs.close()
        assert ours.recv(5, socket.MSG_WAITALL) == b"early"
        ours.sendall(b"late")
        ours.close()
        assert read_all(s) == (b"HTTP/1.1 200 Connection Established\r\n\r\n"
                               b"late")


@pytest.mark.parametrize("refused, status, code", [
    ("forbidden", 403, "net_forbidden"), ("private", 403, "net_private"),
    ("unresolved", 502, "net_unresolved"), ("timeout", 504, "net_timeout"),
    ("unreachable", 502, "net_unreachable"), ("new", 502, "net_unreachable"),
])
def test_refusals(door, refused, status, code):
    with door.serve("proxy") as s:
        s.sendall(CONNECT)
        door.send({"id": door.receive()["id"], "refused": refused,
                   "detail": "a sentence"})
        head, _, body = read_all(s).partition(b"\r\n\r\n")
    assert int(head.split()[1]) == status
    assert json.loads(body)["code"] == code
    assert json.loads(body)["detail"] == "a sentence"


def test_a_door_that_shuts_refuses(door):
    with door.serve("proxy") as s, door.serve("proxy") as later:
        s.sendall(CONNECT)
        door.receive()
        threading.Thread(target=door.socket.close).start()
        assert b"net_unreachable" in read_all(s)
        later.sendall(CONNECT)
        assert b"net_unreachable" in read_all(later)


def test_nothing_is_taken_without_its_message(door):
    """A descriptor too many, an answer that nobody waits for."""
    left, right = socket.socketpair()
    door.send({"id": 77, "connected": "192.0.2.1:443"}, [right])
    door.send({"serve": "other"}, [right])
    right.close()
    assert read_all(left) == b""
    with door.serve("api") as s:
        s.sendall(b"GET /healthz HTTP/1.0\r\n\r\n")
        assert b" 200 " in read_all(s)
