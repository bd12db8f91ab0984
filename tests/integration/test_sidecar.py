"""cronium-sidecar from the outside: the runtime API, as a script sees it."""

import concurrent.futures
import json
import os
import re
import socket
import threading
import time

import frames
import pytest
import requests
from patience import until
from runtime_backend import CUT, SILENCE, problem
from sidecar_harness import EXECUTION, Sidecar

pytestmark = pytest.mark.timeout(60)


@pytest.fixture
def sidecar(tmp_path):
    with Sidecar(tmp_path, input=b'{"name": "Ada"}') as s:
        yield s


def test_input_is_what_was_sent_byte_for_byte(sidecar):
    r = sidecar.get("/input")
    assert r.status_code == 200
    assert r.content == b'{"name": "Ada"}'
    assert r.headers["content-type"] == "application/json"
    assert len(r.headers["x-cronium-trace-id"]) == 32


def test_input_of_nothing_is_null(tmp_path):
    with Sidecar(tmp_path, input=b"") as s:
        assert s.get("/input").content == b"null"


def test_large_input(tmp_path):
    with Sidecar(tmp_path, input=json.dumps("x" * (9 << 20)).encode()) as s:
        assert s.get("/input").json() == "x" * (9 << 20)


def test_context(sidecar):
    assert sidecar.get("/context").json() == sidecar.context


def test_output_is_stored_as_it_came(sidecar):
    r = sidecar.request("POST", "/output", data=b' {"a": 1.10} ')
    assert r.status_code == 204
    assert sidecar.backend.store.output == b' {"a": 1.10} '


def test_output_chunked(sidecar):
    r = sidecar.request("POST", "/output", data=iter([b"[1,", b"2]"]))
    assert r.status_code == 204
    assert sidecar.backend.store.output == b"[1,2]"


@pytest.mark.parametrize("body", [
    b"", b"{", b"nope", b"1 2", b'{"a":1,}', b"\xff", b"NaN", b"'a'",
    b"[" * 100 + b"]" * 100])
def test_output_that_is_no_json(sidecar, body):
    r = sidecar.request("POST", "/output", data=body)
    assert r.status_code == 400
    assert r.headers["content-type"] == "application/problem+json"
    assert r.json()["code"] == "invalid_json"
    assert sidecar.backend.store.output is None


def test_output_over_the_limit(tmp_path):
    with Sidecar(tmp_path, limits={"output_bytes": 1000}) as s:
        assert s.post("/output", "x" * 998).status_code == 204
        r = s.post("/output", "x" * 999)
        assert r.status_code == 413
        assert r.json()["code"] == "too_large"
        assert "1000" in r.json()["detail"]
        r = s.request("POST", "/output", data=iter([b"x" * 600] * 2))
        assert r.status_code == 413
        assert s.backend.count("POST", "/output") == 1


def test_large_output(sidecar):
    value = "x" * (9 << 20)
    assert sidecar.post("/output", value).status_code == 204
    assert json.loads(sidecar.backend.store.output) == value


def test_condition(sidecar):
    assert sidecar.get("/condition").status_code == 404
    for body, stored in [(True, b"true"), (False, b"false"),
                         ({"condition": True}, b"true")]:
        assert sidecar.post("/condition", body).status_code == 204
        assert sidecar.backend.store.condition == stored
        assert sidecar.get("/condition").content == stored
    for body in [1, "true", None, {}, {"condition": 1}, [True],
                 {"condition": True, "x": 1}]:
        r = sidecar.post("/condition", body)
        assert (r.status_code, r.json()["code"]) == (400, "invalid_condition")


def test_variable_is_cached(sidecar):
    sidecar.backend.store.set("k", {"n": 1})
    first, again = sidecar.get("/variables/k"), sidecar.get("/variables/k")
    assert first.json() == again.json() == {"n": 1}
    assert first.headers["x-cronium-cache"] == "miss"
    assert again.headers["x-cronium-cache"] == "hit"
    assert first.headers["etag"] == again.headers["etag"] == '"1"'
    assert again.headers["age"] == "0"
    assert sidecar.backend.count("GET", "/variables/k") == 1
    assert sidecar.metric('cache_requests_total{result="hit"}') == 1
    assert sidecar.metric('cache_requests_total{result="miss"}') == 1


