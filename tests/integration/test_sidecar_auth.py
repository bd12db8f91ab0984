"""Tokens at the sidecar's door: the good ones, and a collection of forgeries.

Minted with PyJWT, so that this is also a cross-check of common/token.c."""

import base64
import hashlib
import hmac
import json
import time

import frames
import jwt
import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.utils import (
    decode_dss_signature)
from sidecar_harness import EXECUTION, Sidecar, private_pem

pytestmark = pytest.mark.timeout(60)


@pytest.fixture(scope="module")
def sidecar(tmp_path_factory):
    with Sidecar(tmp_path_factory.mktemp("sidecar")) as s:
        yield s


def b64(data):
    if isinstance(data, dict):
        data = json.dumps(data).encode()
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def raw_signature(key, text, hash=hashes.SHA256(), size=32):
    r, s = decode_dss_signature(key.sign(text.encode(), ec.ECDSA(hash)))
    return r.to_bytes(size, "big") + s.to_bytes(size, "big")


def signed(sidecar, header, payload):
    """Any header and payload, with a signature that is right."""
    text = f"{b64(header)}.{b64(payload)}"
    return f"{text}.{b64(raw_signature(sidecar.tokens.key, text))}"


def check_refused(sidecar, token, code="token_invalid", status=401):
    r = sidecar.get("/input", token=token)
    assert (r.status_code, r.json()["code"]) == (status, code), r.text
    assert r.headers["content-type"] == "application/problem+json"
    assert r.headers["www-authenticate"].startswith("Bearer")
    assert r.json()["trace_id"] == r.headers["x-cronium-trace-id"]
    if len(token) > 20:
        assert token not in r.text + str(r.headers)
    return r


def test_good(sidecar):
    assert sidecar.get("/input").status_code == 200
    for _ in range(20):  # more than are remembered
        assert sidecar.get(
            "/input", token=sidecar.tokens.mint()).status_code == 200


def test_scheme_is_case_insensitive(sidecar):
    for scheme in "bearer", "BEARER":
        r = sidecar.get("/input", token=None, headers={
            "Authorization": f"{scheme} {sidecar.token}"})
        assert r.status_code == 200


def test_none_at_all(sidecar):
    for headers in {}, {"Authorization": ""}, {
            "Authorization": "Basic dTpw"}, {"Authorization": "Bearer"}, {
            "Authorization": sidecar.token}:
        r = sidecar.get("/input", token=None, headers=headers)
        assert (r.status_code, r.json()["code"]) == (401, "token_missing")
        assert r.headers["www-authenticate"] == 'Bearer realm="cronium"'
        assert "CRONIUM_EXECUTION_TOKEN" in r.json()["detail"]


@pytest.mark.parametrize("where", ["?token=", "?access_token="])
def test_not_in_the_query(sidecar, where):
    r = sidecar.get(f"/input{where}{sidecar.token}", token=None)
    assert r.status_code == 401


def test_algorithm_none(sidecar):
    claims = sidecar.tokens.claims()
    for alg in "none", "None", "NONE", "nOnE", "":
        text = f"{b64({'alg': alg, 'typ': 'JWT'})}.{b64(claims)}"
        for signature in "", b64(b""), b64(b"\0" * 64):
            check_refused(sidecar, f"{text}.{signature}")
    check_refused(sidecar, jwt.encode(claims, None, algorithm="none"))


def test_public_key_as_a_secret(sidecar):
    for secret in (sidecar.tokens.public_pem.encode(),
                   sidecar.tokens.public_pem.strip().encode()):
        for alg, digest in ("HS256", "sha256"), ("HS384", "sha384"):
            text = (f"{b64({'alg': alg, 'typ': 'JWT'})}"
                    f".{b64(sidecar.tokens.claims())}")
            mac = hmac.new(secret, text.encode(), digest).digest()
            check_refused(sidecar, f"{text}.{b64(mac)}")
            # The same, with the algorithm that is expected in the header.
            text = (f"{b64({'alg': 'ES256', 'typ': 'JWT'})}"
                    f".{b64(sidecar.tokens.claims())}")
            mac = hmac.new(secret, text.encode(), digest).digest()
            check_refused(sidecar, f"{text}.{b64(mac)}")


def test_other_algorithms(sidecar):
    claims = sidecar.tokens.claims()
    rsa_key = rsa.generate_private_key(65537, 2048)
    p384 = ec.generate_private_key(ec.SECP384R1())
    check_refused(sidecar, jwt.encode(claims, rsa_key, algorithm="RS256"))
    check_refused(sidecar, jwt.encode(claims, p384, algorithm="ES384"))
    text = f"{b64({'alg': 'ES256'})}.{b64(claims)}"
    check_refused(sidecar, f"{text}.{b64(raw_signature(p384, text, size=48))}")


