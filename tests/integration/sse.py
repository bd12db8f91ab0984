"""Server-sent events, as a script without a library reads them."""

import json
import socket
from urllib.parse import quote

TIMEOUT_S = 30


class Event:
    def __init__(self, name, id, data):
        self.name, self.id, self.data = name, id, data

    @property
    def json(self):
        return json.loads(self.data)

    def __repr__(self):
        return f"{self.name} {self.id} {self.data[:200]!r}"


class Watch:
    """GET /variables/{key}/watch. What is read, and when, is up to the test:
    the socket is not read ahead."""

    def __init__(self, sidecar, key, last_id=None, query="", token=None,
                 receive_bytes=None):
        self.sock = socket.socket()
        if receive_bytes:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF,
                                 receive_bytes)
        self.sock.settimeout(TIMEOUT_S)
        self.sock.connect(("127.0.0.1", sidecar.port))
        resume = "" if last_id is None else f"Last-Event-ID: {last_id}\r\n"
        self.sock.sendall(
            f"GET /variables/{quote(key, safe='')}/watch{query} HTTP/1.1\r\n"
            f"Host: x\r\nAccept: text/event-stream\r\n{resume}"
            f"Authorization: Bearer {token or sidecar.token}\r\n\r\n".encode())
        self.raw = b""   # of the reply, not yet understood
        self.text = b""  # of the body, not yet understood
        self.ended = False
        head = self._until(b"\r\n\r\n").decode().split("\r\n")
        self.status = int(head[0].split()[1])
        self.headers = {k.lower(): v for k, v in
                        (line.split(": ", 1) for line in head[1:-2])}
        self.comments = 0

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.sock.close()

    def _more(self):
        data = self.sock.recv(1 << 16)
        if not data:
            raise EOFError("the connection ended")
        self.raw += data

    def _until(self, mark):
        while mark not in self.raw:
            self._more()
        taken, _, self.raw = self.raw.partition(mark)
        return taken + mark

    def problem(self):
        """Of a reply that is no stream."""
        n = int(self.headers["content-length"])
        while len(self.raw) < n:
            self._more()
        return json.loads(self.raw[:n])

    def _chunk(self):
        size = int(self._until(b"\r\n"), 16)
        while len(self.raw) < size + 2:
            self._more()
        chunk, self.raw = self.raw[:size], self.raw[size + 2:]
        self.ended = not size
        return chunk

    def next(self):
        """The next event; EOFError at the proper end of the stream."""
        while True:
            while b"\n\n" not in self.text:
                if self.ended:
                    assert not self.text
                    raise EOFError("the stream ended")
                self.text += self._chunk()
            block, _, self.text = self.text.partition(b"\n\n")
            fields = {}
            for line in block.decode().split("\n"):
                name, _, value = line.partition(":")
                if name:
                    assert name not in fields, block
                    fields[name] = value.removeprefix(" ")
                else:
                    self.comments += 1
            if fields:
                assert fields.keys() <= {"event", "id", "data"}, block
                return Event(fields["event"], fields.get("id"),
                             fields["data"])

    def expect(self, name, **members):
        event = self.next()
        assert event.name == name, event
        data = event.json
        for k, v in members.items():
            assert data[k] == v, event
        if name in ("connected", "disconnected"):
            assert event.id is None
        else:
            assert event.id == str(data["version"])
        return data
