"""Jobs without a script: every capability, in every place that has it."""

import base64
import contextlib
import hashlib
import json
import os
import pathlib
import shutil
import signal
import stat
import subprocess
import tempfile
import time

import pytest

from harness import Server, docker_answers
from patience import until
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


# --- file.read ---------------------------------------------------------------


@EVERYWHERE
def test_read(world):
    path = world.put(world.ro / "a.txt", "grüße\n".encode(), 0o640)
    path.chmod(0o644)
    output = world.ok("file.read", {"path": str(path)})
    assert output["content"] == "grüße\n" and output["encoding"] == "utf-8"
    assert output["size"] == output["bytes"] == 8
    assert output["sha256"] == sha256(path.read_bytes())
    assert output["mode"] == "0644" and output["truncated"] is False
    found = world.exec("file.read", {"path": str(path)})
    assert (found.out, found.code) == ("grüße\n", 0)


@ALL
def test_read_binary_and_parts(world):
    path = world.put(world.ro / "b.bin", BINARY)
    found = world.exec("file.read", {"path": str(path)}, text=False)
    assert found.out == BINARY
    output = world.ok("file.read", {
        "path": str(path), "offset": 250, "limit": 10})
    assert base64.b64decode(output["content"]) == BINARY[250:260]
    assert output["truncated"] is True and output["size"] == len(BINARY)
    beyond = world.ok("file.read", {"path": str(path), "offset": 99999})
    assert (beyond["content"], beyond["truncated"]) == ("", False)
    error = world.refused("file.read", {"path": str(path),
                                        "encoding": "utf-8"})
    assert error["code"] == "not_utf8"
    # A character that the limit cuts in two is left for the next part.
    path = world.put(world.ro / "c.txt", "aä".encode() * 10)
    first = world.ok("file.read", {"path": str(path), "limit": 5})
    assert (first["content"], first["bytes"]) == ("aäa", 4)
    found = world.exec("file.read", {"path": str(path), "limit": 5})
    assert '"offset": 4' in found.err


@ALL
def test_read_a_large_file(world):
    path = world.put(world.ro / "large", os.urandom(6 * 1024 * 1024))
    output = world.ok("file.read", {"path": str(path), "limit": 4194304})
    assert base64.b64decode(output["content"]) == path.read_bytes()[:4194304]
    assert output["sha256"] == sha256(path.read_bytes())


@ALL
def test_read_what_is_no_file(world):
    directory = world.ro / "d"
    directory.mkdir()
    os.mkfifo(world.ro / "fifo")
    read = lambda path: world.refused("file.read", {"path": str(path)})
    assert read(directory)["code"] == "not_a_file"
    assert read(world.ro / "fifo")["code"] == "not_a_file"
    assert read(world.ro / "nothing")["code"] in ("not_found",
                                                  "not_permitted")
    if os.geteuid() == 0:
        (world.ro / "roots").write_text("secret")
        (world.ro / "roots").chmod(0o600)
        assert read(world.ro / "roots")["code"] == "not_permitted"


@ALL
def test_paths_outside_are_refused(world):
    world.put(world.ro / "inside.txt")
    for path in ("/etc/passwd", f"{world.ro}/../../etc/passwd",
                 f"{world.ro}x/a", "/", str(world.base),
                 f"/proc/self/root{world.ro}/inside.txt",
                 f"{world.ro}/../../../../proc/self/environ"):
        reason = world.reason("file.read", {"path": path})
        assert "--share" in reason, reason
    found = world.exec("file.read", {"path": "/etc/passwd"})
    assert found.code == 125 and "--share" in found.err
    # As text it stays inside.
    output = world.ok("file.read", {
        "path": f"{world.ro}/x/.././/inside.txt"})
    assert output["path"] == f"{world.ro}/inside.txt"


