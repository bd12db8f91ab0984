"""The cases that must give the same result wherever a job runs, whatever it
is written in: each a script in four languages, and what is expected."""

import dataclasses

# Node and Bun run the same text, as .mjs and as .ts.
RUNTIMES = {"python": "py", "bash": "sh", "node": "mjs", "bun": "ts"}


@dataclasses.dataclass(frozen=True)
class Case:
    name: str
    python: str
    js: str
    bash: str
    output: object = None
    options: tuple = ()
    args: tuple = ()
    state: str = "succeeded"
    code: int = 0
    log: tuple = ()  # each is in it
    hidden: tuple = ()  # none of them is
    records: object = None  # of the output stream
    files: dict = dataclasses.field(default_factory=dict)  # of a payload

    def script(self, runtime):
        head = {
            "python": "import os, sys\nimport cronium\n",
            "bash": "set -euo pipefail\nsource cronium.sh\n",
        }.get(runtime, 'import * as cronium from "cronium";\n')
        text = {"python": self.python, "bash": self.bash}.get(runtime, self.js)
        return head + text.strip("\n") + "\n"


CASES = [
    Case(
        "echo",
        python="cronium.output({'got': cronium.input()})",
        js="await cronium.setOutput({ got: await cronium.getInput() });",
        bash="cronium_input | jq -c '{got: .}' | cronium_output -",
        options=("--input", '{"a":[1,"ä",null]}'),
        output={"got": {"a": [1, "ä", None]}},
    ),
    Case(
        "arguments",
        python="cronium.output(sys.argv[1:])",
        js="await cronium.setOutput(process.argv.slice(2));",
        bash="jq -cn '$ARGS.positional' --args -- \"$@\" | cronium_output -",
        args=("one", "two words", "", "ä"),
        output=["one", "two words", "", "ä"],
    ),
    Case(
        "environment",
        python="""
cronium.output([os.environ["GREETING"], os.environ["CRONIUM_ENVIRONMENT"]])
""",
        js="""
const { GREETING, CRONIUM_ENVIRONMENT } = process.env;
await cronium.setOutput([GREETING, CRONIUM_ENVIRONMENT]);
""",
        bash="""
jq -cn '[env.GREETING, env.CRONIUM_ENVIRONMENT]' | cronium_output -
""",
        options=("--env", "GREETING=hi there", "--environment", "staging"),
        output=["hi there", "staging"],
    ),
    Case(
        "exit code",
        python="cronium.output(1)\nsys.exit(3)",
        js="await cronium.setOutput(1);\nprocess.exit(3);",
        bash="cronium_output 1\nexit 3",
        state="failed", code=3, output=1,
    ),
    Case(
        "log",
        python="""
print("to stdout", flush=True)
print("to stderr", file=sys.stderr)
print("x" * 200000)
""",
        js="""
console.log("to stdout");
console.error("to stderr");
console.log("x".repeat(200000));
""",
        bash="""
echo "to stdout"
echo "to stderr" >&2
printf 'x%.0s' {1..200000}
echo
""",
        log=("to stdout\n", "to stderr\n", "x" * 200000 + "\n"),
    ),
    Case(
        "variables",
        python="""
key = "everywhere/" + os.environ["CRONIUM_JOB_ID"]
cronium.set_variable(key, {"n": 1})
first = cronium.get_variable(key)
cronium.delete_variable(key)
cronium.output([first, cronium.get_variable(key, "gone")])
""",
        js="""
const key = "everywhere/" + process.env.CRONIUM_JOB_ID;
await cronium.setVariable(key, { n: 1 });
const first = await cronium.getVariable(key);
await cronium.deleteVariable(key);
await cronium.setOutput([first, await cronium.getVariable(key, "gone")]);
""",
        bash="""
key=everywhere/$CRONIUM_JOB_ID
cronium_set_variable "$key" '{"n":1}'
first=$(cronium_get_variable "$key")
cronium_delete_variable "$key"
jq -cn '$ARGS.positional' --jsonargs "$first" \\
    "$(cronium_get_variable "$key" '"gone"')" | cronium_output -
""",
        output=[{"n": 1}, "gone"],
    ),
    Case(
        "secret",
        python="""
secret = cronium.get_variable("EVERYWHERE_SECRET")
print("it is", secret)
cronium.output(len(secret))
""",
        js="""
const secret = await cronium.getVariable("EVERYWHERE_SECRET");
console.log("it is", secret);
await cronium.setOutput(secret.length);
""",
        bash="""
secret=$(cronium_get_variable EVERYWHERE_SECRET | jq -r .)
echo "it is $secret"
cronium_output ${#secret}
""",
        output=18, log=("it is ",), hidden=("correct-horse",),
    ),
    Case(
        "increment",
        python="""
key = "everywhere/n/" + os.environ["CRONIUM_JOB_ID"]
cronium.output([cronium.increment_variable(key, n) for n in (1, 2, -5)])
""",
        js="""
const key = "everywhere/n/" + process.env.CRONIUM_JOB_ID;
const out = [];
for (const n of [1, 2, -5]) out.push(await cronium.incrementVariable(key, n));
await cronium.setOutput(out);
""",
        bash="""
key=everywhere/n/$CRONIUM_JOB_ID
for n in 1 2 -5; do cronium_increment_variable "$key" $n; done |
    jq -cs . | cronium_output -
""",
        output=[1, 3, -2],
    ),
    Case(
        "condition",
        python="""
before = cronium.get_condition()
cronium.set_condition(True)
cronium.output([before, cronium.get_condition()])
""",
        js="""
const before = await cronium.getCondition();
await cronium.setCondition(true);
await cronium.setOutput([before, await cronium.getCondition()]);
""",
        bash="""
before=$(cronium_get_condition)
cronium_set_condition true
cronium_output "[$before,$(cronium_get_condition)]"
""",
        output=[False, True],
    ),
    Case(
        "context",
        python="""
context = cronium.get_event_context()
cronium.output([
    context["job"] == os.environ["CRONIUM_JOB_ID"],
    context["execution"] == os.environ["CRONIUM_EXECUTION_ID"],
    context["attempt"], context["labels"]])
""",
        js="""
const context = await cronium.getEventContext();
await cronium.setOutput([
  context.job === process.env.CRONIUM_JOB_ID,
  context.execution === process.env.CRONIUM_EXECUTION_ID,
  context.attempt, context.labels]);
""",
        bash="""
cronium_get_event_context | jq -c '[.job == env.CRONIUM_JOB_ID,
    .execution == env.CRONIUM_EXECUTION_ID, .attempt, .labels]' |
    cronium_output -
""",
        options=("--label", "team=a"),
        output=[True, True, 1, {"team": "a"}],
    ),
    Case(
        "tool action",
        python="""
cronium.output(cronium.execute_tool_action(
    "http", "request", {"url": "https://example.com/x"}, dry_run=True)["request"]["url"])
""",
        js="""
const sent = await cronium.executeToolAction(
  "http", "request", { url: "https://example.com/x" }, { dryRun: true });
await cronium.setOutput(sent.request.url);
""",
        bash="""
cronium_execute_tool_action http request '{"url":"https://example.com/x"}' \\
    --dry-run | jq -c .request.url | cronium_output -
""",
        output="https://example.com/x",
    ),
    Case(
        "output stream",
        python="""
with cronium.stream_output() as out:
    for n in range(1000):
        out.write({"n": n})
""",
        js="""
const out = cronium.streamOutput();
for (let n = 0; n < 1000; n++) await out.write({ n });
await out.close();
""",
        bash="""
for ((n = 0; n < 1000; n++)); do echo "{\\"n\\":$n}"; done |
    cronium_stream_output
""",
        records=[{"n": n} for n in range(1000)],
    ),
    Case(
        "input stream",
        python="""
cronium.output(sum(row["n"] for row in cronium.stream_input()))
""",
        js="""
let sum = 0;
for await (const row of cronium.streamInput()) sum += row.n;
await cronium.setOutput(sum);
""",
        bash="""
cronium_stream_input | jq -s 'map(.n) | add' | cronium_output -
""",
        options=("--input-stream", "RECORDS"),  # 0 to 99
        output=4950,
    ),
    Case(
        "subscription",
        python="""
for change in cronium.subscribe("everywhere/limit"):
    cronium.output([change.type, change.value])
    break
""",
        js="""
for await (const change of cronium.subscribe("everywhere/limit")) {
  await cronium.setOutput([change.type, change.value]);
  break;
}
""",
        bash="""
cronium_subscribe everywhere/limit --count 1 | jq -c '[.type, .value]' |
    cronium_output -
""",
        output=["snapshot", 7],
    ),
    Case(
        "timeout",
        python="import time\ntime.sleep(600)",
        js="await new Promise((done) => setTimeout(done, 600000));",
        bash="while :; do read -rt 60 <> <(:) || :; done",
        options=("--timeout", "700ms"),
        state="timed_out", code=124,
    ),
    Case(
        "payload",
        python="""
from lib.words import WORD
with open("lib/data.txt") as file:
    cronium.output([WORD, file.read(), os.environ["REGION"]])
""",
        js="""
import { readFileSync } from "node:fs";
import { WORD } from "./lib/words.mjs";
await cronium.setOutput(
  [WORD, readFileSync("lib/data.txt", "utf8"), process.env.REGION]);
""",
        bash="""
source lib/words.sh
jq -cn '$ARGS.positional + [env.REGION]' --args -- "$WORD" \\
    "$(<lib/data.txt)" | cronium_output -
""",
        files={
            "lib/words.py": 'WORD = "word"\n',
            "lib/words.mjs": 'export const WORD = "word";\n',
            "lib/words.sh": "WORD=word\n",
            "lib/data.txt": "some data",
        },
        output=["word", "some data", "eu"],
    ),
    Case(
        "write without permission",
        python="""
told = []
for path in ("x", "/tmp/x", sys.argv[0]):
    try:
        open(path, "a").close()
        told.append("written")
    except OSError:
        told.append("refused")
cronium.output(told)
""",
        js="""
import { appendFileSync } from "node:fs";
const told = ["x", "/tmp/x", process.argv[1]].map((path) => {
  try { appendFileSync(path, "x"); return "written"; }
  catch { return "refused"; }
});
await cronium.setOutput(told);
""",
        bash="""
told=()
for path in x /tmp/x "$0"; do
    if { : >>"$path"; } 2>/dev/null; then told+=(written)
    else told+=(refused); fi
done
jq -cn '$ARGS.positional' --args -- "${told[@]}" | cronium_output -
""",
        output=["refused"] * 3,
    ),
    Case(
        "write with permission",
        python="""
with open("x", "w") as file:
    file.write("kept")
os.mkdir("d")
os.rename("x", "d/y")
with open("d/y") as file:
    cronium.output(file.read())
""",
        js="""
import { mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
writeFileSync("x", "kept");
mkdirSync("d");
renameSync("x", "d/y");
await cronium.setOutput(readFileSync("d/y", "utf8"));
""",
        bash="""
printf kept >x
mkdir d
mv x d/y
jq -cRs . d/y | cronium_output -
""",
        options=("--allow-write", "--allow-run"),
        output="kept",
    ),
    Case(
        "read without permission",
        python="""
try:
    told = os.listdir("/")
except OSError:
    told = "refused"
cronium.output(told)
""",
        js="""
import { readdirSync } from "node:fs";
let told = "refused";
try { told = readdirSync("/"); } catch { }
await cronium.setOutput(told);
""",
        bash="""
shopt -s nullglob
found=(/*)
((${#found[@]})) && cronium_output '"found"' || cronium_output '"refused"'
""",
        output="refused",
    ),
    Case(
        "program without permission",
        python="""
import subprocess
try:
    told = subprocess.run(["ls"], capture_output=True).returncode
except OSError:
    told = "refused"
cronium.output(told)
""",
        js="""
import { spawnSync } from "node:child_process";
const { error, status } = spawnSync("ls");
await cronium.setOutput(error ? "refused" : status);
""",
        bash="""
if ls >/dev/null 2>&1; then told='"ran"'; else told='"refused"'; fi
cronium_output "$told"
""",
        output="refused",
    ),
    Case(
        "program with permission",
        python="""
import subprocess
cronium.output(subprocess.check_output(["uname"], text=True).strip())
""",
        js="""
import { execFileSync } from "node:child_process";
await cronium.setOutput(execFileSync("uname").toString().trim());
""",
        bash="""jq -cn '$ARGS.positional[0]' --args "$(uname)" | cronium_output -""",
        options=("--allow-run",),
        output="Linux",
    ),
    Case(
        "network without permission",
        python="""
import socket
try:
    socket.create_connection(("192.0.2.1", 80), 5)
    told = "connected"
except OSError:
    told = "refused"
cronium.output([told, "HTTP_PROXY" in os.environ])
""",
        js="""
import { connect } from "node:net";
const told = await new Promise((tell) => {
  const socket = connect(80, "192.0.2.1", () => tell("connected"));
  socket.on("error", () => tell("refused"));
});
await cronium.setOutput([told, "HTTP_PROXY" in process.env]);
process.exit();
""",
        bash="""
if { : </dev/tcp/192.0.2.1/80; } 2>/dev/null; then told=connected
else told=refused; fi
cronium_output "[\\"$told\\",$([[ -v HTTP_PROXY ]] && echo true ||
    echo false)]"
""",
        output=["refused", False],
    ),
    Case(
        "network with permission",
        python="""
import urllib.error, urllib.request
told = []
for url in cronium.input():
    try:
        told.append(urllib.request.urlopen(url, timeout=20).read().decode())
    except urllib.error.HTTPError as error:
        told.append(error.code)
cronium.output(told)
""",
        # Node's own clients know no proxy before version 24.
        js="""
import { request } from "node:http";
const { hostname, port } = new URL(process.env.HTTP_PROXY);
const get = (url) => new Promise((tell, fail) => {
  request({ hostname, port, path: url, headers: { host: new URL(url).host } },
    async (reply) => {
      let text = "";
      for await (const part of reply) text += part;
      tell(reply.statusCode === 200 ? text : reply.statusCode);
    }).on("error", fail).end();
});
const told = [];
for (const url of await cronium.getInput()) told.push(await get(url));
await cronium.setOutput(told);
""",
        bash="""
cronium_input | jq -r '.[]' | while read -r url; do
    mapfile -t got < <(curl -s --max-time 20 -w '\\n%{http_code}' "$url")
    if [[ ${got[-1]} == 200 ]]; then
        jq -cn '$ARGS.positional[0]' --args "${got[0]}"
    else echo "${got[-1]}"; fi
done | jq -cs . | cronium_output -
""",
        options=("--allow-net=127.0.0.2:PORT", "--input",
                 '["http://127.0.0.2:PORT/hello","http://127.0.0.2:OTHER/"]'),
        output=["hello from outside", 403],
    ),
]
