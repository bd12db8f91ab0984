"""`cronium dev`: scripts with a fake runtime."""

import json
import os
import signal
import subprocess
import time

import pytest
import yaml
from dev_process import ROOT, dev, operations  # noqa: F401
from cli_process import CRONIUM, TIMEOUT

pytestmark = pytest.mark.timeout(120)

PYTHON = """
import cronium
name = cronium.input()["name"]
n = cronium.increment_variable("visits")
cronium.set_variable("last", name)
cronium.delete_variable("old")
cronium.set_condition(True)
print("hello", name)
cronium.output({"name": name, "n": n})
"""
NODE = """
const cronium = require("cronium");
(async () => {
  const { name } = await cronium.getInput();
  const n = await cronium.incrementVariable("visits");
  await cronium.setVariable("last", name);
  await cronium.deleteVariable("old");
  await cronium.setCondition(true);
  console.log("hello", name);
  await cronium.setOutput({ name, n });
})();
"""
ESM = """
import * as cronium from "cronium";
const { name } = await cronium.getInput();
const n = await cronium.incrementVariable("visits");
await cronium.setVariable("last", name);
await cronium.deleteVariable("old");
await cronium.setCondition(true);
console.log("hello", name);
await cronium.setOutput({ name, n });
"""
BASH = """
set -euo pipefail
source cronium.sh
name=$(cronium_input | jq .name)
n=$(cronium_increment_variable visits)
cronium_set_variable last "$name"
cronium_delete_variable old
cronium_set_condition true
echo "hello $(jq -r . <<<"$name")"
cronium_output "{\\"name\\": $name, \\"n\\": $n}"
"""
CURL = """
set -eu
api() { curl -fsS -H "Authorization: Bearer $CRONIUM_EXECUTION_TOKEN" \\
  -X "$1" "$CRONIUM_RUNTIME_API$2" ${3+-d "$3"}; }
name=$(api GET /input | jq .name)
n=$(api POST /variables/visits/increment | jq .value)
api PUT /variables/last "$name"
api DELETE /variables/old
api POST /condition true
echo "hello $(printf %s "$name" | jq -r .)"
api POST /output "{\\"name\\": $name, \\"n\\": $n}"
"""
FIXTURES = {"input": {"name": "Ada"},
            "variables": {"visits": 41, "old": None, "untouched": 1}}


@pytest.mark.parametrize("name,text", [
    ("a.py", PYTHON), ("a.js", NODE), ("a.mjs", ESM), ("a.ts", ESM),
    ("a.sh", BASH), ("curl.sh", CURL)])
def test_every_language(dev, name, text):
    script = dev.script(text, name)
    result = dev.dev(script, FIXTURES)
    assert result.code == 0, result
    assert result.out == "hello Ada\n"
    assert operations(result) == [
        "increment_variable visits -> 42", 'set_variable last "Ada"',
        "delete_variable old", "set_condition true",
        'output ' + operations(result)[-1].removeprefix("output ")]
    assert json.loads(operations(result)[-1].removeprefix("output ")) == {
        "name": "Ada", "n": 42}
    report = dev.report(script, FIXTURES)
    assert report == {
        "exit_code": 0, "signal": None, "timed_out": False,
        "output": {"name": "Ada", "n": 42}, "no_output": False,
        "condition": True, "variables": {"last": "Ada", "visits": 42},
        "deleted": ["old"], "output_stream": [],
        "output_stream_ended": False, "tool_calls": []}


def test_without_fixtures(dev):
    script = dev.script("""
import cronium, os
assert cronium.input() is None
assert cronium.list_variables() == []
context = cronium.get_event_context()
assert context["trigger"] == "api" and context["executor"] == "dev"
assert context["execution"] == os.environ["CRONIUM_EXECUTION_ID"]
assert context["job"] == os.environ["CRONIUM_JOB_ID"]
assert os.environ["CRONIUM_EXECUTION_MODE"] == "dev"
assert context["trace_id"] in os.environ["TRACEPARENT"]
""")
    result = dev.dev(script)
    assert result.code == 0, result
    assert operations(result) == ["list_variables -> 0 names"]


