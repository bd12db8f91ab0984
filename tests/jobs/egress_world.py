"""What scripts reach through the egress proxy: servers on loopback addresses
of their own, with a CA, and a DNS server that may change its mind."""

import contextlib
import http.server
import pathlib
import random
import socket
import socketserver
import ssl
import struct
import subprocess
import threading

from harness import Server

LARGE_BYTES = 100 * 1024 * 1024
PIECE = bytes(range(256)) * 256


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def answer(self, body, status=200, **headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def do_GET(self):
        self.server.seen.append(dict(self.headers))
        if self.path.startswith("/to?"):
            self.answer(b"", 302, Location=self.path[4:])
        elif self.path == "/large":
            self.send_response(200)
            self.send_header("Content-Length", str(LARGE_BYTES))
            self.end_headers()
            for _ in range(LARGE_BYTES // len(PIECE)):
                self.wfile.write(PIECE)
        else:
            self.answer(f"{self.server.name} {self.path}".encode())

    do_HEAD = do_GET

    def body(self):
        if self.headers.get("Transfer-Encoding") == "chunked":
            while size := int(self.rfile.readline(), 16):
                yield self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
            return
        left = int(self.headers.get("Content-Length", 0))
        while left:
            piece = self.rfile.read(min(left, 65536))
            left -= len(piece)
            yield piece

    def do_POST(self):
        self.answer(str(sum(map(len, self.body()))).encode())


class Web(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True
    request_queue_size = 512

    def __init__(self, name, address, port=0, tls=None):
        super().__init__((address, port), Handler)
        self.name = name
        self.seen = []
        self.accepted = 0
        if tls:
            self.socket = tls.wrap_socket(
                self.socket, server_side=True, do_handshake_on_connect=False)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def handle_error(self, *args):
        """A client that went away is nothing to say."""

    def get_request(self):
        found = super().get_request()
        self.accepted += 1
        return found


class Silent:
    """Accepts, and says nothing."""

    def __init__(self, address):
        self.socket = socket.create_server((address, 0), backlog=256)
        self.port = self.socket.getsockname()[1]
        self.connections = []
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        with contextlib.suppress(OSError):
            while True:
                self.connections.append(self.socket.accept()[0])

    def wait_closed(self, seconds=20):
        """Whether the other side has closed every connection."""
        for connection in self.connections:
            connection.settimeout(seconds)
            with contextlib.suppress(ConnectionError):
                while connection.recv(65536):
                    pass


class Dns:
    """Answers A queries from a table: NAME: [[addresses of the first answer],
    [of the second], … and of all that follow]."""

    def __init__(self, address, table):
        self.table = table
        self.asked = []
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((address, 53))
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        with contextlib.suppress(OSError):
            while True:
                query, peer = self.socket.recvfrom(4096)
                self.socket.sendto(self.reply(query), peer)

    def reply(self, query):
        labels, at = [], 12
        while query[at]:
            labels.append(query[at + 1:at + 1 + query[at]].decode())
            at += 1 + query[at]
        name, (kind,) = ".".join(labels).lower(), struct.unpack(
            "!H", query[at + 1:at + 3])
        answers = self.table.get(name)
        addresses = []
        if answers and kind == 1:
            n = self.asked.count(name)
            self.asked.append(name)
            addresses = answers[min(n, len(answers) - 1)]
        return b"".join([
            query[:2], struct.pack("!H", 0x8180 if answers else 0x8183),
            struct.pack("!HHHH", 1, len(addresses), 0, 0), query[12:at + 5],
            *(b"\xc0\x0c" + struct.pack("!HHIH", 1, 1, 0, 4) +
              socket.inet_aton(a) for a in addresses),
        ])


def openssl(*args):
    subprocess.run(["openssl", *map(str, args)], check=True,
                   capture_output=True)


def make_tls(directory, names):
    """A server's context, and the PEM of the CA that vouches for it."""
    ca, key, cert = (directory / n for n in ("ca.pem", "key.pem", "cert.pem"))
    ec = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
    openssl("req", "-x509", *ec, "-keyout", directory / "ca.key", "-out", ca,
            "-subj", "/CN=test CA", "-days", "2", "-addext",
            "keyUsage=critical,keyCertSign")
    openssl("req", "-x509", *ec, "-keyout", key, "-out", cert,
            "-subj", "/CN=server", "-days", "2", "-CA", ca, "-CAkey",
            directory / "ca.key", "-addext", "subjectAltName=" + names,
            "-addext", "basicConstraints=CA:FALSE")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    return context, ca.read_text()


class NamedServer(Server):
    """Its processes ask our DNS server: they have an /etc/resolv.conf of their
    own, in a mount namespace."""

    def __init__(self, base, dns, *options):
        self.resolv = pathlib.Path(base) / "resolv.conf"
        self.resolv.write_text(f"nameserver {dns}\noptions timeout:2\n")
        self.wrapper = [
            "unshare", "--mount", "--propagation", "slave", "sh", "-ec",
            f'mount --bind {self.resolv} "$(realpath /etc/resolv.conf)"; '
            'exec "$@"', "sh",
        ]
        super().__init__(base, *options)


class World:
    """Addresses are at random, for other tests run at the same time."""

    def __init__(self, directory, executor):
        net = f"127.{random.randint(16, 250)}.{random.randint(1, 250)}"
        self.good, self.bad, self.other, self.dns_address = (
            f"{net}.{n}" for n in (2, 3, 4, 5))
        self.tls, self.ca = make_tls(
            directory, f"DNS:good.test,IP:{self.good}")
        self.http = Web("good", self.good)
        self.https = Web("good", self.good, tls=self.tls)
        self.port, self.tls_port = (
            w.server_address[1] for w in (self.http, self.https))
        # The same port, so that nothing but the address tells them apart.
        self.closed = Web("bad", self.bad, self.port)
        self.silent = Silent(self.good)
        self.dns = Dns(self.dns_address, {
            "good.test": [[self.good]],
            "a.wild.test": [[self.good]],
            "inside.test": [[self.bad]],
            "local.test": [["127.0.0.1"]],
            "meta.test": [["169.254.169.254"]],
            "mixed.test": [[self.good, self.bad]],
            "rebind.test": [[self.good], [self.bad]],
        })
        self.server = NamedServer(
            directory, self.dns_address, "--executors", executor,
            "--slots", "8", "--egress-allow", self.good)

    def allow(self, *hosts):
        """--allow-net for them, at the ports of the servers."""
        ports = (self.port, self.tls_port, self.silent.port)
        return "--allow-net=" + ",".join(
            f"{host}:{port}" for host in hosts for port in ports)