def test_absent_variable_is_cached(sidecar):
    for expected in "miss", "hit", "hit":
        r = sidecar.get("/variables/none")
        assert r.status_code == 404
        assert r.json()["code"] == "variable_not_found"
        assert r.headers["x-cronium-cache"] == expected
    assert sidecar.backend.count("GET", "/variables/none") == 1


def test_write_through(sidecar):
    assert sidecar.get("/variables/k").status_code == 404
    r = sidecar.put("/variables/k", [1, 2])
    assert r.status_code == 201
    assert r.headers["etag"] == '"1"'
    r = sidecar.get("/variables/k")
    assert r.json() == [1, 2]
    assert r.headers["x-cronium-cache"] == "hit"
    assert sidecar.delete("/variables/k").status_code == 204
    assert sidecar.get("/variables/k").status_code == 404
    assert sidecar.delete("/variables/k").status_code == 404


def test_compare_and_set(sidecar):
    r = sidecar.put("/variables/k", 1, headers={"If-None-Match": "*"})
    assert r.status_code == 201
    etag = r.headers["etag"]
    sidecar.backend.store.set("k", 2)
    assert sidecar.get("/variables/k").json() == 1
    r = sidecar.put("/variables/k", 3, headers={"If-Match": etag})
    assert (r.status_code, r.json()["code"]) == (412, "version_conflict")
    # What was cached is known to be old now.
    r = sidecar.get("/variables/k")
    assert (r.json(), r.headers["x-cronium-cache"]) == (2, "miss")
    r = sidecar.put("/variables/k", 3, headers={"If-Match": r.headers["etag"]})
    assert r.status_code == 204


def test_if_none_match(sidecar):
    sidecar.backend.store.set("k", 1)
    etag = sidecar.get("/variables/k").headers["etag"]
    r = sidecar.get("/variables/k", headers={"If-None-Match": etag})
    assert (r.status_code, r.content) == (304, b"")
    assert r.headers["etag"] == etag
    r = sidecar.get("/variables/k", headers={"If-None-Match": '"99"'})
    assert (r.status_code, r.json()) == (200, 1)


def test_no_cache_asks_the_backend(sidecar):
    sidecar.backend.store.set("k", 1)
    assert sidecar.get("/variables/k").json() == 1
    sidecar.backend.store.set("k", 2)
    assert sidecar.get("/variables/k").json() == 1
    r = sidecar.get("/variables/k", headers={"Cache-Control": "no-cache"})
    assert (r.json(), r.headers["x-cronium-cache"]) == (2, "miss")
    assert sidecar.get("/variables/k").json() == 2


def test_increment(sidecar):
    assert sidecar.request("POST", "/variables/n/increment").json() == {
        "value": 1}
    assert sidecar.get("/variables/n").json() == 1
    assert sidecar.post("/variables/n/increment", {"by": 41}).json() == {
        "value": 42}
    assert sidecar.get("/variables/n").json() == 42
    for body in b"5", b'{"by":"5"}', b'{"by":1,"x":2}', b"[", b'{"to":1}':
        r = sidecar.request("POST", "/variables/n/increment", data=body)
        assert (r.status_code, r.json()["code"]) == (400, "invalid_increment")


def test_hundred_increments_at_once(sidecar):
    with concurrent.futures.ThreadPoolExecutor(10) as pool:
        replies = list(pool.map(
            lambda _: sidecar.request("POST", "/variables/n/increment"),
            range(100)))
    assert sorted(r.json()["value"] for r in replies) == list(range(1, 101))
    assert sidecar.get("/variables/n").json() == 100


def test_list(sidecar):
    for key in "app.a", "app.b", "other", "a&b":
        sidecar.backend.store.set(key, 1)
    assert sidecar.get("/variables").json() == [
        "a&b", "app.a", "app.b", "other"]
    assert sidecar.get("/variables?prefix=app.").json() == [
        "app.a", "app.b"]
    assert sidecar.get("/variables?prefix=a%26").json() == ["a&b"]


