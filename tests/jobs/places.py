"""Where jobs run: what the server needs for it, and what a job says."""

import contextlib
import pathlib
import shutil
import tempfile

from gateway_harness import Authority
from harness import PATH
from sshd import Sshd, free_port

HOST = "everywhere"


class Place:
    """An executor of this machine."""

    def __init__(self, executor):
        self.up_options = ("--executors", executor)
        self.job_options = ("--executor", executor)

    def prepare(self, server):
        """Once the server is up."""


class Host(Place):
    """This machine, as another user, over SSH."""

    def __init__(self, sshd, mode, *options):
        self.sshd, self.mode = sshd, mode
        self.up_options = ("--executors", "ssh", "--ssh-key", sshd.key,
                           *options)
        self.job_options = ("--host", HOST)

    def prepare(self, server):
        sshd = self.sshd
        server.cronium(
            "hosts", "add", HOST,
            f"{sshd.user.pw_name}@{sshd.address}:{sshd.port}", "--host-key",
            sshd.fingerprint(), "--mode", self.mode).ok()


@contextlib.contextmanager
def local(base, executor):
    yield Place(executor)


@contextlib.contextmanager
def host(base):
    """An sshd whose user finds Bun, too."""
    directory = pathlib.Path(tempfile.mkdtemp(prefix="cronium-bin-"))
    directory.chmod(0o755)
    shutil.copy(shutil.which("bun", path=PATH), directory)
    sshd = Sshd(base / "sshd",
                SetEnv=f"PATH={directory}:/usr/local/bin:/usr/bin:/bin")
    try:
        yield sshd
    finally:
        sshd.stop()
        shutil.rmtree(directory)


@contextlib.contextmanager
def tunnel(base):
    with host(base) as sshd:
        yield Host(sshd, "tunnel")


@contextlib.contextmanager
def direct(base):
    """Scripts call a gateway, whose authority they are told to trust."""
    with host(base) as sshd:
        authority = Authority(base)
        ca = shutil.copy(authority.file, sshd.public / "ca.pem")
        cert, key = authority.issue("gateway", "IP:127.0.0.1")
        port = free_port()
        place = Host(
            sshd, "direct", "--gateway", f"127.0.0.1:{port}",
            "--gateway-cert", cert, "--gateway-key", key,
            "--gateway-url", f"https://127.0.0.1:{port}")
        place.job_options += ("--env", f"CRONIUM_CA_FILE={ca}")
        yield place


PLACES = {
    "sandbox": lambda base: local(base, "sandbox"),
    "docker": lambda base: local(base, "docker"),
    "ssh-tunnel": tunnel,
    "ssh-direct": direct,
}
