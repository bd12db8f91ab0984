"""What every SDK does when the runtime is away, slow, or says no."""

import json
import signal

import pytest
import sdk_drivers as sdk
from sdk_fixtures import backend, claim, relay, sidecar  # noqa: F401
from sidecar_harness import Sidecar, Tokens

pytestmark = pytest.mark.timeout(120)

OUTPUT_BYTES = 10 * 1024 * 1024
VALUE_BYTES = 1024 * 1024
all_clients = pytest.mark.parametrize("client", sdk.CLIENTS)
# The Bash driver's jq takes seconds for large values: see test_sdk_bash.py.
quick_clients = pytest.mark.parametrize(
    "client", [c for c in sdk.CLIENTS if c != "bash"])


# --- what it says


OUTSIDE = {
    "python": "import cronium; cronium.input()",
    "python-async":
        "import asyncio, cronium; asyncio.run(cronium.AsyncCronium().input())",
    "node-commonjs": 'require("cronium").getInput()',
    "bash": "set -e; source cronium.sh; cronium_input",
}


@pytest.mark.parametrize("client", OUTSIDE)
def test_outside_a_job(tmp_path, client):
    done = sdk.evaluate(tmp_path, client, OUTSIDE[client],
                        sdk.environment())
    assert done.returncode == (10 if client == "bash" else 1)
    assert "start it with 'cronium run SCRIPT'" in done.stderr


@all_clients
def test_a_forged_token(tmp_path, sidecar, client):
    forged = Tokens().mint(sub=sidecar.execution, job=sidecar.job)
    env = sdk.environment(sidecar.base_url, forged)
    got = sdk.results(tmp_path, client, [sdk.step("input")], env)
    assert got == [{"error": "Auth", "code": "token_invalid"}]


@all_clients
def test_too_large(tmp_path, sidecar, client):
    got = sdk.results(
        tmp_path, client,
        [sdk.step("set_variable", "large", "x" * VALUE_BYTES),
         sdk.step("input")],
        sdk.environment_of(sidecar))
    assert got == [{"error": "TooLarge", "code": "too_large"},
                   {"result": None}]


@quick_clients
def test_too_large_an_output(tmp_path, sidecar, client):
    got = sdk.results(
        tmp_path, client,
        [sdk.step("output", "x" * OUTPUT_BYTES), sdk.step("input")],
        sdk.environment_of(sidecar))
    assert got == [{"error": "TooLarge", "code": "too_large"},
                   {"result": None}]


IMPATIENT = {
    "python": "import cronium; cronium.Cronium(timeout=0.5).input()",
    "python-async":
        "import asyncio, cronium\n"
        "asyncio.run(cronium.AsyncCronium(timeout=0.5).input())",
    "node-commonjs":
        'new (require("cronium").Cronium)({timeoutMs: 500}).getInput()',
    "bash": "CRONIUM_TIMEOUT=1; source cronium.sh; cronium_input",
}


@pytest.mark.parametrize("client", IMPATIENT)
def test_nobody_answers(tmp_path, relay, client):
    """relay does not listen: connections are refused until the end."""
    done = sdk.evaluate(tmp_path, client, IMPATIENT[client],
                        sdk.environment(relay.url, "t"))
    assert done.returncode == (19 if client == "bash" else 1)
    assert f"the runtime at {relay.url} did not answer within" in done.stderr


# --- what it survives


@quick_clients
def test_large_values(tmp_path, sidecar, client):
    value = ["ä€😀\n" * 100] * 9000
    assert 9_000_000 < len(json.dumps(value, ensure_ascii=False).encode()) \
        < OUTPUT_BYTES
    got = sdk.results(tmp_path, client, [sdk.step("output", value)],
                  sdk.environment_of(sidecar))
    assert got == [{"result": None}]


@all_clients
def test_start_up_grace(tmp_path, sidecar, relay, client):
    """The first attempts are refused; then the runtime is there."""
    process = sdk.start(tmp_path, client, [sdk.step("input")] * 2,
                        sdk.environment(relay.url, sidecar.token))
    refused = sdk.refused_connections()
    sdk.go(process)
    while sdk.refused_connections() == refused:
        assert process.poll() is None
    relay.listen()
    out, err = process.communicate(timeout=sdk.TIMEOUT_S)
    assert process.returncode == 0, err
    assert json.loads(out) == [{"result": None}] * 2