@pytest.mark.parametrize("key", ["a/b", "a b", "ä", "a%b", "a?b#c", "..",
                                 "a+b", "k" * 256])
def test_keys_arrive_as_they_are(sidecar, key):
    path = "/variables/" + "".join(f"%{b:02x}" for b in key.encode())
    assert sidecar.put(path, 1).status_code == 201
    assert list(sidecar.backend.store.variables) == [key]
    assert sidecar.get(path).json() == 1


def test_key_that_is_too_long(sidecar):
    r = sidecar.get("/variables/" + "k" * 257)
    assert (r.status_code, r.json()["code"]) == (400, "invalid_key")


def test_value_over_the_limit(tmp_path):
    with Sidecar(tmp_path, limits={"value_bytes": 100}) as s:
        assert s.put("/variables/k", "x" * 98).status_code == 201
        assert s.put("/variables/k", "x" * 99).status_code == 413
        assert s.get("/variables/k").json() == "x" * 98


def test_unknown_paths_and_methods(sidecar):
    assert sidecar.get("/nowhere").status_code == 404
    assert sidecar.get("/v1/runtime/input").status_code == 404
    r = sidecar.request("DELETE", "/input")
    assert r.status_code == 405
    assert "GET" in r.headers["allow"]


def test_head(sidecar):
    r = sidecar.request("HEAD", "/input")
    assert (r.status_code, r.content) == (200, b"")
    assert r.headers["content-length"] == "15"


def test_trace_id_is_passed_on(sidecar):
    trace = "0af7651916cd43dd8448eb211c80319c"
    parent = f"00-{trace}-b7ad6b7169203331-01"
    r = sidecar.put("/variables/k", 1, headers={"traceparent": parent})
    assert r.headers["x-cronium-trace-id"] == trace
    seen = sidecar.backend.seen[-1].headers
    # The same trace, a span of its own.
    assert re.fullmatch(f"00-{trace}-[0-9a-f]{{16}}-01", seen["traceparent"])
    assert seen["traceparent"] != parent
    assert "x-cronium-trace-id" not in seen
    assert seen["x-cronium-token"] == sidecar.backend_token


def test_what_a_job_does_is_one_trace(tmp_path):
    trace = "0af7651916cd43dd8448eb211c80319c"
    with Sidecar(tmp_path, assign=False) as s:
        s.context = {**s.context, "trace_id": trace}
        s.assign()
        replies = [s.get("/input"), s.get("/variables/k"),
                   s.put("/variables/k", 1), s.get("/variables/k", token="x")]
        assert {r.headers["x-cronium-trace-id"] for r in replies} == {trace}
        assert replies[1].json()["trace_id"] == trace
        seen = [r.headers["traceparent"] for r in s.backend.seen]
        assert {t.split("-")[1] for t in seen} == {trace}
        assert len({t.split("-")[2] for t in seen}) == len(seen) == 2


def test_every_write_has_an_idempotency_key(sidecar):
    sidecar.put("/variables/a", 1)
    sidecar.put("/variables/a", 2)
    sidecar.put("/variables/a", 3, headers={"Idempotency-Key": "mine"})
    keys = [r.headers["idempotency-key"] for r in sidecar.backend.seen]
    assert len(set(keys)) == 3
    assert keys[2] == "mine"


def test_single_flight(sidecar):
    gate = threading.Event()
    sidecar.backend.store.set("k", 7)

    def hook(request):
        gate.wait(20)

    sidecar.backend.hook = hook
    with concurrent.futures.ThreadPoolExecutor(20) as pool:
        replies = [pool.submit(sidecar.get, "/variables/k")
                   for _ in range(20)]
        while sidecar.metric("in_flight") < 20:
            pass
        gate.set()
        assert [r.result().json() for r in replies] == [7] * 20
    assert sidecar.backend.count("GET", "/variables/k") == 1


