"""What queued jobs wait for, who is told when it changes, and jobs that do not
wait."""

import pytest

import frames

pytestmark = pytest.mark.timeout(60)
CLOSED = {"accepting": False, "code": "guard",
          "problem": "memory 91 % (limit 80 %)"}
DOWN = {"accepting": True, "code": "away:docker",
        "problem": "the Docker engine at /d does not answer"}
AWAY = "the Docker engine at /d does not answer (agent box)"
GUARD = "the guard of agent box: memory 91 % (limit 80 %)"


def waiting(backend, job):
    found = backend.job(job)["waiting"]
    return found and found["code"]


def listed(backend, job):
    return next(j for j in backend.admin.get("/v1/jobs").json["jobs"]
                if j["id"] == job)


def full(backend, **options):
    """An agent whose only slot is taken: the jobs of a test stay queued."""
    agent = backend.agent(name="box", slots=1, **options)
    backend.submit()
    agent.started(claim := agent.claim())
    return agent, claim


def new_session(backend):
    assert backend.admin.post("/v1/sessions", {"name": "s"}).status == 201


def move(backend, how):
    assert backend.admin.post(f"/v1/sessions/s/{how}").status == 200


# --- codes


def test_codes(backend):
    plain = backend.submit()
    assert waiting(backend, plain) == "no_agent"
    agent = backend.agent(name="box", slots=1, executors="sandbox",
                          labels="zone=a")
    agent.started(claim := agent.claim())
    assert claim.job == plain and waiting(backend, plain) is None
    new_session(backend)
    wanted = {
        "slots": backend.submit(),
        "agent_away": backend.submit(agent="other"),
        "executor": backend.submit(executor="docker"),
        "labels": backend.submit(agent_labels={"zone": "b"}),
        "session_paused": backend.submit(session="s"),
    }
    move(backend, "pause")
    for code, job in wanted.items():
        assert waiting(backend, job) == code
        # Lists say the same.
        assert listed(backend, job)["waiting"]["code"] == code
    assert backend.job(wanted["slots"])["waiting"]["message"] == (
        "the only slot is taken")
    agent.heartbeat(claim, status=CLOSED)
    assert backend.job(wanted["slots"])["waiting"] == {
        "code": "guard", "message": GUARD}
    assert backend.admin.post("/v1/agents/box/drain", {}).status == 200
    assert waiting(backend, wanted["slots"]) == "drained"


def test_a_retry_waits_for_its_time(backend):
    agent = backend.agent(slots=1)
    job = backend.submit(no_wait=True, runtime={
        "type": "python", "retries": 1, "backoff": {
            "initial": 60000, "max": 60000, "max_elapsed": 120000}})
    agent.started(claim := agent.claim())
    agent.complete(claim, "failed", exit_code=3, reason="exit code 3")
    now = backend.job(job)
    assert now["state"] == "queued" and now["waiting"] == {
        "code": "retry", "message": "attempt 1 failed (exit code 3); it is "
        "tried again after a pause"}


def test_an_executor_that_is_away(backend):
    """Its jobs wait; those of the agent's other executors go on."""
    agent = backend.agent(name="box", slots=4, executors="docker,sandbox")
    agent.heartbeat(status=DOWN)
    docker = backend.submit(executor="docker")
    assert backend.job(docker)["waiting"] == {
        "code": "executor_away", "message": AWAY}
    assert refused(backend, executor="docker") == AWAY
    for executor in ("sandbox", "auto"):
        job = backend.submit(executor=executor)
        agent.started(claim := agent.claim())
        assert claim.job == job
    assert waiting(backend, docker) == "executor_away"
    agent.heartbeat(claim, status={"accepting": True})
    assert agent.claim().job == docker


def test_an_agent_without_any_executor(backend):
    agent = backend.agent(name="box", executors="docker")
    agent.heartbeat(status=DOWN)
    job = backend.submit()
    assert waiting(backend, job) == "executor_away"
    stream = backend.follow(job)
    assert stream.expect(frames.STATE)["waiting"]["message"] == AWAY
    agent.heartbeat(status={"accepting": True})
    assert agent.claim().job == job
    stream.close()


# --- followers


