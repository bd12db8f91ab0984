"""cronium-runner --stdio: the pod that it makes on a host, its doors, and
what is left when either side dies."""

import os
import signal
import socket
import socketserver
import subprocess
import threading

import pytest

import frames
from patience import until
from proc import processes_with
from runner_host import ALL, LOOK, archive, children, host
from signing import SIGNER

assert host
pytestmark = pytest.mark.timeout(90)


class Pipes:
    """A process's stdin and stdout, as frames.Stream wants them."""

    def __init__(self, process):
        self.process = process

    def sendall(self, data):
        self.process.stdin.write(data)
        self.process.stdin.flush()

    def recv(self, n):
        return os.read(self.process.stdout.fileno(), n)

    def settimeout(self, timeout):
        pass

    def close(self):
        self.process.stdin.close()


class Remote:
    def __init__(self, host, *args, sockets=False, **how):
        args = ("--stdio", "--key", SIGNER.key, *args)
        if sockets:
            self.stream, theirs = frames.pair()
            self.process = host.popen(*args, stdin=theirs, stdout=theirs,
                                      stderr=subprocess.PIPE, **how)
            theirs.close()
        else:
            self.process = host.popen(
                *args, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                stderr=subprocess.PIPE, **how)
            self.stream = frames.Stream(Pipes(self.process))
        ready = self.stream.expect(frames.READY)
        assert ready["pid"] == self.process.pid
        self.out = bytearray()

    def assign(self, script, runtime="bash", permissions=LOOK, **more):
        script = script if isinstance(script, bytes) else script.encode()
        program = {"bash": "bash", "python": "/usr/bin/python3"}[runtime]
        self.stream.send(frames.ASSIGN, {
            "argv": [program, "main"], "script_name": "main",
            "script_bytes": len(script), "runtime": runtime,
            "signature": SIGNER.sign(script), "env": {"A": "B"},
            "work_dir": "", "uid": -1, "gid": -1, "grace_ms": 200,
            "permissions": permissions, **more})
        self.stream.send(frames.SCRIPT, script)

    def line(self):
        while b"\n" not in self.out:
            kind, payload = self.stream.next()
            assert kind in (frames.STARTED, frames.STDOUT), (kind, payload)
            self.out += payload if kind == frames.STDOUT else b""
        line, _, rest = bytes(self.out).partition(b"\n")
        self.out = bytearray(rest)
        return line.decode()

    def finish(self):
        """(output, EXIT); then the orchestrator hangs up."""
        while True:
            kind, payload = self.stream.next()
            if kind in (frames.STDOUT, frames.STDERR, frames.NOTICE):
                self.out += payload
            elif kind == frames.EXIT:
                break
        self.stream.close()
        self.said = self.process.stderr.read().decode()
        assert self.process.wait(10) == 0, self.said
        return bytes(self.out).decode(), frames.json.loads(payload)

    def run(self, *args, **more):
        self.assign(*args, **more)
        return self.finish()

    def init(self):
        """Seen from outside."""
        return children(self.process.pid)[0]


class Server(socketserver.ThreadingTCPServer):
    """Says its name, then what it hears, in capitals, until the end."""

    allow_reuse_address = daemon_threads = True
    request_queue_size = 1024

    def __init__(self, name):
        self.said_name = name
        super().__init__(("127.0.0.1", 0), Server.Handler)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def address(self):
        return "127.0.0.1:%d" % self.server_address[1]

    class Handler(socketserver.BaseRequestHandler):
        def handle(self):
            self.request.sendall(self.server.said_name)
            while data := self.request.recv(65536):
                self.request.sendall(data.upper())
            self.request.sendall(b"end")


@pytest.fixture
def server():
    made = []

    def make(name):
        made.append(Server(name))
        return made[-1]
    yield make
    for s in made:
        s.shutdown()
        s.server_close()