@ALL
def test_links(world):
    outside = world.base / "outside.txt"
    outside.write_text("not for you")
    world.put(world.ro / "target.txt", b"for you")
    links = {
        "out-absolute": str(outside), "out-relative": "../outside.txt",
        "out-etc": "/etc/passwd", "out-proc": "/proc/self/environ",
        "out-root": f"/proc/self/root{outside}",
    }
    for name, target in links.items():
        (world.ro / name).symlink_to(target)
        error = world.refused("file.read", {"path": f"{world.ro}/{name}"})
        assert error["code"] in ("not_permitted", "not_found"), name
    (world.ro / "up").symlink_to("..")
    world.refused("file.read", {"path": f"{world.ro}/up/outside.txt"})
    (world.ro / "in-relative").symlink_to("target.txt")
    (world.ro / "in-absolute").symlink_to(world.ro / "target.txt")
    for name in ("in-relative", "in-absolute"):
        output = world.ok("file.read", {"path": f"{world.ro}/{name}"})
        assert output["content"] == "for you"


@ALL
def test_read_dry_run(world):
    path = world.put(world.ro / "dry.txt", b"12345")
    output = world.ok("file.read", {"path": str(path)}, "--dry-run")
    assert output["dry_run"] is True and output["size"] == 5
    assert "content" not in output


# --- file.write --------------------------------------------------------------


def write(world, path, content=None, *options, **args):
    args = {"path": str(path), "content": content, **args}
    return world.ok("file.write", {k: v for k, v in args.items()
                                   if v is not None}, *options)


def write_refused(world, path, content="x", **args):
    args = {"path": str(path), "content": content, **args}
    return world.refused("file.write",
                         {k: v for k, v in args.items() if v is not None})


@ALL
def test_write(world):
    here = world.fresh("write")
    path = here / "a"
    output = write(world, path, "eins\n")
    assert (output["created"], output["bytes"]) == (True, 5)
    assert path.read_text() == "eins\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
    assert path.stat().st_uid == world.uid
    output = write(world, path, "zwei\n", mode="0600")
    assert output["created"] is False
    assert output["previous_sha256"] == sha256(b"eins\n")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    write(world, path, "drei\n", append=True)
    assert path.read_text() == "zwei\ndrei\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert write(world, path, "zwei\ndrei\n")["changed"] is False
    write(world, here / "b", base64.b64encode(BINARY).decode(),
          encoding="base64")
    assert (here / "b").read_bytes() == BINARY
    assert write(world, path, remove=True)["removed"] is True
    assert [p.name for p in here.iterdir()] == ["b"]


@ALL
def test_write_conditions(world):
    here = world.fresh("conditions")
    path = world.put(here / "a", b"old")
    assert write_refused(world, here / "new", create=False)["code"] == (
        "not_found")
    assert write_refused(world, path, overwrite=False)["code"] == "exists"
    assert write_refused(world, path, expected_sha256="0" * 64)["code"] == (
        "changed")
    assert write(world, here / "new", remove=True)["changed"] is False
    assert write_refused(world, path, "=", encoding="base64")["code"] == (
        "invalid_content")
    assert write_refused(world, here / "no" / "a")["code"] in (
        "not_found", "not_permitted")
    assert [p.name for p in here.iterdir()] == ["a"]
    assert path.read_bytes() == b"old"
    write(world, path, "new", expected_sha256=sha256(b"old"))
    write(world, here / "b", "b", overwrite=False)
    assert (here / "b").read_bytes() == b"b"


@ALL
def test_write_stays_in_its_share(world):
    here = world.fresh("stays")
    outside = world.put(world.base / "out.txt", b"untouched")
    # A share to read is not written, and the sentence says how it would be.
    target = world.put(world.ro / "w.txt", b"untouched")
    error = write_refused(world, target)
    assert error["code"] in ("read_only_share", "not_permitted")
    assert ":rw" in error["message"]
    write_refused(world, world.ro / "new.txt")
    # Neither is what a link leads to.
    (here / "link").symlink_to(outside)
    assert write_refused(world, here / "link")["code"] == "symbolic_link"
    (here / "dir").symlink_to(world.base)
    write_refused(world, here / "dir" / "out.txt")
    (here / "to-ro").symlink_to(world.ro)
    write_refused(world, here / "to-ro" / "w.txt")
    # Of a file with two names the one alone is replaced.
    os.link(outside, here / "hard")
    write(world, here / "hard", "mine")
    assert (here / "hard").read_bytes() == b"mine"
    assert outside.read_bytes() == target.read_bytes() == b"untouched"
    assert "--share" in world.reason("file.write", {
        "path": f"{here}/../../../etc/cronium", "content": "x"})


