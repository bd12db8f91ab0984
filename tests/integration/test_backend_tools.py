"""Tool actions on real targets: an HTTP and an HTTPS server, an SMTP server."""

import base64
import concurrent.futures
import email
import email.policy
import hashlib
import hmac
import json
import signal
import subprocess
import time

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult

import frames
from backend_process import BIN, Backend
from patience import until
from target_server import Target, certificate

pytestmark = pytest.mark.timeout(120)
EXECUTE = "/v1/runtime/tool-actions/execute"
TOKEN = "s3cret/token+with=signs"

PROBE = """
name: probe
credentials:
  token: {secret: PROBE_TOKEN, optional: true}
actions:
  once:
    params:
      type: object
      required: [url]
      additionalProperties: false
      properties: {url: {type: string}, note: {type: string}}
    request:
      method: POST
      url: '{{params.url}}'
      auth: {bearer: '{{credentials.token}}'}
      json: {note: '{{params.note}}'}
    timeout_ms: 3000
    retry: {initial_ms: 10, max_ms: 50, max_elapsed_ms: 3000}
    result: '{{response.body}}'
  again:
    idempotent: true
    params: {type: object, properties: {url: {type: string}}}
    request: {method: POST, url: '{{params.url}}', json: {}}
    timeout_ms: 500
    retry: {initial_ms: 10, max_ms: 50, max_elapsed_ms: 3000}
  patient:
    idempotent: true
    params: {type: object, properties: {url: {type: string}}}
    request: {method: POST, url: '{{params.url}}', json: {}}
    retry: {initial_ms: 10, max_ms: 50, max_elapsed_ms: 60000}
"""
NEEDY = """
name: needy
credentials: {key: {secret: NEEDY_KEY}}
actions:
  do:
    params: {type: object}
    request: {url: '%(url)s/echo', headers: {X-Key: '{{credentials.key}}'}}
"""


WORLDS = []  # of the test that runs


@pytest.fixture(autouse=True)
def no_world_stays():
    """Ends what a failed test has left."""
    yield
    while WORLDS:
        world = WORLDS.pop()
        world.target.release.set()
        if world.backend.process.poll() is None:
            world.backend.kill()


class World:
    """A backend with tools, the target that they call, and a job."""

    def __init__(self, directory, *options, target=None, allow=True):
        self.target = target or Target()
        tools = directory / "tools"
        tools.mkdir(exist_ok=True)
        (tools / "probe.yaml").write_text(PROBE)
        (tools / "needy.yaml").write_text(NEEDY % {"url": self.target.url})
        self.tools = tools
        if allow:
            options = ("--tools-allow", f"127.0.0.1:{self.target.port}",
                       *options)
        self.backend = Backend(str(directory), "--tools-dir", str(tools),
                               *options)
        WORLDS.append(self)
        self.agent = self.backend.agent(slots=100)
        self.sidecar = None
        self.start_job()

    def start_job(self, **spec):
        self.job = self.backend.submit(**spec)
        self.claim = self.agent.claim()
        self.agent.started(self.claim)
        self.sidecar = self.backend.sidecar(self.claim)
        return self.sidecar

    def call(self, tool, action, params=None, key=None, sidecar=None, **more):
        headers = {"Idempotency-Key": key} if key else {}
        body = {"tool": tool, "action": action,
                "params": self.params(params or {}), **more}
        return (sidecar or self.sidecar).call("POST", EXECUTE, body, headers)

    def params(self, given):
        """A path is one of the target's."""
        if "path" not in given:
            return given
        rest = {k: v for k, v in given.items() if k != "path"}
        return {"url": f"{self.target.url}/{given['path']}", **rest}

    def later(self, *args, **kwargs):
        """The same in a thread; what its reply will be."""
        pool = concurrent.futures.ThreadPoolExecutor(1)
        try:
            return pool.submit(self.call, *args, **kwargs)
        finally:
            pool.shutdown(wait=False)

    def restart(self):
        self.backend.kill()
        self.backend.start()

    def close(self):
        self.target.close()
        assert self.backend.stop() == 0, "".join(self.backend.log)


@pytest.fixture
def world(tmp_path):
    w = World(tmp_path)
    yield w
    w.close()


def count(world, path):
    return sum(c.path == path for c in world.target.calls)


# --- requests --------------------------------------------------------------

def test_a_request(world):
    reply = world.call("http", "request", {
        "url": f"{world.target.url}/echo", "method": "POST",
        "headers": {"X-One": "1"}, "json": {"a": [1, "ä"]}}, key="k-1")
    assert reply.status == 200, reply
    assert reply.headers["content-type"] == "application/json"
    seen = world.target.calls[0]
    assert seen.method == "POST" and seen.json == {"a": [1, "ä"]}
    assert seen.headers["x-one"] == "1"
    assert seen.headers["content-type"].startswith("application/json")
    assert seen.headers["idempotency-key"] == "k-1"
    assert seen.headers["user-agent"].startswith("cronium/")
    version, trace, span, flags = seen.headers["traceparent"].split("-")
    assert (version, len(trace), len(span)) == ("00", 32, 16)
    assert reply.json["status"] == 200
    assert reply.json["body"]["method"] == "POST"


def test_traces_go_on(world):
    trace = "0af7651916cd43dd8448eb211c80319c"
    reply = world.sidecar.call("POST", EXECUTE, {
        "tool": "probe", "action": "once", "params": world.params({"path": "echo"})},
        {"traceparent": f"00-{trace}-b7ad6b7169203331-01"})
    assert reply.status == 200, reply
    assert world.target.calls[0].headers["traceparent"].split("-")[1] == trace


def test_text_is_a_string(world):
    reply = world.call("http", "request",
                       {"url": f"{world.target.url}/text"})
    assert reply.json["body"] == "café", reply


