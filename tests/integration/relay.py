"""A TCP relay between a client and a server, which counts connections and
breaks them when it is told to."""

import socket
import threading

BYTES = 1 << 16


class Relay:
    """Refuses connections until listen(). Connections go to the target of
    the moment, (host, port)."""

    def __init__(self, target=None):
        self.target = target
        self.connections = 0
        self.replies_to_lose = 0  # so many times: the reply and the rest
        self.lost = threading.Semaphore(0)
        self._lock = threading.Lock()
        self._listener = socket.socket()
        self._listener.bind(("127.0.0.1", 0))
        self.url = "http://127.0.0.1:%d" % self._listener.getsockname()[1]

    def listen(self):
        self._listener.listen(64)
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def close(self):
        try:
            self._listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass  # it did not listen
        self._listener.close()

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()

    def _accept(self):
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            try:
                server = self._connect()
            except OSError:
                client.close()
                continue
            for args in (client, server, False), (server, client, True):
                threading.Thread(
                    target=self._pump, args=args, daemon=True).start()

    def _connect(self):
        return socket.create_connection(self.target)

    def _loses(self):
        with self._lock:
            if not self.replies_to_lose:
                return False
            self.replies_to_lose -= 1
        self.lost.release()
        return True

    def _pump(self, source, sink, is_reply):
        try:
            while data := source.recv(BYTES):
                if is_reply and self._loses():
                    break
                sink.sendall(data)
        except OSError:
            pass
        for sock in source, sink:
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
