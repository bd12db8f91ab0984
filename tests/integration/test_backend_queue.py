"""Claims, leases, epochs, cancellation: every way an execution can go."""

import http.client
import os
import queue
import threading
import time

import pytest

import frames
from backend_process import STORE, TIMEOUT, Backend

pytestmark = pytest.mark.timeout(60)
LEASE_S = 0.5


@pytest.fixture
def hasty(tmp_path):
    """A backend whose leases run out soon."""
    b = Backend(str(tmp_path), "--lease", f"{int(LEASE_S * 1000)}ms")
    yield b
    assert b.stop() == 0, "".join(b.log)


def next_cancel(agent):
    return agent.stream.expect(frames.CANCEL)


# --- leases


def test_lease_runs_out_before_the_start(hasty):
    job = hasty.submit()
    agent = hasty.agent(slots=1)
    first = agent.claim()
    old = hasty.sidecar(first)
    assert old.get("/v1/runtime/input").status == 200
    second = agent.claim()
    assert second.job == job
    assert second.epoch > first.epoch and second.id != first.id
    # The first claim is worth nothing any more.
    for reply in (agent.started(first), agent.complete(first),
                  agent.log(first, 0, (frames.STDOUT, b"x"))):
        assert reply.status == 409 and reply.code == "stale_epoch", reply
    reply = old.get("/v1/runtime/input")
    assert reply.status == 401 and reply.code == "execution_ended"
    assert agent.started(second).status == 200
    assert agent.complete(second).status == 200
    assert hasty.job(job)["state"] == "succeeded"


def test_wrong_epoch(backend):
    backend.submit()
    agent = backend.agent()
    claim = agent.claim()
    claim.epoch += 1
    for reply in (agent.started(claim), agent.complete(claim),
                  agent.log(claim, 0, (frames.STDOUT, b"x"))):
        assert reply.status == 409 and reply.code == "stale_epoch", reply
    for body in (b"", {"epoch": 0}, {"epoch": "1"}, {}):
        reply = backend.admin.post(f"/v1/executions/{claim.id}/started", body)
        assert reply.status == 400 and reply.code == "invalid_epoch"


def test_lease_runs_out_after_the_start(hasty):
    job = hasty.submit()
    agent = hasty.agent()
    claim = agent.claim()
    assert agent.started(claim).status == 200
    lost = hasty.wait_state(job, "lost")
    assert lost["execution"] == claim.id and lost["ended_ms"] > 0
    assert hasty.sidecar(claim).get("/v1/runtime/input"
                                    ).code == "execution_ended"
    assert agent.complete(claim).code == "stale_epoch"
    reply = agent.heartbeat(claim)
    assert reply.json["lost"] == [claim.id]
    assert hasty.job(job)["state"] == "lost"


def test_heartbeats_keep_a_lease(hasty):
    job = hasty.submit()
    agent = hasty.agent()
    claim = agent.claim()
    agent.started(claim)
    until, pace = time.monotonic() + 4 * LEASE_S, threading.Event()
    while time.monotonic() < until:
        reply = agent.heartbeat(claim)
        assert reply.json == {"lease_ms": int(LEASE_S * 1000), "cancel": [],
                              "lost": []}
        pace.wait(LEASE_S / 5)
    assert hasty.job(job)["state"] == "running"
    assert agent.complete(claim).status == 200


def test_agent_that_comes_back(backend):
    """Its stream breaks, its leases do not; they still take its slots."""
    first, second = backend.submit(), backend.submit()
    agent = backend.agent(slots=1)
    claim = agent.claim()
    agent.started(claim)
    agent.close()
    back = backend.agent(slots=1)
    assert back.heartbeat(claim).json["lost"] == []
    assert backend.admin.get("/v1/agents").json["agents"][0]["running"] == 1
    assert backend.job(second)["state"] == "queued"
    assert back.complete(claim).status == 200
    assert backend.job(first)["state"] == "succeeded"
    assert back.claim().job == second


