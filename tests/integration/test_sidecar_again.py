"""A sidecar whose orchestrator goes away and comes back."""

import concurrent.futures
import contextlib
import json
import os
import socket
import struct
import subprocess
import threading
import time

import pytest

import frames
from door_harness import TIMEOUT_S, Door, read_all
from patience import stays
from sidecar_harness import BIN_DIR, EXECUTION, Control, Sidecar

pytestmark = pytest.mark.timeout(120)

KEEP_MS = 20000
KEPT_MAX = 8 << 20  # sidecar/secrets.h
CONNECT = b"CONNECT api.example:443 HTTP/1.1\r\nHost: x\r\n\r\n"


def listen(path, kind=socket.SOCK_STREAM):
    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, kind)
    listener.bind(str(path))
    listener.listen(1)
    listener.settimeout(TIMEOUT_S)
    return listener


class Kept(Sidecar):
    """One that outlives the orchestrator's processes."""

    def __init__(self, directory, keep_ms=KEEP_MS, inherited=False,
                 door=False, **how):
        super().__init__(directory, **how)
        self.keep_ms, self.inherited = keep_ms, inherited
        self.with_door, self.door = door, None
        self.socket_path = self.directory / "control.sock"
        self.door_path = self.directory / "door.sock"

    def start(self):
        if not self.inherited and not self.with_door:
            super().start()
            self.socket_path.unlink()
            return
        ours, theirs = socket.socketpair()
        door, theirs_door = socket.socketpair(socket.AF_UNIX,
                                              socket.SOCK_SEQPACKET)
        where = os.open(self.directory, os.O_PATH | os.O_DIRECTORY)
        self.door = Door(door)
        self.log = open(self.directory / "sidecar.log", "wb")
        self.process = subprocess.Popen(
            [BIN_DIR / "cronium-sidecar", "--control",
             f"fd:{theirs.fileno()}", "--door", f"fd:{theirs_door.fileno()}",
             "--again", f"dir:{where}", "--backend",
             f"unix:{self.backend_socket}", "--log-level", self.log_level,
             *[a for l in self.listen for a in ("--listen", l)], *self.args],
            pass_fds=[theirs.fileno(), theirs_door.fileno(), where],
            stderr=self.log, stdout=self.log, stdin=subprocess.DEVNULL)
        theirs.close()
        theirs_door.close()
        os.close(where)
        self.control = Control(ours)
        self.ready = json.loads(self.control.expect(frames.READY))
        self.address = self.ready["listen"][0]
        self.base_url = f"http://{self.address}"

    def assign_message(self):
        return {**super().assign_message(), "keep_ms": self.keep_ms}

    def die(self):
        self.control.close()
        if self.door:
            self.door.close()
            self.door = None

    def knock(self):
        with contextlib.closing(listen(self.socket_path)) as listener:
            self.control = Control(listener.accept()[0])
        self.socket_path.unlink()
        return json.loads(self.control.expect(frames.READY))

    def resume(self, execution=EXECUTION):
        self.control.send(frames.RESUME, {"execution": execution})

    def come_back(self):
        ready = self.knock()
        assert ready == {**self.ready, "execution": EXECUTION,
                         "resumed": True}
        self.resume()
        assert self.control.expect(frames.ACK) == struct.pack(">I", 0)
        return self.control.redacted

    def open_door(self):
        with contextlib.closing(
                listen(self.door_path, socket.SOCK_SEQPACKET)) as listener:
            self.door = Door(listener.accept()[0])
        self.door_path.unlink()

    def drain(self):
        self.control.send(frames.DRAIN)
        return json.loads(self.control.expect(frames.DRAINED))

    def dismiss(self):
        self.control.send(frames.DISMISS)
        assert self.process.wait(10) == 0

    def __exit__(self, *exc):
        if exc[0] and self.process.poll() is None:
            self.process.kill()
        if self.process.poll() is None:
            self.process.terminate()
        if self.door:
            self.door.close()
        super().__exit__(*exc)


@pytest.fixture(params=[False, True], ids=["path", "inherited"])
def kept(request, tmp_path):
    with Kept(tmp_path, inherited=request.param) as s:
        yield s


def quoted(text):
    return json.dumps(text).encode()


def test_requests_are_served_while_nobody_is_there(kept):
    kept.backend.store.set("k", 1)
    for n in range(3):
        kept.die()
        assert kept.get("/variables/k").json() == 1
        assert kept.get("/readyz", token=None).status_code == 200
        assert kept.put(f"/variables/new{n}", n).status_code in (200, 201, 204)
        assert kept.come_back() == [quoted(kept.backend_token)]
        assert kept.put("/variables/k", 1).status_code in (200, 201, 204)
    kept.drain()
    kept.dismiss()


