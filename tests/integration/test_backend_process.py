"""Options, TLS, HTTP/2 streams, a full disk: the process and its doors."""

import os
import ssl
import subprocess

import httpx
import pytest

import frames
from backend_process import BACKEND, FRAMES, Backend, small_disk
from certificates import self_signed

CRONIUM = os.path.join(os.path.dirname(BACKEND), "cronium")
pytestmark = pytest.mark.timeout(60)
MiB = 1024 * 1024


@pytest.mark.parametrize("options, word", [
    ([], "--data-dir and --run-dir"),
    (["--data-dir", "d", "--run-dir", "r", "x"], '"x"'),
    (["--data-dir", "d", "--run-dir", "r", "--log-level", "loud"], "loud"),
    (["--data-dir", "d", "--run-dir", "r", "--tls-cert", "c"], "--tls-key"),
    (["--data-dir", "d", "--run-dir", "r", "--lease", "5ms"], "--lease"),
    (["--data-dir", "d", "--run-dir", "r", "--max-input-bytes", "1g"],
     "--max-input-bytes"),
    (["--data-dir", "d", "--run-dir", "r", "--max-value-bytes", "0"],
     "--max-value-bytes"),
    (["--nonsense"], "nonsense"),
])
def test_bad_options(tmp_path, options, word):
    done = subprocess.run([BACKEND, *options], capture_output=True,
                          text=True, cwd=tmp_path, timeout=20)
    assert done.returncode == 2
    assert word in done.stderr
    assert os.listdir(tmp_path) == []


def test_help_names_every_option():
    done = subprocess.run([BACKEND, "--help"], capture_output=True, text=True,
                          timeout=20)
    assert done.returncode == 0
    for name in ("data-dir", "run-dir", "listen", "tls-cert", "tls-key",
                 "log-level", "max-input-bytes", "max-output-bytes",
                 "max-log-bytes", "max-value-bytes", "lease", "help"):
        assert f"--{name}" in done.stdout


@pytest.mark.parametrize("listen, word", [
    ("nonsense", "HOST:PORT"), ("127.0.0.1:99999", "HOST:PORT"),
    ("192.0.2.1:0", "cannot listen"),
])
def test_bad_address(tmp_path, listen, word):
    done = subprocess.run(
        [BACKEND, "--data-dir", tmp_path / "d", "--run-dir", tmp_path / "r",
         "--listen", listen], capture_output=True, text=True, timeout=20)
    assert done.returncode == 1
    assert word in done.stderr


def test_run_directory_that_others_may_write_to(tmp_path):
    (tmp_path / "r").mkdir()
    (tmp_path / "r").chmod(0o777)
    done = subprocess.run(
        [BACKEND, "--data-dir", tmp_path / "d", "--run-dir", tmp_path / "r",
         "--listen", "none"], capture_output=True, text=True, timeout=20)
    assert done.returncode == 1
    assert "--run-dir" in done.stderr


def test_without_tcp(tmp_path):
    b = Backend(str(tmp_path), listen="none")
    assert b.port == 0
    assert b.admin.get("/v1/jobs").status == 200
    assert b.stop() == 0


def test_sockets_of_a_dead_backend_are_replaced(tmp_path):
    b = Backend(str(tmp_path))
    b.kill()
    assert os.path.exists(os.path.join(b.run, "api.sock"))
    b.start()
    assert b.admin.get("/v1/jobs").status == 200
    assert b.stop() == 0


def test_tls(tmp_path):
    certificate, key = self_signed(tmp_path)
    b = Backend(str(tmp_path), "--tls-cert", certificate, "--tls-key", key)
    context = ssl.create_default_context(cafile=certificate)
    for http2 in (True, False):
        with httpx.Client(http2=http2, verify=context, timeout=20) as client:
            reply = client.get(
                f"https://127.0.0.1:{b.port}/v1/jobs",
                headers={"Authorization": f"Bearer {b.api_key}"})
            assert reply.status_code == 200
            assert reply.http_version == ("HTTP/2" if http2 else "HTTP/1.1")
    assert b.stop() == 0


class HttpxSocket:
    """A streamed httpx reply as frames.Stream wants it."""

    def __init__(self, response):
        self.pieces = response.iter_raw()

    def settimeout(self, seconds):
        pass

    def recv(self, n):
        return next(self.pieces, b"")