def test_followers_hear_of_changes(backend):
    agent, claim = full(backend)
    new_session(backend)
    job = backend.submit(session="s")
    stream = backend.follow(job)

    def told():
        state = stream.expect(frames.STATE)
        assert state["state"] == "queued"
        return state["waiting"] and state["waiting"]["code"]

    assert told() == "slots"
    agent.heartbeat(claim, status=CLOSED)
    assert told() == "guard"
    # Another number is no news.
    agent.heartbeat(claim, status={**CLOSED, "problem": "memory 95 %"})
    move(backend, "pause")
    assert told() == "session_paused"
    move(backend, "resume")
    assert told() == "guard"
    agent.heartbeat(claim, status={"accepting": True})
    assert told() == "slots"
    agent.close()
    assert told() == "no_agent"
    agent = backend.agent(name="box", slots=2)
    while (state := stream.expect(frames.STATE))["state"] == "queued":
        pass
    assert state["state"] == "claimed" and state["waiting"] is None
    stream.close()


# --- no_wait


def refused(backend, **spec):
    """The reason of a job that is answered as failed."""
    reply = backend.admin.post("/v1/jobs", {
        "runtime": "bash", "script": {"content": "true"}, "no_wait": True,
        **spec})
    assert reply.status == 201, reply
    job = reply.json
    assert job["state"] == "failed" and job["execution"] is None
    assert job["waiting"] is None and job["no_wait"] is True
    assert backend.job(job["id"]) == job
    return job["reason"]


def test_refused_at_once(backend):
    agent, claim = full(backend)
    agent.heartbeat(claim, status=CLOSED)
    assert refused(backend) == GUARD
    # The same key gives the same job.
    body = {"runtime": "bash", "script": {"content": "true"}, "no_wait": True}
    first, second = (backend.admin.post("/v1/jobs", body, **{
        "Idempotency-Key": "k"}).json for _ in range(2))
    assert first == second and first["state"] == "failed"


def test_refused_once_nobody_can_come_back(backend):
    """The backend has just started: others may be about to connect."""
    agent = backend.agent(name="box", executors="sandbox")
    reasons = {
        "no orchestrator here runs Docker jobs":
            backend.submit(no_wait=True, executor="docker"),
        "no orchestrator that could run it has the labels":
            backend.submit(no_wait=True, agent_labels={"a": "b"}),
        "it is for the orchestrator 'other', which is not connected":
            backend.submit(no_wait=True, agent="other"),
    }
    for reason, job in reasons.items():
        failed = backend.wait_state(job, "failed")
        assert failed["reason"].startswith(reason)
    for spec in ({"executor": "docker"}, {"agent": "other"},
                 {"agent_labels": {"a": "b"}}):
        assert refused(backend, **spec)
    agent.close()


def test_refused_later(backend):
    """What it waits for becomes another thing while it waits."""
    agent, claim = full(backend)
    new_session(backend)
    jobs = [backend.submit(no_wait=True), backend.submit(no_wait=True),
            backend.submit(no_wait=True, session="s")]
    patient = backend.submit()
    for job in jobs:
        assert waiting(backend, job) == "slots"
    move(backend, "pause")
    assert backend.wait_state(jobs[2], "failed")["reason"] == (
        "its session s is paused")
    agent.heartbeat(claim, status=CLOSED)
    for job in jobs[:2]:
        assert backend.wait_state(job, "failed")["reason"] == GUARD
    assert waiting(backend, patient) == "guard"


def test_refused_when_it_comes_back(backend):
    """Given back by an agent whose guard has closed meanwhile."""
    agent = backend.agent(name="box", slots=1)
    job = backend.submit(no_wait=True)
    claim = agent.claim()
    agent.heartbeat(claim, status=CLOSED)
    reply = backend.admin.post(f"/v1/executions/{claim.id}/release",
                               {"epoch": claim.epoch, "reason": "guard"})
    assert reply.status == 200
    assert backend.wait_state(job, "failed")["reason"] == GUARD


def test_a_restart_is_no_reason(backend):
    """Orchestrators come back; what else a job waits for is known at once."""
    agent, claim = full(backend)
    new_session(backend)
    patient = backend.submit(no_wait=True)
    held = backend.submit(session="s")
    agent.close()
    backend.kill()
    backend.start()
    assert waiting(backend, patient) == "no_agent"
    agent = backend.agent(name="box", slots=1)
    agent.complete(claim)
    assert agent.claim().job == patient
    assert waiting(backend, held) == "slots"


def test_a_restart_forgets_nobody(backend):
    """Nobody comes back: then it is refused after all."""
    agent, claim = full(backend)
    job = backend.submit(no_wait=True)
    backend.kill()
    backend.start()
    assert backend.wait_state(job, "failed")["reason"] == (
        "no orchestrator is connected")
    assert claim.job != job and agent.name == "box"
