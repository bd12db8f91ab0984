"""What is noted of the calls of tools, and what they hold."""

import concurrent.futures
import json

import pytest

from tool_world import EXECUTE, TOKEN, put_secret
from tool_world import no_world_stays, world  # noqa: F401

pytestmark = pytest.mark.timeout(120)


# --- the audit log ------------------------------------------------------------

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


# --- memory -------------------------------------------------------------------

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