def test_streams_over_http2(tmp_path):
    """Claims, logs and followers share one connection; a reader that waits
    holds up neither the others nor the backend."""
    b = Backend(str(tmp_path))
    piece = os.urandom(MiB)
    with httpx.Client(http1=False, http2=True, timeout=20,
                      base_url=f"http://127.0.0.1:{b.port}",
                      headers={"Authorization": f"Bearer {b.api_key}",
                               "Accept": FRAMES}) as client:
        job = client.post("/v1/jobs", json={
            "runtime": "bash", "script": {"content": "true"}}).json()["id"]
        with client.stream("GET", "/v1/agents/a/claims?slots=1"
                                  "&executors=sandbox") as claims:
            stream = frames.Stream(HttpxSocket(claims))
            assign = stream.expect(frames.ASSIGN)
            execution, epoch = assign["execution"], assign["epoch"]
            assert assign["job"] == job
        follow = client.build_request("GET", f"/v1/jobs/{job}/logs?follow=1")
        reply = client.send(follow, stream=True)
        for i in range(8):
            sent = b.admin.post(
                f"/v1/executions/{execution}/logs?epoch={epoch}"
                f"&offset={i * MiB}", frames.encode(frames.STDOUT, piece))
            assert sent.status == 200
            assert client.get(f"/v1/jobs/{job}").status_code == 200
        done = b.admin.post(f"/v1/executions/{execution}/complete", {
            "epoch": epoch, "state": "succeeded"})
        assert done.status == 200
        stream, got, last = frames.Stream(HttpxSocket(reply)), b"", None
        try:
            while True:
                kind, payload = stream.next()
                last = kind
                if kind == frames.STDOUT:
                    got += payload
        except EOFError:
            pass
        assert got == piece * 8 and last == frames.STATE
    assert b.stop() == 0


@pytest.mark.usefixtures("sqlite")
def test_full_disk(tmp_path):
    """What does not fit is refused in plain words; what was acknowledged
    stays; once there is room it goes on."""
    b = Backend(str(tmp_path), wrapper=small_disk(tmp_path / "data"))
    try:
        value = b'"' + b"x" * 200_000 + b'"'
        stored = []
        b.submit()
        script = b.sidecar(b.agent().claim())
        for i in range(40):
            reply = b.admin.put(f"/v1/variables/v{i}", value)
            if reply.status != 201:
                break
            stored.append(i)
        assert reply.status == 507 and reply.code == "disk_full"
        assert "make room" in reply.json["detail"]
        assert str(tmp_path) in reply.json["detail"]
        reply = script.put("/v1/runtime/variables/mine", value)
        assert reply.status == 507 and reply.code == "disk_full"
        assert "make room" in reply.json["detail"]
        assert str(tmp_path) not in reply.json["detail"]
        assert 0 < len(stored) < 40
        assert b.admin.get("/healthz").status == 200
        for i in stored:
            assert b.admin.get(f"/v1/variables/v{i}").body == value
        assert b.admin.get(f"/v1/variables/v{len(stored)}").status == 404
        assert b.admin.delete(f"/v1/variables/v{stored[0]}").status in (
            204, 507)
    finally:
        assert b.stop() == 0


def fill_disk(b):
    """Until not even a claim fits."""
    path = f"/proc/{b.process.pid}/root{b.data}/fill"  # in its namespace
    with open(path, "wb", buffering=0) as f, pytest.raises(OSError):
        while True:
            f.write(bytes(4096))
    for i in range(1000):
        if b.admin.put(f"/v1/variables/v{i}", b"1").status == 507:
            break


@pytest.mark.usefixtures("sqlite")
def test_full_disk_is_why_a_job_waits(tmp_path):
    """Who runs a job that no orchestrator can be given is told why."""
    script = tmp_path / "script.py"
    script.write_text("print(1)")
    b = Backend(str(tmp_path), wrapper=small_disk(tmp_path / "data"))
    try:
        assert b.admin.get("/v1/agents").json["problem"] is None
        run = subprocess.Popen(
            [CRONIUM, "run", script], stderr=subprocess.PIPE, text=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            env={**os.environ, "CRONIUM_URL": f"unix:{b.run}/api.sock"})
        while not b.admin.get("/v1/jobs").json["jobs"]:
            assert run.poll() is None
        fill_disk(b)
        agent = b.agent()  # within 2 s of the submission
        for line in run.stderr:
            if "cannot give it to an orchestrator" in line:
                break
        assert "waiting: " in line and "the disk is full" in line
        assert "full" in b.admin.get("/v1/agents").json["problem"]
        run.kill()
        run.communicate()
        agent.close()
    finally:
        assert b.stop() == 0
