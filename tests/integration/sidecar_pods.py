"""Sidecars of one backend, which hear of the changes of variables."""

import contextlib
import json
import time

import pytest

from backend_process import Backend, quote
from patience import until
from sidecar_harness import Sidecar

HISTORY = 4096  # STORE_CHANGES_MAX


@pytest.fixture
def backend(tmp_path):
    b = Backend(str(tmp_path))
    yield b
    b.stop()


class Pods:
    """Sidecars of executions of their own, by one backend."""

    def __init__(self, directory, backend, stack):
        self.directory, self.backend, self.stack = directory, backend, stack
        self.agent = backend.agent(slots=80)
        stack.callback(self.agent.close)
        self.n = 0

    def new(self, spec=None, **options):
        self.n += 1
        directory = self.directory / f"pod{self.n}"
        directory.mkdir()
        self.backend.submit(**(spec or {}))
        claim = self.agent.claim()
        self.agent.started(claim)
        sidecar = Sidecar.of(directory, self.backend, claim, **options)
        sidecar.claim = claim
        return self.stack.enter_context(sidecar)


@pytest.fixture
def pods(tmp_path, backend):
    with contextlib.ExitStack() as stack:
        yield Pods(tmp_path, backend, stack)


def put(backend, key, value, query=""):
    r = backend.admin.put(f"/v1/variables/{quote(key)}{query}",
                          json.dumps(value).encode())
    assert r.status in (201, 204), r
    return int(r.headers["etag"].strip('"'))


def cached(sidecar, key):
    """Reads until the cache answers, with its changes heard of."""
    until(lambda: sidecar.get(f"/variables/{key}")
          .headers["x-cronium-cache"] == "hit", "never cached")


def listens(sidecar, backend):
    """Until the sidecar hears of changes."""
    put(backend, "probe", 0)
    sidecar.get("/variables/probe")
    n = [0]

    def heard():
        n[0] += 1
        put(backend, "probe", n[0])
        deadline = time.monotonic() + 0.2
        while time.monotonic() < deadline:
            if sidecar.get("/variables/probe").json() == n[0]:
                return True
        return False

    until(heard, "it does not hear of changes")


def fill_history(backend):
    connection = backend.admin.connect()
    for n in range(HISTORY + 1):
        connection.request("PUT", "/v1/variables/filler", b"1")
        assert connection.getresponse().read() == b""
    connection.close()
