"""The orchestrator's end of a sidecar's door, or of a gateway's."""

import array
import json
import socket

TIMEOUT_S = 30


class Door:
    def __init__(self, sock):
        self.socket = sock
        self.socket.settimeout(TIMEOUT_S)

    @classmethod
    def connect(cls, path, execution):
        """To a gateway: whose door it is comes first."""
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        sock.connect(str(path))
        door = cls(sock)
        door.send({"execution": execution})
        return door

    def receive(self):
        return json.loads(self.socket.recv(65536))

    def send(self, message, attached=()):
        fds = array.array("i", [s.fileno() for s in attached])
        control = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, fds)] if fds else []
        self.socket.sendmsg([json.dumps(message).encode()], control)

    def serve(self, service):
        """A connection that came in by the door."""
        with socket.create_server(("127.0.0.1", 0)) as listener:
            ours = socket.create_connection(listener.getsockname())
            theirs = listener.accept()[0]
        with theirs:
            self.send({"serve": service}, [theirs])
        ours.settimeout(TIMEOUT_S)
        return ours

    def close(self):
        self.socket.close()


def read_all(s):
    reply = b""
    while part := s.recv(65536):
        reply += part
    return reply