def test_a_read_under_way_does_not_hide_a_later_write(sidecar):
    """The old answer is held back until the write is acknowledged."""
    arrived, gate = threading.Event(), threading.Event()
    sidecar.backend.store.set("k", "old")
    old = sidecar.backend.store.answer

    def hook(request):
        if request.method == "GET":
            sidecar.backend.hook = None
            answer = old(request)
            arrived.set()
            gate.wait(20)
            return answer

    sidecar.backend.hook = hook
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        reader = pool.submit(sidecar.get, "/variables/k")
        arrived.wait(20)
        assert sidecar.put("/variables/k", "new").status_code == 204
        assert sidecar.get("/variables/k").json() == "new"
        gate.set()
        assert reader.result().json() == "old"
    assert sidecar.get("/variables/k").json() == "new"


def test_stale_while_the_backend_is_down(tmp_path):
    with Sidecar(tmp_path, limits={"cache_ttl_ms": 0}) as s:
        s.backend.store.set("k", "known")
        assert s.get("/variables/k").headers["x-cronium-cache"] == "miss"
        s.backend.down()
        r = s.get("/variables/k")
        assert (r.status_code, r.json()) == (200, "known")
        assert r.headers["x-cronium-cache"] == "stale"
        assert r.headers["age"].isdigit()
        assert s.metric('cache_requests_total{result="stale"}') == 1
        r = s.get("/variables/unknown")
        assert r.status_code in (502, 503, 504)
        assert r.json()["code"] == "backend_unavailable"
        assert "retry-after" in r.headers


def test_stale_when_the_backend_hangs(tmp_path):
    with Sidecar(tmp_path, limits={"cache_ttl_ms": 0}) as s:
        s.backend.store.set("k", "known")
        s.get("/variables/k")
        s.backend.hook = lambda request: SILENCE
        begin = time.monotonic()
        r = s.get("/variables/k")
        assert (r.json(), r.headers["x-cronium-cache"]) == ("known", "stale")
        assert time.monotonic() - begin < 15


def test_stale_when_the_backend_answers_500(tmp_path):
    with Sidecar(tmp_path, limits={"cache_ttl_ms": 0}) as s:
        s.backend.store.set("k", "known")
        s.get("/variables/k")
        s.backend.hook = lambda request: problem(500, "internal")
        r = s.get("/variables/k")
        assert (r.json(), r.headers["x-cronium-cache"]) == ("known", "stale")
        # A refusal is no outage.
        s.backend.hook = lambda request: problem(403, "forbidden")
        assert s.get("/variables/k").status_code == 403


def test_a_write_survives_a_restart_of_the_backend(sidecar):
    """kill -9 before the answer: repeated with the same key, done once."""
    answer = sidecar.backend.store.answer

    def hook(request):
        sidecar.backend.hook = None
        answer(request)
        sidecar.backend.down()
        sidecar.backend.up()
        return CUT

    sidecar.backend.hook = hook
    assert sidecar.post("/variables/n/increment", {"by": 5}).json() == {
        "value": 5}
    assert sidecar.get("/variables/n").json() == 5
    keys = {r.headers["idempotency-key"] for r in sidecar.backend.seen
            if r.method == "POST"}
    assert len(keys) == 1
    assert sidecar.backend.count("POST", "/variables/n/increment") == 2


def test_secret_is_told_once_it_is_masked(sidecar):
    sidecar.backend.store.set("API_KEY", "s3cr3t-value", secret=True)
    sidecar.control.hold_acks = True
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        reply = pool.submit(sidecar.get, "/variables/API_KEY")
        payload = sidecar.control.expect(frames.REDACT)
        assert payload[4:] == b'"s3cr3t-value"'
        # The request waits, others do not.
        assert sidecar.get("/input").status_code == 200
        assert not reply.done()
        sidecar.control.release_acks()
        assert reply.result().json() == "s3cr3t-value"
    r = sidecar.get("/variables/API_KEY")
    assert (r.json(), r.headers["x-cronium-cache"]) == ("s3cr3t-value", "hit")
    assert len(sidecar.control.redacted) == 1
    # A new version is announced again, an old one is not.
    sidecar.backend.store.set("API_KEY", "another-one", secret=True)
    no_cache = {"Cache-Control": "no-cache"}
    for _ in range(2):
        assert sidecar.get("/variables/API_KEY",
                           headers=no_cache).json() == "another-one"
    assert sidecar.control.redacted == [b'"s3cr3t-value"', b'"another-one"']


