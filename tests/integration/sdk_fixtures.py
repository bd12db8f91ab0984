"""A job in a sidecar for the tests of the SDKs; import the fixtures by name.

Scripts reach the sidecar through a tap, so that every exchange is one that
sdk/openapi.yaml describes. relay stands between script and tap; it refuses
until it is told to listen.
"""

import pytest
from relay import Relay
from sidecar_harness import Sidecar
from tap import tapped


@pytest.fixture(scope="module")
def backend(shared):
    return shared


@pytest.fixture
def claim(backend):
    backend.submit()
    agent = backend.agent()
    claim = agent.claim()
    agent.started(claim)
    yield claim
    agent.complete(claim)
    agent.close()
    for old in backend.admin.get("/v1/variables").json["variables"]:
        backend.admin.delete(f"/v1/variables/{old['key']}")


@pytest.fixture
def sidecar(tmp_path, backend, claim):
    directory = tmp_path / "sidecar"
    directory.mkdir()
    with Sidecar.of(directory, backend, claim) as s:
        with tapped(s):
            yield s


@pytest.fixture
def relay(sidecar):
    with Relay(sidecar.tap.address) as r:
        yield r
