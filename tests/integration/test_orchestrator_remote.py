"""An orchestrator whose backend is on another machine: TCP, TLS, the relay."""

import os
import pathlib
import signal
import subprocess

import pytest

from backend_process import Backend
from certificates import self_signed
from patience import until

BIN = pathlib.Path(os.environ.get("CRONIUM_BIN_DIR", "build/bin")).resolve()
PROGRAM = BIN / "cronium-orchestrator"
ENDS = ("succeeded", "failed", "timed_out", "cancelled", "lost")

SCRIPT = """
import json, os, urllib.request

def call(path, data=None, method="GET"):
    token = os.environ["CRONIUM_EXECUTION_TOKEN"]
    return urllib.request.urlopen(urllib.request.Request(
        os.environ["CRONIUM_RUNTIME_API"] + path, data, method=method,
        headers={"Authorization": "Bearer " + token,
                 "Content-Type": "application/json"})).read()

big = json.dumps("x" * 900000).encode()
call("/variables/big", big, "PUT")
assert call("/variables/big") == big
call("/output", call("/input"), "POST")
print("told:", call("/variables/secret").decode())
"""

READ_LARGE = """
import os, time, urllib.request

for _ in range(20):
    begin = time.monotonic()
    value = urllib.request.urlopen(urllib.request.Request(
        os.environ["CRONIUM_RUNTIME_API"] + "/variables/large",
        headers={"Cache-Control": "no-cache", "Authorization":
                 "Bearer " + os.environ["CRONIUM_EXECUTION_TOKEN"]})).read()
    took = time.monotonic() - begin
    print(f"{took:.3f}", flush=True)
    assert len(value) == 900002 and took < 8, took
"""

pytestmark = pytest.mark.timeout(90)


class Remote:
    def __init__(self, base, tls):
        self.options, self.ca = [], []
        if tls:
            cert, key = self_signed(base)
            self.options = ["--tls-cert", cert, "--tls-key", key]
            self.ca = ["--ca-file", cert]
        self.scheme = "https" if tls else "http"
        self.backend = Backend(str(base / "there"), *self.options)
        self.here = base / "here"
        self.log = base / "log"
        self.process = None

    def start(self, *, env=None, ca=None):
        key_file = pathlib.Path(self.backend.data, "api-key")
        options = [] if env else ["--api-key-file", key_file]
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                [PROGRAM, "--data-dir", self.here / "data", "--run-dir",
                 self.here / "run", "--executors", "sandbox", "--backend",
                 f"{self.scheme}://127.0.0.1:{self.backend.port}",
                 *(self.ca if ca is None else ca), *options],
                stderr=log, env={**os.environ, "CRONIUM_GUARD": "off",
                                 **(env or {})})

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(30) == 0, self.log.read_text()
        self.backend.stop()
        assert not (self.here / "run/runtime/backend.sock").exists()


@pytest.fixture(params=["http", "https"])
def remote(request, tmp_path):
    (tmp_path / "there").mkdir()
    r = Remote(tmp_path, request.param == "https")
    yield r
    r.stop()


def test_a_job(remote):
    remote.start()
    secret = '"a secret value"'
    assert remote.backend.admin.put("/v1/variables/secret?secret=1",
                                    secret.encode()).status in (200, 201, 204)
    job = remote.backend.submit(SCRIPT, input={"n": 1})
    ended = remote.backend.wait_state(job, *ENDS)
    log = remote.backend.admin.get(f"/v1/jobs/{job}/logs").body
    assert ended["state"] == "succeeded", (ended, log, remote.log.read_text())
    assert remote.backend.admin.get(f"/v1/jobs/{job}/output").json == {"n": 1}
    assert b"told:" in log and b"a secret value" not in log


def test_large_values_come_down_without_a_pause(remote):
    """What TLS has decrypted and the relay has no room for yet is not told by
    any event: it must not wait for the next byte of the backend."""
    remote.start()
    value = ('"' + "x" * 900000 + '"').encode()
    assert remote.backend.admin.put("/v1/variables/large", value).status in (
        200, 201, 204)
    job = remote.backend.submit(READ_LARGE)
    ended = remote.backend.wait_state(job, *ENDS)
    log = remote.backend.admin.get(f"/v1/jobs/{job}/logs").body
    assert ended["state"] == "succeeded", (ended, log, remote.log.read_text())


def test_backend_restarts_under_the_relay(remote):
    """The sidecar's connection is cut, and the next one works."""
    remote.start()
    job = remote.backend.submit(
        SCRIPT.replace("big =", "call('/input')\nimport time\n"
                       "print('up', flush=True)\ntime.sleep(1)\nbig ="))
    remote.backend.admin.put("/v1/variables/secret", b"1")
    stream = remote.backend.follow(job)
    while b"up" not in stream.next()[1]:
        pass
    stream.close()
    port = remote.backend.port
    remote.backend.kill()
    remote.backend.listen = f"127.0.0.1:{port}"
    remote.backend.start()
    ended = remote.backend.wait_state(job, *ENDS)
    assert ended["state"] == "succeeded", (ended, remote.log.read_text())


def test_key_from_the_environment_is_not_inherited(remote):
    remote.start(env={"CRONIUM_API_KEY": remote.backend.api_key})
    job = remote.backend.submit("import time; time.sleep(600)")
    remote.backend.wait_state(job, "running")
    key = remote.backend.api_key.encode()
    task = f"/proc/{remote.process.pid}/task/{remote.process.pid}/children"
    children = pathlib.Path(task).read_text().split()
    assert children
    for pid in children:
        for name in ("environ", "cmdline"):
            assert key not in pathlib.Path(f"/proc/{pid}/{name}").read_bytes()


def wait_log(remote, text):
    until(lambda: text in remote.log.read_text(), remote.log.read_text)


def test_wrong_key(remote):
    remote.start(env={"CRONIUM_API_KEY": "wrong"})
    wait_log(remote, "refuses the API key")


def test_backend_that_is_not_trusted(remote):
    if remote.scheme == "https":
        remote.start(ca=[])
        wait_log(remote, "certificate")
    else:
        remote.start()
        wait_log(remote, "claim stream is open")
