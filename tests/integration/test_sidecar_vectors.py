"""A real sidecar with a real backend: tokens, and a backend that dies. What a
script may ask is in test_vectors.py."""

import jwt
import pytest
from sidecar_harness import Sidecar

pytestmark = pytest.mark.timeout(60)


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
