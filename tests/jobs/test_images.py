"""The images that the Docker executor makes, and removes again."""

import os

import pytest

from harness import FREE, Server, docker, docker_answers
from patience import until

ANOTHER_BUILD = "cronium/sidecar:00000000dead"
SOMEBODYS_OWN = "cronium/sidecar:test-of-cronium"
OLD_IMAGE = "debian:bookworm-slim"


@pytest.fixture
def engine():
    if not docker_answers():
        assert not os.environ.get("CRONIUM_REQUIRE_DOCKER")
        pytest.skip("no Docker engine answers: './dev engine' starts one")


@pytest.fixture
def tags(engine):
    for tag in ANOTHER_BUILD, SOMEBODYS_OWN:
        docker("tag", OLD_IMAGE, tag)
    yield
    docker("rmi", ANOTHER_BUILD, SOMEBODYS_OWN)


def test_sidecars_of_other_builds_are_removed(tags, tmp_path):
    server = Server(tmp_path, "--executors", "docker")
    until(lambda: not docker("images", "-q", ANOTHER_BUILD))
    assert docker("images", "-q", SOMEBODYS_OWN)
    script = tmp_path / "hello.sh"
    script.write_text("echo hello")
    assert server.cronium("run", *FREE, script).ok().err.count("hello") == 1
    assert server.stop() == 0


WITH_VOLUMES = """FROM debian:bookworm-slim
VOLUME ["/data", "/var/lib/my data/", "/work", "/tmp/", "/opt/cronium/bin"]
"""
WRITES = """
for d in /data "/var/lib/my data" /work /tmp; do
    echo x > "$d/file" || exit 1
    stat -f -c %T "$d"
done
dd if=/dev/zero of=/data/big bs=1M count=80 2>&1 | grep -c 'No space'
"""


def test_volumes_of_an_image_count_as_memory(engine, tmp_path):
    image = f"cronium-test-volumes-{os.getpid()}"
    (tmp_path / "Dockerfile").write_text(WITH_VOLUMES)
    docker("build", "-t", image, tmp_path)
    server = Server(tmp_path / "server", "--executors", "docker")
    try:
        script = tmp_path / "writes.sh"
        script.write_text(WRITES)
        result = server.cronium("run", *FREE, script, "--image", image,
                                "--memory", "64m")
        # Where the kernel counts it first, it kills: the disk gets nothing.
        lines = result.err.split()
        assert lines.count("tmpfs") == 4, result.err
        assert result.code in (0, 137), result.err
        assert result.code or "1" in lines, result.err
    finally:
        assert server.stop() == 0
        docker("rmi", image)
