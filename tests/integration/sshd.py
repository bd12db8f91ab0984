"""An sshd of its own for a test: on a free port, with host keys and a
configuration in a directory of the test's, and a user without rights."""

import os
import pathlib
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile

from patience import until

# One for each worker: tests look at what runs as the user.
USER = "-".join(filter(None, ["cronium-test",
                              os.environ.get("PYTEST_XDIST_WORKER")]))
KEY_TYPES = ("ed25519", "ecdsa")
# OpenSSH 10 has programs of their own for a connection: sshd-auth, and then
# sshd-session.
SSHD_TITLES = (b"sshd:", b"sshd-auth:", b"sshd-session:")


def remote_user(name):
    """The account that jobs log in to; made when it is missing."""
    try:
        pwd.getpwnam(name)
    except KeyError:
        subprocess.run(["useradd", "--create-home", "--shell", "/bin/bash",
                        name], check=True)
    # Without a password, and yet not locked: sshd lets no locked one in.
    subprocess.run(["usermod", "--password", "*", name], check=True)
    return pwd.getpwnam(name)


def keygen(path, kind="ed25519", passphrase=""):
    subprocess.run(["ssh-keygen", "-q", "-t", kind, "-N", passphrase, "-C",
                    "", "-f", path], check=True)
    return pathlib.Path(path)


def fingerprint(path):
    """SHA256:… of a public key."""
    said = subprocess.run(["ssh-keygen", "-lf", path], check=True,
                          capture_output=True, text=True).stdout
    return said.split()[1]


def free_port(address="127.0.0.1"):
    with socket.socket() as s:
        s.bind((address, 0))
        return s.getsockname()[1]


class Sshd:
    def __init__(self, base, address="127.0.0.1", netns=None, user=USER,
                 **options):
        self.base = pathlib.Path(base)
        self.base.mkdir(parents=True, exist_ok=True)
        self.address, self.netns = address, netns
        self.user = remote_user(user)
        self.home = pathlib.Path(self.user.pw_dir)
        self.cache = self.home / ".cache" / "cronium"
        self.log = self.base / "sshd.log"
        self.key = self.base / "id_ed25519"
        self.options = options
        for kind in KEY_TYPES:
            keygen(self.base / f"host_{kind}", kind)
        keygen(self.key)
        # sshd reads it as the user, who may not enter the tests' directory.
        self.public = pathlib.Path(tempfile.mkdtemp(prefix="cronium-sshd-"))
        self.public.chmod(0o755)
        self.authorized = self.public / "authorized_keys"
        self.authorize(self.key)
        self.port = free_port() if netns is None else 2222
        self.process = None
        self.start()

    def authorize(self, *keys):
        self.authorized.write_text("".join(
            pathlib.Path(f"{k}.pub").read_text() for k in keys))

    def configure(self):
        lines = {
            "Port": self.port,
            "ListenAddress": self.address,
            "PidFile": "none",
            "AuthorizedKeysFile": self.authorized,
            "StrictModes": "no",
            "UsePAM": "no",
            "PasswordAuthentication": "no",
            "KbdInteractiveAuthentication": "no",
            "PermitRootLogin": "no",
            "LogLevel": "VERBOSE",
            **self.options,
        }
        text = "".join(f"{k} {v}\n" for k, v in lines.items())
        text += "".join(f"HostKey {self.base}/host_{kind}\n"
                        for kind in KEY_TYPES)
        (self.base / "sshd_config").write_text(text)

    def start(self):
        os.makedirs("/run/sshd", mode=0o755, exist_ok=True)
        self.configure()
        # sshd forks for each connection with its own path.
        command = [shutil.which("sshd", path="/usr/sbin:/usr/bin"), "-D",
                   "-e", "-f", self.base / "sshd_config"]
        if self.netns:
            command = ["ip", "netns", "exec", self.netns, *command]
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                start_new_session=True)
        until(self.answers, self.log.read_text)

    def answers(self):
        assert self.process.poll() is None, self.log.read_text()
        try:
            with socket.create_connection((self.address, self.port), 1) as s:
                return s.recv(4) == b"SSH-"
        except OSError:
            return False

    def connections(self):
        """How many logins it has seen."""
        return self.log.read_text().count("Accepted publickey for")

    def fingerprint(self, kind="ed25519"):
        return fingerprint(self.base / f"host_{kind}.pub")

    def known_hosts(self, kind="ed25519", address=None):
        public = (self.base / f"host_{kind}.pub").read_text()
        return f"[{address or self.address}]:{self.port} {public}"

    def processes(self):
        """(pid, command line) of what runs as the user, sshd's own apart."""
        found = []
        for entry in pathlib.Path("/proc").iterdir():
            if not entry.name.isdigit():
                continue
            try:
                if entry.stat().st_uid != self.user.pw_uid:
                    continue
                line = (entry / "cmdline").read_bytes().replace(b"\0", b" ")
            except OSError:
                continue
            if line and not line.startswith(SSHD_TITLES):
                found.append((int(entry.name), line.decode()))
        return found

    def sessions(self):
        """Ids of sshd's processes of connections."""
        out, todo = [], [self.process.pid]
        while todo:
            parent = todo.pop()
            try:
                text = pathlib.Path(
                    f"/proc/{parent}/task/{parent}/children").read_text()
            except OSError:
                continue
            for pid in map(int, text.split()):
                name = pathlib.Path(f"/proc/{pid}/comm").read_text().strip()
                if name.startswith("sshd"):
                    out.append(pid)
                    todo.append(pid)
        return out

    def listeners(self):
        """Ports that sshd listens on for forwarding."""
        said = subprocess.run(
            ["ss", "-Hltnp"], capture_output=True, text=True).stdout
        mine = {f"pid={pid}," for pid in self.sessions()}
        return [line for line in said.splitlines()
                if any(m in line for m in mine)]

    def kill(self):
        """As when the machine vanishes: every process of it at once."""
        for pid in [*self.sessions(), self.process.pid]:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        self.process.wait(timeout=30)

    def stop(self):
        if self.process.poll() is None:
            for pid in self.sessions():
                try:
                    os.kill(pid, signal.SIGTERM)
                except ProcessLookupError:
                    pass
            self.process.terminate()
        shutil.rmtree(self.public, ignore_errors=True)
        return self.process.wait(timeout=30)