def test_second_stream_replaces_the_first(backend):
    old = backend.agent(name="same")
    new = backend.agent(name="same")
    with pytest.raises(EOFError):
        old.stream.next()
    job = backend.submit()
    assert new.claim().job == job


def test_agent_dies_while_many_wait(backend):
    """Whatever was pushed into a dead stream is claimed again."""
    dying = backend.agent(name="dying", slots=50)
    dying.close()
    jobs = {backend.submit() for _ in range(20)}
    agent = backend.agent(slots=50)
    assert {agent.claim().job for _ in range(20)} == jobs


def test_release(backend):
    job = backend.submit()
    agent = backend.agent(slots=1)
    claim = agent.claim()
    reply = backend.admin.post(f"/v1/executions/{claim.id}/release",
                               {"epoch": claim.epoch, "reason": "stopping"})
    assert reply.status == 200 and reply.json["state"] == "queued"
    again = agent.claim()
    assert again.job == job and again.epoch > claim.epoch
    reply = backend.admin.post(f"/v1/executions/{claim.id}/release",
                               {"epoch": claim.epoch})
    assert reply.status == 409 and reply.code == "stale_epoch"
    agent.started(again)
    reply = backend.admin.post(f"/v1/executions/{again.id}/release",
                               {"epoch": again.epoch})
    assert reply.status == 409 and reply.code == "job_started"


def test_release_of_what_never_began(backend):
    job = backend.submit()
    agent = backend.agent(slots=1)
    claim = agent.claim()
    agent.started(claim)
    reply = backend.admin.post(
        f"/v1/executions/{claim.id}/release",
        {"epoch": claim.epoch, "reason": "it died", "begun": False})
    assert reply.status == 200 and reply.json["state"] == "queued"
    again = agent.claim()
    assert again.job == job and again.epoch > claim.epoch


def test_recover(backend):
    """What the agent does not name any more is given up at once: begun it is
    lost, otherwise somebody else's."""
    kept, lost, back = (backend.submit() for _ in range(3))
    agent = backend.agent(name="phoenix", slots=3)
    claims = {c.job: c for c in (agent.claim() for _ in range(3))}
    agent.started(claims[kept])
    agent.started(claims[lost])
    agent.close()
    reply = agent.recover(claims[kept])
    assert reply.status == 200 and reply.json["lost"] == []
    assert reply.json["lease_ms"] > 0
    assert backend.wait_state(lost, "lost")["attempt"] == 1
    assert backend.wait_state(back, "queued")
    assert backend.job(kept)["state"] == "running"
    reply = agent.recover(claims[kept], claims[lost])
    assert reply.json["lost"] == [claims[lost].id]
    assert agent.complete(claims[kept]).status == 200
    reply = backend.admin.post("/v1/agents/a%20b/recover", {"executions": []})
    assert reply.status == 400 and reply.code == "invalid_heartbeat"


def test_an_agent_says_that_a_job_is_lost(backend):
    job = backend.submit()
    agent = backend.agent()
    claim = agent.claim()
    agent.started(claim)
    reply = agent.complete(claim, "lost", exit_code=None,
                           reason="nobody knows")
    assert reply.status == 200
    got = backend.job(job)
    assert got["state"] == "lost" and got["reason"] == "nobody knows"


def test_complete_without_a_start(backend):
    job = backend.submit()
    agent = backend.agent()
    reply = agent.complete(agent.claim(), "failed", exit_code=None,
                           reason="there is no image x")
    assert reply.status == 200
    got = backend.job(job)
    assert got["state"] == "failed" and got["exit_code"] is None
    assert got["reason"] == "there is no image x"
    assert got["started_ms"] == 0


