"""Agents: what they have, who is given what, drained ones, their pods."""

import time

import pytest

import frames
from patience import until

pytestmark = pytest.mark.timeout(60)


def agents(backend):
    reply = backend.admin.get("/v1/agents")
    assert reply.status == 200
    return {a["name"]: a for a in reply.json["agents"]}


def wait_connected(backend, name, connected):
    """Until that is said of it: it is stored while it is given jobs."""
    until(lambda: agents(backend).get(name, {}).get("connected") == connected)


def waits_for(backend, job, code):
    """Until it does; what is said of it."""
    def message():
        waiting = backend.job(job)["waiting"]
        return waiting and waiting["code"] == code and waiting["message"]

    return until(message)


def drain(backend, name, what="drain"):
    reply = backend.admin.post(f"/v1/agents/{name}/{what}", {})
    assert reply.status == 200, reply
    return reply.json


def test_what_is_known_of_one(backend):
    agent = backend.agent(name="one", slots=3, labels="zone=a,gpu=yes")
    backend.submit()
    claim = agent.claim()
    snapshot = {"at_ms": 1, "cores": 2, "load": [0.1, 0.2, 0.3]}
    reply = agent.heartbeat(claim, status={
        "accepting": True, "snapshot": snapshot, "pods": []})
    assert reply.status == 200
    one = agents(backend)["one"]
    assert one["connected"] and one["accepting"] and not one["drained"]
    assert one["labels"] == {"gpu": "yes", "zone": "a"}
    assert (one["slots"], one["running"]) == (3, 1)
    assert one["executors"] == "docker,sandbox"
    assert one["snapshot"] == snapshot
    assert one["seen_ms"] >= one["connected_ms"] > 0
    assert backend.admin.get("/v1/agents/one").json["name"] == "one"
    assert backend.admin.get("/v1/agents/two").status == 404


def test_one_that_is_gone_is_remembered(backend):
    agent = backend.agent(name="one")
    wait_connected(backend, "one", True)
    assert backend.admin.delete("/v1/agents/one").code == "agent_connected"
    agent.close()
    wait_connected(backend, "one", False)
    backend.stop()
    backend.start()
    assert not agents(backend)["one"]["connected"]
    assert backend.admin.delete("/v1/agents/one").status == 204
    assert agents(backend) == {}
    assert backend.admin.delete("/v1/agents/one").status == 404


def test_drain(backend):
    one = backend.agent(name="one", slots=8)
    first = backend.submit()
    claim = one.claim()
    assert claim.job == first
    assert drain(backend, "one")["drained"]
    second = backend.submit()
    # What it has goes on; what is new is for another.
    assert one.started(claim).status == 200
    assert one.heartbeat(claim).json["lost"] == []
    two = backend.agent(name="two")
    assert two.claim().job == second
    assert one.complete(claim).status == 200
    # Neither a new stream nor a new backend takes it back.
    one.close()
    two.close()
    backend.stop()
    backend.start()
    third = backend.submit()
    one = backend.agent(name="one")
    wait_connected(backend, "one", True)
    assert agents(backend)["one"]["drained"]
    waits_for(backend, third, "drained")
    assert not drain(backend, "one", "undrain")["drained"]
    assert one.claim().job == third
    entries = backend.admin.get("/v1/audit").json["entries"]
    assert [e["action"] for e in entries
            if e["target"] == "one"] == ["agent.undrain", "agent.drain"]
    assert backend.admin.post("/v1/agents/nobody/drain", {}).status == 404


def test_one_that_accepts_nothing(backend):
    one = backend.agent(name="one")
    closed = {"accepting": False, "code": "guard",
              "problem": "memory is at 93 %"}
    assert one.heartbeat(status=closed).status == 200
    job = backend.submit()
    assert agents(backend)["one"]["problem"] == "memory is at 93 %"
    assert "memory is at 93 %" in waits_for(backend, job, "guard")
    # It is given the job as soon as it says that it takes one.
    assert one.heartbeat(status={"accepting": True}).status == 200
    assert one.claim().job == job
    assert agents(backend)["one"]["problem"] is None


def test_a_status_that_is_none(backend):
    one = backend.agent(name="one")
    for status in ([], {"pods": {}}, {"pods": [{}]}, {"snapshot": 1}):
        reply = one.heartbeat(status=status)
        assert reply.status == 400 and reply.code == "invalid_heartbeat"