@SANDBOX
@pytest.mark.skipif(os.geteuid() != 0, reason="needs another user's file")
def test_write_leaves_others_files(world):
    here = world.fresh("others")
    here.chmod(0o777)
    (here / "roots").write_text("root's")
    assert write_refused(world, here / "roots")["code"] == "other_owner"
    assert (here / "roots").read_text() == "root's"


@ALL
def test_write_dry_run(world):
    here = world.fresh("dry")
    path = world.put(here / "a", b"old")
    before = tree(here)
    for content, remove, would in (("new", None, "replace"),
                                   ("old", None, "nothing"),
                                   (None, True, "remove")):
        output = write(world, path, content, "--dry-run", remove=remove)
        assert (output["dry_run"], output["would"]) == (True, would)
        assert "undo" not in output
    output = write(world, here / "b", "new", "--dry-run", mode="0600")
    assert (output["would"], output["mode"]) == ("create", "0600")
    result = world.run("file.write", {"path": f"{world.ro}/n", "content": ""},
                       "--dry-run")
    assert result["output"]["error"]["code"] in ("read_only_share",
                                                 "not_permitted")
    assert tree(here) == before


# --- undo --------------------------------------------------------------------


def undo(world, job, *options):
    return world.server.cronium("exec", "--undo", job, "--json", *options)


def job_of(world, path, **args):
    result = world.run("file.write", {"path": str(path), **args})
    assert result["state"] == "succeeded", result
    return result["job"]


@ALL
def test_undo(world):
    here = world.fresh("undo")
    path = world.put(here / "a", BINARY, 0o600)
    changed = job_of(world, path, content="new", mode="0644")
    would = undo(world, changed, "--dry-run").ok().json["output"]
    assert would["dry_run"] is True and path.read_bytes() == b"new"
    undone = undo(world, changed).ok().json
    assert path.read_bytes() == BINARY
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    # The undoing is a write, too.
    undo(world, undone["job"]).ok()
    assert path.read_bytes() == b"new"
    made = job_of(world, here / "b", content="b")
    undo(world, made).ok()
    assert not (here / "b").exists()
    removed = job_of(world, path, remove=True)
    undo(world, removed).ok()
    assert path.read_bytes() == b"new"


@SANDBOX
def test_undo_of_what_has_changed_since(world):
    here = world.fresh("since")
    path = world.put(here / "a", b"old")
    job = job_of(world, path, content="new")
    world.put(path, b"somebody else's")
    found = undo(world, job)
    assert found.code == 1
    assert found.json["output"]["error"]["code"] == "changed"
    assert path.read_bytes() == b"somebody else's"
    undo(world, job, "--force").ok()
    assert path.read_bytes() == b"old"
    # Twice is as good as once.
    assert undo(world, job).ok().json["output"]["changed"] is False
    removed = job_of(world, path, remove=True)
    world.put(path, b"a new one")
    assert undo(world, removed).code == 1
    assert path.read_bytes() == b"a new one"


@SANDBOX
def test_what_cannot_be_undone(world):
    here = world.fresh("cannot")
    path = world.put(here / "a", os.urandom(5 * 1024 * 1024))
    error = write_refused(world, path)
    assert error["code"] == "too_large_for_undo"
    job = job_of(world, path, content="small", undo=False)
    found = undo(world, job)
    assert found.code == 125 and "cannot be undone" in found.err
    read = world.run("file.read", {"path": str(path)})["job"]
    assert "cannot be undone" in undo(world, read).err


def program_of(name):
    """The processes that run this capability."""
    for entry in pathlib.Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and f"{name}.py".encode() in (
                    entry / "cmdline").read_bytes():
                yield int(entry.name)
        except OSError:
            continue


def kill_after(world, args, seconds):
    """Writes, and kills the program so long after it was there; None: not.
    The whole result."""
    process = world.server.popen("exec", "file.write", "--args", f"@{args}",
                                 "--json", *world.options)
    if seconds is not None:
        until(lambda: list(program_of("file.write")) or
              process.poll() is not None)
        time.sleep(seconds)
        for pid in program_of("file.write"):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
    return json.loads(process.communicate(timeout=60)[0])


