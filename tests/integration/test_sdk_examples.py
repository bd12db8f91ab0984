"""The examples do what they say."""

import json
import subprocess

import npm_tools
import pytest
import sdk_drivers as sdk
from backend_process import Backend
from sidecar_harness import Sidecar
from tap import tapped

pytestmark = pytest.mark.timeout(60)

EXAMPLES = sdk.ROOT / "examples"
ROWS = [{"team": "ops", "hours": 3}, {"team": "web", "hours": 2},
        {"team": "ops", "hours": 4}]


def expect_greeting(output):
    assert output == {"message": "Hello, Ada!", "visits": 1}


def expect_history(output):
    assert [(run["note"], set(run)) for run in output] == [
        ("nightly", {"job", "at", "note"})]


def expect_report(output):
    assert output == {"rows": 3, "totals": {"ops": 7, "web": 2}}


def expect_disk(output):
    assert 0 <= output["used_percent"] <= 100
    assert output["limit_percent"] == 80


CASES = {
    "hello.py": ({"name": "Ada"}, expect_greeting),
    "hello.js": ({"name": "Ada"}, expect_greeting),
    "hello.sh": ({"name": "Ada"}, expect_greeting),
    "hello.ts": ({"name": "Ada"}, expect_greeting),
    "history.py": ({"note": "nightly"}, expect_history),
    "report.mjs": ({"by": "team", "rows": ROWS}, expect_report),
    "disk.sh": ({"limit_percent": 80}, expect_disk),
}
COMMANDS = {".py": "python3", ".js": "node", ".mjs": "node", ".sh": "bash",
            ".ts": npm_tools.program("bun")}


def test_no_example_is_forgotten():
    assert {p.name for p in EXAMPLES.glob("[!.]*")} == set(CASES)


@pytest.mark.parametrize("name", CASES)
def test_example(tmp_path, name):
    given, expect = CASES[name]
    backend = Backend(str(tmp_path))
    job = backend.submit(input=given)
    agent = backend.agent()
    claim = agent.claim()
    agent.started(claim)
    sdk.install_node(tmp_path)
    script = tmp_path / name
    script.write_bytes((EXAMPLES / name).read_bytes())
    with Sidecar.of(tmp_path, backend, claim) as sidecar, \
            tapped(sidecar):
        done = subprocess.run(
            [COMMANDS[script.suffix], script], cwd=tmp_path, text=True,
            env=sdk.environment_of(sidecar), capture_output=True,
            timeout=sdk.TIMEOUT_S)
    assert done.returncode == 0, done.stderr
    assert (done.stdout, done.stderr) != ("", "")
    expect(json.loads(backend.admin.get(f"/v1/jobs/{job}/output").body))
    agent.close()
    assert backend.stop() == 0


def test_many_keep_one_history(tmp_path):
    """Jobs that race with compare and set lose nothing."""
    backend = Backend(str(tmp_path))
    backend.submit(input={})
    agent = backend.agent()
    claim = agent.claim()
    agent.started(claim)
    with Sidecar.of(tmp_path, backend, claim) as sidecar, \
            tapped(sidecar):
        racers = [
            subprocess.Popen(
                ["python3", EXAMPLES / "history.py"], text=True,
                env=sdk.environment_of(sidecar), stdout=subprocess.PIPE)
            for _ in range(8)]
        for racer in racers:
            racer.communicate(timeout=sdk.TIMEOUT_S)
            assert racer.returncode == 0
        assert len(sidecar.get("/variables/history").json()) == 8
    agent.close()
    assert backend.stop() == 0