def test_complete_is_checked(backend):
    backend.submit()
    agent = backend.agent()
    claim = agent.claim()
    for state in ("queued", "running", "done", ""):
        reply = agent.complete(claim, state)
        assert reply.status == 400 and reply.code == "invalid_state"
    for wrong in (dict(exit_code="0"), dict(exit_code=256), dict(usage=[]),
                  dict(exit_code=-1), dict(exit_code=0.0), dict(signal="9"),
                  dict(oom_killed=1), dict(reason=["why"]),
                  dict(usage={"user_us": "1"}), dict(log_dropped_bytes=-1),
                  dict(usage={"peak_memory_bytes": -1}),
                  dict(usage={"write_bytes": 1.5}), dict(telemetry=[]),
                  dict(telemetry={"before": 1}),
                  dict(telemetry={"after": {"x": "y" * 17000}})):
        reply = agent.complete(claim, **wrong)
        assert reply.status == 400 and reply.code == "invalid_completion"
        assert backend.job(claim.job)["state"] != "succeeded"
    assert agent.complete(claim, "failed", signal=9, oom_killed=True,
                          log_dropped_bytes=5).status == 200
    got = backend.job(claim.job)
    assert got["signal"] == 9 and got["oom_killed"] is True
    assert got["log_dropped_bytes"] == 5
    reply = agent.complete(claim, "succeeded")
    assert reply.status == 200 and reply.json["state"] == "failed"


# --- cancel


def test_cancel_while_queued(backend):
    job = backend.submit()
    reply = backend.admin.post(f"/v1/jobs/{job}/cancel", {"reason": "no"})
    assert reply.status == 202 and reply.json["state"] == "cancelled"
    assert backend.job(job)["reason"]
    reply = backend.admin.post(f"/v1/jobs/{job}/cancel")
    assert reply.status == 409 and reply.code == "job_ended"
    assert backend.admin.post("/v1/jobs/job_x/cancel").status == 404
    other = backend.submit()
    assert backend.agent().claim().job == other


@pytest.mark.parametrize("started", [False, True])
def test_cancel_while_claimed_or_running(backend, started):
    job = backend.submit()
    agent = backend.agent()
    claim = agent.claim()
    if started:
        agent.started(claim)
    reply = backend.admin.post(f"/v1/jobs/{job}/cancel", {"reason": "why"})
    assert reply.status == 202
    assert reply.json["cancel_requested"] is True
    assert next_cancel(agent) == {"execution": claim.id,
                                  "epoch": claim.epoch, "reason": "why"}
    assert agent.heartbeat(claim).json["cancel"] == [
        {"id": claim.id, "reason": "why"}]
    assert agent.complete(claim, "cancelled", reason="why").status == 200
    assert backend.job(job)["state"] == "cancelled"


def test_cancel_reaches_an_agent_that_was_away(backend):
    job = backend.submit()
    agent = backend.agent()
    claim = agent.claim()
    agent.close()
    assert backend.admin.post(f"/v1/jobs/{job}/cancel").status == 202
    assert next_cancel(backend.agent())["execution"] == claim.id


def test_cancel_of_a_claim_that_nobody_holds(hasty):
    job = hasty.submit()
    agent = hasty.agent()
    agent.claim()
    agent.close()
    hasty.admin.post(f"/v1/jobs/{job}/cancel")
    assert hasty.wait_state(job, "cancelled", "queued", "lost"
                            )["state"] == "cancelled"


def test_agents_are_checked(backend):
    for path in ("a%20b/claims?slots=1&executors=docker",
                 "a/claims?slots=0&executors=docker",
                 "a/claims?slots=x&executors=docker",
                 "a/claims?slots=1", "a/claims?slots=1&executors=A"):
        assert backend.admin.get(f"/v1/agents/{path}").status == 400, path
    reply = backend.admin.call(
        "HEAD", "/v1/agents/a/claims?slots=1&executors=docker")
    assert reply.status == 405
    for body in (b"[]", {}, {"executions": 1}, {"executions": [1]},
                 {"executions": [{"epoch": 1}]}):
        reply = backend.admin.post("/v1/agents/a/heartbeat", body)
        assert reply.status == 400, body


def test_idle_queue_does_no_work(backend):
    """Pushed, not polled: an idle agent causes no store operations."""
    agent = backend.agent()
    backend.submit()
    agent.complete(agent.claim())

    def calls():
        text = backend.admin.get("/metrics").body.decode()
        return int(next(l for l in text.splitlines() if l.startswith(
            "cronium_store_calls_total")).split()[1])

    # Where others share the database it is looked at every 5 s, in case that
    # something of theirs was missed.
    look = 8 if STORE else 0
    before = calls()
    threading.Event().wait(0.5)
    assert calls() - before <= 1 + look, "only the count for /metrics itself"


