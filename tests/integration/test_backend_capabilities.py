"""Capabilities at the backend: the list, the jobs that they become, undo."""

import base64
import json

import pytest


pytestmark = pytest.mark.timeout(120)
NAMES = ["file.read", "file.write", "git.exec", "process.kill", "shell.exec"]


def exec_(backend, name, args, headers=None, **more):
    return backend.admin.call("POST", f"/v1/capabilities/{name}",
                              {"args": args, **more}, headers)


def test_there_are_some(backend):
    found = backend.admin.get("/v1/capabilities").json["capabilities"]
    assert [c["name"] for c in found] == NAMES
    assert all(c["summary"] and c["timeout_ms"] for c in found)
    one = backend.admin.get("/v1/capabilities/file.read").json
    assert one["params"]["required"] == ["path"]
    reply = backend.admin.get("/v1/capabilities/file.steal")
    assert (reply.status, reply.code) == (404, "capability_not_found")
    assert exec_(backend, "file.steal", {}).status == 404


def test_it_becomes_a_job(backend):
    reply = exec_(backend, "file.read", {"path": "/srv/x/../a"},
                  dry_run=True, timeout_ms=5000, labels={"k": "v"})
    assert reply.status == 201, reply
    job = reply.json
    assert (job["name"], job["capability"]) == ("file.read", "file.read")
    assert backend.job(job["id"])["capability"] == "file.read"
    agent = backend.agent()
    claim = agent.claim()
    spec = claim.assign["spec"]
    assert (spec["shares"], spec["processes"]) == ("listed", False)
    assert spec["runtime"]["permissions"]["read"] == ["/srv/a"]
    assert spec["runtime"]["permissions"]["run"] is False
    assert (spec["vars_read"], spec["vars_write"], spec["tools"]) == (
        [], [], [])
    assert spec["timeout_ms"] == 5000 and spec["labels"] == {"k": "v"}
    assert claim.assign["context"]["dry_run"] is True
    assert claim.assign["signature"]
    assert json.loads(claim.input)["path"] == "/srv/a"
    assert json.loads(claim.input)["offset"] == 0
    assert b"def read(" in claim.script
    agent.close()


def test_wrong_arguments_are_told_at_once(backend):
    reply = exec_(backend, "file.read", {"path": 1, "limit": 0, "x": 1})
    assert (reply.status, reply.code) == (422, "invalid_args")
    assert {v["path"] for v in reply.json["violations"]} == {
        "/path", "/limit", "/x"}
    reply = exec_(backend, "file.read", {"path": "../etc/passwd"})
    assert reply.code == "invalid_args"
    reply = exec_(backend, "file.read", {"path": "/a"}, host="a b")
    assert (reply.status, reply.code) == (400, "invalid_spec")
    reply = exec_(backend, "file.read", {"path": "/a"},
                  env={"PYTHONPATH": "/a"})
    assert "CRONIUM_CA_FILE" in reply.json["detail"]


def test_a_script_gets_no_share(backend):
    for member in ({"capability": "file.read"}, {"shares": "all"},
                   {"processes": True}):
        reply = backend.admin.post("/v1/jobs", {
            "runtime": "python", "script": {"content": "1"}, **member})
        assert (reply.status, reply.code) == (400, "invalid_spec")
        assert "/v1/capabilities" in reply.json["detail"]
    assert backend.job(backend.submit())["capability"] is None


def test_a_key_finds_the_same_job(backend):
    key = {"Idempotency-Key": "k1"}
    first = exec_(backend, "file.read", {"path": "/a"}, key)
    again = exec_(backend, "file.read", {"path": "/a"}, key)
    assert first.json["id"] == again.json["id"]
    other = exec_(backend, "file.read", {"path": "/b"}, key)
    assert other.status == 422
    entries = backend.admin.get("/v1/audit").json["entries"]
    entries = [e for e in entries if e["action"] == "capability.exec"]
    assert ("file.read", first.json["id"]) in [
        (e["target"], e["job"]) for e in entries]


def test_binary_arguments(backend):
    content = base64.b64encode(bytes(range(256)) * 1000).decode()
    reply = exec_(backend, "file.write", {
        "path": "/a/b", "content": content, "encoding": "base64"})
    assert reply.status == 201, reply
    got = backend.admin.get(f"/v1/jobs/{reply.json['id']}/input").json
    assert got["content"] == content


def finish(backend, agent, output, state="succeeded"):
    claim = agent.claim()
    assert agent.started(claim).status == 200
    if output is not None:
        sidecar = backend.sidecar(claim)
        assert sidecar.post("/v1/runtime/output", output).status == 204
    assert agent.complete(claim, state).status == 200
    return claim


def undo(backend, job, **more):
    return backend.admin.post(f"/v1/jobs/{job}/undo", more)


def test_undo(backend):
    job = exec_(backend, "file.write", {"path": "/s/a", "content": "new"},
                ).json["id"]
    assert undo(backend, job).code == "not_undoable"
    agent = backend.agent()
    finish(backend, agent, {
        "path": "/s/a", "sha256": "b" * 64, "undo": {
            "existed": True, "content": "old", "encoding": "utf-8",
            "mode": "0600"}}, "failed")
    reply = undo(backend, job, dry_run=True, labels={"a": "b"})
    assert reply.status == 201, reply
    assert reply.json["labels"] == {"a": "b"}
    claim = finish(backend, agent, {"dry_run": True})
    assert claim.assign["spec"]["dry_run"] is True
    assert claim.job == reply.json["id"]
    args = json.loads(claim.input)
    assert args["content"] == "old" and args["mode"] == "0600"
    assert args["expected_sha256"] == "b" * 64
    assert claim.assign["spec"]["agent"] == agent.name
    assert claim.assign["spec"]["capability"] == "file.write"
    assert "dry run" in undo(backend, reply.json["id"]).json["detail"]
    undo(backend, job, force=True)
    args = json.loads(finish(backend, agent, None).input)
    assert "expected_sha256" not in args
    audit = backend.admin.get("/v1/audit").json["entries"]
    assert [e["target"] for e in audit
            if e["action"] == "capability.undo"] == [job, job]
    agent.close()


def test_what_cannot_be_undone(backend):
    script = backend.submit()
    assert undo(backend, script).code == "not_undoable"
    assert undo(backend, "job_0").status == 404
    job = exec_(backend, "file.read", {"path": "/a"}).json["id"]
    assert undo(backend, job).code == "not_undoable"


def test_who_may(backend):
    reply = backend.tcp("wrong").post("/v1/capabilities/file.read", {})
    assert reply.status == 401
    agent = backend.agent()
    backend.submit()
    claim = agent.claim()
    for method, path in (("POST", "/v1/capabilities/file.read"),
                         ("GET", "/v1/capabilities"),
                         ("POST", f"/v1/jobs/{claim.job}/undo")):
        reply = backend.sidecar(claim).call(method, path)
        assert reply.status in (401, 403, 404), reply
    assert claim.assign["spec"]["shares"] == "none"
    agent.close()