@all_clients
def test_a_lost_reply_counts_once(tmp_path, sidecar, relay, client):
    """The runtime has acted, the connection breaks, the SDK asks again."""
    relay.replies_to_lose = 2
    relay.listen()
    got = sdk.results(
        tmp_path, client,
        [sdk.step("increment_variable", "n"),
         sdk.step("increment_variable", "n", 5),
         sdk.step("set_variable", "fresh", 1, ""),
         sdk.step("delete_variable", "n"),
         sdk.step("get_variable", "n", "gone")],
        sdk.environment(relay.url, sidecar.token))
    assert [g["result"] for g in got[:2]] == [1, 6]
    assert "error" not in got[2]
    assert [g["result"] for g in got[3:]] == [True, "gone"]
    assert relay.replies_to_lose == 0


@all_clients
def test_a_sidecar_that_is_killed_and_comes_back(
        tmp_path, backend, claim, relay, sidecar, client):
    """Each write counts once, wherever the kill hits."""
    directory = tmp_path / "again"
    directory.mkdir()
    first = tmp_path / "first"
    first.mkdir()
    doomed = Sidecar.of(first, backend, claim)
    doomed.start()
    doomed.assign()
    relay.target = ("127.0.0.1", doomed.port)
    relay.listen()
    process = sdk.start(
        tmp_path, client, [sdk.step("increment_variable", "n")] * 12,
        sdk.environment(relay.url, sidecar.token))
    sdk.go(process)
    # The first increments go through doomed, which dies under the others.
    while backend.admin.get("/v1/variables/n").status == 404:
        assert process.poll() is None, process.stderr.read()
    doomed.process.send_signal(signal.SIGKILL)
    doomed.process.wait(sdk.TIMEOUT_S)
    doomed.control.close()
    doomed.session.close()
    doomed.log.close()
    relay.target = sidecar.tap.address
    out, err = process.communicate(timeout=sdk.TIMEOUT_S)
    assert process.returncode == 0, err
    assert [g["result"] for g in json.loads(out)] == list(range(1, 13))


# --- connections


@quick_clients
def test_one_connection_for_many_calls(tmp_path, sidecar, relay, client):
    relay.listen()
    before = sidecar.metric('requests_total{class="input",status="2xx"}')
    got = sdk.results(tmp_path, client, [sdk.step("input")] * 1000,
                  sdk.environment(relay.url, sidecar.token))
    assert got == [{"result": None}] * 1000
    assert relay.connections == 1
    assert sidecar.metric(
        'requests_total{class="input",status="2xx"}') == before + 1000


CONCURRENT = {
    "python": """
import concurrent.futures as futures, json, cronium
with futures.ThreadPoolExecutor(8) as pool:
    print(json.dumps(list(pool.map(
        lambda _: cronium.increment_variable("n"), range(200)))))
""",
    "python-async": """
import asyncio, json
from cronium import AsyncCronium
async def main():
    async with AsyncCronium() as cronium:
        print(json.dumps(await asyncio.gather(*(
            cronium.increment_variable("n") for _ in range(200)))))
asyncio.run(main())
""",
    "node-commonjs": """
const cronium = require("cronium");
Promise.all(Array.from({length: 200}, () => cronium.incrementVariable("n")))
  .then((all) => console.log(JSON.stringify(all)));
""",
    "bash": """
set -euo pipefail
source cronium.sh
for ((i = 0; i < 8; i++)); do
    for ((k = 0; k < 25; k++)); do cronium_increment_variable n; done &
done | jq -cs .
""",
}


@pytest.mark.parametrize("client", CONCURRENT)
def test_concurrent_calls(tmp_path, sidecar, relay, client):
    relay.listen()
    done = sdk.evaluate(tmp_path, client, CONCURRENT[client],
                        sdk.environment(relay.url, sidecar.token))
    assert done.returncode == 0, done.stderr
    assert sorted(json.loads(done.stdout)) == list(range(1, 201))
    if client != "bash":
        assert relay.connections <= 16
