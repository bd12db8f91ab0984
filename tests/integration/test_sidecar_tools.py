"""Tool actions, from the script to the backend (ARCHITECTURE.md: Tool actions).

What a tool does is the backend's; here it is a scripted one.
"""

import concurrent.futures
import json
import threading

import pytest
import requests
from runtime_backend import CUT, problem
from sidecar_harness import SCOPES, Sidecar

pytestmark = pytest.mark.timeout(60)

PATH = "/tool-actions/execute"
ACTION = {"tool": "slack", "action": "send-message", "params": {"text": "ä"}}
SLOW_S = 6  # more than FORWARD_ATTEMPT_MS


@pytest.fixture
def sidecar(tmp_path):
    with Sidecar(tmp_path) as s:
        yield s


def result(value):
    return lambda request: (200, {}, json.dumps(value).encode())


def calls(sidecar):
    return [r for r in sidecar.backend.seen if r.path == PATH]


def test_is_passed_on_as_it_is(sidecar):
    sidecar.backend.hook = result({"ts": 1})
    body = b'{ "tool":"slack", "action":"x", "params":{"n":1.0}}'
    r = sidecar.request("POST", PATH, data=body)
    assert (r.status_code, r.json()) == (200, {"ts": 1})
    assert r.headers["content-type"] == "application/json"
    (seen,) = calls(sidecar)
    assert seen.method == "POST"
    assert bytes(seen.body) == body
    assert seen.headers["content-type"] == "application/json"
    assert seen.headers["idempotency-key"].startswith("idem_")
    sidecar.post(PATH, ACTION, headers={"Idempotency-Key": "mine"})
    assert calls(sidecar)[1].headers["idempotency-key"] == "mine"
    assert sidecar.metric(
        'requests_total{class="tools",status="2xx"}') == 2


@pytest.mark.parametrize("status, code", [
    (403, "tool_forbidden"), (404, "tool_not_found"), (409, "outcome_unknown"),
    (422, "invalid_params"), (424, "tool_failed")])
def test_a_refusal_is_heard_once(sidecar, status, code):
    sidecar.backend.hook = lambda r: problem(status, code)
    r = sidecar.post(PATH, ACTION)
    assert (r.status_code, r.json()["code"]) == (status, code)
    assert r.headers["content-type"] == "application/problem+json"
    assert len(calls(sidecar)) == 1


def test_a_slow_tool_is_not_cut_off(sidecar):
    done = threading.Event()

    def hook(request):
        if request.path == PATH:
            done.wait(SLOW_S)
        return 200, {}, b'"slow"'

    sidecar.backend.hook = hook
    assert sidecar.post(PATH, ACTION).json() == "slow"
    assert len(calls(sidecar)) == 1


def test_the_same_key_after_the_backend_died(sidecar):
    answers = [CUT, problem(503, "busy")]

    def hook(request):
        return answers.pop(0) if answers else (200, {}, b'"done"')

    sidecar.backend.hook = hook
    assert sidecar.post(PATH, ACTION).json() == "done"
    seen = calls(sidecar)
    assert len(seen) == 3
    assert len({r.headers["idempotency-key"] for r in seen}) == 1
    assert len({bytes(r.body) for r in seen}) == 1


def test_no_json(sidecar):
    for body in b"", b"{", b"{} x":
        r = sidecar.request("POST", PATH, data=body)
        assert (r.status_code, r.json()["code"]) == (400, "invalid_json")
    assert not calls(sidecar)


def test_too_large(tmp_path):
    with Sidecar(tmp_path, limits={"value_bytes": 100}) as s:
        r = s.post(PATH, {"params": "x" * 100})
        assert (r.status_code, r.json()["code"]) == (413, "too_large")


def test_needs_the_scope(sidecar):
    token = sidecar.tokens.mint(scope=[s for s in SCOPES if s != "tools"])
    r = sidecar.post(PATH, ACTION, token=token)
    assert (r.status_code, r.json()["code"]) == (403, "scope_missing")
    assert not calls(sidecar)


def test_a_rate_of_its_own(tmp_path):
    with Sidecar(tmp_path, limits={"tools_per_min": 1, "tools_burst": 2}) as s:
        s.backend.hook = result(1)
        assert [s.post(PATH, ACTION).status_code for _ in range(3)] == [
            200, 200, 429]
        r = s.post(PATH, ACTION)
        assert r.json()["code"] == "rate_limited"
        assert "1 tool actions a minute" in r.json()["detail"]
        assert 1 <= int(r.headers["retry-after"]) <= 60
        assert s.put("/variables/k", 1).status_code == 200
        assert len(calls(s)) == 2
        assert s.metric('rate_limited_total{limit="tools"}') == 2


def test_other_calls_go_on_beside_it(sidecar):
    began, end = threading.Event(), threading.Event()

    def hook(request):
        if request.path != PATH:
            return None
        began.set()
        end.wait(30)
        return 200, {}, b'"late"'

    sidecar.backend.hook = hook
    with concurrent.futures.ThreadPoolExecutor() as pool:
        late = pool.submit(requests.post, sidecar.base_url + PATH,
                           data=json.dumps(ACTION), timeout=30, headers={
                               "Authorization": f"Bearer {sidecar.token}"})
        assert began.wait(30)
        assert sidecar.put("/variables/k", 1).status_code == 201
        assert sidecar.get("/variables/k").json() == 1
        end.set()
        assert late.result().json() == "late"
