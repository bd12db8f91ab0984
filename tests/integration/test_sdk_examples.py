"""The examples do what they say."""

import contextlib
import json
import os
import subprocess

import npm_tools
import pytest
import sdk_drivers as sdk
from backend_process import Backend
from scripted_runtime import ScriptedRuntime
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


# Those that do something together with others have tests of their own.
TOGETHER = {"enrich.py", "follow.py", "notify.sh"}
WITH_DEV = {"dev.py", "dev.yaml"}  # test_cli_dev.py runs them


def test_no_example_is_forgotten():
    assert {p.name for p in EXAMPLES.glob("[!.]*")} == (
        set(CASES) | TOGETHER | WITH_DEV)


@contextlib.contextmanager
def running(tmp_path, name, given, *options):
    """The example in a job: its process, the backend and the job's id."""
    backend = Backend(str(tmp_path), *options)
    job = backend.submit(input=given)
    agent = backend.agent()
    claim = agent.claim()
    agent.started(claim)
    with Sidecar.of(tmp_path, backend, claim) as sidecar, tapped(sidecar):
        process = subprocess.Popen(
            [COMMANDS[os.path.splitext(name)[1]], EXAMPLES / name],
            env=sdk.environment_of(sidecar, PYTHONUNBUFFERED="1"), text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        yield process, backend, job
        assert process.returncode == 0
    agent.close()
    assert backend.stop() == 0


def output_of(backend, job):
    return json.loads(backend.admin.get(f"/v1/jobs/{job}/output").body)


def test_enrich(tmp_path):
    """Each record comes out before the next is sent."""
    with running(tmp_path, "enrich.py", None) as (process, backend, job):
        place = f"/v1/jobs/{job}/output/stream"
        for n in range(3):
            reply = backend.admin.post(
                f"/v1/jobs/{job}/input/stream", {"n": n})
            assert reply.json == {"next": n + 1}
            while backend.admin.get(place).body.count(b"\n") <= n:
                assert process.poll() is None, process.stderr.read()
        backend.admin.post(f"/v1/jobs/{job}/input/stream?end=1")
        out, err = process.communicate(timeout=sdk.TIMEOUT_S)
        assert out == "3 records passed\n", err
        assert output_of(backend, job) == {"records": 3}
        lines = backend.admin.get(place).body.splitlines()
        assert [json.loads(line) for line in lines] == [
            {"n": n, "square": n * n} for n in range(3)]


@pytest.mark.parametrize("send", [False, True])
def test_notify(tmp_path, send):
    """It sends only where it is told to."""
    with ScriptedRuntime(lambda r: r.reply(200, "ok")) as hook:
        given = {"url": f"{hook.url}/ops", "text": "done", "send": send}
        with running(tmp_path, "notify.sh", given, "--tools-allow",
                     "127.0.0.1") as (process, backend, job):
            _, err = process.communicate(timeout=sdk.TIMEOUT_S)
            assert process.returncode == 0, err
            output = output_of(backend, job)
    if send:
        (request,) = hook.requests
        assert json.loads(request.body) == {"text": "done"}
        assert output == {"status": 200, "body": "ok"}
    else:
        assert not hook.requests
        assert output["dry_run"] and output["request"]["body"] == {
            "text": "done"}


def test_follow(tmp_path):
    """Each limit is heard of when it is set, by somebody else."""
    with running(tmp_path, "follow.py", {"key": "cap"}) as (
            process, backend, job):
        assert process.stdout.readline() == "cap is not set yet\n"
        for n in 5, 7:
            backend.admin.put("/v1/variables/cap", n)
            assert process.stdout.readline() == (
                f"the limit is {n} now (change)\n")
        backend.admin.delete("/v1/variables/cap")
        out, err = process.communicate(timeout=sdk.TIMEOUT_S)
        assert out == "", err
        assert output_of(backend, job) == [5, 7]


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
