"""The HTTP server on unix sockets and over TLS."""

import os
import socket
import ssl
import subprocess

import httpx
import pytest

from http_fixtures import BIG
from http_server import ECHO, Reader, Server, request

pytestmark = pytest.mark.timeout(60)


def test_unix_socket(tmp_path):
    path = tmp_path / "s.sock"
    with Server("--unix", path) as server:
        assert os.stat(path).st_mode & 0o777 == 0o600
        with socket.socket(socket.AF_UNIX) as sock:
            sock.connect(str(path))
            sock.sendall(request("GET", "/inspect/x"))
            body = Reader(sock).reply().body.decode()
        assert f"unix=1 tls=0 uid={os.getuid()} unix:{os.getpid()}" in body
        with pytest.raises(subprocess.CalledProcessError):
            subprocess.run([server.process.args[0], "--unix", str(path)],
                           check=True, capture_output=True, timeout=10)
        server.process.kill()
        server.process.wait()
        with Server("--unix", path):
            with socket.socket(socket.AF_UNIX) as sock:
                sock.connect(str(path))
        assert not path.exists()
        server.stop = lambda *_: None


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    made = tmp_path_factory.mktemp("tls")
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
         "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj",
         "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,"
         "IP:127.0.0.1", "-keyout", made / "key.pem", "-out",
         made / "cert.pem"], check=True, capture_output=True)
    return made


def tls_context(certificate, *protocols):
    context = ssl.create_default_context(cafile=certificate / "cert.pem")
    context.set_alpn_protocols(list(protocols))
    return context


@pytest.fixture(scope="module")
def tls_server(certificate):
    with Server("--cert", certificate / "cert.pem", "--key",
                certificate / "key.pem", "--header-timeout", "1s") as s:
        s.url = s.url.replace("http:", "https:")
        yield s


@pytest.mark.parametrize("http2", [False, True])
def test_tls(tls_server, certificate, http2):
    verify = tls_context(certificate)
    with httpx.Client(http2=http2, verify=verify, timeout=20) as client:
        for _ in range(3):
            reply = client.post(tls_server.url + "/echo", content=BIG)
            assert reply.content == BIG
            assert reply.http_version == ("HTTP/2" if http2 else "HTTP/1.1")


def test_tls_versions_and_alpn(tls_server, certificate):
    context = tls_context(certificate, "h2", "http/1.1")
    with context.wrap_socket(tls_server.connect(),
                             server_hostname="localhost") as sock:
        assert sock.selected_alpn_protocol() == "h2"
    old = tls_context(certificate, "http/1.1")
    with pytest.warns(DeprecationWarning):
        old.maximum_version = ssl.TLSVersion.TLSv1_1
    with pytest.raises((ssl.SSLError, ConnectionResetError)):
        old.wrap_socket(tls_server.connect(), server_hostname="localhost")
    with pytest.raises((ssl.SSLError, ConnectionResetError)):
        tls_context(certificate, "spdy/3").wrap_socket(
            tls_server.connect(), server_hostname="localhost")


def test_tls_handshake_that_never_comes(tls_server):
    with tls_server.connect() as sock:
        assert sock.recv(1) == b""


def test_plain_http_on_a_tls_port(tls_server):
    with tls_server.connect() as sock:
        sock.sendall(request("GET", "/hello"))
        try:
            assert b"hello" not in sock.recv(1000)
        except ConnectionResetError:
            pass


def test_tls_wrong_key(certificate, tmp_path):
    other = tmp_path / "other.pem"
    subprocess.run(["openssl", "genpkey", "-algorithm", "EC", "-pkeyopt",
                    "ec_paramgen_curve:P-256", "-out", other], check=True,
                   capture_output=True)
    result = subprocess.run(
        [ECHO, "--cert", certificate / "cert.pem", "--key", other],
        capture_output=True, text=True, timeout=20)
    assert result.returncode == 2
    assert str(other) in result.stderr
