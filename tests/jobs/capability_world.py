"""Where jobs without a script are tried: a server with two shares, and the
place that its jobs run in."""

import contextlib
import hashlib
import json
import os
import pathlib
import shutil
import tempfile

import pytest

from harness import Server, docker_answers
from places import HOST, PLACES

WANTED = os.environ.get("CRONIUM_TEST_EXECUTORS", "sandbox docker ssh-tunnel "
                        "ssh-direct").split()
SCRIPT_UID = 1000
BINARY = bytes(range(256)) * 40


def said(result):
    """What pytest would cut."""
    return json.dumps(result)[:2000]


class World:
    """A server, the place that its jobs run in, and two shares."""

    def __init__(self, name, server, options, base, uid):
        self.name, self.server, self.options = name, server, options
        self.base, self.uid = base, uid
        self.ro, self.rw = base / "ro", base / "rw"

    def exec(self, capability, args, *options, **more):
        return self.server.cronium(
            "exec", capability, "--args", json.dumps(args), *self.options,
            *options, **more)

    def run(self, capability, args, *options):
        """The whole result, as --json gives it."""
        found = self.exec(capability, args, "--json", *options)
        assert found.out, found.err
        return found.json

    def ok(self, capability, args, *options):
        result = self.run(capability, args, *options)
        assert result["state"] == "succeeded", said(result)
        return result["output"]

    def refused(self, capability, args, *options):
        """The error of a program that did not do it."""
        result = self.run(capability, args, *options)
        assert (result["state"], result["exit_code"]) == ("failed", 1), (
            said(result))
        return result["output"]["error"]

    def reason(self, capability, args, *options):
        """Why there was no pod for it."""
        result = self.run(capability, args, *options)
        assert (result["state"], result["output"]) == ("failed", None), result
        return result["reason"]

    def own(self, path):
        if os.geteuid() == 0:
            os.chown(path, self.uid, self.uid, follow_symlinks=False)
        return path

    def put(self, path, content=b"content\n", mode=0o644):
        path.write_bytes(content)
        path.chmod(mode)
        return self.own(path)

    def fresh(self, name):
        """A directory of its own for a test, to be written."""
        directory = self.rw / name
        directory.mkdir()
        return self.own(directory)


def shares(name, base):
    prefix = f"{HOST}:" if name.startswith("ssh") else ""
    return ("--share", f"{prefix}{base}/ro", "--share",
            f"{prefix}{base}/rw:rw")


@contextlib.contextmanager
def world_of(name, base):
    if name == "docker" and not docker_answers():
        assert not os.environ.get("CRONIUM_REQUIRE_DOCKER")
        pytest.skip("no Docker engine answers: './dev engine' starts one")
    shared = pathlib.Path(tempfile.mkdtemp(prefix="cronium-caps-", dir="/srv"))
    shared.chmod(0o755)
    for directory in ("ro", "rw"):
        (shared / directory).mkdir(mode=0o755)
    try:
        with PLACES[name](base) as place:
            server = Server(base / "server", *place.up_options,
                            "--share-processes", *shares(name, shared))
            place.prepare(server)
            uid = (place.sshd.user.pw_uid if hasattr(place, "sshd")
                   else SCRIPT_UID if os.geteuid() == 0 else os.geteuid())
            world = World(name, server, place.job_options, shared, uid)
            world.own(world.rw)
            yield world
            assert server.stop() == 0, server.log.read_text()
    finally:
        shutil.rmtree(shared)


def worlds(*names):
    """A fixture's parameters: those of the names that are wanted."""
    return pytest.mark.parametrize(
        "world", [n for n in names if n in WANTED], indirect=True)


@pytest.fixture(scope="module")
def started(tmp_path_factory):
    """Worlds by name, each started once."""
    with contextlib.ExitStack() as stack:
        found = {}

        def start(name):
            if name not in found:
                found[name] = stack.enter_context(
                    world_of(name, tmp_path_factory.mktemp(name)))
            return found[name]

        yield start


@pytest.fixture
def world(started, request):
    return started(request.param)


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def tree(directory):
    """Everything that could have been changed."""
    return {str(p): (p.lstat().st_mode, p.lstat().st_mtime_ns,
                     p.read_bytes() if p.is_file() else None)
            for p in [directory, *directory.rglob("*")]}


EVERYWHERE = worlds("sandbox", "docker", "ssh-tunnel", "ssh-direct")
ALL = worlds("sandbox", "docker", "ssh-tunnel")
SANDBOX = worlds("sandbox")
DOCKER = worlds("docker")


def write(world, path, content=None, *options, **args):
    args = {"path": str(path), "content": content, **args}
    return world.ok("file.write", {k: v for k, v in args.items()
                                   if v is not None}, *options)


def undo(world, job, *options):
    return world.server.cronium("exec", "--undo", job, "--json", *options)
