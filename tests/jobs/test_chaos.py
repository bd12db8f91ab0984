"""The backend is killed again and again under scripts that do everything at
once: they see a delay; nothing is lost, doubled or reordered."""

import json
import os
import random
import signal
import subprocess

import pytest

from harness import RUN_TIMEOUT_S, Server
from patience import until
from streaming import Jobs

RECORDS = 10_000
STEP = 100  # records for each increment, log line and output
DEATHS = 5
TOTAL = 3 * RECORDS // STEP

# Passes the records on; counts, says and outputs as it goes; watches what all
# three count.
BUSY = {
    "python": f"""
import threading
import cronium
seen, key = [], cronium.input()

def watch():
    for change in cronium.subscribe(key):
        if not change.deleted:
            seen.append(change.value)
        if change.value == {TOTAL}:
            break

watcher = threading.Thread(target=watch)
watcher.start()
n = 0
with cronium.stream_output() as out:
    for record in cronium.stream_input():
        out.write(record)
        n += 1
        if n % {STEP} == 0:
            cronium.increment_variable(key)
            print("passed", n)
            cronium.output(n)
watcher.join()
cronium.output({{"records": n, "seen": seen}})
""",
    "node": f"""
import * as cronium from "cronium";
const key = await cronium.getInput();
const seen = [];
async function watch() {{
  for await (const {{ value, deleted }} of cronium.subscribe(key)) {{
    if (!deleted) seen.push(value);
    if (value === {TOTAL}) break;
  }}
}}
const watcher = watch();
const out = cronium.streamOutput();
let n = 0;
for await (const record of cronium.streamInput()) {{
  await out.write(record);
  if (++n % {STEP}) continue;
  await cronium.incrementVariable(key);
  console.log("passed", n);
  await cronium.setOutput(n);
}}
await out.close();
await watcher;
await cronium.setOutput({{ records: n, seen }});
""",
    "bash": rf"""
set -euo pipefail
source cronium.sh
key=$(cronium_input | jq -r .)
while read -r change; do
    printf '%s\n' "$change"
    [[ $change != *'"value":{TOTAL}}}'* ]] || break
done < <(cronium_subscribe "$key") >seen &
watcher=$!
cronium_stream_input | {{
    n=0
    while read -r record; do
        printf '%s\n' "$record"
        ((++n % {STEP} == 0)) || continue
        cronium_increment_variable "$key" >/dev/null
        echo "passed $n" >&2
        cronium_output "$n"
    done
    printf '%s' "$n" >count
}} | cronium_stream_output
wait "$watcher"
jq -s --argjson n "$(<count)" \
    '{{records: $n, seen: [.[].value | values]}}' seen | cronium_output -
""",
}


@pytest.fixture
def server(executor, tmp_path):
    own = Server(tmp_path / "server", "--executors", executor,
                 "--rate-forward", "0")
    yield own
    assert own.stop() == 0, own.log.read_text()


@pytest.fixture
def jobs(server, executor, tmp_path):
    return Jobs(server, executor, tmp_path)


def end_backend(server, how):
    pid = server.children()["cronium-backend"]
    os.kill(pid, how)
    # Of a SIGTERM the end takes a moment.
    until(lambda: server.children().get("cronium-backend", pid) != pid,
          "another backend")
    server.wait_ready()


@pytest.fixture
def dice():
    seed = random.randrange(1 << 32)
    print("seed", seed)
    return random.Random(seed)


@pytest.mark.timeout(120)
def test_the_backend_dies_again_and_again(jobs, dice):
    server = jobs.server
    [first, *_, last] = chain = start_chain(jobs, "n")
    sender = server.popen("send", first, stdin=subprocess.PIPE, bufsize=0)
    tail = server.popen("tail", last)
    logs = server.popen("logs", "-f", first)
    watch = server.popen("vars", "watch", "n")
    hows = [signal.SIGKILL] * (DEATHS - 1) + [signal.SIGTERM]
    dice.shuffle(hows)
    sent = 0
    for i, how in enumerate(hows):
        upto = RECORDS * (i + 1) // (DEATHS + 1)
        moment = dice.randrange(sent, upto - STEP)
        sent = send_records(sender, sent, upto)
        until(lambda: passed(jobs, last) >= moment, f"{moment} records")
        end_backend(server, how)
    send_records(sender, sent, RECORDS)
    sender.stdin.close()
    assert sender.wait(RUN_TIMEOUT_S) == 0, sender.stderr.read()
    out, err = tail.communicate(timeout=RUN_TIMEOUT_S)
    assert tail.returncode == 0, err
    assert [int(line) for line in out.split()] == list(range(RECORDS))
    check_chain(jobs, chain)
    assert server.cronium("vars", "get", "n").ok().json == TOTAL
    out, _ = logs.communicate(timeout=RUN_TIMEOUT_S)
    assert out.decode() == said()
    changes = [json.loads(watch.stdout.readline()) for _ in range(TOTAL + 1)]
    watch.terminate()
    watch.communicate()
    assert [c.get("value") for c in changes] == [None, *range(1, TOTAL + 1)]


def start_chain(jobs, key):
    """Three jobs in three languages, the output of each the next one's
    input."""
    chain = []
    for language, text in BUSY.items():
        pipe = ["--input-from", chain[-1]] if chain else []
        chain.append(jobs.submit(language, text, "--input", json.dumps(key),
                                 *pipe))
    return chain


def send_records(sender, begin, end):
    sender.stdin.write(b"".join(b"%d\n" % n for n in range(begin, end)))
    return end


def passed(jobs, job):
    return jobs.streams(job)["output"]["records"]


def said():
    return "".join(f"passed {n}\n" for n in range(STEP, RECORDS + 1, STEP))


def check_chain(jobs, chain):
    for job in chain:
        jobs.succeeded(job)
        output = jobs.server.cronium("job", job, "--output").ok().json
        assert output["records"] == RECORDS
        seen = output["seen"]
        assert seen == list(range(seen[0], TOTAL + 1))
        logs = jobs.server.cronium("logs", job).ok()
        assert logs.out + logs.err == said()
