"""The gateway's limits, certificates and options."""

import contextlib
import os
import signal
import socket
import subprocess
import time

import pytest

from backend_process import Backend
from gateway_fixture import (
    BUDGET, HANDSHAKE_S, NETWORK_CONNECTIONS, code_of, execution, until_closed,
)
from gateway_fixture import gateway  # noqa: F401
from gateway_harness import Gateway
from patience import until
from sidecar_harness import BIN_DIR, TIMEOUT_S, Tokens

pytestmark = pytest.mark.timeout(120)


# --- limits

def test_read_only(tmp_path):
    """It writes no variables and sets no condition; its output is what the
    job is for. The backend holds it, too."""
    backend = Backend(str(tmp_path))
    socket_ = os.path.join(backend.run, "runtime/backend.sock")
    backend.submit(read_only=True)
    claim = backend.agent().claim()
    writes = [("PUT", "/variables/k", b"1"), ("DELETE", "/variables/k", None),
              ("POST", "/variables/k/increment", None)]
    with Gateway(tmp_path, socket_) as gateway:
        with gateway.seat().of(tmp_path, backend, claim,
                               gateway=gateway) as seat:
            for method, path, body in writes:
                r = seat.request(method, path, data=body)
                assert code_of(r) == (403, "read_only"), path
            assert seat.post("/output", 1).status_code == 204
            assert code_of(seat.post("/condition", True)) == (403, "forbidden")
            assert seat.get("/variables/k").status_code == 404
    inside = backend.sidecar(claim)
    for method, path, body in writes:
        r = inside.call(method, f"/v1/runtime{path}", body)
        assert r.status == 403, path
    assert backend.stop() == 0


def test_the_rate_of_one_token(tmp_path):
    with Gateway(tmp_path, args=["--rate-requests", "1/5"]) as gateway, \
            gateway.seat(execution=execution(1)) as a, \
            gateway.seat(execution=execution(2)) as b:
        replies = [a.get("/input") for _ in range(7)]
        assert [r.status_code for r in replies] == [200] * 5 + [429] * 2
        assert code_of(replies[-1]) == (429, "rate_limited")
        assert 1 <= int(replies[-1].headers["retry-after"]) <= 60
        assert b.get("/input").status_code == 200
    assert "Bearer" not in gateway.logged()


def test_who_has_no_token_may_not_ask_much(gateway):
    with gateway.seat() as seat:
        assert seat.get("/input").status_code == 200
        bad = Tokens().mint()
        codes = [seat.get("/input", token=bad).status_code
                 for _ in range(2 * BUDGET)]
        assert codes[:BUDGET] == [401] * BUDGET and 429 in codes
        r = seat.get("/healthz", token=None)
        assert code_of(r) == (429, "rate_limited")
        assert int(r.headers["retry-after"]) >= 1
        # Who was known before is served.
        assert seat.get("/input").status_code == 200
        text = seat.token + bad
    assert not any(part in gateway.logged() for part in text.split("."))


def test_slow_and_silent_connections_are_bounded(gateway):
    """Too many of one address, and each for so long only."""
    with gateway.seat() as seat, contextlib.ExitStack() as stack:
        assert seat.get("/input").status_code == 200
        silent = [stack.enter_context(socket.create_connection(
            ("127.0.0.1", gateway.port))) for _ in range(20)]
        slow = [stack.enter_context(gateway.open("http/1.1"))
                for _ in range(20)]
        started = time.monotonic()
        for sock in slow:
            sock.sendall(b"GET /input HTTP/1.1\r\n")
        rest = [stack.enter_context(socket.create_connection(
            ("127.0.0.1", gateway.port)))
            for _ in range(NETWORK_CONNECTIONS)]
        rest[-1].settimeout(TIMEOUT_S)
        with contextlib.suppress(ConnectionError):
            assert rest[-1].recv(1) == b""
        assert time.monotonic() - started < HANDSHAKE_S
        assert seat.get("/input").status_code == 200  # it has its connection
        for sock in silent + slow:
            sock.settimeout(TIMEOUT_S)
            until_closed(sock)
        took = time.monotonic() - started
        assert HANDSHAKE_S / 2 < took < 2 * HANDSHAKE_S
        with gateway.open("http/1.1"):
            pass


# --- certificates

def peer_name(gateway):
    with gateway.open() as sock:
        return dict(x[0] for x in sock.getpeercert()["subject"])["commonName"]


def test_certificates_are_read_again(gateway):
    with gateway.seat() as seat:
        assert peer_name(gateway) == "gateway"
        gateway.cert.write_text("no certificate")
        gateway.process.send_signal(signal.SIGHUP)
        until(lambda: "stays as it was" in gateway.logged())
        assert peer_name(gateway) == "gateway"
        cert, key = gateway.authority.issue("renewed", "DNS:localhost")
        gateway.key.write_bytes(key.read_bytes())
        gateway.cert.write_bytes(cert.read_bytes())
        gateway.process.send_signal(signal.SIGHUP)
        until(lambda: "was read again" in gateway.logged())
        assert peer_name(gateway) == "renewed"
        assert seat.get("/input").status_code == 200


@pytest.mark.parametrize("args, what", [
    (["--gateway"], "--control is missing"),
    (["--gateway", "--control", "c"], "has to be listen:PATH"),
    (["--control", "listen:c"], "say --gateway"),
    (["--gateway", "--control", "listen:c"], "--listen HOST:PORT is missing"),
    (["--gateway", "--control", "listen:c", "--listen", "127.0.0.1:0"],
     "--tls-cert and --tls-key are missing"),
    (["--control", "c", "--tls-cert", "x"], "are for a gateway"),
    (["--gateway", "--rate-requests", "x"], "rate-requests"),
])
def test_options_that_do_not_fit(args, what):
    done = subprocess.run([BIN_DIR / "cronium-sidecar", *args], text=True,
                          capture_output=True, timeout=TIMEOUT_S)
    assert done.returncode == 2 and what in done.stderr
