"""Changes of a variable reach every script that watches it."""

import json
import time

import pytest

from patience import until
from streaming import LANGUAGES, Jobs

LATENCY_S = 10  # far more than it takes: the machine may be busy

# Streams each change as it comes, until the value is "end".
WATCH = {
    "python": """
import cronium
with cronium.stream_output() as out:
    for c in cronium.subscribe(cronium.input()):
        out.write([c.type, c.version, c.value])
        if c.value == "end":
            break
""",
    "node": """
import { getInput, streamOutput, subscribe } from "cronium";
const out = streamOutput();
for await (const c of subscribe(await getInput())) {
  await out.write([c.type, c.version, c.value]);
  if (c.value === "end") break;
}
await out.close();
""",
    "bash": r"""
set -euo pipefail
source cronium.sh
key=$(cronium_input | jq -r .)
while read -r change; do
    printf '%s\n' "$change"
    [[ $change != *'"value":"end"'* ]] || break
done < <(cronium_subscribe "$key") |
    jq -c --unbuffered '[.type, (.version | tostring), .value]' |
    cronium_stream_output
""",
}
COUNTER = """
import cronium
for _ in range(100):
    cronium.increment_variable(cronium.input())
"""


@pytest.fixture
def jobs(server, executor, tmp_path):
    return Jobs(server, executor, tmp_path)


@pytest.fixture
def key(executor, request):
    return f"{request.node.originalname}/{executor}"


@pytest.fixture
def watchers(jobs, key):
    """A job in each language that has seen how the variable is."""
    found = [jobs.submit(language, WATCH[language], "--input", json.dumps(key))
             for language in LANGUAGES]
    for job in found:
        wait_records(jobs, job, 1)
    return found


def wait_records(jobs, job, n):
    until(lambda: jobs.streams(job)["output"]["records"] >= n,
          f"{n} records of {job}")


def set_variable(jobs, key, value):
    jobs.server.cronium("vars", "set", key, json.dumps(value)).ok()


def seen_by(jobs, job):
    """What came after the snapshot of nothing."""
    first, *changes = jobs.output(job)
    jobs.succeeded(job)
    assert first[0] == "snapshot" and first[2] is None
    assert {type for type, _, _ in changes} <= {"change", "delete"}
    versions = [int(version) for _, version, _ in changes]
    assert versions == sorted(set(versions))
    return changes


def test_every_script_sees_every_change(jobs, key, watchers):
    """Those of the command line, in order, and a deletion."""
    values = [1, "zwei ä€", {"a": [None, 1.5]}, True]
    for value in values:
        set_variable(jobs, key, value)
    jobs.server.cronium("vars", "rm", key).ok()
    set_variable(jobs, key, "end")
    for job in watchers:
        changes = seen_by(jobs, job)
        assert [value for _, _, value in changes] == [*values, None, "end"]
        assert [kind for kind, _, _ in changes] == [
            "change"] * 4 + ["delete", "change"]


def test_changes_of_two_jobs_at_once(jobs, key, watchers):
    counters = [jobs.submit("python", COUNTER, "--input", json.dumps(key))
                for _ in range(2)]
    for job in counters:
        jobs.succeeded(job)
    set_variable(jobs, key, "end")
    for job in watchers:
        assert [value for _, _, value in seen_by(jobs, job)] == [
            *range(1, 201), "end"]


def test_a_change_comes_soon(jobs, key, watchers):
    """From the command that makes it to the records of all who watch."""
    for i in range(3):
        set_variable(jobs, key, i)
        began = time.monotonic()
        for job in watchers:
            wait_records(jobs, job, 2 + i)
        assert time.monotonic() - began < LATENCY_S
    set_variable(jobs, key, "end")
    for job in watchers:
        seen_by(jobs, job)


def test_command_and_scripts_see_the_same(jobs, key, watchers):
    watch = jobs.server.popen("vars", "watch", key)
    assert json.loads(watch.stdout.readline())["deleted"]
    for value in (1, 2, "end"):
        set_variable(jobs, key, value)
    lines = [json.loads(watch.stdout.readline()) for _ in range(3)]
    watch.terminate()
    watch.communicate()
    for job in watchers:
        assert [(version, value) for _, version, value in seen_by(jobs, job)
                ] == [(str(c["version"]), c["value"]) for c in lines]


def test_what_may_not_be_read_is_not_watched(jobs, key):
    """Nor told of, whatever happens to it."""
    set_variable(jobs, key, 1)
    result = jobs.run("python", WATCH["python"], "--input", json.dumps(key),
                      "--vars-read", "other/*")
    assert result.code == 1 and "ForbiddenError" in result.err
