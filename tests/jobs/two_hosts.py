"""Hosts of their own on one machine: each a network namespace with a Docker
engine and an orchestrator, joined by a cable that can be cut to a third one,
where the backends are."""

import contextlib
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile
import time

from harness import BIN
from patience import until
from proc import processes_with

ENGINE_START_S = 60
IMAGE = "cronium/bash"
# Runs until the test sets the variable.
PATIENT = """
source cronium.sh
echo begun
until [ "$(cronium_get_variable go 2>/dev/null)" = true ]; do sleep 0.2; done
echo done
"""


def run(*command, **options):
    return subprocess.run([str(c) for c in command], check=True, text=True,
                          capture_output=True, timeout=120, **options).stdout


class Namespace:
    """Nothing but lo, until somebody puts a cable in."""

    def __init__(self, name):
        self.name = name
        run("ip", "netns", "add", name)
        self.run("ip", "link", "set", "lo", "up")

    @property
    def enter(self):
        """What starts a program in it. Not `ip netns exec`, which hides the
        control groups."""
        return ["nsenter", f"--net=/run/netns/{self.name}", "--"]

    def run(self, *command):
        return run(*self.enter, *command)

    def remove(self):
        run("ip", "netns", "del", self.name)


class Cable:
    """From one namespace to another, with the addresses of its two ends."""

    def __init__(self, near, far, number):
        self.near, self.end = near, f"{near.name}-e"
        other = f"{near.name}-o"
        self.address, self.far_address = (
            f"10.231.{number}.2", f"10.231.{number}.1")
        run("ip", "link", "add", self.end, "netns", near.name, "type", "veth",
            "peer", "name", other, "netns", far.name)
        near.run("ip", "address", "add", f"{self.address}/24", "dev", self.end)
        far.run("ip", "address", "add", f"{self.far_address}/24", "dev", other)
        near.run("ip", "link", "set", self.end, "up")
        far.run("ip", "link", "set", other, "up")

    def cut(self):
        self.near.run("ip", "link", "set", self.end, "down")

    def mend(self):
        self.near.run("ip", "link", "set", self.end, "up")


class Engine:
    """dockerd, with all of its own."""

    def __init__(self, namespace):
        # Short, so that sockets fit in it.
        self.base = pathlib.Path(tempfile.mkdtemp(prefix="h-", dir="/tmp"))
        self.socket = self.base / "docker.sock"
        self.log = open(self.base / "log", "ab")
        self.namespace = namespace
        self.start()

    def start(self):
        name = self.namespace.name
        self.process = subprocess.Popen(
            [*self.namespace.enter, "dockerd", "--data-root",
             self.base / "data", "--exec-root", self.base / "x", "--pidfile",
             self.base / "pid", "-H", f"unix://{self.socket}", "--bridge=none",
             "--iptables=false", "--ip6tables=false", "--ip-forward=false",
             "--containerd-namespace", name,
             "--containerd-plugins-namespace", f"{name}-plugins"],
            stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log)

    def __call__(self, *args):
        return run("docker", "-H", f"unix://{self.socket}", *args)

    def wait_ready(self):
        deadline = time.monotonic() + ENGINE_START_S
        while True:
            try:
                return self("version")
            except subprocess.CalledProcessError:
                assert self.process.poll() is None and \
                    time.monotonic() < deadline, \
                    (self.base / "log").read_text()
                time.sleep(0.1)

    def pods(self, *options, label="cronium.pod"):
        """Containers of pods; running ones, or with "-a" all."""
        return self("ps", "-q", *options, "--filter",
                    f"label={label}").split()

    def ends(self, label):
        """When containers ended, in ms: the last 256 events are kept."""
        told = self("events", "--since", "0", "--until", f"{time.time():.3f}",
                    "--filter", "event=die", "--filter", f"label={label}",
                    "--format", "{{.TimeNano}}")
        return [int(nanoseconds) / 1e6 for nanoseconds in told.split()]

    def signal(self, number):
        self.process.send_signal(number)

    def kill(self):
        """With its containerd, which would go a moment later by itself, in
        the way of the next one. What runs in it goes on until that comes."""
        containerd = int((self.base / "x/containerd/containerd.pid")
                         .read_text())
        self.process.kill()
        self.process.wait(60)
        try:
            os.kill(containerd, signal.SIGKILL)
        except ProcessLookupError:
            pass
        until(lambda: not pathlib.Path(f"/proc/{containerd}").exists())

    def stop(self):
        """A killed one leaves its mounts, and who watched its containers."""
        self.process.terminate()
        self.process.wait(60)
        self.log.close()
        for pid in processes_with(f"-address {self.base}/x/containerd/"):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        mounts = [line.split()[1] for line in open("/proc/mounts")]
        for place in reversed(mounts):
            if place.startswith(f"{self.base}/"):
                run("umount", "-l", place)
        shutil.rmtree(self.base)


class Host:
    """A namespace with its engine; an orchestrator, once it is started."""

    def __init__(self, name, number, center, base):
        self.name, self.base = name, base / name
        self.namespace = Namespace(f"cr{os.getpid() % 100000}{name[-1]}")
        self.cable = Cable(self.namespace, center, number)
        self.engine = Engine(self.namespace)
        self.process = None
        self.log = base / f"{name}.log"

    def load(self, archive):
        self.engine.wait_ready()
        self.engine("load", "-q", "-i", archive)

    def start(self, backends, key_file):
        urls = ",".join(f"http://{self.cable.far_address}:{b.port}"
                        for b in backends)
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                [*self.namespace.enter, BIN / "cronium-orchestrator",
                 "--data-dir", self.base / "data", "--run-dir",
                 self.engine.base / "r", "--docker-socket", self.engine.socket,
                 "--executors", "docker", "--name", self.name, "--backend",
                 urls, "--api-key-file", key_file],
                stdin=subprocess.DEVNULL, stderr=log,
                env={**os.environ, "CRONIUM_GUARD": "off"})

    def stop(self):
        status = 0
        if self.process:
            self.process.terminate()
            status = self.process.wait(60)
        self.engine.stop()
        self.namespace.remove()
        return status
