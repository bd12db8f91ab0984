"""One job through the backend, seen by everybody who takes part."""

import json
import os
import stat

import httpx
import pytest

import frames
from backend_process import Backend, FRAMES

pytestmark = pytest.mark.timeout(60)


def read_all(stream):
    """[(type, payload)] to the end of the stream."""
    got = []
    try:
        while True:
            got.append(stream.next())
    except EOFError:
        return got


def test_one_job(backend):
    agent = backend.agent()
    job = backend.submit("print('hi')", {"name": "Ada"}, name="hello.py",
                         args=["--flag"], timeout_ms=60000)
    follow = backend.follow(job)
    assert follow.expect(frames.STATE)["state"] in ("queued", "claimed")

    claim = agent.claim()
    assert claim.job == job
    assert claim.script == b"print('hi')"
    assert json.loads(claim.input) == {"name": "Ada"}
    spec = claim.assign["spec"]
    assert spec["script_name"] == "main.py"
    assert spec["args"] == ["--flag"]
    assert claim.assign["context"]["job"] == job
    assert claim.assign["lease_ms"] == 30000
    assert claim.assign["attempt"] == 1

    assert agent.started(claim).status == 200
    reply = agent.log(claim, 0, (frames.STDOUT, b"hi\n"),
                      (frames.STDERR, b"\xff\x00oops"))
    assert reply.status == 200 and reply.json == {"next": 9}

    sidecar = backend.sidecar(claim)
    assert sidecar.get("/v1/runtime/input").body == b'{"name": "Ada"}'
    assert sidecar.post("/v1/runtime/output", b'{"x": 1.10}').status == 204
    usage = {"user_us": 5, "system_us": None, "max_rss_kb": 7,
             "peak_memory_bytes": 8 << 32, "read_bytes": 9, "write_bytes": 0}
    telemetry = {"before": None, "after": {"cpu_percent": 12.5}}
    reply = agent.complete(claim, usage=usage, telemetry=telemetry)
    assert reply.status == 200
    assert agent.complete(claim).status == 200, "a repeat is fine"

    got = read_all(follow)
    states = [json.loads(p)["state"] for k, p in got if k == frames.STATE]
    assert states[-2:] == ["running", "succeeded"]
    assert got[-1][0] == frames.STATE
    assert b"".join(p for k, p in got if k == frames.STDOUT) == b"hi\n"
    assert b"".join(p for k, p in got if k == frames.STDERR) == b"\xff\x00oops"

    done = backend.job(job)
    assert done["state"] == "succeeded" and done["exit_code"] == 0
    assert done["usage"] == usage
    assert done["telemetry"] == telemetry
    listed, = backend.admin.get("/v1/jobs").json["jobs"]
    assert listed["usage"] == usage and "telemetry" not in listed
    assert done["executor"] == "sandbox"
    assert done["log_bytes"] == 9 and done["log_dropped_bytes"] == 0
    reply = backend.admin.get(f"/v1/jobs/{job}/output")
    assert reply.body == b'{"x": 1.10}', "byte for byte"
    reply = backend.admin.get(f"/v1/jobs/{job}/logs")
    assert reply.body == b"hi\n\xff\x00oops"
    reply = backend.admin.get(f"/v1/jobs/{job}/logs?offset=3")
    assert reply.body == b"\xff\x00oops"
    agent.close()


@pytest.mark.usefixtures("sqlite")
def test_files_and_modes(backend, tmp_path):
    def mode(path):
        return stat.S_IMODE(os.stat(tmp_path / path).st_mode)

    assert mode("data") == 0o700
    assert mode("data/api-key") == 0o600
    assert mode("data/keys/signing.pem") == 0o600
    assert mode("data/keys/master.key") == 0o600
    assert mode("data/cronium.db") == 0o600
    assert mode("run/api.sock") == 0o600
    assert mode("run/runtime/backend.sock") == 0o666


def test_waiting_agent_is_pushed_to(backend):
    """Two agents wait; each job goes to exactly one of them."""
    agents = [backend.agent(name=f"a{i}", slots=2) for i in range(2)]
    jobs = {backend.submit() for _ in range(4)}
    got = {a.claim().job for a in agents for _ in range(2)}
    assert got == jobs


def test_slots_and_order(backend):
    jobs = [backend.submit() for _ in range(3)]
    agent = backend.agent(slots=2)
    first, second = agent.claim(), agent.claim()
    assert [first.job, second.job] == jobs[:2]
    assert backend.job(jobs[2])["state"] == "queued"
    assert agent.complete(first, state="failed", exit_code=3).status == 200
    assert agent.claim().job == jobs[2]
    assert backend.job(jobs[0])["exit_code"] == 3


def test_executors(backend):
    docker = backend.submit(executor="docker")
    sandbox = backend.submit(executor="sandbox")
    agent = backend.agent(executors="sandbox", slots=4)
    assert agent.claim().job == sandbox
    assert backend.job(docker)["state"] == "queued"
    other = backend.agent(name="b", executors="docker")
    assert other.claim().job == docker


def test_submit_as_frames(backend):
    script = os.urandom(200_000)
    body = (frames.encode(frames.SPEC, {"name": "x.sh"}) +
            frames.encode(frames.SCRIPT, script) +
            frames.encode(frames.INPUT, b" [1, 2.50] "))
    reply = backend.admin.post("/v1/jobs", body, **{"Content-Type": FRAMES})
    assert reply.status == 201, reply
    assert reply.json["runtime"] == "bash"
    claim = backend.agent().claim()
    assert claim.script == script
    assert claim.input == b" [1, 2.50] "


