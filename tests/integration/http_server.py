"""The http_echo program as a fixture, and raw sockets to talk to it."""

import json
import os
import re
import signal
import socket
import subprocess

BIN = os.environ.get("CRONIUM_BIN_DIR", "build/bin")
ECHO = os.path.abspath(
    os.path.join(BIN, "..", "tests", "integration", "http_echo"))
# What is freed shall be gone, for tests that look at the memory.
ASAN = os.environ.get("ASAN_OPTIONS", "") + ":quarantine_size_mb=1"


class Server:
    def __init__(self, *options):
        self.process = subprocess.Popen(
            [ECHO, *map(str, options)], stdout=subprocess.PIPE, text=True,
            env={**os.environ, "ASAN_OPTIONS": ASAN})
        line = self.process.stdout.readline()
        self.port = int(re.fullmatch(r"port (\d+)\n", line)[1])
        self.url = f"http://127.0.0.1:{self.port}"

    def connect(self, receive_buffer=None):
        sock = socket.socket()
        if receive_buffer:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF,
                            receive_buffer)
        sock.settimeout(20)
        sock.connect(("127.0.0.1", self.port))
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return sock

    def stats(self):
        with self.connect() as sock:
            sock.sendall(request("GET", "/stats", close=True))
            return json.loads(Reader(sock).reply().body)

    def wait_until(self, condition):
        """Asks again until the statistics satisfy condition."""
        while True:
            stats = self.stats()
            if condition(stats):
                return stats

    def resident_bytes(self):
        with open(f"/proc/{self.process.pid}/status") as f:
            return int(re.search(r"VmRSS:\s+(\d+) kB", f.read())[1]) * 1024

    def stop(self, number=signal.SIGTERM):
        """A clean end, also in the eyes of the sanitizers."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        try:
            assert self.process.wait(20) == 0
        finally:
            self.process.kill()
            self.process.stdout.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop(signal.SIGINT)


def request(method, path, body=None, close=False, headers=()):
    lines = [f"{method} {path} HTTP/1.1", "Host: localhost", *headers]
    if body is not None:
        lines.append(f"Content-Length: {len(body)}")
    if close:
        lines.append("Connection: close")
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + (body or b"")


def chunked(*pieces):
    return b"".join(b"%x\r\n%s\r\n" % (len(p), p) for p in [*pieces, b""])


class Reply:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body


class Reader:
    """Reads HTTP/1.1 replies off a socket, one after the other."""

    def __init__(self, sock):
        self.file = sock.makefile("rb")

    def head(self):
        """(status, headers), or None at the end of the connection."""
        line = self.file.readline()
        if not line:
            return None
        status = int(re.fullmatch(rb"HTTP/1\.1 (\d{3}) .*\r\n", line)[1])
        headers = {}
        while (line := self.file.readline()) != b"\r\n":
            name, value = line.rstrip(b"\r\n").decode().split(": ", 1)
            headers[name.lower()] = value
        return status, headers

    def reply(self, head_only=False):
        head = self.head()
        if head is None:
            return None
        status, headers = head
        if head_only or status in (100, 204, 304):
            body = b""
        elif "content-length" in headers:
            body = self.file.read(int(headers["content-length"]))
        elif headers.get("transfer-encoding") == "chunked":
            body = b"".join(self.chunks())
        else:
            body = self.file.read()
        return Reply(status, headers, body)

    def chunks(self):
        while size := int(self.file.readline(), 16):
            yield self.file.read(size)
            assert self.file.read(2) == b"\r\n"
        assert self.file.readline() == b"\r\n"

    def at_end(self):
        return self.file.read(1) == b""
