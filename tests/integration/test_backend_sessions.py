"""Sessions: jobs that are held, let go and ended together, also where the
backend is killed at any moment."""

import http.client
import json
import random
import threading

import pytest

import frames
from backend_process import Backend, quote

pytestmark = pytest.mark.timeout(120)
GONE = (OSError, http.client.HTTPException)
EXECUTE = "/v1/runtime/tool-actions/execute"
KILLS = 8


def new(backend, name="night"):
    reply = backend.admin.post("/v1/sessions", {"name": name})
    assert reply.status == 201, reply
    return reply.json


def move(backend, how, session="night", reason=None):
    reply = backend.admin.post(f"/v1/sessions/{session}/{how}",
                               {"reason": reason} if reason else None)
    assert reply.status == 200, reply
    return reply.json


def session(backend, name="night"):
    return backend.admin.get(f"/v1/sessions/{name}").json


def entries(backend):
    return [(e["action"], e["target"], e["result"])
            for e in backend.admin.get("/v1/audit").json["entries"]
            if e["action"].startswith("session.")]


# --- the API


def test_new_get_list(backend):
    assert backend.admin.get("/v1/sessions").json == {
        "sessions": [], "next": None}
    night = new(backend)
    assert night["id"].startswith("ses_") and night["created_ms"] > 0
    assert {k: v for k, v in night.items()
            if k not in ("id", "created_ms")} == {
        "name": "night", "state": "active", "reason": None, "ended_ms": 0,
        "jobs": {"queued": 0, "running": 0, "ended": 0}}
    assert session(backend) == session(backend, night["id"]) == night
    day = new(backend, "day")
    assert [s["name"] for s in backend.admin.get(
        "/v1/sessions").json["sessions"]] == ["day", "night"]
    page = backend.admin.get("/v1/sessions?limit=1").json
    assert page == {"sessions": [day], "next": day["id"]}
    page = backend.admin.get(f"/v1/sessions?before={day['id']}").json
    assert page == {"sessions": [night], "next": None}
    assert move(backend, "pause", reason="a power cut")["reason"] == (
        "a power cut")
    assert [s["name"] for s in backend.admin.get(
        "/v1/sessions?state=paused").json["sessions"]] == ["night"]
    reply = backend.admin.get("/v1/sessions?state=over")
    assert reply.status == 400 and reply.code == "invalid_query"
    reply = backend.admin.get("/v1/sessions/nothing")
    assert reply.status == 404 and "no session nothing" in (
        reply.json["detail"])


def test_names(backend):
    for name in ("", "a b", "-a", "ses_a", "x" * 65, None, 7):
        reply = backend.admin.post("/v1/sessions", {"name": name})
        assert reply.status == 400 and reply.code == "invalid_session", name
    first = new(backend)
    reply = backend.admin.post("/v1/sessions", {"name": "night"})
    assert reply.status == 409 and reply.code == "session_exists"
    move(backend, "end")
    second = new(backend)
    assert session(backend)["id"] == second["id"]
    assert session(backend, first["id"])["state"] == "ended"


def test_moves(backend):
    new(backend)
    move(backend, "pause", reason="why")
    assert move(backend, "pause")["reason"] == "why", "nothing has changed"
    assert move(backend, "resume")["state"] == "active"
    assert move(backend, "resume")["reason"] is None
    ended = move(backend, "end", reason="enough")
    assert ended["state"] == "ended" and ended["ended_ms"] > 0
    assert move(backend, "end") == ended
    for how in ("pause", "resume"):
        reply = backend.admin.post(f"/v1/sessions/night/{how}")
        assert reply.status == 409 and reply.code == "session_ended"
        reply = backend.admin.post(f"/v1/sessions/other/{how}")
        assert reply.status == 404
    reply = backend.admin.post("/v1/sessions/night/end", {
        "reason": "x" * 513})
    assert reply.status == 400 and reply.code == "invalid_session"
    # Newest first; what changed nothing is not there.
    assert entries(backend) == [
        ("session.resume", "other", "not_found"),
        ("session.resume", "night", "session_ended"),
        ("session.pause", "other", "not_found"),
        ("session.pause", "night", "session_ended"),
        ("session.end", "night", "ok"), ("session.resume", "night", "ok"),
        ("session.pause", "night", "ok"), ("session.create", "night", "ok")]


def test_only_administrators(backend):
    backend.submit()
    sidecar = backend.sidecar(backend.agent().claim())
    assert sidecar.get("/v1/sessions").status == 403
    assert backend.tcp().get("/v1/sessions").status == 401


# --- jobs


