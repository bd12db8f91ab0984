"""Jobs that fail are tried again, with a wait that grows, as often as they
say; also when the backend dies in between."""

import json
import time

import pytest

import frames
from backend_process import Backend

pytestmark = pytest.mark.timeout(60)
LEASE_S = 0.5
SOON = {"initial": 10, "max": 40, "max_elapsed": 120000}


def runtime(retries=2, **backoff):
    return {"type": "python", "retries": retries, "backoff": backoff or SOON}


def fail(agent, claim, state="failed", **more):
    assert agent.started(claim).status == 200
    reply = agent.complete(claim, state, **{
        "exit_code": 3, "reason": "exit code 3", **more})
    assert reply.status == 200, reply
    return reply.json


def notices(backend, job):
    """Of a job that has ended."""
    stream, lines = backend.follow(job), []
    while True:
        kind, payload = stream.next()
        if kind == frames.NOTICE:
            lines += payload.decode().splitlines()
        elif kind == frames.STATE and json.loads(payload)["ended_ms"]:
            stream.close()
            return lines


def test_tried_until_it_succeeds(backend):
    job = backend.submit(runtime=runtime())
    assert backend.job(job)["attempts"] == 3
    agent = backend.agent()
    first = agent.claim()
    assert first.assign["attempt"] == 1
    old = backend.sidecar(first)
    assert old.post("/v1/runtime/output", {"of": "the first"}).status == 204
    agent.log(first, 0, (frames.STDOUT, b"one\n"))
    waiting = fail(agent, first)
    assert waiting["state"] == "queued" and waiting["ended_ms"] == 0
    assert waiting["next_try_ms"] > waiting["started_ms"] > 0
    assert waiting["reason"] == "attempt 1 failed (exit code 3)"
    assert waiting["output_bytes"] is None
    second = agent.claim()
    assert second.job == job and second.id != first.id
    assert second.assign["attempt"] == 2
    assert second.assign["context"]["attempt"] == 2
    reply = old.get("/v1/runtime/input")
    assert reply.status == 401 and reply.code == "execution_ended"
    assert backend.job(job)["next_try_ms"] is None
    agent.started(second)
    agent.log(second, 0, (frames.STDOUT, b"two\n"))
    assert agent.complete(second).status == 200
    ended = backend.job(job)
    assert ended["state"] == "succeeded" and ended["attempt"] == 2
    assert backend.admin.get(f"/v1/jobs/{job}/output").code == "no_output"
    log = backend.admin.get(f"/v1/jobs/{job}/logs").body.decode()
    assert log == ("one\nattempt 1 failed (exit code 3); attempt 2 of 3 in "
                   "0.01 s\ntwo\n")


def test_the_last_failure_ends_it(backend):
    job = backend.submit(runtime=runtime())
    agent = backend.agent()
    for state in ("failed", "timed_out", "failed"):
        fail(agent, agent.claim(), state)
    ended = backend.wait_state(job, "failed")
    assert ended["attempt"] == ended["attempts"] == 3
    assert notices(backend, job) == [
        "attempt 1 failed (exit code 3); attempt 2 of 3 in 0.01 s",
        "attempt 2 timed out; attempt 3 of 3 in 0.02 s"]


def test_followers_wait_for_the_last_attempt(backend):
    job = backend.submit(runtime=runtime(1))
    stream = backend.follow(job)
    agent = backend.agent()
    fail(agent, agent.claim())
    fail(agent, agent.claim())
    states = []
    while not states or states[-1] != "failed":
        kind, payload = stream.next()
        if kind == frames.STATE:
            states.append(json.loads(payload)["state"])
    assert states[-4:] == ["queued", "claimed", "running", "failed"]


def test_waits_hold(backend):
    """Nobody gets it before its time, and others are not kept waiting."""
    job = backend.submit(runtime=runtime(1, initial=2000, max=2000))
    agent = backend.agent(slots=1)
    failed = fail(agent, agent.claim())
    other = backend.submit()
    claim = agent.claim()
    assert claim.job == other
    agent.complete(claim)
    claim = agent.claim()
    assert claim.job == job
    assert time.time() * 1000 >= failed["next_try_ms"]


