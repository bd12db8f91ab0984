"""Tools: what a call sends and gets, what it may not, and credentials."""

import base64
import json

import pytest

from target_server import Target, certificate
from tool_world import EXECUTE, TOKEN, World, put_secret
from tool_world import no_world_stays, world  # noqa: F401

pytestmark = pytest.mark.timeout(120)


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


# --- credentials --------------------------------------------------------------

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


# --- dry runs -----------------------------------------------------------------

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
