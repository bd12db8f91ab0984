"""Programs: signed when they are submitted, checked, and handed out again."""

import base64
import io
import json
import os
import sqlite3
import stat
import subprocess
import tarfile

import pytest

import frames
from backend_process import FRAMES

pytestmark = pytest.mark.timeout(60)


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


MIGRATIONS = os.path.join(os.path.dirname(__file__),
                          "../../backend/migrations/sqlite")


def to_schema_2(path):
    """A data directory as version 0.3 left it, with the same rows."""
    with sqlite3.connect(f"{path}.2") as db:
        for step in ("0001.sql", "0002.sql"):
            with open(os.path.join(MIGRATIONS, step)) as f:
                db.executescript(f.read())
        tables = [row[0] for row in db.execute(
            "SELECT name FROM sqlite_schema WHERE type = 'table'")]
        db.execute("ATTACH ? AS later", (str(path),))
        # Triggers count the jobs, so that the counters come last.
        for table in sorted(tables, key=lambda t: t == "job_counts"):
            names = ", ".join(f'"{row[1]}"' for row in db.execute(
                f"PRAGMA main.table_info({table})"))
            db.execute(f"DELETE FROM main.{table}")
            db.execute(f"INSERT INTO main.{table} ({names})"
                       f" SELECT {names} FROM later.{table}")
        db.execute("PRAGMA user_version = 2")
    db.close()
    os.rename(f"{path}.2", path)


def change_store(backend, tmp_path, change):
    """change: SQL, or what does it to the file."""
    path = tmp_path / "data" / "cronium.db"
    backend.stop()
    if callable(change):
        change(path)
    else:
        with sqlite3.connect(path) as db:
            db.executescript(change)
        db.close()
    backend.start()


@pytest.mark.usefixtures("sqlite")
def test_a_job_from_before_is_signed(backend, tmp_path):
    job = backend.submit()
    change_store(backend, tmp_path, to_schema_2)
    pem = public_key(backend)
    claim = backend.agent().claim()
    assert claim.job == job
    assert verify(tmp_path, pem, claim.script, claim.assign["signature"])
    reply = backend.admin.get(f"/v1/jobs/{job}/payload")
    assert verify(tmp_path, pem, reply.body,
                  reply.headers["x-cronium-signature"])


@pytest.mark.usefixtures("sqlite")
def test_who_edits_the_store_gets_no_signature(backend, tmp_path):
    """Not even by taking the old one away; the runner refuses the rest."""
    job = backend.submit()
    change_store(backend, tmp_path, "UPDATE jobs SET signature = NULL;"
                 "UPDATE payloads SET data = x'6576696c' WHERE kind = 1")
    claim = backend.agent().claim()
    assert claim.script == b"evil" and claim.assign["signature"] is None
    reply = backend.admin.get(f"/v1/jobs/{job}/payload")
    assert reply.status == 200 and reply.body == b"evil"
    assert "x-cronium-signature" not in reply.headers


# --- payloads


MANIFEST = {"version": "v1", "interpreter": "python", "entrypoint": "main.py"}


def archive(manifest=None, files=None, names=()):
    """A tar.gz. JSON is YAML as well."""
    out = io.BytesIO()
    text = json.dumps({**MANIFEST, **(manifest or {})})
    with tarfile.open(fileobj=out, mode="w:gz") as tar:
        for name, data in {"manifest.yaml": text, "main.py": "print(1)\n",
                           **(files or {})}.items():
            if data is None:
                continue
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data.encode()))
        for name in names:
            info = tarfile.TarInfo(name)
            info.type = tarfile.SYMTYPE
            info.linkname = "/etc/passwd"
            tar.addfile(info)
    return out.getvalue()


def submit_frames(backend, data, **spec):
    body = b"".join((
        frames.encode(frames.SPEC, json.dumps(
            {"payload": True, **spec}).encode()),
        frames.encode(frames.SCRIPT, data)))
    return backend.admin.call("POST", "/v1/jobs", body,
                              {"Content-Type": FRAMES})


def submit_json(backend, data, name=None, **spec):
    script = {"content_base64": base64.b64encode(data).decode()}
    if name:
        script["name"] = name
    return backend.admin.post("/v1/jobs", {
        "payload": True, "script": script, "input": [1], **spec})