def test_https_is_verified(tmp_path):
    cert, context = certificate(tmp_path)
    target = Target(tls=context)
    world = World(tmp_path, target=target)
    url = {"url": f"{target.url}/echo"}
    reply = world.call("http", "request", url)
    assert reply.status == 424 and reply.code == "tool_failed", reply
    assert "certificate" in reply.json["detail"].lower()
    assert not target.calls
    world.backend.stop()
    world.backend.options += ("--tools-ca-file", cert)
    world.backend.start()
    reply = world.call("http", "request", url)
    assert reply.status == 200, reply
    world.close()


def test_what_is_wrong_with_a_call(world):
    def code(status, *args, **kwargs):
        reply = world.call(*args, **kwargs)
        assert reply.status == status, reply
        return reply.code

    assert code(404, "absent", "act") == "tool_not_found"
    assert code(404, "probe", "absent") == "action_not_found"
    reply = world.call("probe", "once", {"url": 1, "x": 2, "note": []})
    assert reply.status == 422 and reply.code == "invalid_params"
    assert {v["path"] for v in reply.json["violations"]} == {
        "/url", "/x", "/note"}
    reply = world.call("probe", "once", {})
    assert reply.json["violations"][0]["path"] in ("", "/url")
    for body in (b"[]", b"{", {"tool": 1}, {"tool": "probe"},
                 {"tool": "probe", "action": "once", "more": 1},
                 {"tool": "probe", "action": "once", "dry_run": "yes"}):
        reply = world.sidecar.post(EXECUTE, body)
        assert reply.status == 400, (body, reply)
    reply = world.sidecar.post(EXECUTE, {
        "tool": "probe", "action": "once",
        "params": {"url": "x" * (1 << 20)}})
    assert reply.status == 413 and reply.code == "too_large"
    assert not world.target.calls


def test_what_a_job_may_call(world):
    sidecar = world.start_job(tools=["probe/on*", "needy/*"])
    ask = {"path": "echo"}
    assert world.call("probe", "once", ask, sidecar=sidecar).status == 200
    reply = world.call("probe", "again", ask, sidecar=sidecar)
    assert reply.status == 403 and reply.code == "tool_forbidden"
    reply = world.call("absent", "x", sidecar=sidecar)
    assert reply.status == 403
    assert len(world.target.calls) == 1


def test_headers_cannot_be_injected(world):
    reply = world.call("http", "request", {
        "url": f"{world.target.url}/echo",
        "headers": {"X-A": "1\r\nX-B: 2"}})
    assert reply.status == 422, reply
    assert not world.target.calls


def test_redirects(world):
    to = f"{world.target.url}/redirect/302/{world.target.url}/echo"
    reply = world.call("http", "request", {"url": to})
    if reply.json.get("status") == 302:  # the tool follows none
        assert len(world.target.calls) == 1
    else:
        assert reply.status == 200 and len(world.target.calls) == 2, reply


# --- where tools may connect to ----------------------------------------------

CLOSED = ["http://127.0.0.1:{port}/", "http://127.1:{port}/",
          "http://2130706433:{port}/", "http://0x7f000001:{port}/",
          "http://0177.0.0.1:{port}/", "http://0x7f.1:{port}/",
          "http://0.0.0.0:{port}/", "http://0:{port}/",
          "http://localhost:{port}/", "http://[::1]:{port}/",
          "http://[::]:{port}/", "http://[::ffff:127.0.0.1]:{port}/",
          "http://[::ffff:7f00:1]:{port}/", "http://169.254.169.254/latest/",
          "http://[fd00::1]/", "http://10.0.0.1/", "http://192.168.0.1/",
          "http://100.64.0.1/", "http://224.0.0.1/",
          "http://[64:ff9b::7f00:1]/", "http://[2002:7f00:1::]/"]
HERE = ["http://LOCALHOST.:{port}/", "http://127.0.0.1.:{port}/",
        "http://[fe80::1]:{port}/", "http://[::1%25lo]:{port}/",
        "http://user@127.0.0.1:{port}/", "ftp://127.0.0.1:{port}/",
        "file:///etc/passwd", "http://127.0.0.1:{port}#@example.org/",
        "http:\\\\127.0.0.1:{port}/", "//127.0.0.1:{port}/"]


def test_the_inside_is_closed(tmp_path):
    """However the address is written. What libcurl does not take for an
    address is a name that nobody has."""
    world = World(tmp_path, allow=False)
    for url in HERE:
        url = url.format(port=world.target.port)
        reply = world.call("probe", "once", {"url": url})
        assert reply.status in (403, 422, 424), (url, reply)
        if reply.status == 403:
            assert reply.code == "target_refused", (url, reply)
        elif reply.status == 424:
            assert "resolv" in reply.json["detail"].lower(), (url, reply)
    for url in CLOSED:
        url = url.format(port=world.target.port)
        reply = world.call("probe", "once", {"url": url})
        assert reply.status == 403, (url, reply)
        assert "--tools-allow" in reply.json["detail"]
    assert not world.target.calls
    world.close()


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_redirects_do_not_lead_inside(tmp_path, host):
    outer, inner = Target(), Target()
    tools = tmp_path / "tools"
    tools.mkdir()
    (tools / "jump.yaml").write_text(f"""
name: jump
actions:
  go:
    params: {{type: object}}
    request:
      url: '{outer.url}/redirect/302/http://{host}:{inner.port}/echo'
    follow_redirects: 3
""")
    world = World(tmp_path, "--tools-allow", f"127.0.0.1:{outer.port}")
    reply = world.call("jump", "go")
    assert reply.status == 403 and reply.code == "target_refused", reply
    assert len(outer.calls) == 1 and not inner.calls
    outer.close(), inner.close(), world.close()


