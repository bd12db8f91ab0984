"""git.exec, which runs nothing that a repository says."""

import os

import pytest

from capability_world import DOCKER, SANDBOX
from capability_world import started, world  # noqa: F401

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