@pytest.mark.parametrize("submit", [submit_frames, submit_json])
def test_the_manifest_is_the_default(backend, submit, tmp_path):
    data = archive({
        "entrypoint": "app/main.py", "environment": {"A": "1", "B": "2"},
        "runtime": {"retries": 2, "max_memory_mb": 64, "timeout": "5s",
                    "permissions": {"net": ["api.example.com"]}}},
        {"app/main.py": "print(2)\n"})
    reply = submit(backend, data)
    assert reply.status == 201, reply
    assert reply.json["name"] == "app/main.py"
    assert reply.json["runtime"] == "python"
    assert reply.json["attempts"] == 3
    claim = backend.agent().claim()
    spec = claim.assign["spec"]
    assert claim.script == data and spec["payload"] is True
    assert verify(tmp_path, public_key(backend), data,
                  claim.assign["signature"])
    assert spec["script_name"] == "app/main.py"
    assert spec["env"] == {"A": "1", "B": "2"}
    assert spec["memory_mb"] == 64 and spec["timeout_ms"] == 5000
    assert spec["runtime"]["type"] == "python"
    assert spec["runtime"]["permissions"]["net"] == ["api.example.com"]


def test_what_the_job_says_wins(backend):
    data = archive({
        "environment": {"A": "1", "B": "2"},
        "runtime": {"retries": 2, "max_memory_mb": 64, "timeout": 5000,
                    "permissions": {"net": True}}},
        {"other.js": "1\n"})
    reply = submit_json(
        backend, data, name="report.tar.gz", env={"B": "3"}, memory_mb=128,
        timeout_ms=0, script_name="other.js",
        runtime={"type": "node", "permissions": {"read": ["/data"]}})
    assert reply.status == 201, reply
    assert reply.json["name"] == "report.tar.gz"
    spec = backend.agent().claim().assign["spec"]
    assert spec["script_name"] == "other.js"
    assert spec["env"] == {"A": "1", "B": "3"}
    assert spec["memory_mb"] == 128 and spec["timeout_ms"] == 0
    assert spec["runtime"]["type"] == "node"
    assert spec["runtime"]["retries"] == 2
    assert spec["runtime"]["permissions"]["net"] is False
    assert spec["runtime"]["permissions"]["read"] == ["/data"]


@pytest.mark.parametrize("data,words", [
    (archive({"interpreter": "cobol", "entrypoint": "../x", "what": 1}),
     ("interpreter", "entrypoint", "what")),
    (archive(files={"main.py": None}), ("main.py",)),
    (archive(files={"manifest.yaml": None}), ("manifest.yaml",)),
    (archive(files={"../evil": "x"}), ("../evil",)),
    (archive(files={"/etc/evil": "x"}), ("/etc/evil",)),
    (archive(names=["link"]), ("link",)),
    (archive()[:-20], ()),
    (b"no archive at all", ()),
], ids=["manifest", "no entrypoint", "no manifest", "dots", "absolute",
        "symlink", "cut off", "no archive"])
def test_bad_payloads_are_refused(backend, data, words):
    for submit in (submit_frames, submit_json):
        reply = submit(backend, data)
        assert reply.status == 400 and reply.code == "invalid_payload", reply
        for word in words:
            assert word in reply.json["detail"], reply
    assert backend.admin.get("/v1/jobs").json["jobs"] == []


def test_other_ways_to_be_wrong(backend):
    reply = submit_json(backend, archive(), script_name="absent.py")
    assert reply.code == "invalid_payload" and "absent.py" in \
        reply.json["detail"]
    reply = submit_json(backend, archive(), runtime={"what": 1}, env=[1])
    assert reply.code == "invalid_spec"
    assert "runtime.what" in reply.json["detail"]
    assert "env: " in reply.json["detail"]
    reply = backend.admin.post("/v1/jobs", {
        "payload": True, "script": {"content_base64": "a b"}})
    assert reply.code == "invalid_spec"
    assert "content_base64" in reply.json["detail"]
    reply = backend.admin.post("/v1/jobs", {
        "script": {"content_base64": "YQ==", "content": "a"}})
    assert reply.code == "invalid_spec"


def test_an_archive_is_no_script(backend):
    reply = submit_json(backend, archive(), runtime="python", payload=False)
    assert reply.status == 400 and reply.code == "invalid_spec"
    assert '"payload":true' in reply.json["detail"]
    reply = submit_frames(backend, archive(), runtime="python", payload=False)
    assert '"payload":true' in reply.json["detail"]


def test_a_script_may_be_base64(backend):
    reply = backend.admin.post("/v1/jobs", {
        "script": {"name": "a.sh",
                   "content_base64": base64.b64encode(b"true\xff\n").decode()}})
    assert reply.status == 201, reply
    claim = backend.agent().claim()
    assert claim.script == b"true\xff\n"
    assert claim.assign["spec"]["script_name"] == "a.sh"