def test_the_context_of_the_fixtures(dev):
    script = dev.script("import cronium\n"
                        "cronium.output(cronium.get_event_context())")
    context = dev.report(script, {
        "context": {"event": {"a": 1}, "attempt": 3}})["output"]
    assert context["event"] == {"a": 1} and context["attempt"] == 3
    assert context["name"] == os.path.basename(dev.program(script)[0])


def test_the_streams_are_ours(dev):
    script = dev.script("""
import sys
print(sys.stdin.read().upper())
print("to stderr", file=sys.stderr)
""")
    process = dev.start("--quiet", "--", *dev.program(script),
                        stdin=subprocess.PIPE)
    result = dev.finish(process, stdin=b"hello")
    assert (result.code, result.out, result.err) == (
        0, "HELLO\n", "to stderr\n")


@pytest.mark.parametrize("text,code,words", [
    ("raise SystemExit(7)", 7, "ended with exit code 7"),
    ("import os; os.kill(os.getpid(), 9)", 137, "ended by signal 9"),
    ("1 / 0", 1, "ZeroDivisionError"),
], ids=["fails", "kills itself", "raises"])
def test_the_exit_code_is_the_scripts(dev, text, code, words):
    result = dev.dev(dev.script(text))
    assert result.code == code
    assert words in result.err


@pytest.mark.parametrize("command,code", [
    (["/nowhere/at-all"], 127), (["/"], 126)])
def test_a_program_that_cannot_be_run(dev, command, code):
    result = dev.dev(command)
    assert result.code == code
    assert f"cannot run {command[0]}" in result.err


# --- signals


HANGS = """
import os, signal, sys, time
for number in %s:
    signal.signal(number, %s)
print("up", flush=True)
while True:
    time.sleep(1)
"""


def hanging(dev, numbers, handler, *args):
    script = dev.script(HANGS % (numbers, handler))
    process = dev.start("--quiet", *args, "--", *dev.program(script))
    assert process.stdout.readline() == b"up\n"
    return process


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM,
                                    signal.SIGUSR1])
def test_signals_go_to_the_script(dev, number):
    process = hanging(dev, "[2, 15, 10]", "lambda n, f: sys.exit(100 + n)")
    process.send_signal(number)
    result = dev.finish(process)
    assert result.code == 100 + number, result


def test_a_script_that_does_not_listen(dev):
    process = hanging(dev, "[2, 15]", "lambda n, f: os.write(1, b'no\\n')")
    for _ in range(2):
        process.send_signal(signal.SIGINT)
        assert process.stdout.readline() == b"no\n"
    process.send_signal(signal.SIGINT)
    result = dev.finish(process)
    assert result.code == 137, result
    assert "once more kills it" in result.err


def test_ctrl_c(dev):
    """On a terminal the script gets it once, and may end as it likes."""
    script = dev.script("""
import signal, time
seen = []
signal.signal(2, lambda *_: seen.append(1))
print("up", flush=True)
while not seen:
    time.sleep(0.01)
time.sleep(0.5)   # for another one to come, if there were one
print("interrupted", len(seen), flush=True)
""")
    command = [str(a) for a in (
        "dev", "--sdk-dir", ROOT / "sdk", "--quiet", "--",
        *dev.program(script))]
    pid, fd = os.forkpty()
    if not pid:
        os.chdir(dev.dir)
        os.execve(CRONIUM, [CRONIUM, *command], dev.env)
    seen = b""
    deadline = time.monotonic() + TIMEOUT
    while b"up" not in seen:
        assert time.monotonic() < deadline
        seen += os.read(fd, 4096)
    os.write(fd, b"\x03")
    while b"interrupted" not in seen:
        assert time.monotonic() < deadline
        seen += os.read(fd, 4096)
    _, status = os.waitpid(pid, 0)
    os.close(fd)
    assert b"interrupted 1" in seen
    assert os.waitstatus_to_exitcode(status) == 0


