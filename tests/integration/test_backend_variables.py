"""Variables, secrets, conditions and the context, from both sides."""

import concurrent.futures
import json
import os
import threading

import pytest

from backend_process import quote

pytestmark = pytest.mark.timeout(120)


@pytest.fixture(scope="module")
def backend(shared):
    return shared


@pytest.fixture(scope="module")
def agent(backend):
    return backend.agent(slots=100)


@pytest.fixture
def claim(backend, agent):
    backend.submit(labels={"team": "a"})
    return agent.claim()


@pytest.fixture
def sidecar(backend, claim):
    return backend.sidecar(claim)


RUNTIME, ADMIN = "/v1/runtime/variables", "/v1/variables"


def test_life_of_a_variable(sidecar):
    key = f"{RUNTIME}/life"
    reply = sidecar.get(key)
    assert reply.status == 404 and reply.code == "not_found"
    reply = sidecar.put(key, b'{"a": 1.10}')
    assert reply.status == 201
    first = reply.headers["etag"]
    reply = sidecar.get(key)
    assert reply.status == 200 and reply.body == b'{"a": 1.10}'
    assert reply.headers["etag"] == first
    assert reply.headers["content-type"] == "application/json"
    assert "x-cronium-secret" not in reply.headers
    reply = sidecar.put(key, b"null")
    assert reply.status == 204 and reply.headers["etag"] != first
    assert sidecar.get(key).body == b"null"
    assert sidecar.get(key, **{"If-None-Match": reply.headers["etag"]}
                       ).status == 304
    assert sidecar.delete(key).status == 204
    assert sidecar.delete(key).status == 404
    assert sidecar.get(key).status == 404


def test_if_match(sidecar):
    key = f"{RUNTIME}/match"
    etag = sidecar.put(key, b"1").headers["etag"]
    for condition in ({"If-Match": '"999999"'}, {"If-None-Match": "*"}):
        reply = sidecar.put(key, b"2", **condition)
        assert reply.status == 412 and reply.code == "version_conflict"
    reply = sidecar.put(key, b"2", **{"If-Match": '"999999"'})
    assert f'"{reply.json["version"]}"' == etag
    assert sidecar.get(key).body == b"1"
    assert sidecar.put(key, b"2", **{"If-Match": etag}).status == 204
    assert sidecar.put(key, b"3", **{"If-Match": etag}).status == 412
    assert sidecar.put(key, b"3", **{"If-Match": "*"}).status == 204
    assert sidecar.delete(key, **{"If-Match": etag}).status == 412
    assert sidecar.delete(key, **{"If-Match": "*"}).status == 204
    reply = sidecar.put(key, b"3", **{"If-Match": "*"})
    assert reply.status == 412 and reply.code == "version_conflict"
    assert sidecar.put(key, b"4", **{"If-None-Match": "*"}).status == 201
    for bad in ("1", 'W/"1"', '"1", "2"', '"x"', '""'):
        reply = sidecar.put(key, b"5", **{"If-Match": bad})
        assert reply.status == 400, bad
        assert reply.code == "invalid_precondition"


def test_racers_with_if_match(backend, agent):
    """Two jobs, one version: exactly one of them writes, each round."""
    backend.submit(), backend.submit()
    racers = [backend.sidecar(agent.claim()) for _ in range(2)]
    key = f"{RUNTIME}/race"
    etag = racers[0].put(key, b"0").headers["etag"]
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        for _ in range(50):
            together = threading.Barrier(2)

            def race(i):
                together.wait()
                return racers[i].put(key, str(i).encode(),
                                     **{"If-Match": etag})

            replies = list(pool.map(race, range(2)))
            assert sorted(r.status for r in replies) == [204, 412]
            winner = next(i for i in range(2) if replies[i].status == 204)
            etag = replies[winner].headers["etag"]
            assert racers[0].get(key).body == str(winner).encode()


def test_parallel_increments(backend, agent):
    for _ in range(4):
        backend.submit()
    sidecars = [backend.sidecar(agent.claim()) for _ in range(4)]

    def add(i):
        return sidecars[i % 4].post(f"{RUNTIME}/n/increment")

    with concurrent.futures.ThreadPoolExecutor(20) as pool:
        replies = list(pool.map(add, range(100)))
    assert {r.status for r in replies} == {200}
    assert sorted(r.json["value"] for r in replies) == list(range(1, 101))
    assert sidecars[0].get(f"{RUNTIME}/n").body == b"100"


def test_increment(sidecar):
    key = f"{RUNTIME}/inc"
    assert sidecar.post(f"{key}/increment", {"by": 5}).json == {"value": 5}
    assert sidecar.post(f"{key}/increment", {"by": -2}).json == {"value": 3}
    assert sidecar.post(f"{key}/increment", b"").json == {"value": 4}
    assert sidecar.post(f"{key}/increment", {"by": 0.5}
                        ).json == {"value": 4.5}
    reply = sidecar.post(f"{key}/increment", {"by": "1"})
    assert reply.status == 400 and reply.code == "invalid_increment"
    sidecar.put(key, b'"text"')
    reply = sidecar.post(f"{key}/increment")
    assert reply.status == 409 and reply.code == "not_a_number"
    sidecar.put(key, b"9223372036854775807")
    reply = sidecar.post(f"{key}/increment")
    assert reply.status == 409 and reply.code == "range"


