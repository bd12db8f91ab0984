"""Who may call what, and with which token."""

import base64
import json
import os
import subprocess
import sys
import time

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import \
    load_pem_private_key

from backend_process import Backend

pytestmark = pytest.mark.timeout(60)


@pytest.fixture(scope="module")
def backend(shared):
    return shared


@pytest.fixture(scope="module")
def agent(backend):
    return backend.agent(slots=100)


@pytest.fixture
def claim(backend, agent):
    backend.submit()
    return agent.claim()


def signing_key(backend):
    with open(os.path.join(backend.data, "keys/signing.pem"), "rb") as f:
        return load_pem_private_key(f.read(), None)


def claims_of(claim, **changes):
    token = claim.assign["backend_token"]
    claims = jwt.decode(token, options={"verify_signature": False})
    claims.update(changes)
    return {k: v for k, v in claims.items() if v is not None}


def test_what_a_token_says(backend, claim):
    public = claim.assign["public_key"]
    now = time.time()
    seen = set()
    for audience in ("runtime", "backend"):
        token = claim.assign[f"{audience}_token"]
        assert jwt.get_unverified_header(token)["alg"] == "ES256"
        got = jwt.decode(token, public, algorithms=["ES256"],
                         audience=audience, issuer="cronium")
        assert got["sub"] == claim.id and got["job"] == claim.job
        assert abs(got["iat"] - now) < 10
        assert got["exp"] - got["iat"] == 24 * 3600
        assert got["vars_read"] == ["*"] and got["vars_write"] == ["*"]
        assert got["ro"] is False
        assert set(got["scope"]) >= {"input", "output", "variables",
                                     "condition", "context"}
        assert got["jti"].startswith("tok_")
        seen.add(got["jti"])
    assert len(seen) == 2


def test_token_lives_as_long_as_the_deadline(backend, agent):
    backend.submit(timeout_ms=60_000)
    got = claims_of(agent.claim())
    assert 60 <= got["exp"] - got["iat"] <= 60 + 15 * 60 + 1


def test_tcp_needs_a_key(backend):
    tcp = backend.tcp
    reply = tcp().get("/v1/jobs")
    assert reply.status == 401 and reply.code == "no_credentials"
    assert reply.headers["www-authenticate"] == "Bearer"
    for key in ("x", "", "cro_" + "A" * 43, backend.api_key[:-1],
                backend.api_key + "A"):
        assert tcp(key).get("/v1/jobs").status == 401
    assert tcp(backend.api_key).get("/v1/jobs").status == 200
    reply = tcp().get("/v1/jobs", Authorization=backend.api_key)
    assert reply.status == 401
    reply = tcp().get("/v1/jobs", Authorization="bearer " + backend.api_key)
    assert reply.status == 200
    for key, status in (backend.api_key, 200), ("x", 401), ("", 401):
        reply = tcp().get("/v1/jobs", **{"X-Cronium-Token": key})
        assert reply.status == status


def test_key_of_the_environment(tmp_path):
    key = "cro_" + "k" * 43
    b = Backend(str(tmp_path), env={"CRONIUM_API_KEY": key})
    try:
        assert b.tcp(key).get("/v1/jobs").status == 200
        assert not os.path.exists(os.path.join(b.data, "api-key"))
    finally:
        assert b.stop() == 0


def test_api_keys(backend):
    reply = backend.admin.post("/v1/api-keys", {"name": "ci"})
    assert reply.status == 201
    made = reply.json
    assert backend.tcp(made["key"]).get("/v1/jobs").status == 200
    listed = backend.admin.get("/v1/api-keys").json["keys"]
    assert [(k["id"], k["name"]) for k in listed] == [(made["id"], "ci")]
    assert made["key"] not in json.dumps(listed)
    if not backend.store:
        with open(os.path.join(backend.data, "cronium.db"), "rb") as f:
            assert made["key"].encode() not in f.read()
    assert backend.admin.delete(f"/v1/api-keys/{made['id']}").status == 204
    assert backend.tcp(made["key"]).get("/v1/jobs").status == 401
    assert backend.admin.delete(
        f"/v1/api-keys/{made['id']}").status == 404
    assert backend.admin.post("/v1/api-keys", {}).status == 400