def test_jobs_name_a_session(backend):
    night = new(backend)
    script = {"runtime": "bash", "script": {"content": "true"}}
    for wrong in ("day", "a b", 7, "ses_x"):
        reply = backend.admin.post("/v1/jobs", {**script, "session": wrong})
        assert reply.status == 400 and reply.code == "invalid_spec", wrong
        assert "session: " in reply.json["detail"]
    by_name = backend.submit(session="night")
    by_id = backend.submit(session=night["id"])
    other = backend.submit()
    named = {"id": night["id"], "name": "night"}
    assert backend.job(by_name)["session"] == named
    assert backend.job(by_id)["session"] == named
    assert backend.job(other)["session"] is None
    listed = backend.admin.get("/v1/jobs?session=night&limit=1").json
    assert [j["id"] for j in listed["jobs"]] == [by_id]
    listed = backend.admin.get(
        f"/v1/jobs?session={night['id']}&before={listed['next']}"
        "&state=queued").json
    assert [j["id"] for j in listed["jobs"]] == [by_name]
    assert backend.admin.get("/v1/jobs?session=day").status == 404
    assert session(backend)["jobs"] == {"queued": 2, "running": 0, "ended": 0}
    agent = backend.agent()
    claim = agent.claim()
    assert claim.assign["context"]["session"] == named
    assert claim.assign["spec"]["session"] == "night"
    sidecar = backend.sidecar(claim)
    assert sidecar.get("/v1/runtime/context").json["session"] == named
    move(backend, "end")
    reply = backend.admin.post("/v1/jobs", {**script, "session": "night"})
    assert reply.status == 409 and reply.code == "session_ended"


def test_pause_holds_and_resume_lets_go_in_order(backend):
    new(backend)
    agent = backend.agent(slots=1)
    jobs = [backend.submit(session="night") for _ in range(3)]
    running = agent.claim()
    move(backend, "pause", reason="a power cut")
    jobs.append(backend.submit(session="night"))
    other = backend.submit()
    for job in jobs[1:]:
        assert backend.job(job)["waiting"] == {
            "code": "session_paused",
            "message": "its session night is paused: a power cut"}
    assert session(backend)["jobs"] == {"queued": 3, "running": 1, "ended": 0}
    # What runs goes on, and what is no part of it.
    agent.started(running)
    assert agent.complete(running).status == 200
    agent.complete(claim := agent.claim())
    assert claim.job == other
    backend.kill()
    backend.start()
    agent = backend.agent(slots=1)
    probe = backend.submit()
    agent.complete(claim := agent.claim())
    assert claim.job == probe, "still held"
    move(backend, "resume")
    for job in jobs[1:]:
        claim = agent.claim()
        assert claim.job == job
        agent.complete(claim)
    assert session(backend)["jobs"] == {"queued": 0, "running": 0, "ended": 4}


def test_end_cancels_at_once(backend):
    new(backend)
    agent = backend.agent(slots=1)
    jobs = [backend.submit(session="night", runtime={
        "type": "python", "retries": 3}) for _ in range(3)]
    running = agent.claim()
    agent.started(running)
    followed = backend.follow(jobs[2])
    assert followed.expect(frames.STATE)["state"] == "queued"
    move(backend, "end", reason="enough")
    reason = "its session night was ended: enough"
    last = followed.expect(frames.STATE)
    assert last["state"] == "cancelled" and last["reason"] == reason
    with pytest.raises(EOFError):
        followed.next()
    assert backend.job(jobs[1])["state"] == "cancelled"
    kind, payload = agent.next()
    assert kind == frames.CANCEL
    assert json.loads(payload) == {"execution": running.id,
                                   "epoch": running.epoch, "reason": reason}
    assert agent.heartbeat(running).json["cancel"] == [
        {"id": running.id, "reason": reason}]
    # Whatever it ends as: it is not tried again.
    assert agent.complete(running, "failed", exit_code=1).json["state"] == (
        "failed")
    assert session(backend)["jobs"] == {"queued": 0, "running": 0, "ended": 3}


def test_an_agent_that_was_away_is_told(backend):
    new(backend)
    agent = backend.agent(slots=2)
    job = backend.submit(session="night")
    claim = agent.claim()
    agent.started(claim)
    agent.close()
    move(backend, "end")
    back = backend.agent(slots=2)
    assert back.stream.expect(frames.CANCEL)["execution"] == claim.id
    back.complete(claim, "cancelled")
    assert backend.job(job)["reason"] == "its session night was ended"


def test_agents_hear_of_it(backend):
    agents = [backend.agent(name=f"a{i}") for i in range(2)]
    night = new(backend)
    for how in ("pause", "resume", "end"):
        move(backend, how)
        move(backend, how)
    backend.submit()
    agents[0].claim()
    backend.submit(agent="a1")
    agents[1].claim()
    for agent in agents:
        assert agent.events == [
            {"type": f"session_{what}", "session": night["id"],
             "name": "night"}
            for what in ("created", "paused", "resumed", "ended")]


