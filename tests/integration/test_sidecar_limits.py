"""How often a script may ask (ARCHITECTURE.md: Rate limits)."""

import time

import pytest
from backend_process import Backend
from sidecar_harness import Sidecar

pytestmark = pytest.mark.timeout(60)


def limited(tmp_path, per_min, burst):
    return Sidecar(tmp_path, limits={"forward_per_min": per_min,
                                     "forward_burst": burst})


def assert_limited(r, calls, burst):
    assert r.status_code == 429
    problem = r.json()
    assert problem["code"] == "rate_limited"
    assert f"{calls} calls" in problem["detail"]
    assert f"{burst} at once" in problem["detail"]
    assert problem["trace_id"] == r.headers["x-cronium-trace-id"]


def test_over_the_rate(tmp_path):
    with limited(tmp_path, 2, 3) as s:
        s.backend.store.set("k", 1)
        for _ in range(3):
            assert s.get("/condition").status_code == 404
        r = s.get("/condition")
        assert_limited(r, 2, 3)
        assert 1 <= int(r.headers["retry-after"]) <= 30
        assert s.backend.count("GET", "/condition") == 3
        # Every way to the backend costs the same.
        for r in (s.get("/variables/k"), s.get("/variables"),
                  s.put("/variables/k", 2), s.delete("/variables/k"),
                  s.post("/variables/k/increment", {"by": 1}),
                  s.post("/output", 1), s.post("/condition", True)):
            assert_limited(r, 2, 3)
        assert s.backend.store.variables["k"] == (b"1", 1)
        assert s.metric('rate_limited_total{limit="forward"}') == 8


def test_retry_after_is_long_enough(tmp_path):
    with limited(tmp_path, 30, 1) as s:
        s.backend.store.set("k", 1)
        start = time.monotonic()
        assert s.get("/condition").status_code == 404
        r = s.get("/variables/k")
        assert_limited(r, 30, 1)
        again = time.monotonic() + int(r.headers["retry-after"])
        while r.status_code == 429:
            asked = time.monotonic()
            r = s.get("/variables/k")
            assert r.status_code == 200 or asked < again
        assert r.json() == 1
        assert time.monotonic() - start > 1.9


def test_what_is_known_is_free(tmp_path):
    with limited(tmp_path, 1, 2) as s:
        s.backend.store.set("k", 1)
        for _ in range(50):
            assert s.get("/variables/k").json() == 1
            assert s.get("/input").status_code == 200
            assert s.get("/context").status_code == 200
            assert s.get("/healthz").status_code == 200
        assert s.get("/variables/other").status_code == 404
        assert s.get("/variables/third").status_code == 429
        # A refusal of the sidecar's own costs nothing either.
        assert s.get("/condition", token="x").status_code == 401


def test_no_limit(tmp_path):
    with limited(tmp_path, 0, 0) as s:
        for _ in range(300):
            assert s.get("/condition").status_code == 404


def test_without_limits_in_the_assignment(tmp_path):
    """An older backend says nothing of rates."""
    with Sidecar(tmp_path, assign=False) as s:
        message = s.assign_message()
        del message["limits"]
        s.assign(message)
        for _ in range(200):
            assert s.get("/condition").status_code == 404
        # The bucket fills while it is emptied: soon it is empty all the same.
        deadline = time.monotonic() + 20
        while (r := s.get("/condition")).status_code == 404:
            assert time.monotonic() < deadline
        assert_limited(r, 1000, 200)
        assert r.headers["retry-after"] == "1"


@pytest.mark.parametrize("options, expect", [
    ((), {"forward_per_min": 1000, "forward_burst": 200,
          "tools_per_min": 60, "tools_burst": 10}),
    (("--rate-forward", "7/3", "--rate-tools", "0",
      "--max-value-bytes", "2m", "--max-output-bytes", "3m"),
     {"forward_per_min": 7, "forward_burst": 3, "tools_per_min": 0,
      "value_bytes": 2 << 20, "output_bytes": 3 << 20})])
def test_the_backend_says_the_limits(tmp_path, options, expect):
    backend = Backend(str(tmp_path), *options)
    agent = backend.agent()
    backend.submit()
    limits = agent.claim().assign["limits"]
    assert {k: limits[k] for k in expect} == expect
    agent.close()
    assert backend.stop() == 0
