"""Jobs on hosts that call the gateway over HTTPS, whose certificate is of an
authority of our own."""

import http.server
import os
import pathlib
import shutil
import signal
import socket
import threading

import pytest
import requests

from gateway_harness import Authority
from harness import PATH
from patience import until
from ssh_jobs import (
    add, nothing_left, start, submit, wait_running)
from sshd import Sshd, free_port

pytestmark = pytest.mark.skipif(os.geteuid() != 0,
                                reason="a test's sshd needs root")
TIMEOUT_S = 30
try:
    NAME = socket.gethostname()
    ADDRESS = socket.gethostbyname(NAME)
except OSError:  # a machine that does not know itself
    NAME, ADDRESS = "localhost", "127.0.0.1"
NET = ("--allow-net=127.0.0.1",)
PERMISSIONS = {"none": (), "net": NET, "all": ("--allow-all",)}


class Direct:
    """An sshd, a server with a gateway, and what trusts its certificate."""

    def __init__(self, base, *options):
        self.sshd = Sshd(base / "sshd")
        authority = Authority(base)
        # Where the host's user can read them.
        self.ca = self.sshd.public / "ca.pem"
        shutil.copy(authority.file, self.ca)
        self.bun = self.sshd.public / "bun"
        shutil.copy(pathlib.Path(shutil.which("bun", path=PATH)).resolve(),
                    self.bun)
        cert, key = authority.issue("gateway", f"DNS:{NAME}")
        self.port = free_port(ADDRESS)
        self.url = f"https://{NAME}:{self.port}"
        self.server = start(
            base / "server", self.sshd, "--gateway", f"{ADDRESS}:{self.port}",
            "--gateway-cert", cert, "--gateway-key", key, "--gateway-url",
            self.url, "--egress-allow", "127.0.0.1", *options)
        add(self.server, self.sshd, "web1", self.sshd.fingerprint(),
            mode="direct")

    @property
    def trust(self):
        return "--env", f"CRONIUM_CA_FILE={self.ca}"

    def run(self, script, *options):
        return self.server.cronium("run", "--host", "web1", *self.trust,
                                   *options, script)

    def request(self, path, token):
        session = requests.Session()
        session.trust_env = False
        return session.get(self.url + path, verify=str(self.ca),
                           timeout=TIMEOUT_S,
                           headers={"Authorization": f"Bearer {token}"})

    def stop(self):
        try:
            assert self.server.stop() == 0, self.server.log.read_text()
            assert "Sanitizer" not in self.server.log.read_text()
        finally:
            self.sshd.stop()


@pytest.fixture(scope="module")
def direct(tmp_path_factory):
    direct = Direct(tmp_path_factory.mktemp("direct"))
    yield direct
    direct.stop()


@pytest.fixture
def scripts(tmp_path):
    def write(text, name="script.py"):
        path = tmp_path / name
        path.write_text(text)
        return path

    return write


# --- the SDKs ----------------------------------------------------------------

NODE = """
await cronium.setVariable("greeting", "hi");
await cronium.setOutput([await cronium.getVariable("greeting"),
  process.env.CRONIUM_RUNTIME_API]);
"""
SDK = {
    "python": ("set.py", """
import cronium, os
cronium.set_variable("greeting", "hi")
cronium.output([cronium.get_variable("greeting"),
                os.environ["CRONIUM_RUNTIME_API"]])
"""),
    "bash": ("set.sh", """
source cronium.sh
cronium_set_variable greeting '"hi"'
greeting=$(cronium_get_variable greeting)
cronium_output "[$greeting, \\"$CRONIUM_RUNTIME_API\\"]"
"""),
    "node": ("set.mjs", 'import cronium from "cronium";' + NODE),
    "node-cjs": ("set.cjs", 'const cronium = require("cronium");'
                 "(async () => {" + NODE + "})();"),
    "bun": ("set.ts", 'import cronium from "cronium";' + NODE),
}


@pytest.mark.parametrize("sdk", SDK)
@pytest.mark.parametrize("granted", PERMISSIONS)
def test_sdk(direct, scripts, sdk, granted):
    name, text = SDK[sdk]
    options = list(PERMISSIONS[granted])
    if sdk == "bun":
        options += ["--env", f"PATH={direct.sshd.public}:/usr/bin:/bin"]
    done = direct.run(scripts(text, name), *options)
    assert done.ok().json == ["hi", direct.url]


def test_many_at_once(direct, scripts):
    script = scripts("import cronium\ncronium.output(cronium.input())\n")
    jobs = [direct.server.popen("run", "--host", "web1", *direct.trust,
                                "--input", str(n), script) for n in range(12)]
    for n, job in enumerate(jobs):
        out, err = job.communicate(timeout=90)
        assert (job.returncode, out) == (0, b"%d\n" % n), err
    nothing_left(direct.sshd)