def test_redirects_do_not_carry_credentials(tmp_path):
    outer, inner = Target(), Target()
    tools = tmp_path / "tools"
    tools.mkdir()
    (tools / "jump.yaml").write_text(f"""
name: jump
credentials: {{key: {{secret: JUMP_KEY}}}}
actions:
  go:
    params: {{type: object}}
    request:
      url: '{outer.url}/redirect/302/{inner.url}/echo'
      headers: {{X-Key: '{{{{credentials.key}}}}'}}
    follow_redirects: 3
  push:
    params: {{type: object}}
    request:
      method: POST
      url: '{outer.url}/redirect/307/{inner.url}/echo'
      json: {{}}
    follow_redirects: 3
  home:
    params: {{type: object}}
    request:
      url: '{outer.url}/redirect/302/{outer.url}/echo'
      headers: {{X-Key: '{{{{credentials.key}}}}'}}
    follow_redirects: 3
""")
    world = World(tmp_path, "--tools-allow", "127.0.0.0/8")
    assert world.backend.admin.put("/v1/variables/JUMP_KEY?secret=1",
                                   TOKEN).status == 201
    reply = world.call("jump", "go", key="k")
    assert reply.status == 200, reply
    assert outer.calls[0].headers["x-key"] == TOKEN
    assert len(inner.calls) == 1
    for name in ("x-key", "idempotency-key", "traceparent"):
        assert name not in inner.calls[0].headers
    reply = world.call("jump", "push")
    assert reply.status == 424 and "redirects" in reply.json["detail"], reply
    assert len(inner.calls) == 1
    reply = world.call("jump", "home")
    assert reply.status == 200 and outer.calls[-1].headers["x-key"] == TOKEN
    outer.close(), inner.close(), world.close()


def test_names_can_be_allowed(tmp_path):
    target = Target()
    world = World(tmp_path, "--tools-allow", f"localhost:{target.port}",
                  target=target, allow=False)
    url = f"http://localhost:{target.port}/echo"
    assert world.call("http", "request", {"url": url}).status == 200
    reply = world.call("http", "request", {"url": f"{target.url}/echo"})
    assert reply.status == 403 and reply.code == "target_refused"
    world.close()


# --- credentials ---------------------------------------------------------------

def put_secret(world, name, value):
    reply = world.backend.admin.put(f"/v1/variables/{name}?secret=1", value)
    assert reply.status in (201, 204), reply


def test_a_secret_that_is_missing(world):
    reply = world.call("needy", "do")
    assert reply.status == 424 and reply.code == "credential_missing"
    assert "NEEDY_KEY" in reply.json["detail"]
    assert "cronium vars set --secret NEEDY_KEY" in reply.json["detail"]
    world.backend.admin.put("/v1/variables/NEEDY_KEY", b'"not secret"')
    reply = world.call("needy", "do")
    assert reply.status == 424 and "not a secret" in reply.json["detail"]
    put_secret(world, "NEEDY_KEY", TOKEN)
    assert world.call("needy", "do").status == 200
    assert world.target.calls[0].headers["x-key"] == TOKEN


def test_secrets_do_not_come_back(world):
    """The target echoes the token; a result, an error and a dry run."""
    put_secret(world, "PROBE_TOKEN", TOKEN)
    basic = base64.b64encode(f"user:{TOKEN}".encode()).decode()
    replies = [
        world.call("probe", "once", {"path": "echo"}),
        world.call("probe", "once", {"path": "echo", "note": basic}),
        world.call("probe", "once", {"path": "status/404"}),
        world.call("probe", "once", {"path": "echo"}, dry_run=True),
    ]
    assert world.target.calls[0].headers["authorization"] == f"Bearer {TOKEN}"
    assert [r.status for r in replies] == [200, 200, 424, 200]
    for reply in replies:
        text = reply.body.decode()
        assert TOKEN not in text and TOKEN not in json.dumps(reply.json)
        assert base64.b64encode(TOKEN.encode()).decode()[:-2] not in text
        assert json.loads(text) is not None
    assert "Bearer ********" in json.dumps(replies[0].json)
    assert TOKEN not in "".join(world.backend.log)


def test_secrets_that_a_script_names(world):
    put_secret(world, "mine", TOKEN)
    put_secret(world, "theirs", "another one")

    def call(secret, sidecar):
        return world.call("http", "request", {
            "url": f"{world.target.url}/echo",
            "auth": {"bearer": {"secret": secret}}}, sidecar=sidecar)

    sidecar = world.start_job(vars_read=["mine", "absent"])
    reply = call("mine", sidecar)
    assert reply.status == 200, reply
    assert world.target.calls[0].headers["authorization"] == f"Bearer {TOKEN}"
    reply = call("theirs", sidecar)
    assert reply.status == 403 and reply.code == "forbidden", reply
    reply = call("absent", sidecar)
    assert reply.status == 424 and reply.code == "credential_missing"
    assert len(world.target.calls) == 1


# --- dry runs --------------------------------------------------------------------

def test_dry_runs_send_nothing(world):
    put_secret(world, "PROBE_TOKEN", TOKEN)
    ask = {"path": "echo", "note": "n"}
    reply = world.call("probe", "once", ask, key="k", dry_run=True)
    assert reply.status == 200 and reply.json["dry_run"] is True, reply
    request = reply.json["request"]
    assert request["method"] == "POST"
    assert request["url"] == f"{world.target.url}/echo"
    assert request["body"] == {"note": "n"}
    assert not world.target.calls
    # It was not recorded: the same key is free.
    assert world.call("probe", "once", ask, key="k").json != reply.json
    assert len(world.target.calls) == 1
    sidecar = world.start_job(dry_run=True)
    reply = world.call("probe", "once", ask, key="k", sidecar=sidecar)
    assert reply.json["dry_run"] is True
    assert len(world.target.calls) == 1


