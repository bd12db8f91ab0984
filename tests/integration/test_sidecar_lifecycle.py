"""The life of a sidecar: before the assignment, draining, and the end."""

import concurrent.futures
import json
import os
import pathlib
import resource
import signal
import socket
import struct
import subprocess
import threading

import frames
import pytest
from sidecar_harness import BIN_DIR, Sidecar

pytestmark = pytest.mark.timeout(60)


def reset(sock):
    """Away at once: a mere close could mean that the reply is still read."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                    struct.pack("ii", 1, 0))
    sock.close()


def test_ready_says_where_it_listens(tmp_path):
    with Sidecar(tmp_path) as s:
        assert s.ready["pid"] == s.process.pid
        assert s.ready["version"]
        assert s.ready["listen"][0].startswith("127.0.0.1:")


def test_requests_before_the_assignment_wait(tmp_path):
    with Sidecar(tmp_path, assign=False, input=b"[42]") as s:
        assert s.get("/readyz", token=None).json()["state"] == "ready"
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            replies = [pool.submit(s.get, "/input") for _ in range(8)]
            while s.metric("connections") < 9:
                pass
            assert not any(r.done() for r in replies)
            s.assign()
            assert [r.result().json() for r in replies] == [[42]] * 8


def test_not_too_many_wait(tmp_path):
    with Sidecar(tmp_path, assign=False) as s:
        waiting = []
        for _ in range(64):
            sock = socket.create_connection(("127.0.0.1", s.port))
            sock.sendall(b"GET /input HTTP/1.1\r\nHost: x\r\n\r\n")
            waiting.append(sock)
        while s.metric("connections") < 65:
            pass
        r = s.get("/input")
        assert (r.status_code, r.json()["code"]) == (503, "not_assigned")
        assert "retry-after" in r.headers
        # One that breaks off makes room.
        reset(waiting.pop())
        while s.metric("connections") > 64:
            pass
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            reply = pool.submit(s.get, "/input")
            while s.metric("connections") < 65:
                pass
            s.assign()
            assert reply.result().status_code == 200
        for sock in waiting:
            assert sock.recv(100).startswith(b"HTTP/1.1 401")
            sock.close()


def test_drain_with_nothing_to_do(tmp_path):
    with Sidecar(tmp_path) as s:
        s.get("/input")
        s.get("/variables/k")
        s.get("/variables/k")
        s.control.send(frames.DRAIN)
        stats = json.loads(s.control.expect(frames.DRAINED))
        assert stats == {"requests": 3, "hits": 1, "misses": 1, "stale": 0,
                         "errors": 0}
        r = s.get("/input")
        assert (r.status_code, r.json()["code"]) == (503, "draining")
        assert s.get("/readyz", token=None).status_code == 503
        s.control.close()
        assert s.process.wait(10) == 0


def test_drain_before_the_assignment(tmp_path):
    with Sidecar(tmp_path, assign=False) as s:
        s.control.send(frames.DRAIN)
        assert json.loads(s.control.expect(frames.DRAINED))["requests"] == 0
        s.control.close()
        assert s.process.wait(10) == 0


def test_drain_finishes_the_writes_under_way(tmp_path):
    with Sidecar(tmp_path) as s:
        arrived, gate = threading.Event(), threading.Event()

        def hook(request):
            arrived.set()
            gate.wait(20)

        s.backend.hook = hook
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            write = pool.submit(s.post, "/output", {"last": "word"})
            assert arrived.wait(20)
            s.control.send(frames.DRAIN)
            while s.get("/readyz", token=None).status_code == 200:
                pass
            assert s.get("/input").status_code == 503
            assert s.control.inbox.empty()
            gate.set()
            assert write.result().status_code == 204
        s.control.expect(frames.DRAINED)
        assert json.loads(s.backend.store.output) == {"last": "word"}


def test_a_write_goes_on_when_the_script_is_gone(tmp_path):
    with Sidecar(tmp_path) as s:
        arrived, gate = threading.Event(), threading.Event()

        def hook(request):
            arrived.set()
            gate.wait(20)

        s.backend.hook = hook
        sock = socket.create_connection(("127.0.0.1", s.port))
        sock.sendall(f"POST /output HTTP/1.1\r\nHost: x\r\nAuthorization: "
                     f"Bearer {s.token}\r\nContent-Length: 3\r\n\r\n"
                     "[1]".encode())
        assert arrived.wait(20)
        reset(sock)
        while s.metric("connections") > 1:
            pass
        s.control.send(frames.DRAIN)
        while s.get("/readyz", token=None).status_code == 200:
            pass
        assert s.control.inbox.empty()
        gate.set()
        s.control.expect(frames.DRAINED)
        assert s.backend.store.output == b"[1]"


def test_drain_does_not_wait_for_ever(tmp_path):
    with Sidecar(tmp_path) as s:
        gate = threading.Event()
        s.backend.hook = lambda request: gate.wait(40) and None
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            write = pool.submit(s.post, "/output", 1)
            while s.metric("in_flight") < 1:
                pass
            s.control.send(frames.DRAIN)
            s.control.expect(frames.DRAINED)
            s.control.close()
            assert s.process.wait(10) == 0
            gate.set()
            assert write.exception() is not None


def test_without_its_orchestrator_it_ends(tmp_path):
    with Sidecar(tmp_path) as s:
        s.control.close()
        assert s.process.wait(10) == 1


def test_before_the_assignment_too(tmp_path):
    with Sidecar(tmp_path, assign=False) as s:
        s.control.close()
        assert s.process.wait(10) == 1


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signals_drain(tmp_path, number):
    with Sidecar(tmp_path) as s:
        s.process.send_signal(number)
        s.control.expect(frames.DRAINED)
        s.control.close()
        assert s.process.wait(10) == 0


def test_broken_control_stream(tmp_path):
    with Sidecar(tmp_path) as s:
        s.control.sock.sendall(b"\xff" * 100)
        assert s.process.wait(10) == 1


@pytest.mark.parametrize("message", [
    b"", b"{", b"[]", b"{}", b'{"execution":"ex_1"}', b"\xff" * 100])
def test_bad_assignment(tmp_path, message):
    with Sidecar(tmp_path, assign=False) as s:
        s.control.send(frames.ASSIGN, message)
        s.control.expect(frames.DRAINED)
        s.control.close()
        assert s.process.wait(10) == 1
        assert "assignment refused" in s.logged()


def test_second_assignment(tmp_path):
    with Sidecar(tmp_path) as s:
        s.control.send(frames.ASSIGN, s.assign_message())
        s.control.expect(frames.DRAINED)


def test_input_without_assignment_is_ignored(tmp_path):
    with Sidecar(tmp_path, assign=False, input=b"1") as s:
        s.control.send(frames.INPUT, b"2")
        s.assign()
        assert s.get("/input").json() == 1


def test_control_socket_appears_later(tmp_path):
    path = tmp_path / "control.sock"
    process = subprocess.Popen(
        [BIN_DIR / "cronium-sidecar", "--control", path, "--listen",
         "127.0.0.1:0"], stderr=subprocess.DEVNULL)
    try:
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(path))
        listener.listen(1)
        listener.settimeout(10)
        sock, _ = listener.accept()
        assert frames.Stream(sock).next()[0] == frames.READY
        sock.close()
        assert process.wait(10) == 1
    finally:
        process.kill()
        process.wait()


def test_descriptors_that_were_handed_over(tmp_path):
    ours, theirs = socket.socketpair()
    door = socket.create_server(("127.0.0.1", 0))
    process = subprocess.Popen(
        [BIN_DIR / "cronium-sidecar", "--control", f"fd:{theirs.fileno()}",
         "--listen", f"fd:{door.fileno()}"],
        pass_fds=[theirs.fileno(), door.fileno()], stderr=subprocess.DEVNULL)
    theirs.close()
    try:
        assert frames.Stream(ours).next()[0] == frames.READY
        sock = socket.create_connection(door.getsockname())
        sock.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        assert sock.recv(100).startswith(b"HTTP/1.1 200")
        sock.close()
        ours.close()
        assert process.wait(10) == 1
    finally:
        door.close()
        process.kill()
        process.wait()


def run(*args):
    return subprocess.run([BIN_DIR / "cronium-sidecar", *args],
                          capture_output=True, text=True, timeout=20)


def test_command_line(tmp_path):
    assert run("--version").stdout.startswith("cronium-sidecar ")
    for option in "--control", "--listen", "--backend", "--log-level":
        assert option in run("--help").stdout
    for args, word in (
            ([], "--control"), (["--control", "x", "extra"], "extra"),
            (["--nope"], "nope"),
            (["--control", "x", "--log-level", "loud"], "loud")):
        r = run(*args)
        assert r.returncode == 2
        assert word in r.stderr


def test_addresses_that_cannot_be(tmp_path):
    taken = socket.create_server(("127.0.0.1", 0))
    for listen, word in (
            ("nowhere", "nowhere"), ("127.0.0.1:99999", "99999"),
            ("fd:x", "fd:x"), ("fd:77", "fd:77"),
            (f"127.0.0.1:{taken.getsockname()[1]}", "in use")):
        r = run("--control", str(tmp_path / "c"), "--listen", listen)
        assert r.returncode == 1
        assert word in r.stderr
    taken.close()
    r = run("--control", "/" + "x" * 200, "--listen", "127.0.0.1:0")
    assert r.returncode == 1


def test_memory_is_private(tmp_path):
    """No core file; nobody of the same user looks into it."""
    with Sidecar(tmp_path) as s:
        proc = pathlib.Path("/proc") / str(s.process.pid)
        limits = (proc / "limits").read_text()
        core = next(l for l in limits.splitlines() if "core file" in l)
        assert core.split()[4:6] == ["0", "0"]
        assert (proc / "environ").stat().st_uid == 0
        assert s.token.encode() not in (proc / "cmdline").read_bytes()
        # The kernel's word for "not dumpable": its files are root's.
        if os.geteuid() == 0:
            assert resource.prlimit(
                s.process.pid, resource.RLIMIT_CORE) == (0, 0)