def test_a_script_that_hangs(dev):
    process = hanging(dev, "[]", "None", "--timeout", "300ms")
    result = dev.finish(process)
    assert result.code == 124, result
    assert "takes longer than --timeout" in result.err


def test_without_a_sidecar(dev):
    process = hanging(dev, "[]", "None")
    children = subprocess.run(
        ["ps", "-o", "pid=,comm=", "--ppid", str(process.pid)],
        capture_output=True, text=True, check=True).stdout
    sidecar = next(int(line.split()[0]) for line in children.splitlines()
                   if "sidecar" in line)
    os.kill(sidecar, signal.SIGKILL)
    result = dev.finish(process)
    assert result.code == 125, result
    assert "the sidecar has ended" in result.err


# --- streams, changes, tools


def test_streams(dev):
    script = dev.script("""
import cronium
with cronium.stream_output() as out:
    for row in cronium.stream_input():
        out.write({"row": row})
    out.end()
""")
    fixtures = {"input_stream": [1, {"a": None}, "ä\n"]}
    report = dev.report(script, fixtures)
    assert report["output_stream"] == [
        {"row": 1}, {"row": {"a": None}}, {"row": "ä\n"}]
    assert report["output_stream_ended"] is True
    lines = operations(dev.dev(script, fixtures))
    assert lines[0] == "stream_input from 0 -> 3 records"
    assert lines[-1] == "stream_output ends after 3 records"


def test_a_broken_stream(dev):
    script = dev.script("""
import cronium
seen = []
try:
    for row in cronium.stream_input():
        seen.append(row)
except cronium.StreamBrokenError:
    cronium.output(seen)
""")
    fixtures = {"input_stream": [1, 2], "input_stream_end": "broken"}
    assert dev.report(script, fixtures)["output"] == [1, 2]


def test_an_open_stream(dev):
    script = dev.script("""
import cronium
for row in cronium.stream_input():
    cronium.output(row)
    break
""")
    fixtures = {"input_stream": [1], "input_stream_end": "open"}
    assert dev.report(script, fixtures)["output"] == 1


def test_watch(dev):
    script = dev.script("""
import cronium
seen = []
for change in cronium.subscribe("k"):
    seen.append([change.type, change.value])
    if change.value == 3:
        cronium.delete_variable("k")
    elif change.deleted:
        break
    else:
        cronium.increment_variable("k")
cronium.output(seen)
""")
    assert dev.report(script, {"variables": {"k": 1}})["output"] == [
        ["snapshot", 1], ["change", 2], ["change", 3], ["delete", None]]


TOOLS = """
import cronium
def call(tool, action, params):
    try:
        return cronium.execute_tool_action(tool, action, params)
    except cronium.CroniumError as error:
        return [error.status, error.code, str(error)]
cronium.output([
    call("slack", "send-message", {"channel": "#ops", "text": "a"}),
    call("slack", "send-message", {"channel": "#dev", "text": "a"}),
    call("http", "request", {"url": "http://x"}),
    call("email", "send", {}),
    call("slack", "other", {}),
])
"""


def test_tools(dev):
    report = dev.report(dev.script(TOOLS), {
        "tools_allowed": ["slack/*", "http/*"],
        "tools": [
            {"tool": "slack", "action": "send-message",
             "params": {"channel": "#ops"}, "result": {"ok": 1}},
            {"tool": "slack", "action": "send-message", "result": {"ok": 2}},
            {"tool": "http", "action": "request", "error": {
                "status": 424, "code": "tool_timed_out", "detail": "slow"}}]})
    ops, other, failed, refused, unknown = report["output"]
    assert (ops, other) == ({"ok": 1}, {"ok": 2})
    assert failed[:2] == [424, "tool_timed_out"] and "slow" in failed[2]
    assert refused[:2] == [403, "tool_forbidden"]
    assert unknown[:2] == [424, "tool_failed"]
    # The sentence shows what to add, as it has to be.
    entry = unknown[2].split("- ", 1)[1]
    assert yaml.safe_load(entry) == {
        "tool": "slack", "action": "other", "result": {}}
    assert [c["action"] for c in report["tool_calls"]] == [
        "send-message", "send-message", "request", "other"]


