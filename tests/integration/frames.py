"""The framing of control streams, from the outside (ARCHITECTURE.md)."""

import json
import socket
import struct

PAYLOAD_MAX = 65536
MORE = 0x80

STDOUT, STDERR, NOTICE = 1, 2, 3
READY, ASSIGN, SCRIPT, INPUT, SIGNAL, EXIT = 16, 17, 18, 19, 20, 21
USAGE = 31
REDACT, ACK, DRAIN, DRAINED, HEARTBEAT, STARTED = 22, 23, 24, 25, 26, 27
RESUME, TAKEN, DISMISS = 28, 29, 30
SPEC, STATE, CANCEL, REVOKE = 32, 33, 34, 35
POSITION, CHANGE, VALUE = 36, 37, 38
EVENT = 40


def encode(kind, payload=b""):
    if not isinstance(payload, bytes):
        payload = json.dumps(payload).encode()
    out = b""
    while len(payload) > PAYLOAD_MAX:
        out += struct.pack(">BI", kind | MORE, PAYLOAD_MAX)
        out += payload[:PAYLOAD_MAX]
        payload = payload[PAYLOAD_MAX:]
    return out + struct.pack(">BI", kind, len(payload)) + payload


class Stream:
    """One end of a control stream over a connected socket."""

    def __init__(self, sock, timeout=20):
        self.sock = sock
        self.sock.settimeout(timeout)
        self.pending = bytearray()

    def send(self, kind, payload=b""):
        self.sock.sendall(encode(kind, payload))

    def close(self):
        self.sock.close()

    def _take(self, n):
        while len(self.pending) < n:
            data = self.sock.recv(1 << 20)
            if not data:
                raise EOFError("the stream ended")
            self.pending += data
        taken = bytes(self.pending[:n])
        del self.pending[:n]
        return taken

    def next(self):
        """(type, payload) of the next message; what comes of itself now and
        then is skipped."""
        message = b""
        while True:
            kind, n = struct.unpack(">BI", self._take(5))
            message += self._take(n)
            if kind & MORE:
                continue
            if kind not in (HEARTBEAT, USAGE):
                return kind, message
            message = b""

    def expect(self, kind):
        got, payload = self.next()
        assert got == kind, f"{got} came instead of {kind}: {payload[:200]!r}"
        return json.loads(payload) if payload[:1] == b"{" else payload


def pair(timeout=20):
    """A stream and the socket of its other end."""
    ours, theirs = socket.socketpair()
    return Stream(ours, timeout), theirs
