"""What many files start: a backend on a directory of its own, a home for the
command line."""

import pytest

import backend_process
from backend_process import Backend
from cli_process import Home


@pytest.fixture
def sqlite(monkeypatch):
    """For what is about SQLite's file, wherever the other tests store."""
    monkeypatch.setattr(backend_process, "STORE", None)


@pytest.fixture
def backend(tmp_path):
    b = Backend(str(tmp_path))
    yield b
    assert b.stop() == 0, "".join(b.log)


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    """One for all tests of a file."""
    b = Backend(str(tmp_path_factory.mktemp("backend")))
    yield b
    assert b.stop() == 0, "".join(b.log)


@pytest.fixture
def home():
    home = Home()
    yield home
    home.remove()


@pytest.fixture
def env(backend):
    """For a command that asks the backend."""
    return {"CRONIUM_URL": f"unix:{backend.run}/api.sock"}
