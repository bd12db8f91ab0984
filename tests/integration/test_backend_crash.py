"""kill -9 at any moment: what was acknowledged is there afterwards."""

import http.client
import random
import threading

import pytest

import frames
from backend_process import Backend

pytestmark = pytest.mark.timeout(120)
GONE = (OSError, http.client.HTTPException)


def test_everything_acknowledged_survives(tmp_path):
    """Writers run against a backend that is killed in a loop."""
    backend = Backend(str(tmp_path))
    rng = random.Random(1)
    jobs, values, stop = [], {}, threading.Event()

    def submit(n):
        i = 0
        while not stop.is_set():
            i += 1
            try:
                reply = backend.admin.post("/v1/jobs", {
                    "runtime": "bash", "name": f"{n}-{i}",
                    "script": {"content": "true"}, "input": [n, i]})
            except GONE:
                continue
            assert reply.status == 201, reply
            jobs.append((reply.json["id"], [n, i]))

    def put(n):
        i = 0
        while not stop.is_set():
            i += 1
            try:
                reply = backend.admin.put(f"/v1/variables/v{n}",
                                          str(i).encode())
            except GONE:
                continue
            assert reply.status in (201, 204), reply
            values[n] = i

    threads = [threading.Thread(target=f, args=(n,))
               for n in range(3) for f in (submit, put)]
    for t in threads:
        t.start()
    try:
        for _ in range(8):
            threading.Event().wait(rng.uniform(0.05, 0.3))
            backend.kill()
            backend.start()
    finally:
        stop.set()
        for t in threads:
            t.join()
    assert len(jobs) > 20 and len(values) == 3
    for job, value in jobs:
        reply = backend.admin.get(f"/v1/jobs/{job}/input")
        assert reply.status == 200 and reply.json == value
    for n, i in values.items():
        got = backend.admin.get(f"/v1/variables/v{n}").json
        assert got >= i, "a later write may have been committed unheard"
    assert backend.stop() == 0


def test_an_execution_goes_on(tmp_path):
    """The backend dies under a running job; agent and sidecar carry on."""
    backend = Backend(str(tmp_path))
    agent = backend.agent(slots=1)
    job, waiting = backend.submit(), backend.submit()
    claim = agent.claim()
    agent.started(claim)
    sidecar = backend.sidecar(claim)
    assert sidecar.put("/v1/runtime/variables/k", b"1").status == 201
    assert agent.log(claim, 0, (frames.STDOUT, b"one\n")).status == 200
    backend.kill()
    backend.start()

    assert sidecar.get("/v1/runtime/variables/k").body == b"1"
    assert sidecar.post("/v1/runtime/output", b'"x"').status == 204
    back = backend.agent(slots=1)
    assert back.heartbeat(claim).json["lost"] == []
    assert back.log(claim, 4, (frames.STDOUT, b"two\n")).json == {"next": 8}
    assert backend.job(waiting)["state"] == "queued", "its slot is taken"
    assert back.complete(claim).status == 200
    assert backend.job(job)["state"] == "succeeded"
    assert backend.admin.get(f"/v1/jobs/{job}/logs").body == b"one\ntwo\n"
    assert back.claim().job == waiting
    assert sidecar.get("/v1/runtime/input").code == "execution_ended"
    assert backend.stop() == 0


def test_an_agent_that_never_comes_back(tmp_path):
    """Started: lost. Not started: claimed by somebody else."""
    backend = Backend(str(tmp_path), "--lease", "500ms")
    agent = backend.agent(name="dies", slots=2)
    started, unstarted = backend.submit(), backend.submit()
    agent.started(agent.claim())
    agent.claim()
    backend.kill()
    backend.start()
    other = backend.agent(name="other", slots=2)
    assert other.claim().job == unstarted
    assert backend.wait_state(started, "lost")["state"] == "lost"
    assert backend.stop() == 0


def test_cancel_and_keys_survive(tmp_path):
    backend = Backend(str(tmp_path))
    agent = backend.agent()
    job = backend.submit()
    claim = agent.claim()
    made = backend.admin.post("/v1/api-keys", {"name": "ci"}).json
    assert backend.admin.post(f"/v1/jobs/{job}/cancel").status == 202
    key = backend.api_key
    backend.kill()
    backend.start()
    assert backend.tcp(made["key"]).get("/v1/jobs").status == 200
    assert backend.tcp(key).get("/v1/jobs").status == 200
    back = backend.agent()
    assert back.stream.expect(frames.CANCEL)["execution"] == claim.id
    assert back.complete(claim, "cancelled").status == 200
    assert backend.stop() == 0


def test_two_backends_on_one_directory(tmp_path):
    backend = Backend(str(tmp_path))
    with pytest.raises(AssertionError):
        Backend(str(tmp_path))
    assert backend.admin.get("/v1/jobs").status == 200
    assert backend.stop() == 0


def test_orderly_stop_finishes_what_is_under_way(tmp_path):
    backend = Backend(str(tmp_path))
    agent = backend.agent()
    acknowledged = []

    def submit():
        while True:
            try:
                reply = backend.admin.post("/v1/jobs", {
                    "runtime": "bash", "script": {"content": "true"}})
            except GONE:
                return
            if reply.status == 201:
                acknowledged.append(reply.json["id"])
            else:
                return

    threads = [threading.Thread(target=submit) for _ in range(4)]
    for t in threads:
        t.start()
    threading.Event().wait(0.2)
    assert backend.stop() == 0
    for t in threads:
        t.join()
    with pytest.raises(EOFError):
        while True:
            agent.stream.next()
    backend.start()
    assert acknowledged
    for job in acknowledged:
        assert backend.job(job)["id"] == job
    assert backend.stop() == 0
