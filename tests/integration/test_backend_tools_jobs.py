"""Jobs that start jobs."""

import json

import pytest

import frames
from patience import until
from tool_world import EXECUTE
from tool_world import no_world_stays, world  # noqa: F401

pytestmark = pytest.mark.timeout(120)


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