def test_no_try_begins_too_late(backend):
    job = backend.submit(
        runtime=runtime(5, initial=50, max=60000, max_elapsed=120))
    agent = backend.agent()
    while backend.job(job)["state"] != "failed":
        fail(agent, agent.claim())
    assert 2 <= backend.job(job)["attempt"] <= 3
    assert "more than 0.12 s after" in notices(backend, job)[-1]


def test_a_cancelled_job_is_not_tried_again(backend):
    agent = backend.agent()
    waiting = backend.submit(runtime=runtime(1, initial=5000, max=5000))
    fail(agent, agent.claim())
    running = backend.submit(runtime=runtime())
    claim = agent.claim()
    agent.started(claim)
    for job in (waiting, running):
        assert backend.admin.post(f"/v1/jobs/{job}/cancel").status == 202
    assert backend.job(waiting)["state"] == "cancelled"
    assert backend.job(waiting)["next_try_ms"] is None
    agent.stream.expect(frames.CANCEL)
    agent.complete(claim, "cancelled")
    assert backend.job(running)["state"] == "cancelled"


def test_a_lost_job_is_tried_again(tmp_path):
    backend = Backend(str(tmp_path), "--lease", f"{int(LEASE_S * 1000)}ms")
    job = backend.submit(runtime=runtime())
    agent = backend.agent()
    first = agent.claim()
    assert agent.started(first).status == 200
    second = agent.claim()
    assert second.job == job and second.assign["attempt"] == 2
    reply = agent.complete(first)
    assert reply.status == 409 and reply.code == "stale_epoch"
    assert agent.complete(second).status == 200
    assert "attempt 1 was lost" in notices(backend, job)[0]
    assert backend.stop() == 0, "".join(backend.log)


def test_input_from_the_start_again(backend):
    job = backend.submit(runtime=runtime())
    agent = backend.agent()
    claim = agent.claim()
    reply = backend.admin.post(f"/v1/jobs/{job}/input/stream?end=1",
                               b"1\n2\n3\n")
    assert reply.status == 200
    for _ in range(2):
        reply = backend.sidecar(claim).get("/v1/runtime/input/stream")
        assert reply.body == b"1\n2\n3\n"
        fail(agent, claim)
        claim = agent.claim()
    reply = backend.sidecar(claim).get("/v1/runtime/input/stream?from=2")
    assert reply.body == b"3\n"
    agent.complete(claim)


def test_who_has_written_records_is_not_tried_again(backend):
    job = backend.submit(runtime=runtime())
    agent = backend.agent()
    claim = agent.claim()
    reply = backend.sidecar(claim).post("/v1/runtime/output/stream", b"1\n")
    assert reply.status == 200, reply
    assert fail(agent, claim)["state"] == "failed"
    assert "written to its output stream" in notices(backend, job)[0]


# --- crashes


def test_killed_between_failure_and_retry(tmp_path):
    backend = Backend(str(tmp_path))
    job = backend.submit(runtime=runtime(1, initial=300, max=300, max_elapsed=120000))
    agent = backend.agent()
    failed = fail(agent, agent.claim())
    backend.kill()
    backend.start()
    waiting = backend.job(job)
    if waiting["state"] == "queued" and waiting["next_try_ms"]:
        assert waiting["next_try_ms"] == failed["next_try_ms"]
    agent = backend.agent()
    claim = agent.claim()
    assert claim.job == job and claim.assign["attempt"] == 2
    assert time.time() * 1000 >= failed["next_try_ms"]
    agent.started(claim)
    assert agent.complete(claim).status == 200
    assert backend.job(job)["state"] == "succeeded"
    assert backend.stop() == 0, "".join(backend.log)


def test_killed_again_and_again(tmp_path):
    """Each attempt ends just before the backend does; none is lost, and none
    counts twice."""
    backend = Backend(str(tmp_path))
    tries = 6
    job = backend.submit(runtime=runtime(tries - 1))
    for attempt in range(1, tries + 1):
        agent = backend.agent()
        claim = agent.claim()
        assert claim.assign["attempt"] == attempt
        fail(agent, claim)
        backend.kill()
        backend.start()
        # The orchestrator did not hear the reply, and says it again.
        assert backend.admin.post(
            f"/v1/executions/{claim.id}/complete",
            {"epoch": claim.epoch, "state": "failed"}).status == 200
    ended = backend.job(job)
    assert ended["state"] == "failed" and ended["attempt"] == tries
    assert len(notices(backend, job)) == tries - 1
    assert backend.stop() == 0, "".join(backend.log)
