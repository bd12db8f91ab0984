"""The doors of a gateway: each is one execution's, and ends with it."""

import contextlib
import os
import socket
import subprocess

import frames
import pytest
from door_harness import Door, read_all
from gateway_harness import Gateway
from sidecar_harness import BIN_DIR, TIMEOUT_S

CONNECT = b"CONNECT api.example:443 HTTP/1.1\r\nHost: x\r\n\r\n"
ESTABLISHED = b"HTTP/1.1 200 Connection Established\r\n\r\n"


@pytest.fixture
def path(tmp_path):
    return tmp_path / "door.sock"


@pytest.fixture
def gateway(tmp_path, path):
    with Gateway(tmp_path, args=["--door", f"listen:{path}"]) as g:
        yield g
    assert not path.exists()


def execution(n):
    return f"ex_{n:026d}"


def tunnel(door):
    """The script's end, and that of whom it wanted to talk to."""
    script = door.serve("proxy")
    script.sendall(CONNECT)
    asked = door.receive()
    assert asked["connect"] == {"host": "api.example", "port": 443}
    ours, theirs = socket.socketpair()
    ours.settimeout(TIMEOUT_S)
    door.send({"id": asked["id"], "connected": "192.0.2.1"}, [theirs])
    theirs.close()
    assert script.recv(len(ESTABLISHED), socket.MSG_WAITALL) == ESTABLISHED
    return script, ours


def test_a_tunnel(gateway, path):
    """Of a door that was there before its execution."""
    door = Door.connect(path, execution(1))
    with gateway.seat(execution=execution(1)):
        script, outside = tunnel(door)
        script.sendall(b"up")
        assert outside.recv(2, socket.MSG_WAITALL) == b"up"
        outside.sendall(b"down")
        assert script.recv(4, socket.MSG_WAITALL) == b"down"
        assert gateway.metric("proxy_connections") == 1
        script.close()
        assert outside.recv(1) == b""
        outside.close()
    door.close()


def test_each_asks_at_its_own_door(gateway, path):
    with contextlib.ExitStack() as stack:
        doors = []
        for n in range(20):
            stack.enter_context(gateway.seat(execution=execution(n)))
            doors.append(Door.connect(path, execution(n)))
            stack.callback(doors[-1].close)
        tunnels = [tunnel(door) for door in doors]
        for n, (script, outside) in enumerate(tunnels):
            script.sendall(b"%02d" % n)
            assert outside.recv(2, socket.MSG_WAITALL) == b"%02d" % n
            script.close()
            outside.close()


def test_it_ends_with_its_seat(gateway, path):
    door, other = (Door.connect(path, execution(n)) for n in (1, 2))
    with gateway.seat(execution=execution(2)):
        with gateway.seat(execution=execution(1)):
            script, outside = tunnel(door)
            mine, theirs = tunnel(other)
        assert (script.recv(1), outside.recv(1)) == (b"", b"")
        assert door.socket.recv(1) == b""
        mine.sendall(b"x")
        assert theirs.recv(1) == b"x"


def test_what_goes_through_ends_with_its_door(gateway, path):
    door = Door.connect(path, execution(1))
    with gateway.seat(execution=execution(1)) as seat:
        script, outside = tunnel(door)
        door.close()
        assert (script.recv(1), outside.recv(1)) == (b"", b"")
        assert seat.get("/input").status_code == 200


def test_of_nobody_nothing_is_proxied(gateway, path):
    """No execution, one that has ended, one that was named second."""
    with gateway.seat(execution=execution(2)) as seat:
        seat.control.send(frames.HEARTBEAT)
        for name in execution(1), "", "x" * 1000:
            door = Door.connect(path, name)
            door.send({"execution": execution(2)})
            with door.serve("proxy") as script:
                assert read_all(script) == b""
            door.close()
    door = Door.connect(path, execution(2))
    with door.serve("proxy") as script:
        assert read_all(script) == b""
    door.close()


def test_who_breaks_the_protocol_loses_his_door_alone(gateway, path):
    with gateway.seat(execution=execution(1)):
        door = Door.connect(path, execution(1))
        script, outside = tunnel(door)
        for junk in b"{", b"\0" * 5000, b"[]":
            other = Door.connect(path, execution(1))
            other.socket.send(junk)
            assert other.socket.recv(1) == b""
        script.sendall(b"x")
        assert outside.recv(1) == b"x"


def test_it_is_the_orchestrators(gateway, path):
    assert path.stat().st_mode & 0o777 == 0o600
    if os.getuid():
        return  # nobody can be another then
    path.chmod(0o777)
    path.parent.chmod(0o755)
    script = ("import socket; s = socket.socket(socket.AF_UNIX, "
              "socket.SOCK_SEQPACKET); s.connect('door.sock'); "
              "assert s.recv(100) == b''")
    subprocess.run(["/usr/bin/python3", "-c", script], cwd=path.parent,
                   check=True, user=65534, timeout=TIMEOUT_S)
    assert "is refused: the orchestrator's user" in gateway.logged()


@pytest.mark.parametrize("args, what", [
    (["--gateway", "--control", "listen:c", "--door", "d"],
     "--door has to be listen:PATH"),
    (["--gateway", "--control", "listen:c", "--proxy", "localhost:1"],
     "--proxy is not for a gateway"),
    (["--control", "c", "--door", "listen:d"], "say --gateway"),
    (["--control", "c", "--proxy", "localhost:1"], "--proxy needs --door"),
])
def test_options_that_do_not_fit(args, what):
    done = subprocess.run([BIN_DIR / "cronium-sidecar", *args], text=True,
                          capture_output=True, timeout=TIMEOUT_S)
    assert done.returncode == 2 and what in done.stderr
