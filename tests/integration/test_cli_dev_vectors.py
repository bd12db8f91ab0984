"""sdk/vectors hold for the fake runtime of `cronium dev` as they do for the
real one: over plain HTTP and with each SDK."""

import json
import os
import subprocess

import pytest
import requests
import sdk_drivers
import vector_case
from dev_process import Dev, dev  # noqa: F401
from sidecar_harness import Sidecar
from tap import tapped
from test_vectors import Http, check_result, document  # noqa: F401

pytestmark = pytest.mark.timeout(120)

# What the fixtures of a job cannot say: limits. Tools are what the fixtures
# answer: test_cli_dev.py.
CASES = [
    case for name in ("runtime", "streams", "changes")
    for case in json.loads((vector_case.VECTORS / f"{name}.json").read_text(
        encoding="utf-8"))
    if "limits" not in case["setup"]]
SAME = {"input", "variables", "secrets", "read_only", "vars_read",
        "vars_write"}
CONTEXT = {"name", "labels", "dry_run"}


def fixtures_of(setup):
    out = {k: v for k, v in setup.items() if k in SAME}
    out["context"] = {k: v for k, v in setup.items() if k in CONTEXT}
    if "input_records" in setup:
        out["input_stream"] = setup["input_records"]
    out["input_stream_end"] = (
        "broken" if setup.get("input_broken") else
        "ended" if setup.get("input_ends", True) else "open")
    return out


def check_end(case, report):
    if "output" in case:
        assert report["output"] == case["output"]
    if expected := case.get("output_stream"):
        assert report["output_stream"] == expected["records"]
        assert report["output_stream_ended"] == (
            expected["state"] == "ended")


class Outside(Sidecar):
    """Of the sidecar of `cronium dev`, where it is and how to come in."""

    def __init__(self, url, token):
        self.base_url, self.token = url, token
        self.session = requests.Session()
        self.port = int(url.rpartition(":")[2])


@pytest.mark.parametrize("case", CASES, ids=lambda c: c["name"])
def test_http(dev, document, case):  # noqa: F811
    """The script is this test: `cronium dev` runs one that waits for it."""
    waits = ["sh", "-c", 'echo "$CRONIUM_RUNTIME_API '
             '$CRONIUM_EXECUTION_TOKEN" >"$1"; read line', "sh"]
    door = dev.dir / "door"
    os.mkfifo(door)
    process = dev.start(
        "--json", "--fixtures", dev.fixtures(fixtures_of(case["setup"])),
        "--", *waits, door, stdin=subprocess.PIPE)
    try:
        url, token = door.read_text().split()
        with tapped(Outside(url, token)) as sidecar:
            http = Http(sidecar, document)
            for step in case["steps"]:
                http.step(step)
    finally:
        result = dev.finish(process, stdin=b"\n")
    check_end(case, result.json)


@pytest.mark.parametrize("client", ["python", "node-commonjs", "bash"])
@pytest.mark.parametrize("case", CASES, ids=lambda c: c["name"])
def test_sdk(dev, client, case):  # noqa: F811
    steps = [s for s in case["steps"] if not s.get("http_only")]
    if not steps:
        return
    file = dev.dir / "steps.json"
    file.write_text(json.dumps(steps), encoding="utf-8")
    results = dev.dir / "results.json"
    command = sdk_drivers.command(dev.dir, client, file)
    report = dev.report(
        ["sh", "-c", 'out=$1; shift; exec "$@" >"$out"', "sh", results,
         *map(str, command)], fixtures_of(case["setup"]))
    assert report["exit_code"] == 0
    got = json.loads(results.read_text(encoding="utf-8"))
    assert len(got) == len(steps)
    for step, result in zip(steps, got):
        check_result(step, result)
    check_end(case, report)
