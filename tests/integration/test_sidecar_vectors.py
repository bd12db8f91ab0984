"""sdk/vectors against a real sidecar and a real backend."""

import json
import pathlib

import jwt
import pytest
from backend_process import Backend, quote
from sidecar_harness import Sidecar

pytestmark = pytest.mark.timeout(60)

VECTORS = pathlib.Path(__file__).parents[2] / "sdk" / "vectors"
CASES = json.loads((VECTORS / "runtime.json").read_text())


@pytest.fixture
def backend(tmp_path):
    b = Backend(str(tmp_path))
    yield b
    assert b.stop() == 0, "".join(b.log)


def submit(backend, setup):
    for members, query in ("variables", ""), ("secrets", "?secret=1"):
        for key, value in setup.get(members, {}).items():
            reply = backend.admin.put(
                f"/v1/variables/{quote(key)}{query}",
                json.dumps(value).encode())
            assert reply.status in (201, 204), reply
    spec = {k: setup[k] for k in ("vars_read", "vars_write", "read_only")
            if k in setup}
    return backend.submit(input=setup.get("input"), **spec)


def fill_in(value, saved):
    """$NAME stands for an ETag of before."""
    for name, etag in saved.items():
        value = value.replace(f"${name}", etag)
    return value


def take_step(sidecar, step, saved):
    request = step["request"]
    data = request.get("raw")
    if "body" in request:
        data = json.dumps(request["body"], ensure_ascii=False)
    r = sidecar.request(
        request["method"], request["path"],
        data=data.encode() if data is not None else None,
        headers={k: fill_in(v, saved)
                 for k, v in request.get("headers", {}).items()})
    assert r.status_code == step["status"], (step, r.text)
    if "code" in step:
        assert r.json()["code"] == step["code"], step
    if "body" in step:
        assert r.json() == step["body"], step
    elif "result" in step and r.status_code == 200:
        assert r.json() == step["result"], step
    if r.status_code >= 400:
        assert r.headers["content-type"] == "application/problem+json"
        assert r.json()["status"] == r.status_code
        assert r.json()["detail"]
    if "save" in step:
        saved[step["save"]] = r.headers["etag"].strip('"')


@pytest.mark.parametrize("case", CASES, ids=lambda c: c["name"])
def test_vector(tmp_path, backend, case):
    job = submit(backend, case["setup"])
    agent = backend.agent()
    claim = agent.claim()
    agent.started(claim)
    with Sidecar.of(tmp_path, backend, claim) as sidecar:
        saved = {}
        for step in case["steps"]:
            take_step(sidecar, step, saved)
        if "output" in case:
            reply = backend.admin.get(f"/v1/jobs/{job}/output")
            assert reply.json == case["output"]
        for value in case["setup"].get("secrets", {}).values():
            assert json.dumps(value).encode() in sidecar.control.redacted


def test_tokens_are_what_any_library_reads(backend):
    """PyJWT verifies what common/token.c mints."""
    backend.submit(vars_read=["a.*"], vars_write=[], read_only=True)
    claim = backend.agent().claim()
    for audience in "runtime", "backend":
        token = claim.assign[f"{audience}_token"]
        claims = jwt.decode(
            token, claim.assign["public_key"], algorithms=["ES256"],
            audience=audience, issuer=claim.assign["issuer"],
            options={"require": ["exp", "nbf", "iat", "jti", "sub"]})
        assert claims["sub"] == claim.id
        assert claims["job"] == claim.job
        assert claims["vars_read"] == ["a.*"]
        assert claims["ro"] is True
        assert jwt.get_unverified_header(token) == {
            "alg": "ES256", "typ": "JWT"}


def test_the_backend_token_is_no_runtime_token(tmp_path, backend):
    backend.submit()
    claim = backend.agent().claim()
    with Sidecar.of(tmp_path, backend, claim) as sidecar:
        assert sidecar.get("/input").status_code == 200
        r = sidecar.get("/input", token=claim.assign["backend_token"])
        assert (r.status_code, r.json()["code"]) == (401, "token_invalid")


def test_kill_the_backend_in_the_middle(tmp_path, backend):
    """Every increment that was acknowledged is there, once."""
    backend.submit()
    agent = backend.agent()
    claim = agent.claim()
    agent.started(claim)
    with Sidecar.of(tmp_path, backend, claim) as sidecar:
        for n in range(1, 31):
            if n % 10 == 0:
                backend.kill()
                backend.start()
            r = sidecar.request("POST", "/variables/n/increment")
            assert r.json() == {"value": n}, r.text
        assert sidecar.get("/variables/n").json() == 30
