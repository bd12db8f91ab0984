"""What the sidecar refuses by itself is in the backend's audit log."""

import threading
import time

import pytest
from backend_process import Backend
from patience import until
from sidecar_harness import SCOPES, Sidecar

pytestmark = pytest.mark.timeout(60)


def entries(backend, claim):
    r = backend.admin.get(f"/v1/audit?execution={claim.id}&limit=100")
    assert r.status == 200
    return [e for e in r.json["entries"] if e["action"] in (
        "token.refused", "call.refused")]


def test_in_the_audit_log(tmp_path):
    backend = Backend(str(tmp_path))
    agent = backend.agent()
    backend.submit(vars_read=["mine/*"], vars_write=[], read_only=True)
    claim = agent.claim()
    agent.started(claim)
    directory = tmp_path / "pod"
    directory.mkdir()
    with Sidecar.of(directory, backend, claim) as s:
        asked = [(s.get("/input", token=None), "token_missing", None),
                 (s.get("/input", token="x"), "token_invalid", None),
                 (s.get("/variables/yours"), "key_forbidden", "yours"),
                 (s.put("/variables/mine/1".replace("mine/", "mine%2F"), 1),
                  "read_only", "mine/1")]
        for r, code, _ in asked:
            assert r.json()["code"] == code
        found = until(lambda: len(e := entries(backend, claim)) == 4 and e,
                      "not audited")
        by_code = {e["result"]: e for e in found}
        for r, code, target in asked:
            entry = by_code[code]
            assert entry["target"] == target
            assert entry["trace_id"] == r.headers["x-cronium-trace-id"]
            assert entry["execution"] == claim.id
        assert {e["action"] for e in found} == {"token.refused",
                                                "call.refused"}
        # A name that can be nobody's is left out, the refusal is not.
        assert s.get("/variables/no name").json()["code"] == "key_forbidden"
        until(lambda: len(entries(backend, claim)) == 5, "not audited")
        assert entries(backend, claim)[0]["target"] is None
        assert s.metric('audited_total{result="ok"}') == 5
    agent.close()
    assert backend.stop() == 0


def test_a_loop_of_refusals_is_one_entry(tmp_path):
    """And no reply waits for it, also where the backend takes its time."""
    with Sidecar(tmp_path) as s:
        gate = threading.Event()

        def hook(request):
            if request.path == "/audit":
                gate.wait(30)
            return None

        s.backend.hook = hook
        token = s.tokens.mint(scope=[c for c in SCOPES if c != "output"])
        for _ in range(100):
            assert s.get("/input", token="x").status_code == 401
            assert s.post("/output", 1, token=token).status_code == 403
        until(lambda: s.backend.audited, "not audited")
        assert len(s.backend.audited) == 1
        gate.set()
        # The first one's loop went on while it was told.
        until(lambda: len(s.backend.audited) == 3, "not audited")
        codes = [b'"code":"token_invalid"', b'"code":"token_invalid"',
                 b'"code":"scope_missing"']
        for request, code in zip(s.backend.audited, codes):
            assert code in request.body
            assert request.headers["traceparent"].startswith("00-")
        assert b'"target":"output"' in s.backend.audited[2].body
        assert s.get("/input").status_code == 200


def test_a_backend_that_will_not_have_it(tmp_path):
    with Sidecar(tmp_path) as s:
        s.backend.hook = lambda r: (400, {}, b"{}") \
            if r.path == "/audit" else None
        start = time.monotonic()
        assert s.get("/input", token="x").status_code == 401
        until(lambda: s.metric('audited_total{result="failed"}') == 1,
              "not counted")
        assert len(s.backend.audited) == 1
        assert time.monotonic() - start < 20
        assert "is not in the audit log" in s.logged()
