"""What a job that is started by another has of it, and whether it may be."""

import threading

import pytest


pytestmark = pytest.mark.timeout(60)
EXECUTE = "/v1/runtime/tool-actions/execute"
CHILD = {"script": {"name": "child.sh", "content": "true"}}


class Parent:
    def __init__(self, backend, executors="docker,sandbox,ssh", **spec):
        self.agent = backend.agent(slots=10, executors=executors)
        self.job = backend.submit(**spec)
        self.claim = self.agent.claim()
        self.agent.started(self.claim)
        self.sidecar = backend.sidecar(self.claim)

    def call(self, action="call-workflow", **params):
        return self.sidecar.post(EXECUTE, {
            "tool": "cronium", "action": action,
            "params": {**CHILD, **params}})

    def child(self, **params):
        """Its specification."""
        reply = self.call(**params)
        assert reply.status == 200, reply
        return self.agent.claim().assign["spec"]


@pytest.mark.parametrize("member,action", [
    ("call_workflows", "call-workflow"), ("call_agents", "call-agent")])
def test_a_runtime_without_native_tools(backend, member, action):
    parent = Parent(backend, runtime={
        "type": "python", "native_tools": {member: False}})
    params = {"call-agent": {"agent": "agent-1"}}
    for name in ("call-workflow", "call-agent"):
        reply = parent.call(name, **params.get(name, {}))
        if name != action:
            assert reply.status == 200, reply
            continue
        assert reply.status == 403 and reply.code == "tool_forbidden"
        assert f"cronium/{action}" in reply.json["detail"]
        assert member in reply.json["detail"]
    child = parent.agent.claim().assign["spec"]
    assert child["runtime"]["native_tools"][member] is False
    # Writes happen in their order: behind this one the entry is there.
    assert backend.admin.put("/v1/variables/after", 1).status in (200, 201, 204)
    refused = [e for e in backend.admin.get(
        f"/v1/audit?job={parent.job}").json["entries"]
        if e["result"] == "tool_forbidden"]
    assert [e["target"] for e in refused] == [f"cronium/{action}"]


def test_a_child_has_its_parents_runtime(backend):
    block = {"type": "node", "permissions": {"net": ["a.example"]},
             "retries": 1, "environment": "staging",
             "node_options": ["--no-warnings"], "max_memory_mb": 64}
    parent = Parent(backend, name="main.js", script="1",
                    **{"runtime": block, "script_name": "main.js"})
    child = parent.child()
    mine = parent.claim.assign["spec"]["runtime"]
    theirs = child["runtime"]
    assert theirs["type"] == "bash" and theirs["node_options"] == []
    for member in mine:
        if member not in ("type", "entrypoint", "node_options"):
            assert theirs[member] == mine[member], member
    assert child["memory_mb"] == 64 and child["script_name"] == "child.sh"
    # Its type it may choose, but nothing else.
    assert parent.child(runtime="python")["runtime"]["type"] == "python"
    reply = parent.call(runtime={"permissions": {"all": True}})
    assert reply.status == 422, reply
    for member in ("env", "permissions", "memory_mb", "host", "payload"):
        assert parent.call(**{member: 1}).status == 422


def test_nobody_waits_for_ever(backend):
    parent = Parent(backend)
    assert parent.child()["timeout_ms"] == 0
    for given, expected in (({}, 60000), ({"timeout_ms": 5}, 5),
                            ({"timeout_ms": 0}, 0)):
        waiting = threading.Thread(
            target=parent.call, kwargs={"wait": True, **given})
        waiting.start()
        claim = parent.agent.claim()
        assert claim.assign["spec"]["timeout_ms"] == expected
        parent.agent.started(claim)
        parent.agent.complete(claim)
        waiting.join()


def test_a_child_waited_for_is_tried_again(backend):
    parent = Parent(backend, runtime={
        "type": "python", "retries": 1, "backoff": {"initial": 1}})
    replies = []
    waiting = threading.Thread(
        target=lambda: replies.append(parent.call(wait=True)))
    waiting.start()
    for state in ("failed", "succeeded"):
        claim = parent.agent.claim()
        parent.agent.started(claim)
        parent.agent.complete(claim, state)
    waiting.join()
    assert replies[0].status == 200
    assert replies[0].json["state"] == "succeeded"


def test_a_child_runs_where_its_parent_does(backend):
    host = {"user": "u", "address": "h", "read_only": True}
    assert backend.admin.put("/v1/hosts/web1", host).status == 201
    parent = Parent(backend, host="web1")
    child = parent.child()
    assert child["host"] == "web1" and child["executor"] == "ssh"
    assert child["read_only"] is True
    assert backend.admin.delete("/v1/hosts/web1").status == 204
    reply = parent.call()
    assert reply.status == 422, reply
    assert "there is no host web1" in reply.body.decode()