def test_a_certificate_that_is_not_trusted(direct, scripts):
    script = scripts("import cronium\n"
                     "with cronium.Cronium(timeout=5) as c:\n"
                     "    c.set_variable('greeting', 'hi')\n", "set.py")
    done = direct.server.cronium("run", "--host", "web1", script)
    assert done.code == 1
    assert "certificate" in done.err.lower(), done.err


def test_the_ca_file_opens_no_other(direct, scripts):
    """It is no way to read what is not there for everybody."""
    secret = direct.sshd.public / "secret"
    secret.write_text("-----BEGIN PRIVATE KEY-----\n")
    script = scripts("import os\ntry:\n"
                     "    print(open(os.environ['CRONIUM_CA_FILE']).read())\n"
                     "except OSError as e:\n    print(e.strerror)\n")
    done = direct.server.cronium("run", "--host", "web1", "--env",
                                 f"CRONIUM_CA_FILE={secret}", script)
    assert "Permission denied" in done.ok().err
    assert "no certificates in PEM" in done.err
    assert "PRIVATE KEY" not in done.err


# --- the egress proxy --------------------------------------------------------

class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"outside")

    def log_message(self, *_):
        pass


FETCH = """
import cronium, os, socket, urllib.error, urllib.request

# Loopback, which urllib would call itself, is not the host's in here.
for name in "no_proxy", "NO_PROXY":
    del os.environ[name]

def fetch(url):
    try:
        return urllib.request.urlopen(url, timeout=30).read().decode()
    except urllib.error.HTTPError as e:
        return e.code

def route(port):
    try:
        socket.create_connection(("127.0.0.1", port), 5).close()
        return True
    except OSError:
        return False

port = cronium.input()
cronium.output([fetch(f"http://127.0.0.1:{port}/"),
                fetch(f"http://127.0.0.2:{port}/"), route(port)])
"""


@pytest.fixture
def outside():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_address[1]
    server.shutdown()
    server.server_close()


def test_the_egress_proxy(direct, scripts, outside):
    """Through the gateway, by the job's own rules."""
    script = scripts(FETCH)
    found = {}
    for rule in f"127.0.0.1:{outside}", "example.com":
        done = direct.run(script, f"--allow-net={rule}", "--input",
                          str(outside))
        found[rule] = done.ok().json
    assert found == {f"127.0.0.1:{outside}": ["outside", 403, False],
                     "example.com": [403, 403, False]}


# --- the end -----------------------------------------------------------------

WAITS = """
import cronium, time
cronium.set_variable("started", True)
while not cronium.get_variable("go-on", False):
    time.sleep(0.05)
"""


def environment(pid):
    text = pathlib.Path(f"/proc/{pid}/environ").read_bytes().decode()
    return dict(item.split("=", 1) for item in text.split("\0") if item)


def script_process(sshd, name):
    return until(lambda: [pid for pid, line in sshd.processes()
                          if line.endswith(f"{name} ")])[0]


def test_a_token_ends_with_its_job(direct, scripts):
    job = submit(direct.server, scripts(WAITS, "waits.py"), *direct.trust)
    wait_running(direct.server, direct.sshd, job, "waits.py")
    token = environment(script_process(direct.sshd, "waits.py"))[
        "CRONIUM_EXECUTION_TOKEN"]
    assert direct.request("/input", token).status_code == 200
    direct.server.cronium("vars", "set", "go-on", "true").ok()
    direct.server.cronium("logs", "--follow", job).ok()
    assert direct.server.wait_state(job, "succeeded")
    r = direct.request("/input", token)
    assert (r.status_code, r.json()["code"]) == (401, "token_revoked")
    direct.server.cronium("vars", "rm", "go-on").ok()
    nothing_left(direct.sshd)


@pytest.mark.parametrize("granted", ["none", "all"])
def test_the_gateway_dies(direct, scripts, granted):
    script = scripts("import time\ntime.sleep(1234)\n", "sleeps.py")
    job = submit(direct.server, script, *direct.trust, *PERMISSIONS[granted])
    wait_running(direct.server, direct.sshd, job, "sleeps.py")
    gateway = direct.server.children()["cronium-sidecar"]
    os.kill(gateway, signal.SIGKILL)
    found = direct.server.wait_state(job, "failed", "succeeded", "lost")
    assert found["state"] == "failed", found
    assert "the gateway ended unexpectedly" in found["reason"], found
    nothing_left(direct.sshd)
    until(lambda: direct.server.children().get(
        "cronium-sidecar", gateway) != gateway)
    name, text = SDK["python"]
    done = until(lambda: (d := direct.run(scripts(text, name))).code == 0
                 and d)
    assert done.json == ["hi", direct.url]


def test_without_a_gateway(direct, scripts, tmp_path):
    server = start(tmp_path / "server", direct.sshd)
    try:
        add(server, direct.sshd, "web1", direct.sshd.fingerprint(),
            mode="direct")
        done = server.cronium("run", "--host", "web1", scripts("print(1)\n"))
        assert done.code == 125
        assert "knows no gateway" in done.err
    finally:
        assert server.stop() == 0
