"""Streams of records, into, out of and between jobs that run."""

import hashlib
import json
import os
import subprocess
import time

import pytest

from harness import BIN, ENDS, FREE, RUN_TIMEOUT_S
from patience import stays, until
from streaming import (
    COPY, LANGUAGES, Jobs, peak, reset_peak, sidecars,
)

MIB = 1 << 20
# How far a sender may be ahead of a script that does not read: the window,
# and what lies in the sidecar and in sockets.
WINDOW_BYTES = 16 * MIB
BUFFERS_BYTES = 8 * MIB


@pytest.fixture(scope="module", autouse=True)
def quarantine():
    """A sanitized server keeps little of what it freed."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ASAN_OPTIONS", os.environ.get("ASAN_OPTIONS", "")
                     + ":quarantine_size_mb=4")
        yield


@pytest.fixture
def jobs(server, executor, tmp_path):
    return Jobs(server, executor, tmp_path)


@pytest.mark.parametrize("language", LANGUAGES)
def test_run_with_an_input_stream(jobs, language):
    values = [{"n": i, "text": "ä€😀\n" * (i % 50)} for i in range(3000)]
    path = jobs.records(values)
    result = jobs.run(language, COPY[language], "--input-stream", path,
                      "--json").ok()
    assert jobs.output(result.json["job"]) == values


def test_run_with_records_from_stdin_as_they_come(jobs):
    """A record is in the output stream before the next one is typed."""
    process = jobs.server.popen(
        "run", *FREE, "--executor", jobs.executor,
        jobs.script("bash", COPY["bash"]),
        "--name", "typed", "--input-stream", "-", stdin=subprocess.PIPE,
    )
    [job] = until(lambda: jobs.named("typed"), "the job")
    tail = jobs.server.popen("tail", job)
    for i in range(5):
        process.stdin.write(b"%d\n" % i)
        process.stdin.flush()
        assert tail.stdout.readline() == b"%d\n" % i
    process.stdin.close()
    assert tail.stdout.read() == b""
    assert tail.wait(RUN_TIMEOUT_S) == 0
    assert process.wait(RUN_TIMEOUT_S) == 0


def test_sent_in_parts(jobs):
    job = jobs.submit("python", COPY["python"])
    for part in ("1\n2\n", "3\n\n4"):
        jobs.server.cronium("send", job, "--keep-open", stdin=part).ok()
    assert jobs.streams(job)["input"]["state"] == "open"
    sent = jobs.server.cronium("send", job, "--json", stdin="5\n").ok()
    assert sent.json == {"job": job, "records": 1}
    assert jobs.output(job) == [1, 2, 3, 4, 5]
    jobs.succeeded(job)
    late = jobs.server.cronium("send", job, stdin="6\n")
    assert late.code == 1 and "ended" in late.err


def test_many_senders_at_once(jobs):
    """Each one's records arrive once and in its order, also the same ones."""
    job = jobs.submit("node", COPY["node"])
    values = [[sender, i] for sender in range(2) for i in range(2000)]
    paths = [jobs.records([v for v in values if v[0] == sender],
                          f"{sender}.ndjson") for sender in range(2)]
    paths += [jobs.records(["same"] * 2000)] * 3
    senders = [jobs.server.popen("send", job, "-k", "-f", p) for p in paths]
    for sender in senders:
        assert sender.wait(RUN_TIMEOUT_S) == 0, sender.stderr.read()
    jobs.server.cronium("send", job).ok()
    found = jobs.output(job)
    assert found.count("same") == 3 * 2000
    assert len(found) == 5 * 2000
    for sender in range(2):
        own = [v for v in found if v[0] == sender]
        assert own == [[sender, i] for i in range(2000)]


FIRST = """
import cronium
out = cronium.stream_output()
for i in range(10):
    out.write({"n": i})
# The last of the three has seen these before there are more.
for change in cronium.subscribe(cronium.input()):
    if change.value == 10:
        break
for i in range(10, 5000):
    out.write({"n": i})
out.close()
"""
SECOND = """
import { streamInput, streamOutput } from "cronium";
const out = streamOutput();
for await (const { n } of streamInput()) await out.write({ n, square: n * n });
await out.close();
"""
THIRD = """
set -euo pipefail
source cronium.sh
key=$(cronium_input)
count=0
cronium_stream_input | while read -r record; do
    ((++count % 10 == 0)) || [ "$count" = 10 ] || :
    [ "$count" != 10 ] || cronium_set_variable "${key//\\"/}" 10
    printf '%s\\n' "$record"
done | jq -c --unbuffered '.cube = .n * .square' | cronium_stream_output
"""