def test_token_on_each_door(backend, claim):
    token = claim.assign["backend_token"]
    runtime_token = claim.assign["runtime_token"]
    door = backend.unix
    socket_name = "runtime/backend.sock"
    assert door(socket_name, token).get("/v1/runtime/input").status == 200
    assert backend.tcp(token).get("/v1/runtime/input").status == 200
    # Not for administrators' routes, nor an administrator for its.
    for peer in (door(socket_name, token), backend.tcp(token)):
        reply = peer.get("/v1/jobs")
        assert reply.status == 403 and reply.code == "forbidden"
        assert peer.get(f"/v1/variables/x").status == 403
    for peer in (backend.admin, backend.tcp(backend.api_key)):
        assert peer.get("/v1/runtime/input").status == 403
    # The pods' socket knows no API key, and not even health.
    reply = door(socket_name, backend.api_key).get("/v1/jobs")
    assert reply.status == 403
    reply = door(socket_name, backend.api_key).get("/v1/runtime/input")
    assert reply.status == 401
    assert door(socket_name).get("/v1/runtime/input").status == 401
    assert door(socket_name).get("/healthz").status == 403
    # The script's own token is not the sidecar's.
    reply = door(socket_name, runtime_token).get("/v1/runtime/input")
    assert reply.status == 401 and reply.code == "invalid_token"


def b64(data):
    if not isinstance(data, bytes):
        data = json.dumps(data).encode()
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def test_forged_tokens(backend, claim):
    good = claim.assign["backend_token"]
    key, other = signing_key(backend), ec.generate_private_key(ec.SECP256R1())
    now = int(time.time())
    header, payload, signature = good.split(".")

    def mint(key=key, headers=None, **changes):
        return jwt.encode(claims_of(claim, **changes), key, "ES256", headers)

    assert backend.tcp(mint()).get("/v1/runtime/input").status == 200
    forged = {
        "another key": mint(key=other),
        "alg none": jwt.encode(claims_of(claim), None, "none"),
        "none with signature": f"{b64({'alg': 'none'})}.{payload}."
                               f"{signature}",
        "HS256 with the public key": "%s.%s.%s" % (
            b64({"alg": "HS256"}), payload, b64(b"x" * 32)),
        "no signature": f"{header}.{payload}.",
        "two parts": f"{header}.{payload}",
        "four parts": good + ".x",
        "changed payload": f"{header}.{b64(claims_of(claim, ro=True))}."
                           f"{signature}",
        "padding": good + "=",
        "unknown crit": mint(headers={"crit": ["x"], "x": 1}),
        "another issuer": mint(iss="somebody"),
        "no issuer": mint(iss=None),
        "another audience": mint(aud="runtime"),
        "no audience": mint(aud=None),
        "no subject": mint(sub=None),
        "not yet": mint(nbf=now + 3600),
        "no expiry": mint(exp=None),
        "dots": "...",
        "dot": ".",
        "long": "a." + "b" * 7000 + ".c",
    }
    for name, token in forged.items():
        reply = backend.tcp(token).get("/v1/runtime/input")
        assert reply.status == 401, name
        assert reply.code == "invalid_token", name
        assert token not in reply.body.decode() or len(token) < 5
    reply = backend.tcp(mint(exp=now - 3600, iat=now - 7200, nbf=now - 7200)
                        ).get("/v1/runtime/input")
    assert reply.status == 401 and reply.code == "token_expired"
    reply = backend.tcp(mint(sub="ex_" + "0" * 26)).get("/v1/runtime/input")
    assert reply.status == 401 and reply.code == "execution_ended"


@pytest.mark.parametrize("state", ["succeeded", "failed", "timed_out",
                                   "cancelled"])
