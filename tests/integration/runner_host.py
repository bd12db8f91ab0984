"""A host for the runner: whose user it is, where it puts its work dirs."""

import io
import os
import pathlib
import shutil
import subprocess
import tarfile
import tempfile

import pytest

BIN = os.environ.get("CRONIUM_BIN_DIR", "build/bin")
RUNNER = os.path.abspath(os.path.join(BIN, "cronium-runner"))
ROOT = os.getuid() == 0
SOMEBODY = 54322  # an ordinary user, who needs no entry in /etc/passwd
USERS = [None, SOMEBODY] if ROOT else [None]
ALL = dict.fromkeys(("net", "read", "write", "env", "run"), True)
# Confined, but able to look round.
LOOK = {**ALL, "net": False, "env": False}


def archive(files):
    """A tar.gz of {name: text, or (mode, text)}."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as tar:
        for name, what in files.items():
            mode, text = what if isinstance(what, tuple) else (0o644, what)
            info = tarfile.TarInfo(name)
            info.size, info.mode = len(text.encode()), mode
            tar.addfile(info, io.BytesIO(text.encode()))
    return out.getvalue()


class Host:
    def __init__(self, root, user):
        self.root, self.user = root, user
        self.wrap = []
        self.tmp = root / "tmp"
        self.tmp.mkdir()
        self.runner = shutil.copy(RUNNER, root)
        if user:
            os.chown(self.tmp, user, user)
        root.chmod(0o755)

    def command(self, *args):
        command = [*self.wrap, self.runner, *map(str, args)]
        if self.user:
            command = [shutil.which("setpriv"), f"--reuid={self.user}",
                       f"--regid={self.user}", "--clear-groups", *command]
        return command

    def env(self, **more):
        keep = ("PATH", "ASAN_OPTIONS", "UBSAN_OPTIONS")
        env = {k: os.environ[k] for k in keep if k in os.environ}
        # Who looks for leaks stops the process that is killed meanwhile.
        if "ASAN_OPTIONS" in env:
            env["ASAN_OPTIONS"] += ":detect_leaks=0"
        return {**env, "TMPDIR": str(self.tmp), **more}

    def popen(self, *args, env=(), **how):
        return subprocess.Popen(self.command(*args),
                                env=self.env(**dict(env)), **how)

    def left(self):
        """Work dirs that are there."""
        return sorted(p.name for p in self.tmp.iterdir())


def children(pid):
    with open(f"/proc/{pid}/task/{pid}/children") as f:
        return [int(p) for p in f.read().split()]


@pytest.fixture(params=USERS, ids=lambda u: f"uid{u}" if u else "self")
def host(request):
    # Not tmp_path: whoever starts pytest at that moment shuts its parent for
    # other users.
    root = pathlib.Path(tempfile.mkdtemp(prefix="cronium-host-"))
    yield Host(root, request.param)
    shutil.rmtree(root)
