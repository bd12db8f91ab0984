"""compose.scale.yaml: a job on each orchestrator; a backend is killed."""

import json
import os
import subprocess

import pytest

from patience import until
from test_compose import BIN, ROOT, UP_TIMEOUT_S, compose_command, free_port

READY_TIMEOUT_S = 120
KEY = "cro_0123456789abcdef0123456789abcdef0123456789abcde"
WAITS = """
import cronium, time
print("begun", flush=True)
with cronium.Cronium() as c:
    while not c.get_variable("go", default=False):
        time.sleep(0.05)
print("done", flush=True)
"""


class Scale:
    """The project's file under a name and ports of its own."""

    def __init__(self, directory):
        self.ports = free_port(), free_port()
        text = (ROOT / "compose.scale.yaml").read_text()
        for n, port in enumerate(self.ports):
            published = f"127.0.0.1:{8642 + n}:8642"
            assert text.count(published) == 1
            text = text.replace(published, f"127.0.0.1:{port}:8642")
        self.file = directory / "compose.yaml"
        self.file.write_text(text)
        self.name = f"cscale{self.ports[0]}"
        self.command = [
            *compose_command(), "-f", str(self.file),
            "--project-directory", str(ROOT), "-p", self.name,
        ]

    def __call__(self, *args, check=True):
        done = subprocess.run(
            [*self.command, *args], capture_output=True, text=True,
            timeout=UP_TIMEOUT_S, stdin=subprocess.DEVNULL,
            env={**os.environ, "CRONIUM_GUARD": "off", "CRONIUM_API_KEY": KEY,
                 "CRONIUM_DB_PASSWORD": "only-for-tests"},
        )
        assert not check or done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def cronium(self, *args, backend=0):
        done = subprocess.run(
            [BIN / "cronium", *args], capture_output=True, text=True,
            timeout=120, stdin=subprocess.DEVNULL, env={
                **os.environ, "CRONIUM_API_KEY": KEY,
                "CRONIUM_URL": f"http://localhost:{self.ports[backend]}"})
        return done

    def json(self, *args, **options):
        done = self.cronium(*args, "--json", **options)
        assert done.returncode == 0, done.stderr + self("logs")
        return json.loads(done.stdout)

    def agents(self, backend=0):
        done = self.cronium("agents", "--json", backend=backend)
        if done.returncode:
            return set()
        return {a["name"] for a in json.loads(done.stdout)["agents"]
                if a["connected"]}

    def until(self, condition):
        until(condition, lambda: self("logs"), READY_TIMEOUT_S, pause=0.2)

    def container(self, service):
        return self("ps", "-q", service).strip()


@pytest.fixture(scope="module")
def scale(tmp_path_factory):
    scale = Scale(tmp_path_factory.mktemp("scale"))
    scale("up", "-d")
    try:
        both = {"orchestrator-1", "orchestrator-2"}
        scale.until(lambda: all(scale.agents(b) == both for b in (0, 1)))
        yield scale
    finally:
        scale("down", "-v", "--timeout", "30")


@pytest.mark.parametrize("backend", [0, 1])
def test_a_job_on_each(scale, backend):
    hello = str(ROOT / "examples" / "hello.sh")
    for where, name in ((["--agent", "orchestrator-1"], "orchestrator-1"),
                        (["--on", "zone=b"], "orchestrator-2")):
        done = scale.cronium("run", *where, "--json", hello, "--input",
                             '{"name":"Ada"}', backend=backend)
        assert done.returncode == 0, done.stderr + scale("logs")
        job = scale.json("jobs", "--limit", "1",
                         backend=1 - backend)["jobs"][0]
        assert job["agent"] == name and job["state"] == "succeeded"


def test_a_backend_is_killed(scale, tmp_path):
    """What runs goes on, followed and ended through the other."""
    script = tmp_path / "waits.py"
    script.write_text(WAITS)
    jobs = [scale.json("submit", "--agent", f"orchestrator-{n}",
                       str(script))["id"] for n in (1, 2)]
    scale.until(lambda: all(scale.cronium("logs", job).stdout == "begun\n"
                            for job in jobs))
    victim = scale.container("backend-1")
    subprocess.run(["docker", "kill", victim], check=True,
                   capture_output=True)
    assert scale.cronium("vars", "set", "go", "true",
                         backend=1).returncode == 0
    for job in jobs:
        done = scale.cronium("logs", "-f", job, backend=1)
        assert done.stdout == "begun\ndone\n", done.stderr + scale("logs")
        ended = scale.json("job", job, backend=1)
        assert ended["state"] == "succeeded" and ended["attempt"] == 1
    subprocess.run(["docker", "start", victim], check=True,
                   capture_output=True)
    scale.until(lambda: scale.cronium("vars", "get", "go").stdout.strip() ==
                "true")
