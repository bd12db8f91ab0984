"""Programs: signed when they are submitted, checked, and handed out again."""

import base64
import os
import sqlite3
import stat
import subprocess

import pytest

from backend_process import Backend

pytestmark = pytest.mark.timeout(60)


@pytest.fixture
def backend(tmp_path):
    b = Backend(str(tmp_path))
    yield b
    assert b.stop() == 0, "".join(b.log)


def verify(directory, key_pem, program, signature):
    """As cosign verify-blob and openssl dgst do it."""
    key, data, sig = (directory / n for n in ("key.pem", "program", "sig"))
    key.write_bytes(key_pem)
    data.write_bytes(program)
    sig.write_bytes(base64.b64decode(signature, validate=True))
    return subprocess.run(
        ["openssl", "dgst", "-sha256", "-verify", key, "-signature", sig,
         data], capture_output=True, check=False).returncode == 0


def public_key(backend):
    reply = backend.admin.get("/v1/payload-key")
    assert reply.status == 200
    assert reply.headers["content-type"] == "application/x-pem-file"
    return reply.body


# --- signatures


def test_every_program_is_signed(backend, tmp_path):
    job = backend.submit(script="print('ö')\n")
    agent = backend.agent()
    claim = agent.claim()
    pem = public_key(backend)
    assert verify(tmp_path, pem, claim.script, claim.assign["signature"])
    assert not verify(tmp_path, pem, claim.script + b" ",
                      claim.assign["signature"])
    kind, _, der = claim.assign["payload_key"].partition(":")
    assert kind == "base64"
    assert base64.b64decode(der, validate=True) == base64.b64decode(
        b"".join(pem.splitlines()[1:-1]))
    reply = backend.admin.get(f"/v1/jobs/{job}/payload")
    assert reply.status == 200 and reply.body == claim.script
    assert reply.headers["x-cronium-signature"] == claim.assign["signature"]
    reply = backend.admin.get("/v1/jobs/job_01ARZ3NDEKTSV4RRFFQ69G5FAV/payload")
    assert reply.status == 404


def test_the_key_stays(backend, tmp_path):
    pem = public_key(backend)
    keys = tmp_path / "data" / "keys"
    assert (keys / "payload.pub").read_bytes() == pem
    assert stat.S_IMODE(os.stat(keys / "payload.pem").st_mode) == 0o600
    (keys / "payload.pub").write_text("of somebody else")
    backend.stop()
    backend.start()
    assert public_key(backend) == pem
    assert (keys / "payload.pub").read_bytes() == pem


def test_a_job_from_before_is_signed_when_claimed(backend, tmp_path):
    job = backend.submit()
    backend.stop()
    with sqlite3.connect(tmp_path / "data" / "cronium.db") as db:
        db.execute("UPDATE jobs SET signature = NULL")
    db.close()
    backend.start()
    pem = public_key(backend)
    claim = backend.agent().claim()
    assert claim.job == job
    assert verify(tmp_path, pem, claim.script, claim.assign["signature"])
    reply = backend.admin.get(f"/v1/jobs/{job}/payload")
    assert verify(tmp_path, pem, reply.body,
                  reply.headers["x-cronium-signature"])