def test_job_into_job_into_job(jobs):
    """In three languages, while all three run."""
    key = f"seen-{jobs.executor}"
    common = ["--input", json.dumps(key)]
    first = jobs.submit("python", FIRST, *common)
    second = jobs.submit("node", SECOND, "--input-from", first)
    third = jobs.submit("bash", THIRD, "--input-from", second, *common)
    assert jobs.output(third) == [
        {"n": n, "square": n**2, "cube": n**3} for n in range(5000)]
    for job in (first, second, third):
        jobs.succeeded(job)
    assert jobs.streams(second)["input"]["from"] == first


def test_tail_begins_anywhere(jobs):
    job = jobs.submit("bash", "source cronium.sh\nseq 0 999 | "
                      "cronium_stream_output\ncronium_stream_input")
    until(lambda: jobs.streams(job)["output"]["records"] == 1000, "records")
    tail = jobs.server.popen("tail", job, "--from", "990")
    assert tail.stdout.readline() == b"990\n"
    part = jobs.server.cronium("tail", job, "-n", "995", "--no-follow").ok()
    assert part.out.split() == ["995", "996", "997", "998", "999"]
    assert jobs.server.cronium("tail", job, "-n", "1001").code == 1
    jobs.server.cronium("send", job).ok()
    assert tail.stdout.read().split()[-1] == b"999"
    assert tail.wait(RUN_TIMEOUT_S) == 0
    jobs.succeeded(job)
    assert jobs.output(job) == list(range(1000))
    assert jobs.server.cronium("tail", job, "-n", "1000").ok().out == ""


FAILS = """
import cronium
out = cronium.stream_output()
for i in range(100):
    out.write(i)
out.close()
raise SystemExit(7)
"""


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_stream_of_a_job_that_fails_is_broken(jobs, language):
    reads = {
        "python": "import cronium\ntry:\n"
        "    for row in cronium.stream_input(): n = row\n"
        "except cronium.StreamBrokenError as e:\n"
        "    cronium.output([n, str(e)])\n",
        "node": "import * as c from 'cronium'; let n;\ntry {\n"
        "  for await (const row of c.streamInput()) n = row;\n"
        "} catch (e) {\n"
        "  if (!(e instanceof c.StreamBrokenError)) throw e;\n"
        "  await c.setOutput([n, e.message]);\n}\n",
        "bash": "source cronium.sh\nwhy=$( { cronium_stream_input >rows ||\n"
        "  [ $? = $CRONIUM_E_STREAM_BROKEN ]; } 2>&1 ) || exit\n"
        "jq -n --argjson n \"$(tail -n1 rows)\" --arg why \"$why\" "
        "'[$n, $why]' | cronium_output -\n",
    }
    writer = jobs.submit("python", FAILS)
    reader = jobs.submit(language, reads[language], "--input-from", writer)
    tail = jobs.server.cronium("tail", writer)
    assert tail.code == 1 and writer in tail.err
    assert [int(n) for n in tail.out.split()] == list(range(100))
    jobs.succeeded(reader)
    last, why = jobs.server.cronium("job", reader, "--output").ok().json
    assert last == 99 and writer in why


def test_a_script_need_not_read_to_the_end(jobs):
    """More is sent than there is room for: the script's end ends it."""
    path = jobs.records(["x" * 100_000] * 250)
    result = jobs.run(
        "python", "import cronium\n"
        "rows = cronium.stream_input()\n"
        "cronium.output([len(next(rows)) for _ in range(3)])",
        "--input-stream", path,
    ).ok()
    assert result.json == [100_000] * 3
    jobs.run("bash", "exit 0", "--input-stream", path).ok()


def test_what_is_no_record_is_refused(jobs):
    path = jobs.directory / "bad.ndjson"
    path.write_text('1\n2\n{"a":}\n4\n')
    result = jobs.run("python", COPY["python"], "--input-stream", path)
    assert result.code == 1
    assert "record 2" in result.err and "cannot be sent" in result.err
    job = jobs.submit("python", COPY["python"])
    sent = jobs.server.cronium("send", job, "-f", path)
    assert sent.code == 1 and "record 2" in sent.err
    assert jobs.streams(job)["input"] == {
        "state": "open", "records": 0, "bytes": 0, "from": None}
    jobs.server.cronium("send", job, stdin="7").ok()
    assert jobs.output(job) == [7]