def test_the_next_one_masks_what_the_last_one_did(kept):
    for n in range(5):
        kept.backend.store.set(f"S{n}", f"s3cr3t-value-{n}", secret=True)
        assert kept.get(f"/variables/S{n}").json() == f"s3cr3t-value-{n}"
    kept.backend.store.set("SAME", "s3cr3t-value-0", secret=True)
    assert kept.get("/variables/SAME").status_code == 200
    expected = [quoted(kept.backend_token),
                *(quoted(f"s3cr3t-value-{n}") for n in range(5))]
    for _ in range(2):
        kept.die()
        # In their order, each once, and all of them before ACK 0.
        assert kept.come_back() == expected
    kept.backend.store.set("S5", "s3cr3t-value-5", secret=True)
    assert kept.get("/variables/S5").status_code == 200
    kept.die()
    assert kept.come_back() == expected + [quoted("s3cr3t-value-5")]


def test_a_secret_waits_until_somebody_masks_it(kept):
    kept.backend.store.set("NEW", "s3cr3t-value", secret=True)
    kept.die()
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        read = pool.submit(kept.get, "/variables/NEW")
        with pytest.raises(concurrent.futures.TimeoutError):
            read.result(timeout=0.5)
        assert quoted("s3cr3t-value") in kept.come_back()
        assert read.result(timeout=10).json() == "s3cr3t-value"
    # And is known to those who come after.
    kept.die()
    assert quoted("s3cr3t-value") in kept.come_back()


def test_a_secret_that_was_not_acknowledged_is_said_again(kept):
    kept.backend.store.set("NEW", "s3cr3t-value", secret=True)
    kept.control.hold_acks = True
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        read = pool.submit(kept.get, "/variables/NEW")
        kept.control.expect(frames.REDACT)
        kept.die()
        assert kept.come_back()[-1] == quoted("s3cr3t-value")
        assert read.result(timeout=10).status_code == 200


def test_a_secret_does_not_wait_for_ever(tmp_path):
    with Kept(tmp_path) as s:
        s.backend.store.set("NEW", "s3cr3t-value", secret=True)
        s.die()
        before = time.monotonic()
        r = s.get("/variables/NEW")
        assert (r.status_code, r.json()["code"]) == (503,
                                                     "redaction_unavailable")
        assert 9 < time.monotonic() - before < 20
        s.come_back()
        assert s.get("/variables/NEW").json() == "s3cr3t-value"