# --- once ------------------------------------------------------------------------

def test_the_first_outcome_is_repeated(world):
    ask = {"path": "echo"}
    first = world.call("probe", "once", ask, key="k")
    assert first.status == 200
    again = world.call("probe", "once", ask, key="k")
    assert again.status == 200 and again.body == first.body
    assert len(world.target.calls) == 1
    world.restart()
    after = world.call("probe", "once", ask, key="k")
    assert after.status == 200 and after.body == first.body
    assert len(world.target.calls) == 1
    reply = world.call("probe", "once", {"path": "other"}, key="k")
    assert reply.status == 422 and reply.code == "key_reused"
    reply = world.call("probe", "again", ask, key="k")
    assert reply.status == 422 and reply.code == "key_reused"
    assert world.call("probe", "once", ask, key="l").status == 200
    assert len(world.target.calls) == 2


def test_failures_are_repeated_too(world):
    ask = {"path": "status/404"}
    first = world.call("probe", "once", ask, key="k")
    assert first.status == 424 and first.code == "tool_failed"
    assert first.json["upstream_status"] == 404
    assert "no such luck" in first.json["detail"]
    again = world.call("probe", "once", ask, key="k")
    assert again.status == 424 and again.body == first.body
    assert len(world.target.calls) == 1


def test_two_at_once_are_one(world):
    ask = {"path": "hold"}
    first = world.later("probe", "once", ask, key="k")
    world.target.wait(1)
    second = world.later("probe", "once", ask, key="k")
    other = world.call("probe", "once", {"path": "other"}, key="k")
    assert other.status == 422 and other.code == "key_reused"
    world.target.release.set()
    assert first.result(20).status == 200
    assert second.result(20).body == first.result().body
    assert len(world.target.calls) == 1


def test_a_script_that_hangs_up(world):
    """The call goes on, and its outcome is there for whoever asks again."""
    connection = world.sidecar.connect()
    body = json.dumps({"tool": "probe", "action": "once",
                       "params": world.params({"path": "hold"})})
    connection.request("POST", EXECUTE, body, {
        "Authorization": f"Bearer {world.sidecar.bearer}",
        "Idempotency-Key": "k"})
    world.target.wait(1)
    connection.close()
    world.target.release.set()
    reply = world.call("probe", "once", {"path": "hold"}, key="k")
    assert reply.status == 200 and len(world.target.calls) == 1


def test_the_backend_dies_before_the_target_answers(world):
    once = world.later("probe", "once", {"path": "hold"}, key="once")
    again = world.later("probe", "again", {"path": "hold"}, key="again")
    world.target.wait(2)
    world.restart()
    for lost in (once, again):
        assert lost.exception(20) is not None
    world.target.release.set()
    # Nobody knows what the target did.
    reply = world.call("probe", "once", {"path": "hold"}, key="once")
    assert reply.status == 409 and reply.code == "outcome_unknown", reply
    assert len(world.target.calls) == 2
    # To this one it makes no difference.
    reply = world.call("probe", "again", {"path": "hold"}, key="again")
    assert reply.status == 200, reply
    assert len(world.target.calls) == 3
    assert {c.headers["idempotency-key"] for c in world.target.calls} == {
        "once", "again"}
    assert world.target.calls[2].headers["idempotency-key"] == "again"


def test_the_backend_stops(world):
    """What is under way is finished first."""
    reply = world.later("probe", "once", {"path": "hold"}, key="k")
    world.target.wait(1)
    world.backend.process.send_signal(signal.SIGTERM)
    until(lambda: any("stopping" in line for line in world.backend.log))
    world.target.release.set()
    assert reply.result(20).status == 200
    assert world.backend.stop() == 0
    world.backend.start()
    assert world.call("probe", "once", {"path": "hold"}, key="k").status == 200
    assert len(world.target.calls) == 1


def test_the_end_of_an_execution(world):
    assert world.call("probe", "once", {"path": "echo"}, key="k").status == 200
    assert world.agent.complete(world.claim).status == 200
    reply = world.call("probe", "once", {"path": "echo"}, key="k")
    assert reply.status == 401 and len(world.target.calls) == 1


# --- tries -------------------------------------------------------------------------

def test_safe_tries(world):
    """429 and 503 say that nothing was done."""
    reply = world.call("probe", "once", {"path": "fail/2/503"}, key="k")
    assert reply.status == 200 and len(world.target.calls) == 3, reply
    assert len({c.headers["idempotency-key"]
                for c in world.target.calls}) == 1


def test_unsafe_tries(world):
    reply = world.call("probe", "once", {"path": "fail/1/500"})
    assert reply.status == 424 and reply.json["upstream_status"] == 500
    assert len(world.target.calls) == 1
    world.target.calls.clear()
    reply = world.call("probe", "again", {"path": "fail/2/500"})
    assert reply.status == 200 and len(world.target.calls) == 3, reply


def test_a_connection_that_breaks(world):
    reply = world.call("probe", "once", {"path": "drop"})
    assert reply.status == 424 and reply.code == "tool_failed"
    assert "not known" in reply.json["detail"], reply
    assert len(world.target.calls) == 1
    world.target.calls.clear()
    assert world.call("probe", "again", {"path": "drop"}).status == 424
    assert len(world.target.calls) > 2


def test_a_used_connection_is_not_trusted(world):
    """libcurl alone would send again what it sent on a kept connection that
    is closed."""
    for _ in range(3):
        assert world.call("probe", "once", {"path": "echo"}).status == 200
        assert world.call("probe", "again", {"path": "echo"}).status == 200
    before = count(world, "/drop")
    assert world.call("probe", "once", {"path": "drop"}).status == 424
    assert count(world, "/drop") == before + 1