def test_another_key(sidecar):
    other = ec.generate_private_key(ec.SECP256R1())
    check_refused(sidecar, jwt.encode(
        sidecar.tokens.claims(), other, algorithm="ES256"))
    # … which the header brings along.
    numbers = other.public_key().public_numbers()
    jwk = {"kty": "EC", "crv": "P-256",
           "x": b64(numbers.x.to_bytes(32, "big")),
           "y": b64(numbers.y.to_bytes(32, "big"))}
    for header in ({"jwk": jwk}, {"jku": "https://evil.example/keys"},
                   {"x5u": "https://evil.example/cert"},
                   {"x5c": ["AAAA"]}, {"kid": "../../../dev/null"}):
        check_refused(sidecar, jwt.encode(
            sidecar.tokens.claims(), other, algorithm="ES256",
            headers=header))
        # Harmless where the signature is ours: these are not looked at.
        assert sidecar.get("/input", token=sidecar.tokens.mint(
            headers=header)).status_code == 200


def test_signature_forgeries(sidecar):
    header, payload, signature = sidecar.tokens.mint().split(".")
    raw = base64.urlsafe_b64decode(signature + "==")
    der = sidecar.tokens.key.sign(
        f"{header}.{payload}".encode(), ec.ECDSA(hashes.SHA256()))
    order = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551
    r = int.from_bytes(raw[:32], "big")
    for forged in (
            b"", b"\0" * 64, b"\0" * 32 + raw[32:], raw[:32] + b"\0" * 32,
            order.to_bytes(32, "big") * 2, b"\xff" * 64, raw[:63],
            raw + b"\0", raw * 2, der, raw[32:] + raw[:32],
            bytes([raw[0] ^ 1]) + raw[1:], hashlib.sha256(raw).digest() * 2,
            # r + n is the same number to who forgets to look at its range.
            *([(r + order).to_bytes(32, "big") + raw[32:]]
              if r + order < 1 << 256 else [])):
        check_refused(sidecar, f"{header}.{payload}.{b64(forged)}")
    check_refused(sidecar, f"{header}.{payload}")
    check_refused(sidecar, f"{header}.{payload}.")


def test_swapped_and_changed_payload(sidecar):
    a = sidecar.tokens.mint().split(".")
    b = sidecar.tokens.mint(vars_read=[]).split(".")
    check_refused(sidecar, f"{a[0]}.{b[1]}.{a[2]}")
    claims = json.loads(base64.urlsafe_b64decode(a[1] + "=="))
    check_refused(sidecar, f"{a[0]}.{b64({**claims, 'x': 1})}.{a[2]}")