def test_idempotent_writes(sidecar):
    headers = {"Idempotency-Key": "once"}
    path = f"{RUNTIME}/once/increment"
    first = sidecar.post(path, {"by": 1}, **headers)
    again = sidecar.post(path, {"by": 1}, **headers)
    assert first.body == again.body == b'{"value":1}'
    assert first.headers["etag"] == again.headers["etag"]
    assert sidecar.post(path, {"by": 2}, **headers).status == 422
    reply = sidecar.post(path, {"by": 1}, **{"Idempotency-Key": "x" * 129})
    assert reply.status == 400
    headers = {"Idempotency-Key": "put"}
    first = sidecar.put(f"{RUNTIME}/p", b"1", **headers)
    again = sidecar.put(f"{RUNTIME}/p", b"1", **headers)
    assert first.status == again.status == 201
    assert first.headers["etag"] == again.headers["etag"]


def test_values_must_be_json(sidecar):
    for body, at in ((b"", 0), (b"x", 0), (b"[1,]", 3), (b"1 2", 2),
                     (b'"\xff"', 1)):
        reply = sidecar.put(f"{RUNTIME}/bad", body)
        assert reply.status == 400 and reply.code == "invalid_json", body
        assert abs(reply.json["offset"] - at) <= 1, (body, reply)
        reply = sidecar.post("/v1/runtime/output", body)
        assert reply.status == 400 and reply.code == "invalid_json", body
    assert sidecar.get(f"{RUNTIME}/bad").status == 404


def test_keys(sidecar):
    for key in ("a", "A-b_c.d:e", "team/app/KEY", "k" * 256, ".", ".."):
        assert sidecar.put(f"{RUNTIME}/{quote(key)}", b"1").status == 201, key
        assert sidecar.get(f"{RUNTIME}/{quote(key)}").body == b"1", key
    for key in ("a b", "k" * 257, "é", "a*", "%00x"):
        reply = sidecar.put(f"{RUNTIME}/{quote(key)}", b"1")
        assert reply.status in (400, 404), key


def test_secrets(backend, sidecar, claim):
    value = b'"hunter2-' + os.urandom(8).hex().encode() + b'"'
    reply = backend.admin.put(f"{ADMIN}/API_KEY?secret=1", value)
    assert reply.status == 201
    reply = sidecar.get(f"{RUNTIME}/API_KEY")
    assert reply.body == value
    assert reply.headers["x-cronium-secret"] == "1"
    # A script that writes it does not make it readable in the store.
    assert sidecar.put(f"{RUNTIME}/API_KEY?secret=0", value).status == 204
    assert sidecar.get(f"{RUNTIME}/API_KEY").headers["x-cronium-secret"]
    listed = backend.admin.get(f"{ADMIN}?prefix=API").json["variables"]
    assert [(v["key"], v["secret"], v["bytes"]) for v in listed] == \
        [("API_KEY", True, len(value))]
    for root, _, files in os.walk(backend.data):
        for name in files:
            with open(os.path.join(root, name), "rb") as f:
                assert value.strip(b'"') not in f.read(), name
    audit = backend.admin.get(f"/v1/audit?execution={claim.id}").json
    assert [e["action"] for e in audit["entries"]] == [
        "secret.read", "variable.put", "secret.read"]
    for entry in audit["entries"]:
        assert entry["who"] == f"execution:{claim.id}"
        assert entry["target"] == "API_KEY" and entry["result"] == "ok"
        assert entry["job"] == claim.job and entry["trace_id"]
    assert value.decode().strip('"') not in json.dumps(audit)
    assert value.decode().strip('"') not in "".join(backend.log)


def test_trace_id_is_passed_on(backend, sidecar, claim):
    trace_id = "0af7651916cd43dd8448eb211c80319c"
    trace = {"traceparent": f"00-{trace_id}-b7ad6b7169203331-01"}
    sidecar.put(f"{RUNTIME}/traced", b"1", **trace)
    entry = backend.admin.get(f"/v1/audit?execution={claim.id}"
                              ).json["entries"][0]
    assert entry["trace_id"] == trace_id
    reply = sidecar.get(f"{RUNTIME}/absent", **trace)
    assert reply.json["trace_id"] == trace_id
    for bad in ('a"b', "00-" + "0" * 32 + "-b7ad6b7169203331-01", trace_id):
        reply = sidecar.get(f"{RUNTIME}/absent", traceparent=bad)
        assert reply.json["trace_id"] not in bad


def test_condition(sidecar):
    path = "/v1/runtime/condition"
    reply = sidecar.get(path)
    assert reply.status == 404 and reply.code == "no_condition"
    assert sidecar.post(path, b"true").status == 204
    assert sidecar.get(path).json is True
    assert sidecar.post(path, {"condition": False}).status == 204
    assert sidecar.get(path).json is False
    for body in (b"1", b"null", b'{"condition":1}', b"", b"[true]"):
        assert sidecar.post(path, body).code == "invalid_condition"
    assert sidecar.get(path).json is False


def test_context(sidecar, claim):
    got = sidecar.get("/v1/runtime/context").json
    assert got == claim.assign["context"]
    assert got["job"] == claim.job and got["execution"] == claim.id
    assert got["labels"] == {"team": "a"} and got["attempt"] == 1
    assert got["dry_run"] is False and got["event"] is None


def test_output_last_one_wins(backend, sidecar, claim):
    assert backend.admin.get(f"/v1/jobs/{claim.job}/output"
                             ).code == "no_output"
    assert sidecar.post("/v1/runtime/output", b"1").status == 204
    assert sidecar.post("/v1/runtime/output", b"[2]").status == 204
    assert backend.admin.get(f"/v1/jobs/{claim.job}/output").body == b"[2]"
    assert backend.job(claim.job)["output_bytes"] == 3


def test_many_names(backend, sidecar):
    for i in range(30):
        backend.admin.put(f"{ADMIN}/many-{i:02}", b"1")
    names = sidecar.get(f"{RUNTIME}?prefix=many-").json
    assert names == [f"many-{i:02}" for i in range(30)]