def test_token_ends_with_its_execution(backend, agent, claim, state):
    sidecar = backend.sidecar(claim)
    agent.started(claim)
    assert sidecar.get("/v1/runtime/input").status == 200
    assert agent.complete(claim, state).status == 200
    for reply in (sidecar.get("/v1/runtime/input"),
                  sidecar.post("/v1/runtime/output", b"1")):
        assert reply.status == 401 and reply.code == "execution_ended"


def test_scope_of_variables(backend, agent):
    backend.submit(vars_read=["app/*", "x"], vars_write=["app/out*", "y"])
    sidecar = backend.sidecar(agent.claim())
    for key in ("app/a", "x", "y"):
        assert backend.admin.put(f"/v1/variables/{key.replace('/', '%2F')}",
                                 b"1").status in (201, 204)
    assert sidecar.get("/v1/runtime/variables").json == ["app/a", "x"]
    assert sidecar.get("/v1/runtime/variables?prefix=app").json == ["app/a"]
    assert sidecar.get("/v1/runtime/variables/app%2Fa").body == b"1"
    reply = sidecar.get("/v1/runtime/variables/y")
    assert reply.status == 403 and reply.code == "forbidden"
    for call in (sidecar.put("/v1/runtime/variables/x", b"2"),
                 sidecar.delete("/v1/runtime/variables/app%2Fa"),
                 sidecar.post("/v1/runtime/variables/x/increment"),
                 # It would tell what may not be read.
                 sidecar.post("/v1/runtime/variables/y/increment")):
        assert call.status == 403
    assert sidecar.put("/v1/runtime/variables/app%2Fout1", b"2"
                       ).status == 201


def test_read_only(backend, agent):
    backend.submit(read_only=True)
    sidecar = backend.sidecar(agent.claim())
    assert sidecar.put("/v1/runtime/variables/ro", b"1").status == 403
    assert sidecar.post("/v1/runtime/condition", b"true").status == 403
    assert sidecar.post("/v1/runtime/output", b"1").status == 204


def test_refusals_are_on_record(backend, claim):
    reply = backend.tcp("cro_wrong").get("/v1/jobs")
    assert reply.status == 401
    # A read sees what was acknowledged before; the entry itself is not, so
    # a write after it makes sure.
    backend.admin.put("/v1/variables/after", b"1")
    entries = backend.admin.get("/v1/audit?limit=1000").json["entries"]
    refused = [e for e in entries if e["action"] == "token.refused"]
    assert refused and refused[0]["result"] == "invalid_key"
    text = json.dumps(entries)
    assert "cro_wrong" not in text
    assert claim.assign["backend_token"] not in text


AS_NOBODY = """
import http.client, os, socket, sys
os.setgroups([]); os.setgid(65534); os.setuid(65534)
s = socket.socket(socket.AF_UNIX)
try:
    s.connect(sys.argv[1])
except PermissionError:
    sys.exit(7)
s.sendall(b"GET /v1/jobs HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n")
sys.exit(int(s.recv(100).split()[1]) - 400)
"""


@pytest.mark.skipif(os.getuid() != 0, reason="needs to become another user")
def test_peer_credentials(tmp_path):
    b = Backend(str(tmp_path))
    try:
        def as_nobody():
            return subprocess.run(
                [sys.executable, "-c", AS_NOBODY,
                 os.path.join(b.run, "api.sock")]).returncode

        assert as_nobody() == 7, "the directory and the mode keep it out"
        path = os.path.join(b.run, "api.sock")
        while path not in ("/tmp", "/"):
            os.chmod(path, 0o777)
            path = os.path.dirname(path)
        assert as_nobody() == 3, "and so does the uid of the peer: 403"
    finally:
        assert b.stop() == 0


def test_no_secret_in_the_log_or_core(backend, claim):
    text = "".join(backend.log)
    for secret in (claim.assign["backend_token"],
                   claim.assign["runtime_token"], backend.api_key):
        assert secret not in text
    with open(f"/proc/{backend.process.pid}/limits") as f:
        limit = next(l for l in f if l.startswith("Max core file size"))
    assert limit.split()[4:6] == ["0", "0"]
    stat = os.stat(f"/proc/{backend.process.pid}/environ")
    assert stat.st_uid == 0, "not dumpable: owned by root"