def test_a_target_that_asks_for_patience(world):
    """For longer than there is: it is told at once."""
    start = time.monotonic()
    reply = world.call("probe", "patient", {"path": "busy"})
    assert reply.status == 424 and reply.json["upstream_status"] == 503
    assert len(world.target.calls) == 1
    assert time.monotonic() - start < 20


def test_nobody_listens(tmp_path):
    world = World(tmp_path)
    world.target.server.shutdown()
    world.target.server.server_close()
    reply = world.call("probe", "once", {"path": "echo"}, key="k")
    assert reply.status == 424 and reply.code == "tool_failed", reply
    assert "not known" not in reply.json["detail"]
    assert world.backend.stop() == 0


def test_a_target_that_hangs(world):
    start = time.monotonic()
    hanging = world.later("probe", "once", {"path": "hang"}, key="k")
    world.target.wait(1)
    # Everything else goes on meanwhile.
    for _ in range(20):
        assert world.sidecar.get("/v1/runtime/variables").status == 200
    reply = hanging.result(20)
    assert reply.status == 424 and reply.code == "tool_timed_out", reply
    assert 2.5 < time.monotonic() - start < 15
    assert len(world.target.calls) == 1


def test_a_reply_that_is_too_large(world):
    reply = world.call("probe", "once", {"path": "big"})
    assert reply.status == 424 and reply.code == "tool_failed"
    assert "larger" in reply.json["detail"], reply
    assert len(world.target.calls) == 1


def test_too_many_at_a_time(world):
    calls = [world.later("probe", "once", {"path": "hold"})
             for _ in range(8)]
    world.target.wait(8)
    reply = world.call("probe", "once", {"path": "echo"})
    assert reply.status == 429 and reply.code == "too_many_calls", reply
    assert reply.headers["retry-after"]
    world.target.release.set()
    assert all(c.result(20).status == 200 for c in calls)
    assert world.call("probe", "once", {"path": "echo"}).status == 200


# --- the audit log ------------------------------------------------------------------

def test_audit(world):
    put_secret(world, "PROBE_TOKEN", TOKEN)
    trace = "0af7651916cd43dd8448eb211c80319c"
    world.sidecar.call("POST", EXECUTE, {
        "tool": "probe", "action": "once",
        "params": world.params({"path": "echo", "note": "private"})},
        {"traceparent": f"00-{trace}-b7ad6b7169203331-01",
         "Idempotency-Key": "k"})
    world.call("probe", "once", {"path": "status/404"})
    entries = world.backend.admin.get(
        f"/v1/audit?execution={world.claim.id}").json["entries"]
    calls = [e for e in entries if e["action"] == "tool.call"]
    assert [(e["target"], e["result"]) for e in calls] == [
        ("probe/once", "tool_failed"), ("probe/once", "ok")]
    assert calls[1]["trace_id"] == trace
    assert "private" not in json.dumps(entries)


def test_what_a_script_makes_up_is_not_audited(world):
    """Neither a terminal's escapes nor a megabyte, sixty times a minute."""
    sidecar = world.start_job(tools=["probe/once"])
    for tool, action in (("http", "\x1b]0;x\x07\nok"), ("http", "a" * 500000),
                         ("\x1b[2J", "x"), ("cronium", "\x1b[2J"),
                         ("http", "request"), ("cronium", "call-agent")):
        reply = world.call(tool, action, sidecar=sidecar)
        assert reply.status == 403 and reply.code == "tool_forbidden", reply
    # What is stored after them tells that they are.
    assert sidecar.put("/v1/runtime/variables/k", b"1").status == 201
    entries = world.backend.admin.get(
        f"/v1/audit?execution={world.claim.id}").json["entries"]
    assert [e["target"] for e in entries if e["result"] == "tool_forbidden"
            ] == ["cronium/call-agent", "http/request"] + ["unknown"] * 4


def test_refusals_of_one_job_hide_nobody_elses(world):
    loud, loud_id = world.start_job(tools=["none/*"]), world.claim.id
    for _ in range(70):
        assert world.call("http", "request", sidecar=loud).status == 403
    quiet = world.start_job(tools=["none/*"])
    assert world.call("http", "request", sidecar=quiet).status == 403
    assert quiet.put("/v1/runtime/variables/k", b"1").status == 201

    def refused(execution):
        entries = world.backend.admin.get(
            f"/v1/audit?limit=200&execution={execution}").json["entries"]
        return sum(e["result"] == "tool_forbidden" for e in entries)

    assert refused(world.claim.id) == 1 and refused(loud_id) == 60


# --- memory -------------------------------------------------------------------------

def anonymous_bytes(pid):
    with open(f"/proc/{pid}/status") as f:
        found = dict(line.split(":", 1) for line in f)
    return int(found["RssAnon"].split()[0]) * 1024


def test_calls_under_way_hold_no_trees(world):
    """A megabyte of {} is a hundred as a tree: not for as long as the target,
    or a child, takes."""
    many = "[" + ",".join(["{}"] * 300000) + "]"

    def body(tool, action, params):
        return (f'{{"tool":"{tool}","action":"{action}","params":'
                f'{{{params}}}}}').encode()

    def send(key, body):
        return world.sidecar.call("POST", EXECUTE, body,
                                  {"Idempotency-Key": key})

    def held():
        http = body("http", "request", f'"url":"{world.target.url}/hang",'
                    f'"method":"POST","json":{many}')
        child = body("cronium", "call-workflow", '"script":{"content":"x",'
                     f'"name":"x.py"}},"wait":true,"input":{many}')
        return [pool.submit(send, f"h{i}", http) for i in range(4)] + [
            pool.submit(send, f"c{i}", child) for i in range(4)]

    pid = world.backend.process.pid
    # What one of them takes for a moment is the measure.
    assert send("first", body("http", "request", f'"json":{many},"url":'
                f'"{world.target.url}/status/204"')).status == 200
    before = anonymous_bytes(pid)
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        calls = held()
        children = [world.agent.claim() for _ in range(4)]
        world.target.wait(5)
        after = anonymous_bytes(pid)
        for child in children:
            world.agent.complete(child)
        world.target.release.set()
        assert [c.result().status for c in calls[4:]] == [200] * 4
    assert after - before < 300 << 20, (before, after)


