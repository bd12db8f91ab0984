"""A machine without a Docker engine: said at once, or the sandbox instead."""

import os
import subprocess

import pytest

from harness import BIN, ROOT, Server


def cronium(tmp_path, *args):
    env = {
        **os.environ,
        "DOCKER_HOST": f"unix://{tmp_path}/no-engine.sock",
        "XDG_DATA_HOME": str(tmp_path / "data"),
        "XDG_RUNTIME_DIR": str(tmp_path),
        "XDG_CONFIG_HOME": str(tmp_path / "config"),
        "CRONIUM_GUARD": "off",
    }
    try:
        return subprocess.run(
            [BIN / "cronium", *map(str, args)], env=env, capture_output=True,
            text=True, timeout=60, stdin=subprocess.DEVNULL,
        )
    except subprocess.TimeoutExpired as late:
        logs = [log.read_text() for log in tmp_path.glob("**/embedded.log")]
        raise AssertionError([late.stdout, late.stderr, *logs]) from late


def test_docker_asked_for(tmp_path):
    done = cronium(
        tmp_path, "run", "--executor", "docker", ROOT / "examples/hello.py"
    )
    assert done.returncode == 125
    assert "no engine answers" in done.stderr
    assert "doctor" in done.stderr


def test_sandbox_instead(tmp_path):
    done = cronium(tmp_path, "run", ROOT / "examples" / "hello.py")
    assert done.returncode == 0, done.stderr


def test_doctor_says_so(tmp_path):
    done = cronium(tmp_path, "doctor")
    assert f"no engine answers on {tmp_path}/no-engine.sock" in done.stdout


@pytest.mark.timeout(60)
def test_a_server_may_get_one_later(tmp_path):
    """The job waits, and the user is told what for."""
    server = Server(tmp_path, "--executors", "sandbox")
    try:
        process = server.popen(
            "run", "--executor", "docker", ROOT / "examples" / "hello.py"
        )
        line = process.stderr.readline()
        assert b"waiting: no orchestrator here runs Docker jobs" in line
        process.terminate()
        process.communicate(timeout=30)
        assert process.returncode == 130
    finally:
        assert server.stop() == 0
