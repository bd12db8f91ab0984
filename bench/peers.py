"""The servers that the sidecar is measured against, with one worker each and
nothing switched on that costs time."""

import socket
import tempfile
import threading

import machine

PAGE_BYTES = 1 << 20  # of records that Redis is asked for at a time

# The same bytes as bench_upstream.c tells.
VALUE = '"a value of fifty bytes, as a key or an URL would be"'

NGINX = """
daemon off; worker_processes 1; pid {dir}/nginx.pid;
error_log {dir}/nginx.log crit;
events {{ worker_connections 1024; }}
http {{
  access_log off; keepalive_requests 1000000000;
  client_body_temp_path {dir}/nginx-1; proxy_temp_path {dir}/nginx-2;
  fastcgi_temp_path {dir}/nginx-3; uwsgi_temp_path {dir}/nginx-4;
  scgi_temp_path {dir}/nginx-5;
  server {{
    listen 127.0.0.1:{port};
    default_type application/json;
    location / {{ return 200 '{value}'; }}
    location /file/ {{ alias {dir}/; sendfile on; }}
  }}
}}
"""

HAPROXY = """
global
  nbthread 1
  maxconn 1024
defaults
  mode http
  timeout connect 5s
  timeout client 60s
  timeout server 60s
  http-reuse always
frontend f
  bind 127.0.0.1:{port}
  default_backend b
backend b
  server s unix@{backend} proto h2
"""

HAPROXY_TCP = """
global
  nbthread 1
  maxconn 1024
defaults
  mode tcp
  timeout connect 5s
  timeout client 60s
  timeout server 60s
listen f
  bind 127.0.0.1:{port}
  server s 127.0.0.1:{to}
"""


class Peer(machine.Program):
    def __init__(self, port, argv):
        super().__init__(argv)
        self.port = port
        try:
            machine.wait_until(lambda: machine.answers(port), argv[0])
        except BaseException:
            self.stop()
            raise


def nginx_argv(directory, port):
    path = directory / f"nginx-{port}.conf"
    path.write_text(NGINX.format(dir=directory, port=port, value=VALUE))
    # -e: else it opens the system's log first.
    return ["nginx", "-e", directory / "nginx.log", "-p", directory,
            "-c", path]


class Nginx(Peer):
    name = "nginx"

    def __init__(self, directory, pinned=True):
        machine.need("nginx")
        port = machine.free_port()
        pin = machine.pin(machine.SERVER_CORE) if pinned else []
        super().__init__(port, [*pin, *nginx_argv(directory, port)])
        # The master listens before it has a worker.
        machine.wait_until(self.children, "nginx's worker")

    @property
    def worker(self):
        return self.children()[0]


class Haproxy(Peer):
    name = "haproxy"

    def __init__(self, directory, backend):
        machine.need("haproxy")
        port = machine.free_port()
        path = directory / "haproxy.cfg"
        path.write_text(HAPROXY.format(port=port, backend=backend))
        super().__init__(port, [*machine.pin(machine.SERVER_CORE), "haproxy",
                                "-db", "-f", path])


class HaproxyTcp(Peer):
    """A relay of bytes, which runs where it likes."""

    name = "haproxy"

    def __init__(self, directory, to):
        machine.need("haproxy")
        port = machine.free_port()
        path = directory / "haproxy-tcp.cfg"
        path.write_text(HAPROXY_TCP.format(port=port, to=to))
        super().__init__(port, ["haproxy", "-db", "-f", path])


class Nghttpx(Peer):
    name = "nghttpx"

    def __init__(self, directory, backend):
        machine.need("nghttpx")
        port = machine.free_port()
        super().__init__(port, [
            *machine.pin(machine.SERVER_CORE), "nghttpx", "--conf=/dev/null",
            "--workers=1", "--single-process", "--errorlog-file=/dev/null",
            f"--frontend=127.0.0.1,{port};no-tls",
            f"--backend=unix:{backend};;proto=h2"])


class Redis(Peer):
    """What it is told is in its file, synced, before it answers; or in memory
    alone."""

    name = "redis"
    key = b"stream"

    def __init__(self, directory, durable=True):
        machine.need("redis-server")
        port = machine.free_port()
        data = tempfile.mkdtemp(dir=directory)
        super().__init__(port, [
            "redis-server", "--port", port, "--bind", "127.0.0.1",
            "--dir", data, "--save", "", "--loglevel", "warning",
            "--appendonly", "yes" if durable else "no",
            "--appendfsync", "always",
            "--auto-aof-rewrite-percentage", "0"])

    def connect(self):
        return socket.create_connection(("127.0.0.1", self.port),
                                        machine.TIMEOUT_S)

    @staticmethod
    def command(*words):
        return b"*%d\r\n" % len(words) + b"".join(
            b"$%d\r\n%s\r\n" % (len(w), w) for w in words)

    def _call(self, s, *words):
        s.sendall(self.command(*words))
        return s.recv(1 << 16)

    def clear(self):
        with self.connect() as s:
            self._call(s, b"FLUSHALL")

    def write(self, records):
        """Appends them, as many in flight as its buffers take; acknowledged,
        each of them."""
        one = self.command(b"XADD", self.key, b"*", b"r",
                           records.record.rstrip(b"\n"))
        many = max(1, (1 << 20) // len(one))
        with self.connect() as s:
            acknowledged = threading.Thread(
                target=self._count, args=(s, records.n), daemon=True)
            acknowledged.start()
            for first in range(0, records.n, many):
                s.sendall(one * min(many, records.n - first))
            acknowledged.join()

    def _count(self, s, n):
        """An XADD's reply is "$LENGTH\\r\\nID\\r\\n"."""
        lines = 0
        while lines < 2 * n:
            data = s.recv(1 << 20)
            if not data or data.startswith(b"-"):
                raise RuntimeError(f"redis does not append: {data[:200]!r}")
            lines += data.count(b"\n")

    def read(self, records):
        """All of them in order, whether they are there or still to come."""
        last, left = b"0-0", records.n
        page = b"%d" % max(1, PAGE_BYTES // records.size)
        with self.connect() as s:
            while left:
                # The PONG shows where the reply ends, without reading it all.
                s.sendall(self.command(
                    b"XREAD", b"COUNT", page, b"BLOCK", b"10000", b"STREAMS",
                    self.key, last) + self.command(b"PING"))
                reply = self._until_pong(s)
                left -= reply.count(self.record_mark)
                before = reply[:reply.rindex(self.record_mark)]
                last = before.rstrip().rpartition(b"\n")[2]

    # Stands between the id of a record and its bytes.
    record_mark = b"*2\r\n$1\r\nr\r\n"

    @staticmethod
    def _until_pong(s):
        pieces = [s.recv(1 << 20)]
        while not pieces[-1].endswith(b"+PONG\r\n"):
            pieces.append(s.recv(1 << 20))
            if not pieces[-1]:
                raise RuntimeError("redis ended")
            if len(pieces[-1]) < 7:
                pieces[-2:] = [b"".join(pieces[-2:])]
        return b"".join(pieces)