# --- webhooks and email -----------------------------------------------------------------

def test_a_signed_webhook(world):
    put_secret(world, "WEBHOOK_SECRET", "signing key")
    reply = world.call("webhook", "send", {
        "url": f"{world.target.url}/echo", "payload": {"a": 1}}, key="k")
    assert reply.status == 200, reply
    seen = world.target.calls[0]
    expected = hmac.new(b"signing key", seen.body, hashlib.sha256)
    assert seen.headers["x-cronium-signature"] == \
        "sha256=" + expected.hexdigest()
    assert seen.headers["idempotency-key"] == "k"


class Mailbox:
    def __init__(self):
        self.mails, self.refuse = [], None

    async def handle_DATA(self, server, session, envelope):
        if self.refuse:
            return self.refuse
        self.mails.append((envelope, session))
        return "250 taken"


@pytest.fixture
def smtp(tmp_path):
    """An SMTP server with STARTTLS and AUTH; what it took."""
    cert, context = certificate(tmp_path)
    box = Mailbox()

    def authenticate(server, session, envelope, mechanism, data):
        return AuthResult(success=data.login == b"ada" and
                          data.password == b"open sesame", handled=False)

    controller = Controller(box, hostname="127.0.0.1", port=0,
                            tls_context=context, authenticator=authenticate,
                            auth_require_tls=True)
    # Controller wants to know its port beforehand; it connects to it.
    import socket
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        controller.port = s.getsockname()[1]
    controller.start()
    box.port, box.cert = controller.port, cert
    yield box
    controller.stop()


def mail_world(tmp_path, smtp, **secrets):
    world = World(tmp_path, "--tools-allow", f"127.0.0.1:{smtp.port}",
                  "--tools-ca-file", smtp.cert)
    for name, value in {"SMTP_URL": f"smtp://127.0.0.1:{smtp.port}",
                        "SMTP_FROM": "Ada L\u00f6w <ada@example.org>",
                        **secrets}.items():
        put_secret(world, name, value)
    return world


MAIL = {"to": ["Bob <bob@b.org>", "c@c.org"], "bcc": "hidden@d.org",
        "subject": "Grüße", "text": "Hallo\n.\nWelt", "html": "<b>ä</b>"}


def test_email(tmp_path, smtp):
    world = mail_world(tmp_path, smtp, SMTP_USERNAME="ada",
                       SMTP_PASSWORD="open sesame")
    reply = world.call("email", "send", MAIL, key="k")
    assert reply.status == 200, reply
    (envelope, session), = smtp.mails
    assert session.ssl and session.authenticated
    assert envelope.mail_from == "ada@example.org"
    assert envelope.rcpt_tos == ["bob@b.org", "c@c.org", "hidden@d.org"]
    mail = email.message_from_bytes(envelope.content,
                                    policy=email.policy.default)
    assert mail["subject"] == "Grüße"
    assert mail["from"].addresses[0].display_name == "Ada Löw"
    assert [a.addr_spec for a in mail["to"].addresses] == ["bob@b.org",
                                                           "c@c.org"]
    assert "hidden" not in envelope.content.decode()
    assert mail["date"] and mail["mime-version"] == "1.0"
    text = mail.get_body(("plain",)).get_content()
    assert text.replace("\r\n", "\n").strip() == "Hallo\n.\nWelt"
    assert mail.get_body(("html",)).get_content().strip() == "<b>ä</b>"
    assert reply.json["message_id"] == mail["message-id"]
    # Once.
    again = world.call("email", "send", MAIL, key="k")
    assert again.body == reply.body and len(smtp.mails) == 1
    world.close()


def test_email_that_is_refused(tmp_path, smtp):
    world = mail_world(tmp_path, smtp, SMTP_USERNAME="ada",
                       SMTP_PASSWORD="wrong password")
    reply = world.call("email", "send", MAIL)
    assert reply.status == 424 and reply.code == "tool_failed", reply
    assert "wrong password" not in reply.body.decode()
    put_secret(world, "SMTP_PASSWORD", "open sesame")
    smtp.refuse = "554 no thanks"
    reply = world.call("email", "send", MAIL)
    assert reply.status == 424 and reply.json["upstream_status"] == 554, reply
    assert not smtp.mails
    world.close()


def test_email_headers_cannot_be_injected(tmp_path, smtp):
    world = mail_world(tmp_path, smtp)
    for change in ({"subject": "a\r\nBcc: x@y.org"},
                   {"to": "a@b.org\r\nRCPT TO:<x@y.org>"},
                   {"to": ["a@b.org>\r\nDATA"]},
                   {"reply_to": "a@b.org\nX: y"}):
        reply = world.call("email", "send", {**MAIL, **change})
        assert reply.status == 422, (change, reply)
    assert not smtp.mails
    world.close()


# --- jobs that start jobs ---------------------------------------------------------------

def child_params(**more):
    return {"script": {"name": "child.py", "content": "print(2)"}, **more}


def test_a_child_is_kept_in_as_its_parent_is(world):
    limits = {"executor": "docker", "memory_mb": 64, "cpus": 0.5, "pids": 32}
    sidecar = world.start_job(**limits)
    assert world.call("cronium", "call-workflow", child_params(),
                      sidecar=sidecar).status == 200
    spec = world.agent.claim().assign["spec"]
    assert {k: spec[k] for k in limits} == limits