def test_what_the_script_may(dev):
    script = dev.script("""
import cronium
def code(fn, *args):
    try:
        return fn(*args)
    except cronium.ForbiddenError as error:
        return error.code
cronium.output([code(cronium.get_variable, "a"),
                code(cronium.get_variable, "b"),
                code(cronium.delete_variable, "b"),
                code(cronium.set_variable, "c", 1)])
""")
    fixtures = {"variables": {"a": 1, "b": 2}, "vars_read": ["a"],
                "vars_write": ["b"]}
    assert dev.report(script, fixtures)["output"] == [
        1, "key_forbidden", True, "key_forbidden"]
    fixtures["read_only"] = True
    assert dev.report(script, fixtures)["output"] == [
        1, "key_forbidden", "read_only", "read_only"]


# --- secrets


SECRETS = """
import cronium, sys
key = cronium.get_variable("API_KEY")
cronium.set_variable("copy", "x " + key)
cronium.set_variable("API_KEY", "another-secret-1")
cronium.output({"key": key, key: 1, "new": cronium.get_variable("API_KEY")})
cronium.execute_tool_action("t", "a", {"key": key})
with cronium.stream_output() as out:
    out.write(key)
"""
SECRET_FIXTURES = {
    "secrets": {"API_KEY": "k-123456789"},
    "tools": [{"tool": "t", "action": "a", "result": 1}]}


def test_secrets_are_masked_in_every_line(dev):
    script = dev.script(SECRETS)
    result = dev.dev(script, SECRET_FIXTURES)
    assert result.code == 0, result
    assert operations(result)[0] == "get_variable API_KEY -> secret (13 bytes)"
    for secret in "k-123456789", "another-secret-1":
        assert secret not in result.err
        assert secret not in json.dumps(dev.report(script, SECRET_FIXTURES))


def test_secrets_in_a_recording(dev):
    script = dev.script(SECRETS)
    file = dev.dir / "recorded.yaml"
    assert dev.dev(script, SECRET_FIXTURES, "--record", file).code == 0
    recorded = yaml.safe_load(file.read_text())
    assert recorded["secrets"] == SECRET_FIXTURES["secrets"]
    assert "k-123456789" not in json.dumps(recorded["expect"])
    assert file.stat().st_mode & 0o777 == 0o600
    result = dev.dev(script, file.read_text(), "--check", "--quiet")
    assert result.code != 0  # it is YAML in a file of another name
    checked = dev.finish(dev.start(
        "--fixtures", file, "--check", "--", *dev.program(script)))
    assert checked.code == 0, checked


# --- recordings


@pytest.mark.parametrize("name", ["test.yaml", "test.json"])
def test_record_and_check(dev, name):
    script = dev.script(PYTHON)
    file = dev.dir / name
    assert dev.dev(script, FIXTURES, "--record", file).code == 0
    read = json.loads if name.endswith("json") else yaml.safe_load
    recorded = read(file.read_text())
    assert recorded == {**FIXTURES, "expect": {
        "exit_code": 0, "output": {"name": "Ada", "n": 42},
        "condition": True, "variables": {"last": "Ada", "visits": 42},
        "deleted": ["old"], "output_stream": [], "tool_calls": []}}
    check = ["--fixtures", file, "--check", "--quiet", "--"]
    same = dev.finish(dev.start(*check, *dev.program(script)))
    assert (same.code, same.err) == (0, "")
    other = dev.script(PYTHON.replace("{\"name\": name, \"n\": n}",
                                      "{\"name\": \"Bob\", \"m\": 1}")
                       .replace("delete_variable(\"old\")",
                                "set_variable(\"new\", 1)")
                       + "\nraise SystemExit(3)", "other.py")
    differs = dev.finish(dev.start(*check, *dev.program(other)))
    assert differs.code == 1
    for line in ("exit_code: expected 0, got 3",
                 'output.name: expected "Ada", got "Bob"',
                 "output.n: expected 42, but it is not there",
                 "output.m: not expected, got 1",
                 "variables.new: not expected, got 1",
                 'deleted[0]: expected "old", but it is not there'):
        assert f"{file}: {line}\n" in differs.err