@pytest.mark.parametrize("sockets", [False, True])
def test_a_script_in_a_work_dir_of_its_own(host, sockets):
    out, end = Remote(host, sockets=sockets).run(
        "pwd; id -u; stat -c %a . ..; ls -A; echo $A $HOME")
    lines = out.splitlines()
    assert end["exit_code"] == 0 and end["error"] is None
    assert lines[0].startswith(f"{host.tmp}/cronium-run-")
    assert lines[1:] == [str(host.user or os.getuid()), "700", "700", "main",
                         f"B {lines[0]}"]
    assert host.left() == []


def test_a_payload(host):
    out, end = Remote(host).run(
        archive({"main": "cat lib/x", "lib/x": "here\n"}), payload=True)
    assert (out, end["exit_code"]) == ("here\n", 0)
    assert host.left() == []


def test_what_is_not_signed(host):
    out, end = Remote(host).run("echo ran", signature=SIGNER.sign(b"other"))
    assert (out, end["exit_code"]) == ("", 126)
    assert "altered" in end["error"]
    assert host.left() == []


def test_the_pod(host):
    inside = Remote(host).run(
        "readlink /proc/self/ns/{pid,net,mnt,ipc}; ps -e -o comm= | sort; "
        "ip -br addr | cut -c-2; ls /proc | grep -c '^[0-9]'")[0].splitlines()
    outside = [os.readlink(f"/proc/self/ns/{k}")
               for k in ("pid", "net", "mnt", "ipc")]
    assert not set(inside[:4]) & set(outside)
    assert "cronium-runner" in inside and "lo" in inside
    assert "systemd" not in inside and int(inside[-1]) < 10


LOCKED = """
import ctypes, os, socket, sys
libc = ctypes.CDLL(None, use_errno=True)
def refused(what, f):
    try:
        f()
        print(what, "done")
    except OSError as e:
        print(what, e.strerror)
def call(*args):
    if libc.syscall(*args) < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
keyctl = {"x86_64": 250, "aarch64": 219}[os.uname().machine]
refused("unix", lambda: socket.socket(socket.AF_UNIX))
refused("datagrams", lambda: socket.socketpair(socket.AF_UNIX,
                                               socket.SOCK_DGRAM))
refused("pair", lambda: socket.socketpair())
refused("keyctl", lambda: call(keyctl, 0, -3, 0))
refused("io_uring", lambda: call(425, 1, 0))
refused("namespace", lambda: libc.unshare(0x10000000) and call(-1))
refused("route", lambda: socket.create_connection(("192.0.2.1", 80), 5))
refused("mount", lambda: call({"x86_64": 165, "aarch64": 40}
                              [os.uname().machine], 0, b"/", 0, 4096, 0))
print(*(line.split()[1] for line in open("/proc/self/status")
        if line.startswith(("CapEff", "NoNewPrivs"))))
"""


def test_what_of_the_host_is_out_of_reach(host):
    out = Remote(host).run(LOCKED, runtime="python")[0].splitlines()
    said = dict(line.split(" ", 1) for line in out)
    no = "Operation not permitted"
    assert said.pop("route") == "Network is unreachable"
    assert said.pop("pair") == "done"
    assert said.pop("0" * 16) == "1"
    assert said.pop("namespace") in (no, "Function not implemented")
    assert said == dict.fromkeys(
        ("unix", "datagrams", "keyctl", "io_uring", "mount"), no)


TALK = """
import socket, sys
for host, port in (a.rsplit(":", 1) for a in sys.argv[1:]):
    s = socket.create_connection((host.strip("[]"), int(port)), 10)
    s.sendall(b"abc")
    s.shutdown(socket.SHUT_WR)
    print(s.makefile().read())
"""


def talk(addresses):
    return {"argv": ["/usr/bin/python3", "main", *addresses]}


