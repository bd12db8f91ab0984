"""Backends that share a PostgreSQL database and their keys."""

import os
import pathlib
import shutil
import subprocess
import tempfile

import pytest

from backend_process import Backend

SCRIPT = pathlib.Path(__file__).parents[2] / "tools/postgres.sh"
SOON_S = 5  # a second is meant; the machine may be busy
LEASE_S = 4


@pytest.fixture(scope="module")
def server():
    directory = tempfile.mkdtemp(prefix="cronium-pg-", dir="/tmp")

    def run(what):
        return subprocess.run([SCRIPT, what, directory], check=True, text=True,
                              capture_output=True, timeout=60).stdout.strip()

    yield run("start")
    run("stop")
    shutil.rmtree(directory, ignore_errors=True)


class World:
    def __init__(self, url, tmp_path):
        self.url = f"{url}&schema=two_{os.path.basename(tmp_path)}"
        self.path = tmp_path
        self.a, self.b = self.backend("a"), self.backend("b")

    @property
    def api_key_file(self):
        return self.path / "keys" / "api-key"

    def backend(self, name):
        os.makedirs(self.path / name, exist_ok=True)
        return Backend(str(self.path / name), "--keys-dir",
                       str(self.path / "keys"), "--lease",
                       f"{LEASE_S * 1000}ms", "--log-level", "debug",
                       store=self.url)


@pytest.fixture
def world(server, tmp_path):
    world = World(server, tmp_path)
    yield world
    for backend in (world.a, world.b):
        assert backend.stop() == 0, "".join(backend.log)
