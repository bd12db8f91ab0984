"""Hosts for the executor ssh: registered, checked, given to orchestrators."""

import pytest

from backend_process import quote

pytestmark = pytest.mark.timeout(60)
KEY = "SHA256:" + 42 * "x" + "A"
WEB1 = {"user": "deploy", "address": "10.1.2.3"}


def put(backend, name, **members):
    return backend.admin.put(f"/v1/hosts/{quote(name)}", members)


def entries(backend):
    return [(e["action"], e["target"], e["result"])
            for e in backend.admin.get("/v1/audit").json["entries"]]


# --- the API


def test_put_get_list_delete(backend):
    assert backend.admin.get("/v1/hosts").json == {"hosts": []}
    reply = put(backend, "web1", **WEB1)
    assert reply.status == 201
    web1 = reply.json
    assert web1.pop("created_ms") > 0
    assert web1 == {"name": "web1", **WEB1, "port": 22, "host_key": None,
                    "mode": "tunnel", "read_only": False}
    reply = put(backend, "web1", user="u", address="::1", port=2222,
                host_key=KEY, mode="direct", read_only=True)
    assert reply.status == 200
    assert backend.admin.get("/v1/hosts/web1").json == reply.json
    assert reply.json["host_key"] == KEY and reply.json["read_only"] is True
    again = backend.admin.put("/v1/hosts/web1", reply.json)
    assert again.status == 200 and again.json == reply.json
    assert put(backend, "db1", **WEB1).status == 201
    listed = backend.admin.get("/v1/hosts").json["hosts"]
    assert [h["name"] for h in listed] == ["db1", "web1"]
    backend.stop()
    backend.start()
    assert backend.admin.get("/v1/hosts").json["hosts"] == listed
    assert backend.admin.delete("/v1/hosts/web1").status == 204
    for reply in (backend.admin.delete("/v1/hosts/web1"),
                  backend.admin.get("/v1/hosts/web1")):
        assert reply.status == 404 and reply.code == "not_found"
    assert entries(backend)[:3] == [
        ("host.delete", "web1", "not_found"), ("host.delete", "web1", "ok"),
        ("host.put", "db1", "ok")]


def test_all_that_is_wrong_is_said_at_once(backend):
    reply = put(backend, "-x", address="a b", port=0, host_key="MD5:00",
                mode="both", read_only="no", password="secret")
    assert reply.status == 400 and reply.code == "invalid_host"
    for member in ("name", "user", "address", "port", "host_key", "mode",
                   "read_only", "password"):
        assert f"{member}: " in reply.json["detail"], reply
    assert "secret" not in reply.json["detail"]
    assert backend.admin.put("/v1/hosts/a", [1]).status == 400
    assert backend.admin.get("/v1/hosts").json == {"hosts": []}


def test_only_administrators_see_them(backend):
    backend.submit()
    sidecar = backend.sidecar(backend.agent().claim())
    assert sidecar.get("/v1/hosts").status == 403
    assert backend.tcp().get("/v1/hosts").status == 401


# --- jobs


def connect(backend, executors, name="agent-1"):
    return backend.agent(name=name, executors=executors)


def test_a_job_needs_a_host_that_is_there(backend):
    reply = backend.admin.post("/v1/jobs", {
        "script": {"name": "a.sh", "content": "true"}, "host": "web1"})
    assert reply.status == 400 and reply.code == "invalid_spec"
    assert "there is no host web1: cronium hosts add" in reply.json["detail"]


def test_the_claim_has_the_host(backend):
    web1 = put(backend, "web1", **WEB1, host_key=KEY).json
    job = backend.submit(host="web1")
    assert backend.job(job)["host"] == "web1"
    assert backend.job(job)["executor"] == "ssh"
    other = backend.submit()
    plain = connect(backend, "docker,sandbox", "plain")
    claim = plain.claim()
    assert claim.job == other and claim.assign["host"] is None
    claim = connect(backend, "ssh", "remote").claim()
    assert claim.job == job
    assert claim.assign["host"] == web1
    assert claim.assign["context"]["read_only"] is False


def test_auto_is_never_ssh(backend):
    put(backend, "web1", **WEB1)
    auto, ssh = backend.submit(), backend.submit(host="web1")
    remote = connect(backend, "ssh", "remote")
    assert remote.claim().job == ssh
    assert backend.job(auto)["state"] == "queued"
    assert connect(backend, "sandbox", "plain").claim().job == auto


def test_read_only_hosts(backend):
    put(backend, "web1", **WEB1, read_only=True)
    backend.admin.put("/v1/variables/v", 1)
    backend.submit(host="web1")
    claim = connect(backend, "ssh").claim()
    assert claim.assign["context"]["read_only"] is True
    sidecar = backend.sidecar(claim)
    assert sidecar.get("/v1/runtime/context").json["read_only"] is True
    assert sidecar.get("/v1/runtime/variables/v").json == 1
    reply = sidecar.put("/v1/runtime/variables/v", 2)
    assert reply.status == 403, reply
    assert backend.admin.get("/v1/variables/v").json == 1


def test_a_host_that_is_removed_fails_its_jobs(backend):
    put(backend, "web1", **WEB1)
    job = backend.submit(host="web1")
    assert backend.admin.delete("/v1/hosts/web1").status == 204
    agent = connect(backend, "ssh")
    failed = backend.wait_state(job, "failed")
    assert "there is no host web1 any more" in failed["reason"]
    # The orchestrator never heard of it, and gets the next one.
    put(backend, "web2", **WEB1)
    job = backend.submit(host="web2")
    assert agent.claim().job == job