def test_a_child(world):
    raw = b'{"tool":"cronium","action":"call-workflow","params":' \
        b'{"script":{"name":"child.py","content":"print(2)"},' \
        b'"input":{"x": 1.10},"labels":{"a":"b"}}}'
    reply = world.sidecar.call("POST", EXECUTE, raw, {"Idempotency-Key": "k"})
    assert reply.status == 200, reply
    assert reply.json["state"] == "queued"
    child = world.agent.claim()
    assert child.job == reply.json["job"]
    assert child.input == b'{"x": 1.10}' and child.script == b"print(2)"
    job = world.backend.job(child.job)
    assert job["parent"] == world.claim.id and job["labels"] == {"a": "b"}
    again = world.sidecar.call("POST", EXECUTE, raw, {"Idempotency-Key": "k"})
    assert again.json["job"] == child.job
    other = world.call("cronium", "call-workflow", child_params(input=2),
                       key="k")
    assert other.status == 422 and other.code == "key_reused"


def test_a_child_that_is_waited_for(world):
    ask = child_params(wait=True)
    waiting = world.later("cronium", "call-workflow", ask, key="k")
    child = world.agent.claim()
    world.agent.started(child)
    assert world.backend.sidecar(child).post(
        "/v1/runtime/output", b'{"n": 1.50}').status == 204
    assert not waiting.done()
    world.agent.complete(child, exit_code=0)
    reply = waiting.result(20)
    assert reply.status == 200, reply
    assert reply.body == (b'{"job":"%s","state":"succeeded","exit_code":0,'
                          b'"output":{"n": 1.50}}' % child.job.encode())
    # The same key finds the same child, also after a restart.
    world.restart()
    assert world.call("cronium", "call-workflow", ask,
                      key="k").body == reply.body


def test_a_child_of_an_orchestrator(world):
    assert world.call("cronium", "call-agent", child_params()).status == 422
    reply = world.call("cronium", "call-agent",
                       child_params(agent="agent-1"))
    assert reply.status == 200, reply
    assert world.agent.claim().job == reply.json["job"]


def test_a_child_may_do_no_more(world):
    sidecar = world.start_job(vars_read=["app.*"], vars_write=[],
                              tools=["cronium/*"], read_only=True)
    reply = world.call("cronium", "call-workflow", child_params(
        vars_read=["app.x", "*"], vars_write=["a"], tools=["slack/*"]),
        sidecar=sidecar)
    assert reply.status == 422 and reply.code == "invalid_params"
    assert {v["path"] for v in reply.json["violations"]} == {
        "/vars_read/1", "/vars_write/0", "/tools/0"}
    reply = world.call("cronium", "call-workflow",
                       child_params(vars_read=["app.db.*"]), sidecar=sidecar)
    assert reply.status == 200, reply
    spec = world.agent.claim().assign["spec"]
    assert spec["vars_read"] == ["app.db.*"]
    assert spec["vars_write"] == [] and spec["tools"] == ["cronium/*"]
    assert spec["read_only"] is True and spec["dry_run"] is False


def test_a_child_inherits_dry_run(world):
    sidecar = world.start_job(dry_run=True)
    reply = world.call("cronium", "call-workflow", child_params(),
                       sidecar=sidecar)
    assert reply.status == 200, reply
    assert world.agent.claim().assign["spec"]["dry_run"] is True
    reply = world.call("cronium", "call-workflow", child_params(),
                       dry_run=True)
    assert reply.json["dry_run"] is True
    assert reply.json["job"]["script_name"] == "child.py"


@pytest.mark.parametrize("restart", [False, True])
def test_a_child_ends_with_its_parent(world, restart):
    waiting = world.later("cronium", "call-workflow", child_params(wait=True))
    child = world.agent.claim()
    world.agent.started(child)
    free = world.call("cronium", "call-workflow", child_params()).json["job"]
    if restart:
        world.restart()
        assert waiting.exception(20) is not None
        world.agent = world.backend.agent(slots=100)
    assert world.backend.admin.post(f"/v1/jobs/{world.job}/cancel"
                                    ).status == 202
    assert world.agent.complete(world.claim, state="cancelled").status == 200
    until(lambda: world.backend.job(child.job)["cancel_requested"])
    cancels = []
    while child.id not in cancels:
        kind, payload = world.agent.stream.next()
        if kind == frames.CANCEL:
            cancels.append(json.loads(payload)["execution"])
    world.agent.complete(child, state="cancelled")
    assert not world.backend.job(free)["cancel_requested"]


def test_how_deep_children_go(world):
    sidecar = world.sidecar
    for depth in range(9):
        reply = world.call("cronium", "call-workflow", child_params(),
                           sidecar=sidecar)
        if depth == 8:
            break
        assert reply.status == 200, (depth, reply)
        claim = world.agent.claim()
        world.agent.started(claim)
        sidecar = world.backend.sidecar(claim)
    assert reply.status == 409 and reply.code == "too_many_jobs", reply


def test_what_a_child_cannot_be(world):
    for params in ({}, child_params(runtime="cobol"), child_params(x=1),
                   child_params(vars_read=["no spaces"]),
                   child_params(wait="yes")):
        reply = world.call("cronium", "call-workflow", params)
        assert reply.status == 422 and reply.code == "invalid_params", reply
        assert reply.json["violations"]
    assert world.call("cronium", "call-home").code == "action_not_found"


# --- the registry, and people --------------------------------------------------------------

def listed(world):
    return {t["name"]: t for t in
            world.backend.admin.get("/v1/tools").json["tools"]}


def wait_listed(world, condition):
    until(lambda: condition(listed(world)), lambda: listed(world))


