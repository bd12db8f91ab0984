"""A gateway with real TLS, and seats at it.

    with Gateway(tmp_path) as gateway, gateway.seat() as seat:
        seat.get("/variables/k")

A seat is what Sidecar is (sidecar_harness.py), with one process for all.
"""

import contextlib
import itertools
import json
import pathlib
import socket
import ssl
import subprocess

import frames
import requests
from patience import until
from runtime_backend import RuntimeBackend
from sidecar_harness import (
    BIN_DIR, EXECUTION, TIMEOUT_S, Control, Sidecar, wait_end)


def openssl(*args, **more):
    subprocess.run(["openssl", *args], check=True, capture_output=True, **more)


class Authority:
    """A CA of our own, and certificates that it signed; with all that Python
    3.13 asks for."""

    def __init__(self, directory, name="ca"):
        self.directory = pathlib.Path(directory)
        self.file = self.directory / f"{name}.pem"
        self.key = self.directory / f"{name}.key"
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt",
                "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
                "-addext", "keyUsage=critical,keyCertSign",
                "-subj", f"/CN={name}", "-keyout", self.key, "-out", self.file)

    def issue(self, name, alternatives):
        """(certificate, key) in files."""
        base = self.directory / name
        cert, key = base.with_suffix(".pem"), base.with_suffix(".key")
        request, extra = base.with_suffix(".csr"), base.with_suffix(".ext")
        extra.write_text(f"subjectAltName={alternatives}\n"
                         "authorityKeyIdentifier=keyid\n")
        openssl("req", "-newkey", "ec", "-pkeyopt",
                "ec_paramgen_curve:P-256", "-nodes", "-subj", f"/CN={name}",
                "-keyout", key, "-out", request)
        openssl("x509", "-req", "-in", request, "-CA", self.file, "-CAkey",
                self.key, "-CAcreateserial", "-days", "2", "-extfile", extra,
                "-out", cert)
        return cert, key


class Gateway:
    """Started on entry, ended on exit."""

    numbers = itertools.count()

    def __init__(self, directory, backend_socket=None, args=()):
        self.directory = pathlib.Path(directory)
        self.backend_socket = backend_socket
        self.backend = None
        self.args = list(args)
        self.authority = Authority(self.directory)
        self.cert, self.key = self.authority.issue(
            "gateway", "DNS:localhost,IP:127.0.0.1")
        self.control_path = self.directory / "gateway.sock"

    def __enter__(self):
        if not self.backend_socket:
            self.backend_socket = self.directory / "backend.sock"
            self.backend = RuntimeBackend(self.backend_socket)
        self.log = open(self.directory / "gateway.log", "wb")
        self.start()
        return self

    def start(self, listen="127.0.0.1:0"):
        self.process = subprocess.Popen(
            [BIN_DIR / "cronium-sidecar", "--gateway", "--listen", listen,
             "--tls-cert", self.cert, "--tls-key", self.key,
             "--control", f"listen:{self.control_path}",
             "--backend", f"unix:{self.backend_socket}",
             "--metrics", "127.0.0.1:0", "--log-level", "debug", *self.args],
            stderr=self.log, stdout=self.log, stdin=subprocess.DEVNULL)
        with contextlib.closing(self.connect()) as sock:
            stream = frames.Stream(sock, timeout=TIMEOUT_S)
            kind, ready = stream.next()
            assert kind == frames.READY
        self.ready = json.loads(ready)
        self.port = int(self.ready["listen"][0].rpartition(":")[2])
        self.url = f"https://localhost:{self.port}"

    def connect(self):
        """One more control stream."""
        def connected():
            sock = socket.socket(socket.AF_UNIX)
            try:
                sock.connect(str(self.control_path))
                return sock
            except OSError:
                sock.close()
                assert self.process.poll() is None, self.logged()

        return until(connected, self.logged)

    def seat(self, **options):
        """Not yet entered."""
        directory = self.directory / f"seat-{next(self.numbers)}"
        directory.mkdir()
        return Seat(directory, gateway=self, **options)

    def tls(self, *protocols):
        context = ssl.create_default_context(cafile=self.authority.file)
        if protocols:
            context.set_alpn_protocols(protocols)
        return context

    def open(self, *protocols):
        """A connection after its handshake."""
        sock = socket.create_connection(("127.0.0.1", self.port), TIMEOUT_S)
        return self.tls(*protocols).wrap_socket(
            sock, server_hostname="localhost")

    def logged(self):
        return (self.directory / "gateway.log").read_text()

    def metric(self, line):
        text = requests.get(
            f"http://{self.ready['metrics'][0]}/metrics",
            timeout=TIMEOUT_S).text
        for found in text.splitlines():
            if found.startswith(f"cronium_sidecar_{line} "):
                return float(found.rpartition(" ")[2])
        raise AssertionError(f"no metric {line} in\n{text}")

    def __exit__(self, *exc):
        if self.process.poll() is None:
            self.process.terminate()
        wait_end(self)
        if not exc[0]:
            assert self.process.returncode == 0, self.logged()
            assert "runtime error" not in self.logged(), self.logged()


class Seat(Sidecar):
    """One execution at a gateway."""

    def __init__(self, directory, gateway, execution=EXECUTION, **options):
        super().__init__(directory, **options)
        self.gateway = gateway
        self.execution = execution
        self.backend_socket = gateway.backend_socket
        self.token = self.mint()
        self.context = {"job": self.job, "execution": execution, "attempt": 1,
                        "trigger": "manual", "labels": {}}

    def mint(self, **more):
        return self.tokens.mint(**{"sub": self.execution, **more})

    def start(self):
        self.control = Control(self.gateway.connect())
        self.ready = json.loads(self.control.expect(frames.READY))
        self.port, self.base_url = self.gateway.port, self.gateway.url
        self.session.verify = str(self.gateway.authority.file)

    def __exit__(self, *exc):
        self.session.close()
        self.control.close()

    def logged(self):
        return self.gateway.logged()
