"""A client that says any frames of HTTP/2, also wrong ones."""

import os
import struct

import h2.config
import h2.connection
import h2.events
import h2.settings
import pytest

from http_server import Server

BIG = os.urandom(1 << 20) * 10
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH, PING, GOAWAY, \
    WINDOW_UPDATE, CONTINUATION = range(10)
END_STREAM, END_HEADERS, ACK = 1, 4, 1


def frame(kind, flags=0, stream=0, payload=b""):
    return (struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) +
            struct.pack(">I", stream) + payload)


class Client:
    """A connection by prior knowledge. Checks on our side are off, so that
    it can misbehave."""

    def __init__(self, server, receive_buffer=None, window=None):
        self.sock = server.connect(receive_buffer)
        self.h2 = h2.connection.H2Connection(h2.config.H2Configuration(
            validate_outbound_headers=False,
            normalize_outbound_headers=False,
            validate_inbound_headers=True))
        self.h2.initiate_connection()
        if window is not None:
            self.h2.update_settings({
                h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: window})
        self.flush()
        self.streams = {}
        self.goaway = None
        self.closed = False
        self.acknowledge = True

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.sock.close()

    def flush(self):
        self.sock.sendall(self.h2.data_to_send())

    def ask(self, method, path, body=None, headers=(), end=True, drop=()):
        stream = self.h2.get_next_available_stream_id()
        fields = [(":method", method), (":scheme", "http"),
                  (":authority", "localhost"), (":path", path)]
        fields = [f for f in fields if f[0] not in drop]
        self.h2.send_headers(stream, [*fields, *headers],
                             end_stream=end and body is None)
        self.streams[stream] = {"headers": None, "body": bytearray(),
                                "ended": False, "reset": None}
        self.flush()
        if body is not None:
            self.send(stream, body, end)
        return stream

    def send(self, stream, body, end=True):
        at = 0
        while at < len(body):
            room = min(self.h2.local_flow_control_window(stream),
                       self.h2.max_outbound_frame_size, len(body) - at)
            if room:
                self.h2.send_data(stream, body[at:at + room])
                at += room
                self.flush()
            else:
                self.step()
                if self.streams[stream]["reset"] is not None:
                    return
        if end:
            self.h2.end_stream(stream)
            self.flush()

    def step(self):
        """Reads once."""
        try:
            data = self.sock.recv(65536)
        except ConnectionResetError:
            data = b""
        if not data:
            self.closed = True
            return
        for event in self.h2.receive_data(data):
            self.handle(event)
        try:
            self.flush()
        except (BrokenPipeError, ConnectionResetError):
            self.closed = True

    def handle(self, event):
        stream = self.streams.get(getattr(event, "stream_id", None))
        if isinstance(event, h2.events.ResponseReceived):
            stream["headers"] = {k.decode() if isinstance(k, bytes) else k:
                                 v.decode() if isinstance(v, bytes) else v
                                 for k, v in event.headers}
        elif isinstance(event, h2.events.DataReceived):
            stream["body"] += event.data
            if self.acknowledge:
                self.h2.acknowledge_received_data(
                    event.flow_controlled_length, event.stream_id)
        elif isinstance(event, h2.events.StreamEnded):
            stream["ended"] = True
        elif isinstance(event, h2.events.StreamReset):
            stream["reset"] = event.error_code
        elif isinstance(event, h2.events.ConnectionTerminated):
            self.goaway = event.error_code

    def wait(self, *streams):
        """Until the replies are complete; (status, body) of the last."""
        for number in streams:
            stream = self.streams[number]
            while not (stream["ended"] or stream["reset"] is not None or
                       self.closed):
                self.step()
        headers = stream["headers"] or {}
        return int(headers.get(":status", 0)), bytes(stream["body"])

    def wait_headers(self, stream):
        while not self.streams[stream]["headers"] and not self.closed:
            self.step()
        return int(self.streams[stream]["headers"][":status"])

    def wait_closed(self):
        while not self.closed:
            self.step()
        return self.goaway


@pytest.fixture(scope="module")
def server():
    with Server() as s:
        yield s


def raw(server, *frames):
    """Sends frames after the preface; returns the GOAWAY's error code, None
    where the connection was closed without one."""
    with server.connect() as sock:
        try:
            sock.sendall(PREFACE + frame(SETTINGS))
            for piece in frames:
                sock.sendall(piece)
        except (BrokenPipeError, ConnectionResetError):
            pass
        data = b""
        try:
            while piece := sock.recv(65536):
                data += piece
        except ConnectionResetError:
            pass
    error = None
    while len(data) >= 9:
        size = int.from_bytes(data[:3], "big")
        if data[3] == GOAWAY:
            error = int.from_bytes(data[13:17], "big")
        data = data[9 + size:]
    return error
