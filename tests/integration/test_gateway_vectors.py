"""sdk/vectors through a gateway: a script cannot tell that its sidecar is
somewhere else, behind TLS and a CA of our own."""

import json
import os

import pytest
import sdk_drivers
import vector_case
from gateway_harness import Gateway
from test_vectors import CASES, check_result

pytestmark = pytest.mark.timeout(120)

all_clients = pytest.mark.parametrize("client", sdk_drivers.CLIENTS)


@pytest.fixture(scope="module")
def backend(tmp_path_factory):
    directory = tmp_path_factory.mktemp("backend")
    with vector_case.backend_with_tool(directory) as b:
        yield b


@pytest.fixture(scope="module")
def gateway(tmp_path_factory, backend):
    socket = os.path.join(backend.run, "runtime/backend.sock")
    with Gateway(tmp_path_factory.mktemp("gateway"), socket) as g:
        yield g


@pytest.fixture(scope="module")
def node_directory(tmp_path_factory):
    return sdk_drivers.install_node(tmp_path_factory.mktemp("node"))


def environment(seat, **more):
    return sdk_drivers.environment_of(
        seat, CRONIUM_CA_FILE=str(seat.gateway.authority.file), **more)


@all_clients
@pytest.mark.parametrize("case", CASES, ids=lambda c: c["name"])
def test_sdk(tmp_path, node_directory, backend, gateway, client, case):
    steps = [s for s in case["steps"] if not s.get("http_only")]
    if not steps:
        return
    with vector_case.job(tmp_path, backend, case, gateway) as seat:
        done = sdk_drivers.run(
            node_directory, client, steps, environment(seat))
        assert done.returncode == 0, done.stderr
    results = json.loads(done.stdout)
    assert len(results) == len(steps)
    for step, got in zip(steps, results):
        check_result(step, got)