def test_doors(host, server):
    one, two = server(b"one "), server(b"two ")
    port = two.server_address[1]
    doors = [{"name": "localhost", "port": 8081, "to": one.address},
             {"name": "gate.example.com", "port": 443, "to": two.address},
             {"name": "gate.example.com", "port": 8081, "to": one.address},
             {"name": "other.example.com", "port": 443,
              "to": f"localhost:{port}"},
             {"name": "93.184.216.34", "port": 80, "to": one.address},
             {"name": "2001:db8::7", "port": 80, "to": two.address}]
    out, end = Remote(host).run(
        TALK, runtime="python", doors=doors,
        **talk(f"[{d['name']}]:{d['port']}" for d in doors))
    assert out.split() == [
        "one", "ABCend", "two", "ABCend", "one", "ABCend", "two", "ABCend",
        "one", "ABCend", "two", "ABCend"], out
    assert end["exit_code"] == 0


def test_much_through_a_door_whose_ends_take_their_time(host, server):
    echo = server(b"")
    out, end = Remote(host).run("""
import socket, threading
s = socket.create_connection(("localhost", 8081))
size = 32 << 20
def send():
    for _ in range(size >> 16):
        s.sendall(b"x" * 65536)
    s.shutdown(socket.SHUT_WR)
threading.Thread(target=send).start()
got = b"".join(iter(lambda: s.recv(1 << 16), b""))
print(len(got) - size, got[-4:])
""", runtime="python",
        doors=[{"name": "localhost", "port": 8081, "to": echo.address}])
    assert out == "3 b'Xend'\n", end


def test_many_connections_are_bounded_and_none_is_lost(host, server):
    echo = server(b"")
    out, end = Remote(host).run("""
import socket
open_ = [socket.create_connection(("localhost", 8081)) for _ in range(300)]
for s in open_:
    s.sendall(b"a")
    s.shutdown(socket.SHUT_WR)
print(sum(s.makefile().read() == "Aend" for s in open_))
""", runtime="python",
        doors=[{"name": "localhost", "port": 8081, "to": echo.address}])
    assert out == "300\n", end


def test_a_door_to_nowhere(host):
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
        r = Remote(host)
        out, _ = r.run(TALK, runtime="python", **talk(["localhost:8081"]),
                       doors=[{"name": "localhost", "port": 8081,
                               "to": f"127.0.0.1:{port}"}])
        assert f"cannot connect to 127.0.0.1:{port}" in r.said


@pytest.mark.parametrize("door, words", [
    ({"name": "a b", "port": 80, "to": "127.0.0.1:1"}, "door 0"),
    ({"name": "a\n1.2.3.4 b", "port": 80, "to": "127.0.0.1:1"}, "door 0"),
    ({"name": "a", "port": 0, "to": "127.0.0.1:1"}, "door 0"),
    ({"name": "a", "port": 80, "to": "127.0.0.1"}, "door 0"),
    ({"name": "a", "port": 80, "to": "-x:80"}, "door 0"),
    ({"name": "a", "port": 80, "to": "nowhere.invalid:80"}, "nowhere.invalid"),
])
def test_doors_that_are_none(host, door, words):
    out, end = Remote(host).run("echo ran", doors=[door])
    assert end["exit_code"] == 126 and words in end["error"]
    assert out == "" and host.left() == []


def test_who_may_do_everything_has_no_pod(host):
    out, _ = Remote(host).run("readlink /proc/self/ns/{pid,net,mnt}",
                              permissions=ALL)
    assert out.split() == [os.readlink(f"/proc/self/ns/{k}")
                           for k in ("pid", "net", "mnt")]


def test_a_host_without_namespaces_says_so(host):
    """As in a container that allows none: refused, but not --allow-all."""
    host.wrap = NO_NAMESPACES
    out, end = Remote(host).run("echo ran")
    assert out == "" and end["exit_code"] == 126
    assert "--allow-all" in end["error"] and "namespace" in end["error"]
    out, end = Remote(host).run("echo ran", permissions=ALL)
    assert out == "ran\n"
    assert host.left() == []


