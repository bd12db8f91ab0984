"""sdk/vectors through a gateway: a script cannot tell that its sidecar is
somewhere else, behind TLS and a CA of our own."""

import json
import os

import frames
import pytest
import sdk_drivers
import vector_case
from gateway_harness import Authority, Gateway
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


# --- whom a script trusts

PYTHON = """
import asyncio, cronium, sys
try:
    if sys.argv[1:] == ["async"]:
        async def read():
            async with cronium.AsyncCronium(timeout=0.5) as c:
                await c.input()
        asyncio.run(read())
    else:
        cronium.Cronium(timeout=0.5).input()
except cronium.UnavailableError as error:
    print("refused", error)
"""
NODE = """
new (%s).Cronium({ timeoutMs: 500 }).getInput().catch((error) =>
  console.log(error.constructor.name === "UnavailableError" && "refused",
              error.message));
"""
READ_INPUT = {
    "python": PYTHON, "python-async": PYTHON,
    "node-commonjs": NODE % 'require("cronium")',
    "node-esm": 'import * as cronium from "cronium";' + NODE % "cronium",
    "bun": NODE % 'require("cronium")',
    "bash": """
source cronium.sh
cronium_input 2>&1 || [ $? != 19 ] || echo refused
""",
}


@pytest.fixture(scope="module")
def misnamed(tmp_path_factory):
    """A gateway whose certificate is another host's."""
    with Gateway(tmp_path_factory.mktemp("misnamed")) as g:
        g.cert, g.key = g.authority.issue("other", "DNS:other.example")
        g.process.terminate()
        g.process.wait()
        g.start()
        yield g


def read_input(directory, client, seat, ca_file):
    args = ["async"] if client == "python-async" else []
    return sdk_drivers.evaluate(
        directory, client, READ_INPUT[client], sdk_drivers.environment_of(
            seat, CRONIUM_CA_FILE=str(ca_file), CRONIUM_TIMEOUT="1"), *args)


@all_clients
def test_who_has_another_certificate_is_told_nothing(
        node_directory, gateway, misnamed, client):
    """Not even the token: of another authority, or with another name."""
    stranger = Authority(node_directory, "stranger").file
    for g, ca_file in (gateway, stranger), (misnamed, misnamed.authority.file):
        with g.seat() as seat:
            done = read_input(node_directory, client, seat, ca_file)
            assert "refused" in done.stdout, done.stdout + done.stderr
            seat.control.send(frames.DRAIN)
            stats = json.loads(seat.control.expect(frames.DRAINED))
            assert stats["requests"] == 0


@all_clients
def test_a_file_of_certificates_that_is_missing_is_named(
        node_directory, gateway, client):
    with gateway.seat() as seat:
        done = read_input(node_directory, client, seat, "/no/ca.pem")
    assert "CRONIUM_CA_FILE cannot be read" in done.stdout + done.stderr