def test_throughput_of_a_full_house(backend):
    """200 jobs through 20 slots: all end, none twice."""
    agent = backend.agent(slots=20)
    jobs = {backend.submit() for _ in range(200)}
    seen = []
    for _ in range(200):
        claim = agent.claim()
        seen.append(claim.job)
        assert agent.complete(claim).status == 200
    assert len(seen) == 200 and set(seen) == jobs
    text = backend.admin.get("/metrics").body.decode()
    assert 'cronium_jobs{state="succeeded"} 200' in text


# --- jobs for one agent


def test_only_the_wanted_agent_gets_it(backend):
    mine = backend.submit(agent="mine")
    anybody = backend.submit()
    other = backend.agent(name="other", slots=10)
    assert other.claim().job == anybody
    got = backend.job(mine)
    assert got["state"] == "queued" and got["want_agent"] == "mine"
    assert got["agent"] is None
    assert backend.job(anybody)["want_agent"] is None
    listed = backend.admin.get("/v1/jobs?state=queued").json["jobs"]
    assert [(j["id"], j["want_agent"]) for j in listed] == [(mine, "mine")]
    agent = backend.agent(name="mine")
    claim = agent.claim()
    assert claim.job == mine and claim.assign["spec"]["agent"] == "mine"
    # Given back, it waits for this agent again.
    agent.close()
    backend.admin.post(f"/v1/executions/{claim.id}/release",
                       {"epoch": claim.epoch})
    after = backend.submit()
    assert other.claim().job == after
    again = backend.agent(name="mine").claim()
    assert again.job == mine and again.epoch > claim.epoch


def test_oldest_first_whoever_it_is_for(backend):
    jobs = [backend.submit(agent="mine" if i % 2 else None)
            for i in range(10)]
    agent = backend.agent(name="mine", slots=10)
    assert [agent.claim().job for _ in range(10)] == jobs


def store_calls(backend):
    text = backend.admin.get("/metrics").body.decode()
    return int(next(l for l in text.splitlines() if l.startswith(
        "cronium_store_calls_total")).split()[1])


def claim_all(agent, claimed):
    """Into the queue, until the stream ends."""
    try:
        while True:
            claimed.put(agent.claim().job)
    except (EOFError, OSError, ValueError, http.client.HTTPException):
        pass


def test_jobs_for_an_absent_agent_are_in_nobodys_way(backend):
    """1000 of them cost nothing while they wait, and little otherwise."""
    absent = [backend.submit(agent="absent") for _ in range(1000)]
    agents = [backend.agent(name=f"agent-{i}", slots=100) for i in range(3)]
    jobs = [backend.submit() for _ in range(20)]
    claimed = queue.Queue()
    for agent in agents:
        threading.Thread(target=claim_all, args=(agent, claimed),
                         daemon=True).start()
    # Which agent gets which is the queue's to decide.
    assert {claimed.get(timeout=TIMEOUT) for _ in jobs} == set(jobs)
    before, pace = store_calls(backend), threading.Event()
    cpu = sum(os_times(backend))
    pace.wait(1)
    assert store_calls(backend) - before <= 1 + len(agents)
    assert sum(os_times(backend)) - cpu < 0.5
    # One more job costs each agent a claim or two, not sixty.
    before = store_calls(backend)
    for _ in range(10):
        job = backend.submit()
        backend.wait_state(job, "claimed")
    assert store_calls(backend) - before < 10 * 25
    late = backend.agent(name="absent", slots=1000)
    assert [late.claim().job for _ in range(1000)] == absent


def os_times(backend):
    """User and system seconds of the backend so far."""
    with open(f"/proc/{backend.process.pid}/stat") as f:
        fields = f.read().rsplit(")", 1)[1].split()
    return [int(x) / os.sysconf("SC_CLK_TCK") for x in fields[11:13]]
