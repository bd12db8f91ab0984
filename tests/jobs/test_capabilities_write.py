"""file.write, and the way back."""

import base64
import contextlib
import json
import os
import signal
import stat
import time

import pytest

from capability_world import ALL, BINARY, SANDBOX, sha256, tree, undo, write
from capability_world import started, world  # noqa: F401
from patience import until
from proc import processes_with


# --- file.write --------------------------------------------------------------

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


def kill_after(world, args, seconds):
    """Writes, and kills the program so long after it was there; None: not.
    The whole result, in a file: nobody reads it while the program is waited
    for."""
    result = args.with_name("result.json")
    with open(result, "wb") as out:
        process = world.server.popen("exec", "file.write", "--args",
                                     f"@{args}", "--json", *world.options,
                                     stdout=out)
    if seconds is not None:
        until(lambda: processes_with("file.write.py") or
              process.poll() is not None)
        time.sleep(seconds)
        for pid in processes_with("file.write.py"):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
    process.communicate(timeout=60)
    return json.loads(result.read_text())


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