def test_what_is_tried_again_is_held(backend):
    new(backend)
    agent = backend.agent(slots=1)
    job = backend.submit(session="night", runtime={
        "type": "python", "retries": 1, "backoff": {
            "initial": 10, "max": 10, "max_elapsed": 120000}})
    claim = agent.claim()
    agent.started(claim)
    move(backend, "pause")
    assert agent.complete(claim, "failed", exit_code=1).json["state"] == (
        "queued")
    other = backend.submit()
    agent.complete(claim := agent.claim())
    assert claim.job == other
    assert backend.job(job)["waiting"]["code"] == "session_paused"
    move(backend, "resume")
    assert agent.claim().job == job


def test_children_inherit_it(backend):
    night = new(backend)
    agent = backend.agent(slots=10)
    backend.submit(session="night")
    claim = agent.claim()
    agent.started(claim)
    sidecar = backend.sidecar(claim)
    call = {"tool": "cronium", "action": "call-workflow", "params": {
        "script": {"name": "child.sh", "content": "true"}}}
    child = sidecar.post(EXECUTE, call).json["job"]
    assert backend.job(child)["session"]["id"] == night["id"]
    assert agent.claim().assign["context"]["session"] == {
        "id": night["id"], "name": "night"}
    move(backend, "pause")
    held = sidecar.post(EXECUTE, call).json["job"]
    assert backend.job(held)["waiting"]["code"] == "session_paused"
    move(backend, "end")
    assert backend.job(held)["state"] == "cancelled"
    reply = sidecar.post(EXECUTE, call)
    assert reply.status == 409 and reply.code == "session_ended"


def test_many_jobs_end_together(backend):
    """More than a page of them: everybody who follows one is told."""
    new(backend)
    jobs = [backend.submit(session="night") for _ in range(1100)]
    followed = [backend.follow(j) for j in (jobs[0], jobs[600], jobs[-1])]
    for stream in followed:
        assert stream.expect(frames.STATE)["state"] == "queued"
    move(backend, "end")
    for stream in followed:
        assert stream.expect(frames.STATE)["state"] == "cancelled"
    assert session(backend)["jobs"]["ended"] == len(jobs)
    # The queue goes on.
    job = backend.submit()
    assert backend.agent().claim().job == job


# --- kill -9


def test_everything_acknowledged_survives(tmp_path):
    """Sessions are paused, resumed, ended and given jobs by a thread each,
    while the backend is killed in a loop."""
    backend = Backend(str(tmp_path))
    rng = random.Random(5)
    stop = threading.Event()
    states, jobs = {}, {}

    def play(n):
        i, name = 0, None
        moves = {"pause": "paused", "resume": "active", "end": "ended"}
        while not stop.is_set():
            i += 1
            try:
                if name is None:
                    name = f"s{n}-{i}"
                    reply = backend.admin.post("/v1/sessions",
                                               {"name": name})
                    assert reply.status == 201, reply
                    states[name], jobs[name] = "active", []
                    continue
                reply = backend.admin.post("/v1/jobs", {
                    "runtime": "bash", "session": name,
                    "script": {"content": "true"}})
                assert reply.status == 201, reply
                jobs[name].append(reply.json["id"])
                how = ("pause", "resume", "pause", "end")[i % 4]
                # Not acknowledged, it may have happened or not.
                states.pop(name)
                reply = backend.admin.post(f"/v1/sessions/{name}/{how}")
                assert reply.status == 200, reply
                states[name] = moves[how]
            except GONE:
                name = None
                continue
            if how == "end":
                name = None

    threads = [threading.Thread(target=play, args=(n,)) for n in range(3)]
    for t in threads:
        t.start()
    try:
        for _ in range(KILLS):
            threading.Event().wait(rng.uniform(0.05, 0.3))
            backend.kill()
            backend.start()
    finally:
        stop.set()
        for t in threads:
            t.join()
    assert len(states) > 10
    claimed = set()
    for name, state in states.items():
        got = session(backend, quote(name))
        assert got["state"] == state, (name, got)
        for job in jobs[name]:
            now = backend.job(job)
            assert now["session"]["name"] == name
            if state == "ended":
                assert now["state"] == "cancelled"
            elif state == "paused":
                assert now["waiting"]["code"] == "session_paused"
            else:
                claimed.add(job)
                assert now["waiting"]["code"] == "no_agent"
    # Those that may run do, and none of the others.
    agent = backend.agent(slots=4096)
    got = {agent.claim().job for _ in claimed}
    last = backend.submit()
    while last not in got:
        got.add(agent.claim().job)
    held = {j for n, s in states.items() if s != "active" for j in jobs[n]}
    assert claimed <= got and not got & held
    assert backend.stop() == 0