GATED = """
import hashlib
import cronium
rows = cronium.stream_input()
digest = hashlib.sha256(next(rows).encode())
for change in cronium.subscribe(cronium.input()):
    if change.value == "open":
        break
count = 1
for row in rows:
    digest.update(row.encode())
    count += 1
cronium.output([count, digest.hexdigest()])
"""


def test_a_slow_script_slows_its_sender(jobs):
    gate = f"gate-{jobs.executor}"
    values = [chr(97 + i % 26) * 200_000 for i in range(200)]
    digest = hashlib.sha256("".join(values).encode()).hexdigest()
    job = jobs.submit("python", GATED, "--input", json.dumps(gate))
    sender = jobs.server.popen("send", job, "-f", jobs.records(values))
    sent = lambda: jobs.streams(job)["input"]["bytes"]
    until(lambda: sent() > WINDOW_BYTES - 2 * MIB, "a full window")
    # For a second it goes no further.
    assert stays(lambda: sent() < WINDOW_BYTES + BUFFERS_BYTES, 1, pause=0.1)
    assert sender.poll() is None
    jobs.server.cronium("vars", "set", gate, "open").ok()
    assert sender.wait(RUN_TIMEOUT_S) == 0, sender.stderr.read()
    jobs.succeeded(job)
    output = jobs.server.cronium("job", job, "--output").ok().json
    assert output == [200, digest]


POURS = """
import cronium
with cronium.stream_output() as out:
    for i in range(200):
        out.write("y" * 200_000)
"""


def test_a_slow_tail_slows_the_script(jobs):
    job = jobs.submit("python", POURS)
    tail = jobs.server.popen("tail", job)
    written = lambda: jobs.streams(job)["output"]["bytes"]
    until(lambda: written() > WINDOW_BYTES - 2 * MIB, "a full window")
    assert stays(lambda: written() < WINDOW_BYTES + BUFFERS_BYTES, 1,
                 pause=0.1)
    assert jobs.server.job(job)["state"] == "running"
    out, err = tail.communicate(timeout=RUN_TIMEOUT_S)
    assert tail.returncode == 0, err
    assert out == (b'"' + b"y" * 200_000 + b'"\n') * 200
    jobs.succeeded(job)


STREAM_MIB = int(os.environ.get("CRONIUM_TEST_STREAM_MIB", "96"))
BACKEND_BYTES = 64 * MIB
# A sanitized one, which has no settings of ours, keeps what it freed.
SANITIZED = b"__asan_init" in (BIN / "cronium-sidecar").read_bytes()
SIDECAR_BYTES = 32 * MIB + (512 * MIB if SANITIZED else 0)
MANY = f"""
import cronium
with cronium.stream_output() as out:
    for i in range({STREAM_MIB}):
        out.write(chr(97 + i % 26) * ((1 << 20) - 2))
"""
COUNTS = """
import hashlib
import cronium
digest, n = hashlib.sha256(), 0
for row in cronium.stream_input():
    digest.update(row.encode())
    n += len(row)
cronium.output([n, digest.hexdigest()])
"""


def test_memory_stays_flat(jobs):
    """Of the backend and of both sidecars, whatever flows through them."""
    server = jobs.server
    backend = server.children()["cronium-backend"]
    before = reset_peak(backend)
    first = jobs.submit("python", MANY)
    second = jobs.submit("python", COUNTS, "--input-from", first)
    most = {}
    pids = set()
    while server.job(second)["state"] not in ENDS:
        for job in (first, second):
            pids |= set(sidecars(server, jobs.executor, job))
        for pid in pids:
            most[pid] = max(most.get(pid, 0), peak(pid))
        time.sleep(0.05)
    jobs.succeeded(second)
    digest = hashlib.sha256()
    for i in range(STREAM_MIB):
        digest.update(bytes([97 + i % 26]) * (MIB - 2))
    output = server.cronium("job", second, "--output").ok().json
    assert output == [STREAM_MIB * (MIB - 2), digest.hexdigest()]
    assert peak(backend) - before < BACKEND_BYTES
    assert len(most) == 2
    assert max(most.values()) < SIDECAR_BYTES