@SANDBOX
def test_killed_while_it_writes(world, tmp_path):
    """The old content or the new, nothing beside it, and a way back."""
    here = world.fresh("killed")
    path = here / "a"
    old, new = os.urandom(1_500_000), os.urandom(1_500_000)
    args = tmp_path / "args.json"
    args.write_text(json.dumps({
        "path": str(path), "encoding": "base64",
        "content": base64.b64encode(new).decode()}))
    seen = set()
    world.put(path, old)
    took = kill_after(world, args, None)["duration_ms"] / 1000
    for step in [*range(12), None]:
        world.put(path, old)
        result = kill_after(world, args, step and took * step / 10)
        assert [p.name for p in here.iterdir()] == ["a"]
        now, output = path.read_bytes(), result["output"]
        assert now in (old, new)
        seen.add((result["state"], now == new, output is not None))
        if now == new:
            assert base64.b64decode(output["undo"]["content"]) == old
        if output is not None:
            assert undo(world, result["job"]).ok()
            assert path.read_bytes() == old
    assert len(seen) > 1, seen  # it was killed at different moments


# --- shell.exec --------------------------------------------------------------


@ALL
def test_shell(world):
    result = world.run("shell.exec", {
        "command": "echo out; echo err >&2; cat; exit 7", "stdin": "in\n"})
    output = result["output"]
    assert result["state"] == "succeeded"
    assert output == {
        "exit_code": 7, "signal": None, "timed_out": False, "truncated": False,
        "stdout": "out\nin\n", "stderr": "err\n"}
    found = world.exec("shell.exec", {"command": "echo out; echo err >&2;"
                                                 "exit 7"})
    assert (found.out, found.code) == ("out\n", 7)
    assert "err\n" in found.err
    output = world.ok("shell.exec", {"argv": ["printf", "%s|", "a b", "$HOME"],
                                     "env": {"A": "1"}})
    assert output["stdout"] == "a b|$HOME|"
    output = world.ok("shell.exec", {"command": "echo $A; kill -9 $$",
                                     "env": {"A": "1"}})
    assert (output["stdout"], output["exit_code"], output["signal"]) == (
        "1\n", 137, 9)


@ALL
def test_shell_and_the_shares(world):
    here = world.fresh("shell")
    world.put(world.ro / "s.txt", b"to read\n")
    output = world.ok("shell.exec", {
        "cwd": str(here),
        "command": f"pwd; cat {world.ro}/s.txt; echo x > made;"
                   f"echo x > {world.ro}/no; echo x > {world.base}/no;"
                   "cat /etc/shadow; ls /root; true"})
    assert output["stdout"] == f"{here}\nto read\n"
    assert (here / "made").read_text() == "x\n"
    assert not (world.ro / "no").exists() and not (world.base / "no").exists()
    assert "--share" in world.reason("shell.exec", {"command": "true",
                                                    "cwd": "/etc"})
    (here / "out").symlink_to("/etc")
    error = world.refused("shell.exec", {"command": "ls",
                                         "cwd": f"{here}/out"})
    assert error["code"] == "not_permitted"


@ALL
def test_shell_writes_its_own_place(world):
    output = world.ok("shell.exec", {
        "command": "echo a > f && cat f && mktemp >/dev/null && echo ok"
        if not world.name.startswith("ssh") else "echo a > f && cat f"})
    assert output["stdout"].startswith("a\n") and output["exit_code"] == 0


@ALL
def test_shell_has_no_token(world):
    output = world.ok("shell.exec", {
        "command": "env; tr '\\0' '\\n' < /proc/$PPID/environ; true"})
    assert "CRONIUM_EXECUTION_TOKEN" not in output["stdout"]
    assert "PATH=" in output["stdout"]


@ALL
def test_shell_huge_and_binary_output(world):
    command = ("head -c 3000000 /dev/zero | tr '\\0' x; printf '\\377\\0' >&2;"
               "echo end")
    found = world.exec("shell.exec", {"command": command}, text=False)
    assert found.out == b"x" * 3000000 + b"end\n" and found.code == 0
    found = world.exec("shell.exec", {
        "command": command, "max_output_bytes": 1000}, "--json", text=False)
    output = found.json["output"]
    assert output["stdout"] == "x" * 1000 and output["truncated"] is True
    assert base64.b64decode(output["stderr_base64"]) == b"\xff\0"