def test_secret_is_not_told_when_it_cannot_be_masked(sidecar):
    """The orchestrator never answers, and later is gone."""
    sidecar.backend.store.set("API_KEY", "s3cr3t-value", secret=True)
    sidecar.control.hold_acks = True
    r = sidecar.get("/variables/API_KEY")
    assert (r.status_code, r.json()["code"]) == (503, "redaction_unavailable")
    assert "s3cr3t" not in r.text
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        reply = pool.submit(sidecar.get, "/variables/API_KEY")
        sidecar.control.expect(frames.REDACT)
        sidecar.control.expect(frames.REDACT)
        sidecar.control.close()
        try:
            assert reply.result().status_code == 503
        except requests.ConnectionError:
            pass  # it ended before it could say so
    assert sidecar.process.wait(10) == 1


def test_writing_a_secret_announces_it(sidecar):
    sidecar.backend.store.set("API_KEY", "before", secret=True)
    assert sidecar.put("/variables/API_KEY", "after").status_code == 204
    assert sidecar.control.redacted == [b'"after"']


def test_secrets_and_tokens_are_not_logged(sidecar):
    sidecar.backend.store.set("API_KEY", "s3cr3t-value", secret=True)
    sidecar.get("/variables/API_KEY")
    sidecar.get("/variables/API_KEY", token="forged.token.here")
    sidecar.backend.down()
    sidecar.get("/variables/other")
    text = sidecar.logged() + sidecar.get("/metrics").text
    for secret in ("s3cr3t-value", "forged.token.here", sidecar.token,
                   sidecar.backend_token):
        assert secret not in text


def test_health_needs_no_token(sidecar):
    assert sidecar.get("/healthz", token=None).json() == {"status": "ok"}
    r = sidecar.get("/readyz", token=None)
    assert r.json()["state"] == "assigned"
    assert sidecar.get("/metrics", token=None).headers[
        "content-type"].startswith("text/plain")
    assert EXECUTION not in sidecar.get("/metrics", token=None).text


def test_localhost_in_both_families(sidecar):
    if len(sidecar.ready["listen"]) == 1:
        return  # no IPv6 here
    url = f"http://{sidecar.ready['listen'][1]}/healthz"
    assert sidecar.session.get(url, timeout=10).status_code == 200


def test_replies_that_are_not_read_do_not_fill_the_memory(
        tmp_path, monkeypatch):
    # With the usual quarantine a sanitized one seems to keep what it freed.
    monkeypatch.setenv("ASAN_OPTIONS", os.environ.get("ASAN_OPTIONS", "") +
                       ":quarantine_size_mb=1")
    with Sidecar(tmp_path, input=json.dumps("i" * (9 << 20)).encode()) as s:
        head = (f"GET /input HTTP/1.1\r\nHost: l\r\nAuthorization: Bearer "
                f"{s.token}\r\n\r\n").encode()
        socks = [socket.create_connection(("127.0.0.1", s.port))
                 for _ in range(60)]
        for sock in socks:
            sock.sendall(head)
        while s.metric('requests_total{class="input",status="2xx"}') < 60:
            pass
        with open(f"/proc/{s.process.pid}/status") as f:
            resident = int(re.search(r"VmRSS:\s+(\d+)", f.read())[1])
        assert resident < 192 << 10
        for sock in socks:
            sock.close()
        # Room is made as the sidecar hears of each close; until then 503.
        def answered():
            reply = s.get("/input")
            assert (reply.status_code == 200 or
                    reply.json()["code"] == "too_many_replies")
            return reply.status_code == 200

        until(answered)


def test_too_many_at_once(sidecar):
    gate = threading.Event()
    sidecar.backend.hook = lambda request: gate.wait(20) and None
    with concurrent.futures.ThreadPoolExecutor(256) as pool:
        waiting = [pool.submit(sidecar.get, f"/variables/k{i}")
                   for i in range(256)]
        while sidecar.metric("in_flight") < 256:
            pass
        r = sidecar.get("/variables/one-more")
        assert (r.status_code, r.json()["code"]) == (429, "too_many_requests")
        assert "retry-after" in r.headers
        gate.set()
        assert {w.result().status_code for w in waiting} == {404}
    assert sidecar.metric("in_flight") == 0
