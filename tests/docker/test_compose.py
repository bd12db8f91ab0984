"""`docker compose up`, from nothing to a job on the host and one inside."""

import json
import os
import pathlib
import shutil
import socket
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "integration"))

from patience import until  # noqa: E402

BIN = pathlib.Path(os.environ.get("CRONIUM_BIN_DIR", ROOT / "build" / "bin"))
UP_TIMEOUT_S = 600
READY_TIMEOUT_S = 60


def compose_command():
    version = subprocess.run(
        ["docker", "compose", "version"], capture_output=True
    )
    if version.returncode == 0:
        return ["docker", "compose"]
    return [shutil.which("docker-compose") or pytest.fail("no compose here")]


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Compose:
    """The project's compose.yaml under a name and a port of its own."""

    def __init__(self, directory):
        self.port = free_port()
        text = (ROOT / "compose.yaml").read_text()
        assert text.count("127.0.0.1:8642:8642") == 1
        self.file = directory / "compose.yaml"
        self.file.write_text(
            text.replace("127.0.0.1:8642:8642", f"127.0.0.1:{self.port}:8642")
        )
        self.command = [
            *compose_command(), "-f", str(self.file),
            "--project-directory", str(ROOT), "-p", f"ctest{self.port}",
        ]

    def __call__(self, *args, check=True):
        done = subprocess.run(
            [*self.command, *args], capture_output=True, text=True,
            timeout=UP_TIMEOUT_S, stdin=subprocess.DEVNULL,
            env={**os.environ, "CRONIUM_GUARD": "off"},
        )
        assert not check or done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def key(self):
        path = "/var/lib/cronium/api-key"
        return until(
            lambda: self("exec", "-T", "cronium", "cat", path,
                         check=False).strip(),
            lambda: self("logs"), READY_TIMEOUT_S, pause=0.2)

    def cronium(self, key, *args):
        env = {
            **os.environ,
            "CRONIUM_URL": f"http://localhost:{self.port}",
            "CRONIUM_API_KEY": key,
        }
        return subprocess.run(
            [BIN / "cronium", *args], env=env, capture_output=True, text=True,
            timeout=120, stdin=subprocess.DEVNULL,
        )


@pytest.fixture(scope="module")
def compose(tmp_path_factory):
    compose = Compose(tmp_path_factory.mktemp("compose"))
    compose("up", "-d")
    yield compose
    compose("down", "-v", "--timeout", "30")


@pytest.fixture(scope="module")
def key(compose):
    return compose.key()


@pytest.mark.parametrize("example", ["hello.py", "hello.js", "hello.sh",
                                     "hello.ts"])
def test_run_on_the_host(compose, key, example):
    done = compose.cronium(
        key, "run", str(ROOT / "examples" / example), "--input",
        '{"name":"Ada"}',
    )
    assert done.returncode == 0, done.stderr + compose("logs")
    assert json.loads(done.stdout)["message"] == "Hello, Ada!"


def test_run_inside(compose, key):
    out = compose(
        "exec", "-T", "cronium", "sh", "-c",
        "echo 'echo inside; echo 1 | cronium_output -' >/tmp/s.sh;"
        "sed -i '1i source cronium.sh' /tmp/s.sh; cronium run /tmp/s.sh",
    )
    assert out.strip() == "1"


def test_foreign_image_has_the_sdk(compose, key, tmp_path):
    script = tmp_path / "s.sh"
    script.write_text("source cronium.sh && echo sourced")
    done = compose.cronium(
        key, "run", "--image", "debian:bookworm-slim", str(script)
    )
    assert done.returncode == 0, done.stderr
    assert "sourced" in done.stderr


def test_key_is_needed(compose, key):
    done = compose.cronium("wrong-key-0123456789", "jobs")
    assert done.returncode != 0
    assert "key" in done.stderr


def test_restart_keeps_what_was_stored(compose, key):
    assert compose.cronium(key, "vars", "set", "kept", "42").returncode == 0
    compose("kill", "-s", "KILL", "cronium")
    compose("up", "-d")
    def read():
        done = compose.cronium(key, "vars", "get", "kept")
        return done.stdout if done.returncode == 0 else None

    assert until(read, lambda: compose("logs"), READY_TIMEOUT_S,
                 pause=0.2).strip() == "42"


def test_nothing_is_left_of_the_jobs(compose, key):
    def left():
        return subprocess.run(
            ["docker", "ps", "-aq", "--filter", "label=cronium.job"],
            capture_output=True, text=True, timeout=60, check=True,
        ).stdout

    until(lambda: left() == "", left)
