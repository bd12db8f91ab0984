"""Tool actions of real jobs, on a target that counts, while the backend dies;
and what a target's answers may tell."""

import collections
import http.server
import json
import os
import signal
import threading

import pytest

from harness import Server
from patience import until
from streaming import LANGUAGES, Jobs

TOKEN = "t0ken/with+signs=="
TOOL = """
name: probe
credentials:
  token: {secret: PROBE_TOKEN}
actions:
  once:
    params: {type: object, properties: {url: {type: string}}}
    request:
      method: POST
      url: '{{params.url}}'
      headers: {Idempotency-Key: '{{idempotency_key}}'}
      auth: {bearer: '{{credentials.token}}'}
      json: {}
    retry: {max_elapsed_ms: 0}
    result: '{{response.body}}'
  again:
    idempotent: true
    params: {type: object, properties: {url: {type: string}}}
    request:
      method: POST
      url: '{{params.url}}'
      headers: {Idempotency-Key: '{{idempotency_key}}'}
      auth: {bearer: '{{credentials.token}}'}
      json: {}
    result: '{{response.body}}'
"""
# The output is the action's result, or the code of its error.
CALL = {
    "python": """
import cronium
action, url = cronium.input()
try:
    cronium.output(cronium.execute_tool_action("probe", action, {"url": url}))
except cronium.ToolError as error:
    print(error, error.problem)
    cronium.output([error.code, str(error)])
""",
    "node": """
import * as cronium from "cronium";
const [action, url] = await cronium.getInput();
try {
  await cronium.setOutput(
    await cronium.executeToolAction("probe", action, { url }));
} catch (error) {
  if (!(error instanceof cronium.ToolError)) throw error;
  console.log(error, error.problem);
  await cronium.setOutput([error.code, error.message]);
}
""",
    "bash": r"""
source cronium.sh
input=$(cronium_input)
if cronium_execute_tool_action probe "$(jq -r '.[0]' <<<"$input")" \
    "$(jq '{url: .[1]}' <<<"$input")" >result 2>error; then
    cronium_output - <result
else
    [ $? = "$CRONIUM_E_TOOL" ] || exit
    cat error >&2
    why=$(<error)
    code=${why##*[}
    jq -n --arg code "${code%]*}" --arg why "$why" '[$code, $why]' |
        cronium_output -
fi
""",
}


class Target:
    """Answers a POST once it is released, and counts them by key."""

    def __init__(self):
        self.keys = collections.Counter()
        self.lock = threading.Lock()
        self.release = threading.Event()
        target = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def log_message(self, *args):
                pass

            def do_POST(self):
                self.rfile.read(int(self.headers["content-length"]))
                key = self.headers["idempotency-key"]
                with target.lock:
                    target.keys[self.path, key] += 1
                target.release.wait(60)
                self.answer(key)

            def answer(self, key):
                status = 400 if self.path == "/leak" else 200
                body = json.dumps({
                    "key": key, "seen": self.headers["authorization"],
                }).encode()
                try:
                    self.send_response(status)
                    self.send_header("content-type", "application/json")
                    self.send_header("content-length", str(len(body)))
                    self.end_headers()
                    self.wfile.write(body)
                except OSError:
                    pass  # the backend that asked is dead

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0),
                                                      Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever,
                         daemon=True).start()

    def close(self):
        self.release.set()
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def target():
    target = Target()
    yield target
    target.close()


@pytest.fixture
def jobs(executor, tmp_path):
    tools = tmp_path / "server" / "data" / "tools"
    tools.mkdir(parents=True)
    (tools / "probe.yaml").write_text(TOOL)
    server = Server(tmp_path / "server", "--executors", executor, "--slots",
                    "8", "--tools-allow", "127.0.0.1")
    server.cronium("vars", "set", "PROBE_TOKEN", "-", "--secret",
                   stdin=TOKEN).ok()
    yield Jobs(server, executor, tmp_path)
    assert server.stop() == 0, server.log.read_text()


def call(jobs, language, action, url):
    return jobs.submit(language, CALL[language], "--input",
                       json.dumps([action, url]))


def output(jobs, job):
    jobs.succeeded(job)
    return jobs.server.cronium("job", job, "--output").ok().json


@pytest.mark.timeout(120)
def test_the_backend_dies_while_the_target_thinks(jobs, target):
    """What may be sent again is, with its key; of the rest nobody knows."""
    server = jobs.server
    found = {(language, action): call(jobs, language, action,
                                      f"{target.url}/{language}-{action}")
             for language in LANGUAGES for action in ("again", "once")}
    until(lambda: len(target.keys) == len(found), "all calls")
    os.kill(server.children()["cronium-backend"], signal.SIGKILL)
    target.release.set()
    server.wait_ready()
    told = {which: output(jobs, job) for which, job in found.items()}
    assert len(target.keys) == len(found)  # one key for each action
    for (path, key), n in target.keys.items():
        language, action = path[1:].split("-")
        reply = told[language, action]
        if action == "again":
            assert n == 2 and reply["key"] == key
        else:
            assert n == 1 and reply[0] == "outcome_unknown", reply


def test_a_credential_is_in_no_answer(jobs, target):
    """Not where the target says it back, in a result or an error, to a script
    that has never read it."""
    target.release.set()
    for language in LANGUAGES:
        job = call(jobs, language, "once", f"{target.url}/fine")
        assert output(jobs, job)["seen"] == "Bearer ********"
        job = call(jobs, language, "once", f"{target.url}/leak")
        code, why = output(jobs, job)
        assert code == "tool_failed"
        logs = jobs.server.cronium("logs", job).ok()
        for text in (why, logs.out, logs.err, jobs.server.log.read_text()):
            assert "t0ken" not in text