def test_labels(backend):
    a = backend.agent(name="a", labels="zone=a")
    b = backend.agent(name="b", labels="gpu=yes,zone=b")
    for_b = backend.submit(agent_labels={"zone": "b"})
    for_a = backend.submit(agent_labels={"zone": "a"})
    gpu = backend.submit(agent_labels={"zone": "b", "gpu": "yes"})
    nobody = backend.submit(agent_labels={"zone": "a", "gpu": "yes"})
    assert [b.claim().job, b.claim().job] == [for_b, gpu]
    claim = a.claim()
    assert claim.job == for_a
    assert claim.assign["spec"]["agent_labels"] == {"zone": "a"}
    waits_for(backend, nobody, "labels")
    for bad in ({"zone": 1}, {"z o": "a"}, {"zone": ""}, [], "zone=a"):
        reply = backend.admin.post("/v1/jobs", {
            "runtime": "bash", "agent_labels": bad,
            "script": {"content": "true"}})
        assert reply.status == 400 and reply.code == "invalid_spec", bad


@pytest.mark.parametrize("labels", ["zone", "zone=", "a=1,a=2", "a=b,,c=d",
                                    "x" * 64 + "=1"])
def test_labels_that_are_none(backend, labels):
    reply = backend.admin.get("/v1/agents/x/claims?slots=1&executors=sandbox"
                              f"&labels={labels}")
    assert reply.status == 400 and reply.code == "invalid_agent"


def test_the_least_loaded_one_is_asked_first(backend):
    """Loads of 0/2 and 0/4, then as they come."""
    small = backend.agent(name="small", slots=2)
    big = backend.agent(name="big", slots=4)
    got = []
    for _ in range(6):
        job = backend.submit()
        while backend.job(job)["state"] == "queued":
            pass
        got.append(backend.job(job)["agent"])
    assert sorted(got) == ["big"] * 4 + ["small"] * 2
    # While the big one has a free slot, the small one is not full first.
    assert got[:2] != ["small", "small"]
    small.close()
    big.close()


def test_pods(backend):
    agent = backend.agent(name="one")
    backend.submit(name="report")
    claim = agent.claim()
    pods = backend.admin.get("/v1/pods").json["pods"]
    assert [(p["execution"], p["job"], p["state"], p["cpu_us"])
            for p in pods] == [(claim.id, claim.job, "claimed", None)]
    agent.started(claim)
    for cpu_us in (1000, 1001000):
        assert agent.heartbeat(claim, status={"pods": [
            {"execution": claim.id, "job": claim.job, "state": "RUNNING",
             "cpu_us": cpu_us, "memory_bytes": 5 << 20, "pids": 3},
        ]}).status == 200
        time.sleep(0.002)  # the clock goes on between two of them
    pod, = backend.admin.get("/v1/pods").json["pods"]
    assert pod["name"] == "report" and pod["agent"] == "one"
    assert pod["state"] == "running" and pod["executor"] == "sandbox"
    assert pod["memory_bytes"] == 5 << 20 and pod["pids"] == 3
    assert pod["cpu_us"] == 1001000 and pod["cpu_percent"] > 0
    assert pod["started_ms"] > 0
    agent.complete(claim)
    assert backend.admin.get("/v1/pods").json["pods"] == []


def test_cancel_reaches_a_drained_one(backend):
    agent = backend.agent(name="one")
    job = backend.submit()
    claim = agent.claim()
    agent.started(claim)
    drain(backend, "one")
    backend.admin.post(f"/v1/jobs/{job}/cancel", {})
    cancel = agent.stream.expect(frames.CANCEL)
    assert cancel["execution"] == claim.id


def test_sessions_are_served_in_turns(backend):
    assert backend.admin.post("/v1/sessions",
                              {"name": "long"}).status == 201
    long = [backend.submit(session="long") for _ in range(10)]
    mine = [backend.submit() for _ in range(2)]
    agent = backend.agent(slots=20)
    order = [agent.claim().job for _ in range(12)]
    assert order[:4] == [long[0], mine[0], long[1], mine[1]]
    assert order[4:] == long[2:]
