"""Who takes an executor runs on each of them, on one server for the module."""

import os

import pytest

from harness import FREE, Server, docker_answers

WANTED = os.environ.get("CRONIUM_TEST_EXECUTORS")
# The other places of test_everywhere.py are hosts.
EXECUTORS = [name for name in (WANTED or "sandbox docker").split()
             if name in ("sandbox", "docker")]
collect_ignore = ([] if "docker" in EXECUTORS
                  else ["test_engine_away.py", "test_images.py",
                        "test_two_hosts.py"])

# What waits longest begins first, so that nobody waits for it at the end.
LONG = {"test_recovery.py", "test_ssh.py", "test_permissions.py",
        "test_engine_away.py", "test_two_hosts.py"}


def pytest_generate_tests(metafunc):
    if "executor" in metafunc.fixturenames:
        metafunc.parametrize("executor", EXECUTORS, scope="module")


def pytest_collection_modifyitems(config, items):
    """Tests of places that this run does not ask for are not there."""
    others = [item for item in items if WANTED and any(
        "empty parameter set" in mark.kwargs.get("reason", "")
        for mark in item.iter_markers("skip"))]
    config.hook.pytest_deselected(items=others)
    items[:] = sorted((item for item in items if item not in others),
                      key=lambda item: item.path.name not in LONG)


@pytest.fixture(scope="module")
def server(executor, tmp_path_factory):
    if executor == "docker" and not docker_answers():
        assert not os.environ.get("CRONIUM_REQUIRE_DOCKER")
        pytest.skip("no Docker engine answers: './dev engine' starts one")
    server = Server(
        tmp_path_factory.mktemp(executor), "--executors", executor,
        "--slots", "8",
    )
    yield server
    assert server.stop() == 0, server.log.read_text()


@pytest.fixture
def run(server, executor, tmp_path):
    """Runs the text of a script: run("print(1)", "--timeout", "5s")."""

    def run(text, *options, name="script.py", stdin=None, binary=False,
            granted=FREE):
        script = tmp_path / name
        script.write_text(text)
        return server.cronium(
            "run", "--executor", executor, *granted, script, *options,
            stdin=stdin, text=not binary,
        )

    return run
