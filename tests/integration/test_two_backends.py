"""Two backends that share a PostgreSQL database and their keys: what is done
through one is heard by the other within a second."""

import json
import os
import signal
import threading
import time

import pytest

import frames
from backend_process import Backend
from patience import until
from shared_backends import LEASE_S, SOON_S, server, world  # noqa: F401

pytestmark = pytest.mark.timeout(120)


def test_a_job_crosses(world):
    """Submitted at a, run by an agent of b, followed at a."""
    agent = world.b.agent(name="there")
    job = world.a.submit()
    log = world.a.follow(job)
    begun = time.monotonic()
    claim = agent.claim()
    assert claim.job == job
    assert time.monotonic() - begun < SOON_S
    assert agent.started(claim).status == 200
    assert agent.log(claim, 0, (frames.STDOUT, b"across\n")).status == 200
    while True:
        kind, payload = log.next()
        if kind == frames.STDOUT:
            break
    assert payload == b"across\n"
    assert agent.complete(claim).status == 200
    states = []
    while states[-1:] != ["succeeded"]:
        kind, payload = log.next()
        if kind == frames.STATE:
            states.append(json.loads(payload)["state"])


def test_either_agent_gets_the_next_job(world):
    """No two get the same one."""
    agents = [b.agent(name=n, slots=20) for b, n in ((world.a, "one"),
                                                     (world.b, "two"))]
    jobs = {b.submit() for _ in range(15) for b in (world.a, world.b)}
    got, lock = [], threading.Lock()

    def work(agent):
        while True:
            try:
                claim = agent.claim()
            except Exception:  # noqa: BLE001, the stream was closed
                return
            agent.started(claim)
            agent.complete(claim)
            with lock:
                got.append(claim.job)

    threads = [threading.Thread(target=work, args=(a,), daemon=True)
               for a in agents]
    for t in threads:
        t.start()
    until(lambda: len(got) >= len(jobs))
    assert sorted(got) == sorted(jobs)
    for agent in agents:
        agent.close()


def test_a_cancel_crosses(world):
    agent = world.b.agent(name="there")
    job = world.a.submit()
    claim = agent.claim()
    agent.started(claim)
    assert world.a.admin.post(f"/v1/jobs/{job}/cancel",
                              {"reason": "enough"}).status == 202
    cancel = agent.stream.expect(frames.CANCEL)
    assert cancel["execution"] == claim.id and cancel["reason"] == "enough"


def test_changes_of_variables_cross(world):
    stream = world.b.admin.stream("/v1/changes")
    assert stream.expect(frames.POSITION)["reset"] is False
    begun = time.monotonic()
    for n in range(3):
        world.a.admin.put("/v1/variables/k", n)
    versions = [stream.expect(frames.CHANGE)["version"] for _ in range(3)]
    assert time.monotonic() - begun < SOON_S
    assert versions == sorted(versions) and len(set(versions)) == 3
    # One that is written here follows at once on those from there.
    world.b.admin.put("/v1/variables/k", 9)
    assert stream.expect(frames.CHANGE)["version"] == versions[-1] + 1


def test_tokens_count_everywhere_until_the_end(world):
    agent = world.a.agent(name="here")
    world.a.submit()
    claim = agent.claim()
    agent.started(claim)
    other = world.b.sidecar(claim)
    until(lambda: other.get("/v1/runtime/input").status == 200)
    assert agent.complete(claim).status == 200
    begun = time.monotonic()
    until(lambda: other.get("/v1/runtime/input").status == 401)
    assert time.monotonic() - begun < SOON_S
    assert other.get("/v1/runtime/input").code == "execution_ended"


def test_the_backend_that_has_just_started_knows_tokens(world):
    agent = world.a.agent(name="here")
    world.a.submit()
    claim = agent.claim()
    agent.started(claim)
    world.b.stop()
    world.b.start()
    until(lambda: world.b.sidecar(claim).get(
        "/v1/runtime/input").status == 200)


def test_streams_cross(world):
    agent = world.b.agent(name="there")
    job = world.a.submit()
    claim = agent.claim()
    agent.started(claim)
    sidecar = world.b.sidecar(claim)
    tail = world.a.admin.connect()
    tail.request("GET", f"/v1/jobs/{job}/output/stream?follow=1")
    reply = tail.getresponse()
    assert reply.status == 200
    assert sidecar.post("/v1/runtime/output/stream?from=0",
                        b"1\n2\n").status == 200
    assert reply.readline() == b"1\n" and reply.readline() == b"2\n"
    assert sidecar.post("/v1/runtime/output/stream?from=2&end=1",
                        b"3\n").status == 200
    assert reply.read() == b"3\n"
    tail.close()


def test_api_keys_cross(world):
    key = world.a.admin.post("/v1/api-keys", {"name": "x"}).json
    until(lambda: world.b.tcp(key["key"]).get("/v1/jobs").status == 200)
    assert world.a.admin.delete(f"/v1/api-keys/{key['id']}").status == 204
    until(lambda: world.b.tcp(key["key"]).get("/v1/jobs").status == 401)


def test_the_keys_are_the_same(world):
    assert world.a.admin.get("/v1/payload-key").body == \
        world.b.admin.get("/v1/payload-key").body
    with open(world.path / "keys" / "api-key", encoding="ascii") as f:
        key = f.read().strip()
    assert world.a.tcp(key).get("/v1/jobs").status == 200
    assert world.b.tcp(key).get("/v1/jobs").status == 200