def test_input_is_kept_byte_for_byte(backend):
    value = b'{"a": 1.10, "b": 123456789012345678901234567890, "c":"\\u00e9"}'
    body = (b'{"runtime":"bash","input": ' + value +
            b' ,"script":{"content":"true"}}')
    reply = backend.admin.post("/v1/jobs", body)
    assert reply.status == 201, reply
    job = reply.json["id"]
    assert backend.admin.get(f"/v1/jobs/{job}/input").body == value


def test_submit_says_all_that_is_wrong(backend):
    reply = backend.admin.post("/v1/jobs", {
        "runtime": "ruby", "timeout": 3, "memory_mb": 1,
        "script": {"name": "a/b", "content": "x"}})
    assert reply.status == 400 and reply.code == "invalid_spec"
    for word in ("runtime: ", "timeout: ", "memory_mb: ", "script_name: "):
        assert word in reply.json["detail"]
    for body in (b"", b"[]", b"{", b'{"runtime":"bash"}',
                 b'{"runtime":"bash","script":{"content":1}}',
                 b'{"runtime":"bash","script":{"content":"x"},"input":}'):
        reply = backend.admin.post("/v1/jobs", body)
        assert reply.status == 400, (body, reply)
        assert reply.code in ("invalid_spec", "invalid_json")
    for body in (b"", b"\x20", frames.encode(frames.SPEC, {}),
                 frames.encode(frames.SCRIPT, b"x"),
                 frames.encode(frames.STDOUT, b"x")):
        reply = backend.admin.post("/v1/jobs", body,
                                   **{"Content-Type": FRAMES})
        assert reply.status == 400, (body, reply)
    assert backend.admin.get("/v1/jobs").json["jobs"] == []


def test_idempotent_submit(backend):
    spec = {"runtime": "bash", "script": {"content": "true"}}
    a = backend.admin.post("/v1/jobs", spec, **{"Idempotency-Key": "k1"})
    b = backend.admin.post("/v1/jobs", spec, **{"Idempotency-Key": "k1"})
    assert a.status == b.status == 201
    assert a.json["id"] == b.json["id"]
    spec["script"]["content"] = "false"
    c = backend.admin.post("/v1/jobs", spec, **{"Idempotency-Key": "k1"})
    assert c.status == 422 and c.code == "key_reused"


def test_list(backend):
    jobs = [backend.submit(name=f"n{i}") for i in range(5)]
    reply = backend.admin.get("/v1/jobs?limit=2").json
    assert [j["id"] for j in reply["jobs"]] == jobs[:2:-1]
    reply = backend.admin.get(f"/v1/jobs?limit=10&before={reply['next']}")
    assert [j["id"] for j in reply.json["jobs"]] == jobs[2::-1]
    assert reply.json["next"] is None
    reply = backend.admin.get("/v1/jobs?state=running").json
    assert reply["jobs"] == []
    assert backend.admin.get("/v1/jobs?state=x").code == "invalid_query"
    assert backend.admin.get("/v1/jobs?limit=0").code == "invalid_query"
    assert backend.admin.get("/v1/jobs/job_x").code == "not_found"


def test_limits(tmp_path):
    backend = Backend(str(tmp_path))
    limit = 10 * 1024 * 1024
    value = b'"' + b"x" * (limit - 2) + b'"'
    try:
        def submit(value):
            return backend.admin.post(
                "/v1/jobs", frames.encode(frames.SPEC, {"runtime": "bash"}) +
                frames.encode(frames.SCRIPT, b"true") +
                frames.encode(frames.INPUT, value),
                **{"Content-Type": FRAMES})

        reply = submit(value + b" ")
        assert reply.status == 413 and reply.code == "too_large"
        assert submit(value).status == 201
        claim = backend.agent().claim()
        assert claim.input == value
        sidecar = backend.sidecar(claim)
        assert sidecar.get("/v1/runtime/input").body == value
        reply = sidecar.post("/v1/runtime/output", value + b" ")
        assert reply.status == 413
        assert sidecar.post("/v1/runtime/output", value).status == 204
        reply = backend.admin.get(f"/v1/jobs/{claim.job}/output")
        assert reply.body == value
        reply = sidecar.put("/v1/runtime/variables/v", b"1" * (1 << 20))
        assert reply.status == 201
        reply = sidecar.put("/v1/runtime/variables/v",
                            b"1" * ((1 << 20) + 1))
        assert reply.status == 413
    finally:
        assert backend.stop() == 0


def test_http2(backend):
    with httpx.Client(http1=False, http2=True, timeout=20,
                      base_url=f"http://127.0.0.1:{backend.port}",
                      headers={"Authorization":
                               f"Bearer {backend.api_key}"}) as client:
        reply = client.get("/v1/jobs")
        assert reply.http_version == "HTTP/2"
        assert reply.status_code == 200
        reply = client.post("/v1/jobs", json={
            "runtime": "bash", "script": {"content": "true"}})
        assert reply.status_code == 201


def test_health_and_metrics(backend):
    backend.submit()
    assert backend.tcp().get("/healthz").status == 200
    assert backend.tcp().get("/readyz").status == 200
    text = backend.tcp().get("/metrics").body.decode()
    assert 'cronium_jobs{state="queued"} 1' in text
    assert 'cronium_http_requests_total{class="admin",status="2xx"} 1' in text
    backend.agent().claim()
    text = backend.tcp().get("/metrics").body.decode()
    assert "cronium_claim_latency_seconds_count 1" in text
    assert "cronium_executions_live 1" in text


def test_agents_are_listed(backend):
    agent = backend.agent(slots=3)
    backend.submit()
    agent.claim()
    listed = backend.admin.get("/v1/agents").json["agents"]
    assert [(a["name"], a["slots"], a["running"]) for a in listed] == \
        [("agent-1", 3, 1)]