def test_more_secrets_than_can_be_told_again(tmp_path):
    with Kept(tmp_path) as s:
        size = 900 * 1024
        for n in range(KEPT_MAX // size + 1):
            s.backend.store.set(f"S{n}", f"{n:06}" + "x" * size, secret=True)
            assert s.get(f"/variables/S{n}").status_code == 200
        s.die()
        assert s.process.wait(10) == 1
        assert "more secrets" in s.logged()


@pytest.mark.parametrize("wrong", [
    (frames.RESUME, {"execution": "ex_other"}), (frames.RESUME, {}),
    (frames.RESUME, b"x"), (frames.DRAIN, b""), (frames.ASSIGN, {}),
    (frames.ACK, b"\0\0\0\0"),
])
def test_who_does_not_resume_it_is_left_again(tmp_path, wrong):
    with Kept(tmp_path) as s:
        s.die()
        s.knock()
        s.control.send(*wrong)
        assert s.control.inbox.get(timeout=TIMEOUT_S)[0] is None
        assert s.control.redacted == []
        s.die()
        s.come_back()
        assert s.get("/input").status_code == 200


def test_nobody_comes_back(tmp_path):
    with Kept(tmp_path, keep_ms=1500) as s:
        s.die()
        before = time.monotonic()
        assert s.process.wait(10) == 1
        assert time.monotonic() - before > 1.4


def test_without_keep_ms_the_stream_is_all(tmp_path):
    with Kept(tmp_path, keep_ms=0) as s:
        s.die()
        assert s.process.wait(10) == 1


def test_a_lost_stream_is_the_end_before_the_assignment(tmp_path):
    with Kept(tmp_path, assign=False) as s:
        s.die()
        assert s.process.wait(10) == 1


def test_drained_it_waits_until_it_is_dismissed(tmp_path):
    with Kept(tmp_path) as s:
        s.get("/input")
        stats = s.drain()
        assert stats["requests"] == 1
        for _ in range(2):
            s.die()
            s.come_back()
            assert s.drain() == stats
        # For longer than one that is not kept would linger.
        assert stays(lambda: s.process.poll() is None, 2.5)
        s.dismiss()


def test_drained_and_nobody_comes_back(tmp_path):
    with Kept(tmp_path, keep_ms=1000) as s:
        s.drain()
        s.die()
        before = time.monotonic()
        assert s.process.wait(10) == 0
        assert time.monotonic() - before > 0.9


def test_drained_while_nobody_is_there(tmp_path):
    with Kept(tmp_path) as s:
        arrived, gate = threading.Event(), threading.Event()

        def hook(request):
            arrived.set()
            gate.wait(20)

        s.backend.hook = hook
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            write = pool.submit(s.post, "/output", [1])
            assert arrived.wait(20)
            s.control.send(frames.DRAIN)
            while s.get("/readyz", token=None).status_code == 200:
                pass
            s.die()
            gate.set()
            assert write.result().status_code == 204
        s.come_back()
        assert s.drain()["requests"] >= 1
        s.dismiss()


@pytest.mark.parametrize("away", [False, True])
def test_a_signal_ends_it_all_the_same(tmp_path, away):
    with Kept(tmp_path) as s:
        s.drain()
        if away:
            s.die()
        s.process.terminate()
        assert s.process.wait(10) == 0


@pytest.mark.parametrize("when", ["serving", "knocking", "before"])
def test_dismissed(tmp_path, when):
    with Kept(tmp_path, assign=when != "before") as s:
        if when == "knocking":
            s.die()
            s.knock()
        s.dismiss()


# --- the door ----------------------------------------------------------------


@pytest.fixture
def doored(tmp_path):
    with Kept(tmp_path, door=True) as s:
        yield s


def answer(door, call):
    ours, theirs = socket.socketpair()
    with theirs:
        door.send({"id": call["id"], "connected": "192.0.2.1:443"}, [theirs])
    return ours


def test_connects_wait_for_the_door(doored):
    asked, later = doored.door.serve("proxy"), doored.door.serve("proxy")
    tunnel = doored.door.serve("proxy")
    with asked, later, tunnel:
        tunnel.sendall(CONNECT)
        outside = answer(doored.door, doored.door.receive())
        asked.sendall(CONNECT)
        doored.door.receive()
        doored.die()
        later.sendall(CONNECT.replace(b"api", b"later"))
        # What is open goes on.
        outside.sendall(b"hello")
        tunnel.settimeout(TIMEOUT_S)
        reply = b""
        while not reply.endswith(b"hello"):
            reply += tunnel.recv(100)
        doored.come_back()
        doored.open_door()
        calls = [doored.door.receive() for _ in range(2)]
        assert [c["connect"]["host"] for c in calls] == ["api.example",
                                                         "later.example"]
        for call, script in zip(calls, (asked, later)):
            with answer(doored.door, call) as far:
                far.sendall(b"far")
            assert read_all(script).endswith(b"\r\n\r\nfar")
        outside.close()


def test_connects_do_not_wait_for_ever(doored):
    with doored.door.serve("proxy") as script:
        script.sendall(CONNECT)
        doored.door.receive()
        before = time.monotonic()
        doored.die()
        reply = read_all(script)
        assert 9 < time.monotonic() - before < 20
        assert reply.startswith(b"HTTP/1.1 502")
        assert b"is away" in reply
    doored.come_back()
    doored.open_door()
    with doored.door.serve("api") as s:
        s.sendall(b"GET /healthz HTTP/1.1\r\nHost: a\r\n"
                  b"Connection: close\r\n\r\n")
        assert read_all(s).startswith(b"HTTP/1.1 200 OK\r\n")


def test_a_door_alone_comes_back(doored):
    for _ in range(3):
        doored.door.close()
        doored.open_door()
        with doored.door.serve("proxy") as script:
            script.sendall(CONNECT)
            with answer(doored.door, doored.door.receive()) as far:
                far.sendall(b"x")
            assert read_all(script).endswith(b"x")


# --- the command line --------------------------------------------------------


@pytest.mark.parametrize("where", ["dir:999", "dir:x", "/" + "x" * 200])
def test_places_that_cannot_be(where):
    ours, theirs = socket.socketpair()
    with ours, theirs:
        done = subprocess.run(
            [BIN_DIR / "cronium-sidecar", "--control",
             f"fd:{theirs.fileno()}", "--listen", "none", "--again", where],
            pass_fds=[theirs.fileno()], capture_output=True, timeout=20)
    assert done.returncode == 1
    assert f"cannot connect again to {where}" in done.stderr.decode()


def test_not_for_a_gateway(tmp_path):
    done = subprocess.run(
        [BIN_DIR / "cronium-sidecar", "--gateway", "--control",
         f"listen:{tmp_path}/c", "--listen", "127.0.0.1:0", "--tls-cert", "x",
         "--tls-key", "x", "--again", "dir:3"], capture_output=True,
        timeout=20)
    assert done.returncode == 2
    assert "--again is not for a gateway" in done.stderr.decode()