@ALL
def test_shell_that_is_not_there(world):
    error = world.refused("shell.exec", {"argv": ["no-such-program-here"]})
    assert error["code"] == "no_program"


@ALL
def test_shell_dry_run(world):
    here = world.fresh("shell-dry")
    before = tree(here)
    output = world.ok("shell.exec", {"command": "touch a", "cwd": str(here)},
                      "--dry-run")
    assert output["argv"] == ["/bin/sh", "-c", "touch a"]
    assert output["cwd"] == str(here) and output["dry_run"] is True
    assert tree(here) == before


def sleepers(seconds):
    found = []
    for entry in pathlib.Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if entry.name.isdigit() and str(seconds).encode() in (
                    entry / "cmdline").read_bytes().split(b"\0"):
                found.append(int(entry.name))
    return found


STUBBORN = ("trap '' TERM INT HUP; (trap '' TERM; setsid sleep {0}) & "
            "(setsid sh -c \"trap '' TERM; sleep {0}; sleep {0}\") & "
            "echo begun; sleep {0}; sleep {0}")


@ALL
def test_the_jobs_timeout_kills(world):
    """Whatever ignores signals or has left its group and session."""
    seconds = 100000 + os.getpid()
    begun = time.monotonic()
    result = world.run("shell.exec", {"command": STUBBORN.format(seconds)},
                       "--timeout", "1s")
    assert (result["state"], result["output"]) == ("timed_out", None), result
    assert time.monotonic() - begun < 60
    until(lambda: not sleepers(seconds))


@ALL
def test_the_commands_timeout_kills(world):
    seconds = 200000 + os.getpid()
    found = world.exec("shell.exec", {
        "command": STUBBORN.format(seconds), "timeout_ms": 500})
    assert (found.out, found.code) == ("begun\n", 124), found.err
    assert "timeout_ms" in found.err
    until(lambda: not sleepers(seconds))


@SANDBOX
def test_what_is_left_running_ends_with_the_job(world):
    seconds = 300000 + os.getpid()
    output = world.ok("shell.exec", {
        "command": f"setsid sleep {seconds} & echo done"})
    assert (output["stdout"], output["exit_code"]) == ("done\n", 0)
    until(lambda: not sleepers(seconds))


@SANDBOX
def test_cancel(world):
    seconds = 400000 + os.getpid()
    job = world.exec("shell.exec", {"command": f"sleep {seconds}"},
                     "--detach").ok().out.strip()
    until(lambda: sleepers(seconds))
    world.server.cronium("cancel", job).ok()
    world.server.wait_state(job, "cancelled")
    until(lambda: not sleepers(seconds))


# --- git.exec ----------------------------------------------------------------

AUTHOR = {"name": "A", "email": "a@example.org"}


def git(world, repo, *args, **more):
    return world.ok("git.exec", {"repo": str(repo), "args": list(args),
                                 "author": AUTHOR, **more})


@pytest.fixture
def repo(world, request):
    repo = world.fresh(f"repo-{request.node.name}")
    assert git(world, repo, "init")["exit_code"] == 0
    world.put(repo / "f", b"one\n")
    assert git(world, repo, "add", "f")["exit_code"] == 0
    assert git(world, repo, "commit", "-m", "a::b")["exit_code"] == 0
    return repo


@SANDBOX
def test_git(world, repo):
    output = git(world, repo, "log", "--format=%an %s")
    assert output["stdout"] == "A a::b\n"
    found = world.exec("git.exec", {"repo": str(repo),
                                    "args": ["log", "nothing"]})
    assert found.code == 128 and "nothing" in found.err
    world.put(repo / "f", b"two\n")
    dry = world.ok("git.exec", {"repo": str(repo), "args": ["add", "f"]},
                   "--dry-run")
    assert dry["dry_run"] is True and dry["argv"][1:] == ["add", "f"]
    assert " M f" in git(world, repo, "status", "--short")["stdout"]
    assert "+two" in git(world, repo, "diff", "--text")["stdout"]