def test_the_registry(world):
    tools = listed(world)
    assert {"http", "slack", "discord", "email", "webhook", "cronium",
            "probe", "needy"} <= set(tools)
    assert all(t["problem"] is None for t in tools.values())
    assert tools["slack"]["source"] == "built in"
    assert tools["probe"]["source"].endswith("/tools/probe.yaml")
    # A file over a built-in tool, one with a mistake, and one that goes.
    (world.tools / "slack.yaml").write_text(
        NEEDY.replace("name: needy", "name: slack") % {"url": "http://x.org"})
    (world.tools / "bad.yaml").write_text("name: bad\nactions: 1\nwhat: 2\n")
    (world.tools / "cronium.yaml").write_text("name: cronium\n")
    (world.tools / "needy.yaml").unlink()
    wait_listed(world, lambda t: "bad" in t)
    tools = listed(world)
    assert "needy" not in tools
    assert tools["slack"]["source"].endswith("slack.yaml")
    assert tools["slack"]["actions"] == ["do"]
    assert "actions" in tools["bad"]["problem"]
    assert world.call("bad", "x").code == "tool_not_found"
    assert world.call("probe", "once", {"path": "echo"}).status == 200
    assert any("bad.yaml" in line for line in world.backend.log)
    (world.tools / "slack.yaml").unlink()
    world.backend.process.send_signal(signal.SIGHUP)
    wait_listed(world, lambda t: t["slack"]["source"] == "built in")


def test_a_call_keeps_its_tool(world):
    """The file changes under a call that is under way."""
    call = world.later("probe", "once", {"path": "hold"})
    world.target.wait(1)
    (world.tools / "probe.yaml").unlink()
    wait_listed(world, lambda t: "probe" not in t)
    world.target.release.set()
    assert call.result(20).status == 200


def test_one_in_full(world):
    reply = world.backend.admin.get("/v1/tools/probe")
    assert reply.status == 200
    assert reply.json["credentials"][0]["secret"] == "PROBE_TOKEN"
    assert reply.json["credentials"][0]["present"] is False
    once = reply.json["actions"][0]
    assert once["name"] == "once" and "url" in once["params"]["properties"]
    put_secret(world, "PROBE_TOKEN", TOKEN)
    reply = world.backend.admin.get("/v1/tools/probe")
    assert reply.json["credentials"][0]["present"] is True
    assert TOKEN not in reply.body.decode()
    assert world.backend.admin.get("/v1/tools/absent").status == 404
    native = world.backend.admin.get("/v1/tools/cronium").json
    assert {a["name"] for a in native["actions"]} == {"call-workflow",
                                                      "call-agent"}


def test_people_try_tools(world):
    reply = world.backend.admin.post("/v1/tools/probe/once", {
        "params": world.params({"path": "echo"})})
    assert reply.status == 200 and len(world.target.calls) == 1, reply
    reply = world.backend.admin.post("/v1/tools/probe/once", {
        "params": world.params({"path": "echo"}), "dry_run": True})
    assert reply.json["dry_run"] is True and len(world.target.calls) == 1
    assert world.sidecar.post("/v1/tools/probe/once", {}).status == 403


def cronium(world, *args):
    return subprocess.run(
        [f"{BIN}/cronium", *args, "--server",
         f"unix:{world.backend.run}/api.sock"],
        capture_output=True, text=True, timeout=60)


def test_the_command(world, tmp_path):
    done = cronium(world, "tools", "list")
    assert done.returncode == 0 and "probe" in done.stdout, done
    done = cronium(world, "tools", "show", "probe")
    assert "PROBE_TOKEN" in done.stdout and "url" in done.stdout, done
    params = json.dumps(world.params({"path": "echo"}))
    done = cronium(world, "tools", "run", "probe", "once", "--params", params)
    assert json.loads(done.stdout)["method"] == "POST", done
    done = cronium(world, "tools", "run", "probe/once", "--params", params,
                   "--dry-run")
    assert json.loads(done.stdout)["dry_run"] is True
    done = cronium(world, "tools", "run", "probe")
    assert done.returncode == 2 and "action" in done.stderr, done
    done = cronium(world, "tools", "run", "probe", "once")
    assert done.returncode == 1 and "url" in done.stderr, done
    bad = tmp_path / "bad.yaml"
    bad.write_text("name: bad\n")
    done = cronium(world, "tools", "check", str(bad))
    assert done.returncode == 1 and "actions" in done.stderr, done
    done = cronium(world, "tools", "check", str(world.tools / "probe.yaml"))
    assert done.returncode == 0, done


def test_the_command_prints_no_controls_of_others(world, tmp_path):
    """A tool of somebody else's does not steer the terminal."""
    (tmp_path / "evil.json").write_text(json.dumps({
        "name": "evil", "actions": {"x": {
            "request": {"url": "https://a.example"},
            "params": {"type": "object", "properties": {
                "p\x1b[1m": {"type": "string", "description":
                             "a\x1b]0;owned\x07b\u009b2Jc\x7f\r"}}}}}}))
    done = cronium(world, "tools", "check", str(tmp_path / "evil.json"))
    shown = done.stdout + done.stderr
    assert "owned" in shown, done
    assert all(c.isprintable() or c == "\n" for c in shown), done


def test_params_are_called_config_as_well(world):
    params = world.params({"path": "echo", "note": "hi"})
    body = {"tool": "probe", "action": "once", "config": params}
    reply = world.sidecar.call("POST", EXECUTE, body, {})
    assert reply.status == 200
    assert json.loads(reply.json["body"]) == {"note": "hi"}
    reply = world.sidecar.call("POST", EXECUTE, {**body, "params": params}, {})
    assert reply.status == 400 and reply.code == "invalid_request"
