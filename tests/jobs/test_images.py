"""The images that the Docker executor makes, and removes again."""

import os
import time

import pytest

from harness import Server, docker, docker_answers

ANOTHER_BUILD = "cronium/sidecar:00000000dead"
SOMEBODYS_OWN = "cronium/sidecar:test-of-cronium"
OLD_IMAGE = "debian:bookworm-slim"


@pytest.fixture
def tags():
    if not docker_answers():
        assert not os.environ.get("CRONIUM_REQUIRE_DOCKER")
        pytest.skip("no Docker engine answers: './dev engine' starts one")
    for tag in ANOTHER_BUILD, SOMEBODYS_OWN:
        docker("tag", OLD_IMAGE, tag)
    yield
    docker("rmi", ANOTHER_BUILD, SOMEBODYS_OWN)


def test_sidecars_of_other_builds_are_removed(tags, tmp_path):
    server = Server(tmp_path, "--executors", "docker")
    deadline = time.monotonic() + 60
    while docker("images", "-q", ANOTHER_BUILD):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert docker("images", "-q", SOMEBODYS_OWN)
    script = tmp_path / "hello.sh"
    script.write_text("echo hello")
    assert server.cronium("run", script).ok().err.count("hello") == 1
    assert server.stop() == 0