def test_agents_are_known_to_both(world):
    agent = world.b.agent(name="there", labels="zone=b")

    def known():
        return {a["name"]: a for a in world.a.admin.get(
            "/v1/agents").json["agents"]}

    until(lambda: "there" in known())
    assert known()["there"]["connected"]
    nowhere = world.a.submit(agent_labels={"zone": "a"})
    until(lambda: (world.a.job(nowhere)["waiting"] or {}).get(
        "code") == "labels")
    # Drained through a, it gets nothing of b.
    assert world.a.admin.post("/v1/agents/there/drain", {}).status == 200
    job = world.b.submit(agent_labels={"zone": "b"})
    until(lambda: (world.b.job(job)["waiting"] or {}).get("code") == "drained")
    assert world.a.admin.post("/v1/agents/there/undrain", {}).status == 200
    assert agent.claim().job == job


def test_an_executor_is_away_for_both(world):
    agent = world.b.agent(name="there", executors="docker,sandbox")
    until(lambda: world.a.admin.get("/v1/agents/there").status == 200)

    def say(status):
        assert agent.heartbeat(status=status).status == 200

    say({"accepting": True, "code": "away:docker", "problem": "no engine"})
    job = world.a.submit(executor="docker")
    until(lambda: world.a.job(job)["waiting"] == {
        "code": "executor_away", "message": "no engine (agent there)"})
    say({"accepting": True})
    assert agent.claim().job == job


def test_an_agent_moves(world):
    """Its stream with a is dead without a knowing it."""
    old = world.a.agent(name="roamer")
    until(lambda: world.a.admin.get("/v1/agents/roamer").status == 200)
    new = world.b.agent(name="roamer")
    with pytest.raises(EOFError):
        while True:
            old.stream.next()
    job = world.a.submit()
    assert new.claim().job == job


def test_sessions_cross(world):
    agent = world.b.agent(name="there")
    assert world.a.admin.post("/v1/sessions", {"name": "s"}).status == 201
    job = world.a.submit(session="s")
    claim = agent.claim()
    agent.started(claim)
    assert world.a.admin.post("/v1/sessions/s/pause", {}).status == 200
    held = world.b.submit(session="s")
    assert world.a.admin.post("/v1/sessions/s/resume", {}).status == 200
    kind = frames.EVENT
    while kind != frames.ASSIGN:
        kind, payload = agent.stream.next()
    assign = json.loads(payload)
    assert assign["job"] == held
    assert world.a.admin.post("/v1/sessions/s/end", {}).status == 200
    cancelled = set()
    while len(cancelled) < 2:
        kind, payload = agent.stream.next()
        if kind == frames.CANCEL:
            cancelled.add(json.loads(payload)["execution"])
    assert cancelled == {claim.id, assign["execution"]}
    assert world.b.job(job)["cancel_requested"]


def test_one_backend_is_killed(world):
    """What its agent had goes on with the other; who followed there, follows
    here; what was pushed into a dead stream comes back."""
    agent = world.a.agent(name="roamer", slots=1)
    job = world.a.submit()
    kept = agent.claim()
    agent.started(kept)
    agent.log(kept, 0, (frames.STDOUT, b"one\n"))
    dead = world.a.agent(name="dead")
    pushed = world.a.submit()
    until(lambda: world.a.job(pushed)["state"] == "claimed")
    world.a.process.send_signal(signal.SIGKILL)
    world.a.process.wait()
    agent = world.b.agent(name="roamer", slots=2)
    assert agent.heartbeat(kept).json["lost"] == []
    assert agent.log(kept, 4, (frames.STDOUT, b"two\n")).status == 200
    # Whoever had it, it comes back once its lease has run out.
    stop = threading.Event()

    def beat():
        while not stop.wait(LEASE_S / 4):
            agent.heartbeat(kept)

    beats = threading.Thread(target=beat)
    beats.start()
    claim = agent.claim()
    assert claim.job == pushed and claim.epoch == 2
    stop.set()
    beats.join()
    assert agent.heartbeat(kept, claim).json["lost"] == []
    assert agent.complete(kept).status == 200
    assert world.b.job(job)["state"] == "succeeded"
    text = world.b.admin.get(f"/v1/jobs/{job}/logs").body
    assert text == b"one\ntwo\n"
    dead.close()
    world.a.start()


def test_a_lease_runs_out_though_its_backend_is_dead(world):
    agent = world.a.agent(name="gone")
    once = world.a.submit()
    first = agent.claim()
    agent.started(first)
    again = world.a.submit(runtime={"type": "python", "retries": 1})
    second = agent.claim()
    agent.started(second)
    world.a.process.send_signal(signal.SIGKILL)
    world.a.process.wait()
    other = world.b.agent(name="other")
    claim = other.claim()
    assert claim.job == again and claim.epoch > second.epoch
    world.b.wait_state(once, "lost")
    # Who comes back with the old ones is refused.
    late = world.b.admin.post(f"/v1/executions/{second.id}/complete",
                              {"epoch": second.epoch, "state": "succeeded"})
    assert late.status == 409 and late.code == "stale_epoch"
    assert world.b.sidecar(second).get("/v1/runtime/input").status == 401
    assert other.started(claim).status == 200
    assert other.complete(claim).status == 200
    assert world.b.job(again)["state"] == "succeeded"
    world.a.start()


def test_two_start_at_once(server, tmp_path):
    """On an empty database and without keys."""
    url = f"{server}&schema=two_{os.path.basename(tmp_path)}"
    backends, errors = [], []

    def start(name):
        try:
            os.makedirs(tmp_path / name)
            backends.append(Backend(str(tmp_path / name), "--keys-dir",
                                    str(tmp_path / "keys"), store=url))
        except BaseException as error:  # told by the test
            errors.append(error)

    threads = [threading.Thread(target=start, args=(n,)) for n in "abc"]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not errors
    assert len({b.admin.get("/v1/payload-key").body for b in backends}) == 1
    for b in backends:
        assert b.stop() == 0