@SANDBOX
@pytest.mark.parametrize("args", [
    ["-c", "core.pager=id", "log"], ["--exec-path=/tmp", "log"],
    ["--git-dir=/etc", "log"], ["-C", "/etc", "log"],
    ["clone", "--upload-pack=id", ".", "x"], ["clone", "-uid", ".", "x"],
    ["clone", "-c", "core.fsmonitor=id", ".", "x"],
    ["clone", "--upload-pa", "id", ".", "x"], ["clone", "--con", "a=b", "."],
    ["fetch", "--upload-pack", "id"], ["push", "--receive-pack=id"],
    ["push", "--exec=id"], ["ls-remote", "--exec=id", "."],
    ["rebase", "-x", "id", "HEAD"], ["rebase", "--exec", "id"],
    ["grep", "-Oid", "x"], ["grep", "--open-files-in-pager=id", "x"],
    ["diff", "--ext-diff"], ["diff", "--output=/tmp/x"],
    ["diff", "--no-index", "/etc/passwd", "f"], ["archive", "--exec=id"],
    ["init", "--template=/tmp"], ["init", "--separate-git-dir=/tmp/x"],
    ["config", "alias.x", "!id"], ["submodule", "foreach", "id"],
    ["bisect", "run", "id"], ["difftool"], ["filter-branch"], ["daemon"],
    ["!id"], [""],
])
def test_git_refuses(world, started, args):
    repo = world.rw / "repo-refuses"
    repo.mkdir(exist_ok=True)
    world.own(repo)
    error = world.refused("git.exec", {"repo": str(repo), "args": args})
    assert error["code"] in ("option_refused", "command_refused")
    assert list(repo.iterdir()) == []


@SANDBOX
def test_git_runs_nothing_of_the_repository(world, repo):
    """Neither hooks nor what its configuration names."""
    mark = repo / "ran"
    script = world.put(repo / "script", f"#!/bin/sh\ntouch {mark}\n".encode(),
                       0o755)
    hook = world.put(repo / ".git/hooks/pre-commit", script.read_bytes(),
                     0o755)
    with open(repo / ".git/config", "a") as config:
        config.write(
            f"[core]\nfsmonitor = {script}\npager = {script}\n"
            f"editor = {script}\nsshCommand = {script}\n"
            f"[credential]\nhelper = {script}\n[gpg]\nprogram = {script}\n"
            "[commit]\ngpgSign = true\n"
            '[protocol "ext"]\nallow = always\n'
            '[protocol "ssh"]\nallow = always\n')
    world.put(repo / "f", b"two\n")
    assert git(world, repo, "commit", "-am", "two")["exit_code"] == 0
    git(world, repo, "log")
    git(world, repo, "commit", "--amend")
    git(world, repo, "fetch", "ssh://localhost/x")
    git(world, repo, "fetch", f"ext::{script}")
    git(world, repo, "archive", f"--remote=ext::{script}", "HEAD")
    git(world, repo, "commit", "-S", "--allow-empty", "-m", "signed")
    assert not mark.exists()
    assert hook.exists()
    world.put(repo / "f", b"three\n")
    git(world, repo, "commit", "-am", "three", hooks=True)
    assert mark.exists()


@SANDBOX
def test_git_of_another_owner(world, repo):
    """The repository that was named is safe, and no other."""
    if os.geteuid() == 0:
        for path in [repo, *repo.rglob("*")]:
            os.chown(path, 0, 0, follow_symlinks=False)
    assert "a::b" in git(world, repo, "log")["stdout"]
    assert git(world, world.rw, "log")["exit_code"] == 128


@SANDBOX
def test_git_with_the_machines_configuration(world, repo):
    output = git(world, repo, "rev-parse", "--show-toplevel")
    assert output["stdout"].strip() == str(repo)
    assert "--share" in world.reason("git.exec", {"repo": "/etc",
                                                  "args": ["log"]})
    error = world.refused("git.exec", {"repo": f"{world.rw}/none",
                                       "args": ["log"]})
    assert error["code"] == "not_found"


