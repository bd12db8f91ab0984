"""The gateway that the tests of it share."""

import contextlib
import ssl

import pytest

from gateway_harness import Gateway

NETWORK_CONNECTIONS = 512  # GATEWAY_NETWORK_CONNECTIONS
HANDSHAKE_S = 10           # GATEWAY_HEADER_MS
BUDGET = 100               # BUDGET_BURST
SEATS = 200


@pytest.fixture
def gateway(tmp_path):
    with Gateway(tmp_path) as g:
        yield g


def execution(n):
    return f"ex_{n:026d}"


def code_of(r):
    return r.status_code, r.json()["code"]


def until_closed(sock):
    with contextlib.suppress(ConnectionError, ssl.SSLError):
        while sock.recv(65536):
            pass