def test_a_failure_can_be_expected(dev):
    script = dev.script("raise SystemExit(3)")
    fixtures = {"expect": {"exit_code": 3, "no_output": True}}
    assert dev.dev(script, fixtures, "--check").code == 0


def test_a_recording_keeps_every_character(dev):
    value = {"": "a\tb\x7f\x85\u2028\ufeff\uffff\"\\", "true": "true",
             "null": None, "n": "007", "-": "- a: b", "x": ["", " ", "#", "😀"],
             "deep": [[[], {}], [[1]], {"a": [{"b": []}]}], "f": 1.5}
    script = dev.script("import cronium\ncronium.output(cronium.input())")
    file = dev.dir / "recorded.yaml"
    assert dev.dev(script, {"input": value}, "--record", file).code == 0
    again = dev.finish(dev.start("--fixtures", file, "--check", "--json",
                                 "--", *dev.program(script)))
    assert again.code == 0, again
    assert again.json["output"] == value


# --- mistakes


def test_every_mistake_is_told(dev):
    result = dev.dev(["true"], {
        "inptu": 1, "variables": {"a b": 1}, "secrets": [],
        "condition": 1, "context": None, "input_stream": {},
        "input_stream_end": "no", "vars_read": ["a b", 1],
        "tools": [{"tool": "a"}, {"tool": "a", "action": "b", "result": 1,
                                  "error": {"status": 200, "x": 1}}, 1],
        "read_only": "yes", "expect": {"exit_code": "0", "calls": 1}})
    assert result.code == 2
    for place in (
            "inptu: is not known", "variables: \"a b\" is no name",
            "secrets: a mapping is expected, not an array",
            "condition: true, false or null", "context: a mapping",
            "input_stream: a list", "input_stream_end: ended, open",
            "vars_read[0]: ", "vars_read[1]: a string is expected",
            'tools[0]: "action" is missing',
            'tools[0]: either "result" or "error"',
            'tools[1]: either "result" or "error"',
            "tools[1].error.status: 200", "tools[1].error.x: is not known",
            "tools[2]: a mapping", "read_only: true or false",
            "expect.exit_code: a whole number",
            "expect.calls: is not known"):
        assert f"dev.json: {place}" in result.err, (place, result)


@pytest.mark.parametrize("text,words", [
    ("a: [", "line 2"), ("input: 1\ninput: 2", "line 2"), ("- 1", "a mapping"),
    ("variables: {k: 1}\nsecrets: {k: 2}", "among the variables as well")])
def test_broken_fixtures(dev, text, words):
    file = dev.fixtures(text, "bad.yaml")
    result = dev.finish(dev.start("--fixtures", file, "--", "true"))
    assert result.code == 2
    assert words in result.err


@pytest.mark.parametrize("args", [
    [], ["--check", "--", "true"], ["--fixtures", "absent", "--", "true"],
    ["--no-such", "--", "true"]])
def test_usage(dev, args):
    result = dev.finish(dev.start(*args))
    assert result.code == 2
    assert result.err.startswith("cronium: ")


def test_nothing_expected(dev):
    assert dev.dev(["true"], {"input": 1}, "--check").code == 2


def test_json_is_all_of_stdout(dev):
    script = dev.script("print('to whom?')")
    result = dev.dev(script, None, "--json", "--quiet")
    assert result.json["exit_code"] == 0
    assert "to whom?" in result.err


# --- the example


@pytest.mark.parametrize("name", ["dev.yaml"])
def test_the_example(dev, name):
    result = dev.finish(dev.start(
        "--fixtures", ROOT / "examples" / name, "--check", "--",
        *dev.program(str(ROOT / "examples" / "dev.py"))))
    assert result.code == 0, result