@DOCKER
def test_git_that_is_not_there(world):
    error = world.refused("git.exec", {"repo": str(world.rw),
                                       "args": ["log"]})
    assert error["code"] == "no_program" and "install" in error["message"]


# --- process.kill ------------------------------------------------------------


@pytest.fixture
def victim(world):
    user = world.uid if os.geteuid() == 0 else None
    process = subprocess.Popen(["sleep", "1000"], user=user)
    yield process
    process.kill()
    process.wait()


@SANDBOX
def test_kill(world, victim):
    pid = victim.pid
    about = world.ok("process.kill", {"pid": pid}, "--dry-run")
    assert (about["name"], about["permitted"]) == ("sleep", True)
    assert about["command"] == "sleep 1000"
    assert victim.poll() is None
    for more in ({"name": "bash"}, {"start_ticks": 1}):
        error = world.refused("process.kill", {"pid": pid, **more})
        assert error["code"] == "changed"
    assert victim.poll() is None
    world.ok("process.kill", {"pid": pid, "signal": "STOP"})
    until(lambda: "T (stopped)" in pathlib.Path(
        f"/proc/{pid}/status").read_text())
    output = world.ok("process.kill", {
        "pid": pid, "signal": "KILL", "name": "sleep", "wait_ms": 10000,
        "start_ticks": about["start_ticks"]})
    assert output["ended"] is True
    assert victim.wait(timeout=10) == -signal.SIGKILL


@SANDBOX
def test_kill_that_waits_too_long(world, victim):
    """Its pod has no PID namespace to end with; it ends all the same."""
    result = world.run("process.kill", {
        "pid": victim.pid, "signal": "CONT", "wait_ms": 60000},
        "--timeout", "500ms")
    assert result["state"] == "timed_out", said(result)
    until(lambda: not list(program_of("process.kill")))
    assert victim.poll() is None


@SANDBOX
def test_kill_spares(world):
    children = world.server.children()
    own = [world.server.process.pid, *children.values()]
    for pid in own:
        error = world.refused("process.kill", {"pid": pid})
        assert error["code"] == "protected", error
    assert world.server.children() == children
    found = world.exec("process.kill", {"pid": 1})
    assert found.code == 125 and "/pid" in found.err
    ended = subprocess.Popen(["true"])
    ended.wait()
    error = world.refused("process.kill", {"pid": ended.pid})
    assert error["code"] == "not_found"
    if os.geteuid() == 0:
        roots = subprocess.Popen(["sleep", "1000"])
        error = world.refused("process.kill", {"pid": roots.pid})
        assert error["code"] == "not_permitted"
        assert roots.poll() is None
        roots.kill()
        roots.wait()


@worlds("docker", "ssh-tunnel")
def test_kill_elsewhere_is_refused(world):
    reason = world.reason("process.kill", {"pid": os.getpid()})
    assert "--executor sandbox" in reason


# --- around them -------------------------------------------------------------


@worlds("sandbox", "docker")
def test_a_script_sees_no_share(world, tmp_path):
    world.put(world.ro / "secret.txt", b"for capabilities")
    script = tmp_path / "look.py"
    script.write_text(
        "import os, cronium\n"
        f"cronium.output([os.path.exists({str(world.base)!r}),"
        f"os.path.exists({str(world.ro / 'secret.txt')!r})])\n")
    found = world.server.cronium("run", *world.options, "--allow-read",
                                 "--allow-write", "--allow-run", script)
    assert found.ok().json == [False, False]


def test_nothing_is_shared_by_default(tmp_path):
    server = Server(tmp_path / "server", "--executors", "sandbox")
    try:
        for capability, args, option in (
                ("file.read", {"path": "/etc/hostname"}, "--share"),
                ("process.kill", {"pid": os.getpid()}, "--share-processes")):
            found = server.cronium("exec", capability, "--args",
                                   json.dumps(args))
            assert found.code == 125 and option in found.err, found.err
        output = server.cronium("exec", "shell.exec", "--json", "--args",
                                '{"command":"ls -A /srv; pwd"}').ok().json
        assert output["output"]["stdout"].strip() == "/work"
    finally:
        assert server.stop() == 0
