"""Jobs on a host over SSH, against OpenSSH's own client, which does nothing
there."""

import contextlib
import itertools
import os
import subprocess
import sys

import machine
from machine import ROOT, Skip, bench_exec, interleave, need
from report import Row, Target
from server import Connection, Cronium, bash_job, first_line_ms

sys.path.insert(0, str(ROOT / "tests" / "integration"))

from sshd import Sshd  # noqa: E402

USER = "cronium-bench"
USERDEL_NONE = 6  # "specified user doesn't exist"


class Host(contextlib.ExitStack):
    """An sshd, the user that it lets in, and what logs in there. All of it
    ends with self."""

    def __init__(self, settings):
        super().__init__()
        base = settings.directory / "ssh"
        with contextlib.ExitStack() as made:
            made.callback(remove_user)
            self.sshd = Sshd(base, user=USER)
            made.callback(self.sshd.stop)
            self.known = base / "known_hosts"
            self.known.write_text(self.sshd.known_hosts())
            self.control = base / "control"
            made.enter_context(machine.Program(
                self.ssh("-M", "-N", "-S", self.control)))
            machine.wait_until(self.control.exists, "ssh -M")
            self.server = made.enter_context(Cronium(
                settings, "ssh", 4, "--ssh-key", self.sshd.key,
                "--ssh-known-hosts", self.known))
            self.enter_context(made.pop_all())

    def ssh(self, *options):
        """argv, without what the user's own configuration says."""
        return ["ssh", "-F", "none", "-o", "BatchMode=yes", "-o",
                "IdentityAgent=none", "-o",
                f"UserKnownHostsFile={self.known}", "-i", self.sshd.key, "-p",
                self.sshd.port, *options, f"{USER}@{self.sshd.address}"]

    def add(self, name):
        with contextlib.closing(Connection(self.server.api)) as admin:
            admin.call("PUT", f"/v1/hosts/{name}", {
                "user": USER, "address": self.sshd.address,
                "port": self.sshd.port, "mode": "tunnel"})

    def job_ms(self, name, **permissions):
        job = {**bash_job("ssh", **permissions), "host": name}
        return first_line_ms(self.server, job)

    def new_ms(self, numbers):
        """Another host to Cronium, hence a connection of its own."""
        name = f"new{next(numbers)}"
        self.add(name)
        return self.job_ms(name)


def remove_user():
    def gone():
        done = subprocess.run(["userdel", "--remove", USER],
                              capture_output=True)
        return done.returncode in (0, USERDEL_NONE)

    # Not while processes of it still end.
    machine.wait_until(gone, f"userdel {USER}")


def measure(settings, host):
    """({name: Samples} on an open connection, {name: Samples} on new ones)"""
    numbers = itertools.count()
    host.add("pooled")
    host.job_ms("pooled")  # connects, and uploads the runner
    pooled = interleave(settings.repeats, {
        "default": lambda: host.job_ms("pooled"),
        "all": lambda: host.job_ms("pooled", all=True),
        "ssh, multiplexed": lambda: bench_exec(
            "exit", *host.ssh("-S", host.control), "true"),
    })
    new = interleave(settings.repeats, {
        "first": lambda: host.new_ms(numbers),
        "ssh": lambda: bench_exec("exit", *host.ssh("-S", "none"), "true"),
    })
    return pooled, new


def run(settings):
    need("ssh", "sshd", "ssh-keygen", "useradd")
    if os.geteuid() != 0:
        raise Skip("an sshd that lets another user in needs root")
    with Host(settings) as host:
        pooled, new = measure(settings, host)
    anchor = [pooled["ssh, multiplexed"]]
    return [
        Row("job over SSH: submit → first line", "ms", pooled["default"],
            anchor, Target("ratio", at_most=2)),
        Row("the same, --allow-all", "ms", pooled["all"], anchor,
            Target("ratio", at_most=2)),
        Row("the same, on a new connection", "ms", new["first"],
            [new["ssh"]], Target("ratio", at_most=2)),
    ]