def test_encodings(sidecar):
    token = sidecar.tokens.mint()
    header, payload, signature = token.split(".")
    for forged in (
            token + "=", token + "==", token + ".", "." + token,
            token + " x", f"{header}=.{payload}.{signature}",
            f"{header}.{payload}.{signature}\tx", token + "A", token[:-1],
            token.replace(".", ".."), f"{token}.{signature}",
            "a.b.c.d.e", "...", "..", ".", "x", '"' + token + '"',
            token.replace("-", "+").replace("_", "/") + "/"):
        check_refused(sidecar, forged)
    # The last of 86 characters has four bits that are not used.
    alphabet = ("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                "0123456789-_")
    last = alphabet.index(signature[-1])
    assert last % 16 == 0
    for spelling in range(last + 1, last + 16):
        check_refused(sidecar, token[:-1] + alphabet[spelling])


def test_huge_and_nested(sidecar):
    check_refused(sidecar, "a" * 9000)
    check_refused(sidecar, f"{'a' * 4000}.{'b' * 4000}.{'c' * 86}")
    check_refused(sidecar, signed(
        sidecar, {"alg": "ES256"}, b'{"a":' + b"[" * 3000 + b"]" * 3000
        + b"}"))
    check_refused(sidecar, signed(
        sidecar, b"[" * 300 + b"]" * 300, sidecar.tokens.claims()))


def test_headers_that_change_the_meaning(sidecar):
    claims = sidecar.tokens.claims()
    for more in ({"crit": ["exp"]}, {"crit": []}, {"crit": ["x"], "x": 1},
                 {"b64": False}, {"b64": True}, {"zip": "DEF"},
                 {"typ": "JWE"}, {"alg": ["ES256"]}, {"alg": None}):
        check_refused(sidecar, signed(
            sidecar, {"alg": "ES256", **more}, claims))
    check_refused(sidecar, signed(
        sidecar, b'{"alg":"none","alg":"ES256"}', claims))
    check_refused(sidecar, signed(sidecar, b'["ES256"]', claims))


def test_claims_of_somebody_else(sidecar):
    for more in ({"aud": "backend"}, {"aud": ["runtime"]}, {"aud": None},
                 {"iss": "evil"}, {"iss": None}, {"sub": "ex_other"},
                 {"sub": None}, {"sub": EXECUTION + "\0"},
                 {"sub": [EXECUTION]}, {"jti": None}, {"job": None}):
        check_refused(sidecar, signed(
            sidecar, {"alg": "ES256"}, sidecar.tokens.claims(**more)))


def test_claims_of_the_wrong_type(sidecar):
    now = int(time.time())
    for more in ({"exp": str(now + 600)}, {"exp": now + 600.5},
                 {"exp": None}, {"exp": True}, {"exp": 1e300},
                 {"exp": -1}, {"exp": 10**30}, {"nbf": str(now)},
                 {"nbf": None}, {"iat": None}, {"iat": [now]},
                 {"scope": "input output"}, {"scope": None}, {"scope": [1]},
                 {"vars_read": "*"}, {"vars_write": {"*": 1}},
                 {"ro": "no"}, {"ro": 0}):
        check_refused(sidecar, signed(
            sidecar, {"alg": "ES256"}, sidecar.tokens.claims(**more)))
    text = json.dumps(sidecar.tokens.claims())[:-1]
    check_refused(sidecar, signed(
        sidecar, {"alg": "ES256"}, f'{text}, "ro": false}}'.encode()))


def test_times(sidecar):
    now = int(time.time())
    check_refused(sidecar, sidecar.tokens.mint(
        exp=now - 40, nbf=now - 100, iat=now - 100), code="token_expired")
    check_refused(sidecar, sidecar.tokens.mint(nbf=now + 60))
    check_refused(sidecar, sidecar.tokens.mint(iat=now + 60))
    # Clocks that differ a little are forgiven.
    for more in ({"exp": now - 10, "nbf": now - 100, "iat": now - 100},
                 {"nbf": now + 10}, {"iat": now + 10}):
        assert sidecar.get("/input", token=sidecar.tokens.mint(
            **more)).status_code == 200


def test_scopes(sidecar):
    calls = {"input": ("GET", "/input"), "output": ("POST", "/output"),
             "variables": ("GET", "/variables"),
             "condition": ("GET", "/condition"),
             "context": ("GET", "/context")}
    for scope, (method, path) in calls.items():
        others = [s for s in calls if s != scope]
        r = sidecar.request(method, path, data=b"1",
                            token=sidecar.tokens.mint(scope=others))
        assert (r.status_code, r.json()["code"]) == (403, "scope_missing")
        assert scope in r.json()["detail"]
        r = sidecar.request(method, path, data=b"1",
                            token=sidecar.tokens.mint(scope=[scope, "new"]))
        assert r.status_code in (200, 204, 404)


def test_key_patterns(sidecar):
    token = sidecar.tokens.mint(vars_read=["app.*"],
                                vars_write=["app.w.*", "blind"])
    sidecar.backend.store.set("private", 1)
    assert sidecar.get("/variables/private").status_code == 200
    # In the cache by now, and still not for everybody.
    r = sidecar.get("/variables/private", token=token)
    assert (r.status_code, r.json()["code"]) == (403, "key_forbidden")
    assert sidecar.get("/variables/app.x", token=token).status_code == 404
    assert sidecar.put("/variables/app.w.1", 1, token=token).status_code == 201
    for method, path in (("PUT", "/variables/app.x"),
                         ("DELETE", "/variables/app.x"),
                         ("POST", "/variables/app.x/increment"),
                         ("POST", "/variables/blind/increment"),
                         ("PUT", "/variables/%61pp.x"),
                         ("PUT", "/variables/private")):
        r = sidecar.request(method, path, data=b'{"by":1}', token=token)
        assert (r.status_code, r.json()["code"]) == (403, "key_forbidden")


def test_read_only(sidecar):
    token = sidecar.tokens.mint(ro=True)
    sidecar.backend.store.set("k", 1)
    assert sidecar.get("/variables/k", token=token).status_code == 200
    for method, path in (("PUT", "/variables/k"), ("DELETE", "/variables/k"),
                         ("POST", "/variables/k/increment")):
        r = sidecar.request(method, path, data=b'{"by":1}', token=token)
        assert (r.status_code, r.json()["code"]) == (403, "read_only")


def test_revoked(sidecar):
    token = sidecar.tokens.mint(jti="tok_doomed")
    assert sidecar.get("/input", token=token).status_code == 200
    sidecar.control.send(frames.REVOKE, {"jti": "tok_doomed"})
    while sidecar.get("/input", token=token).status_code == 200:
        pass
    check_refused(sidecar, token, code="token_revoked")
    assert sidecar.get("/input").status_code == 200


def test_counted(sidecar):
    refused = sidecar.metric('auth_total{result="refused"}')
    sidecar.get("/input", token="x")
    assert sidecar.metric('auth_total{result="refused"}') == refused + 1


def test_keys_that_are_none(tmp_path):
    """An assignment with a bad key is refused, not served without checks."""
    for n, pem in enumerate(["", "x", private_pem(
            ec.generate_private_key(ec.SECP384R1()))]):
        directory = tmp_path / str(n)
        directory.mkdir()
        with Sidecar(directory, assign=False) as s:
            s.control.send(frames.ASSIGN,
                           {**s.assign_message(), "public_key": pem})
            s.control.send(frames.INPUT, b"1")
            s.control.expect(frames.DRAINED)
            s.control.close()
            assert s.process.wait(10) == 1


def test_two_sidecars_do_not_know_each_other(tmp_path):
    """The same key, another execution: the token does not open the door."""
    with Sidecar(tmp_path) as s:
        check_refused(s, s.tokens.mint(sub="ex_01j0000000000000000000000b"))