# Behind a limit of none, in a user namespace that has the limit.
NO_NAMESPACES = [
    "unshare", "-U", "-r", "bash", "-c",
    "for k in user pid net mnt ipc; do "
    "echo 0 >/proc/sys/user/max_${k}_namespaces; done; "
    'exec "$@"', "-"]


def test_limits(host):
    out, _ = Remote(host, "--limit-memory", "1g", "--limit-processes",
                    "50").run("ulimit -d -u")
    assert [line.split()[-1] for line in out.splitlines()] == \
        [str(1 << 20), "50"]


def test_signals(host):
    r = Remote(host)
    r.assign("trap 'echo told; exit 7' TERM; echo up; "
             "while :; do sleep 0.05; done")
    assert r.line() == "up"
    r.stream.send(frames.SIGNAL, {"signal": 15, "grace_ms": 20000})
    out, end = r.finish()
    assert out.endswith("told\n") and end["exit_code"] == 7


def test_a_signal_before_the_assignment(host):
    r = Remote(host)
    r.stream.send(frames.SIGNAL, {"signal": 15, "grace_ms": 1000})
    assert "before it started" in r.finish()[1]["error"]


def test_a_reader_that_waits_holds_the_script_back(host):
    r = Remote(host)
    r.assign("head -c 64000000 /dev/zero; echo over")
    r.stream.expect(frames.STARTED)
    rss = open(f"/proc/{r.process.pid}/status").read()
    assert int(rss.split("VmHWM:")[1].split()[0]) < 32 * 1024
    out, _ = r.finish()
    assert len(out) == 64000000 + 5


RUNNING = ("trap '' TERM HUP; mkdir -p a/b; chmod 0 a; (setsid {marker} &); "
           "echo up; {marker}")
END = {
    "stdin ends": lambda r: r.stream.close(),
    "runner killed": lambda r: r.process.kill(),
    "init killed": lambda r: os.kill(r.init(), signal.SIGKILL),
    "runner told": lambda r: r.process.terminate(),
}


@pytest.mark.parametrize("how", END)
@pytest.mark.parametrize("permissions", [LOOK, ALL], ids=["pod", "none"])
def test_nothing_is_left(host, how, permissions):
    marker = f"sleep 57{os.getpid()}{abs(hash((how, str(permissions))))}"[:17]
    r = Remote(host)
    r.assign(RUNNING.format(marker=marker), permissions=permissions)
    assert r.line() == "up"
    until(lambda: len(processes_with(marker)) >= 2)
    assert len(host.left()) == 1
    END[how](r)
    r.process.wait(10)
    until(lambda: not processes_with(marker))
    until(lambda: not host.left())


def test_what_was_killed_at_once_is_swept_by_the_next(host):
    r = Remote(host)
    r.assign(RUNNING.format(marker="sleep 100"))
    assert r.line() == "up"
    init = r.init()
    os.kill(init, signal.SIGSTOP)  # it cannot do the work any more
    os.kill(r.process.pid, signal.SIGKILL)
    r.process.wait(10)
    os.kill(init, signal.SIGKILL)
    until(lambda: not os.path.exists(f"/proc/{init}"))
    assert len(host.left()) == 1
    other = Remote(host)
    other.assign("echo up; sleep 100")
    assert other.line() == "up"
    until(lambda: len(host.left()) == 1)  # its own
    assert Remote(host).run("echo x")[0] == "x\n"
    assert len(host.left()) == 1  # of one that lives: not swept
    other.stream.close()
    other.process.wait(10)
    assert host.left() == []


def test_a_stream_that_is_no_stream(host):
    r = Remote(host)
    r.stream.sock.sendall(b"GET / HTTP/1.1\r\n\r\n")
    assert r.process.wait(10) == 1
    assert host.left() == []


def test_a_directory_of_any_depth_is_removed(host):
    r = Remote(host)
    out, end = r.run("""
import os
for _ in range(3000):
    os.mkdir("d")
    os.chdir("d")
os.chmod(".", 0)
print("made")
""", runtime="python")
    assert out == "made\n", end
    assert host.left() == [], r.said
