"""What tests of jobs on hosts do again and again."""

import glob
import os

from harness import Server
from patience import until


def start(base, sshd, *options, keys=True):
    more = ("--ssh-key", sshd.key) if keys else ()
    return Server(base, "--executors", "ssh", "--ssh-known-hosts",
                  "/dev/null", *more, *options)


def add(server, sshd, name, key=None, user=None, port=None, mode="tunnel"):
    pin = ("--host-key", key) if key else ()
    return server.cronium(
        "hosts", "add", name, f"{user or sshd.user.pw_name}@{sshd.address}:"
        f"{port or sshd.port}", "--mode", mode, *pin).ok()


def is_theirs(sshd, path):
    try:
        return os.stat(path).st_uid == sshd.user.pw_uid
    except FileNotFoundError:
        return False


def nothing_left(sshd):
    until(lambda: not sshd.processes())
    until(lambda: not [d for d in glob.glob("/tmp/cronium-run-*")
                       if is_theirs(sshd, d)])


def submit(server, script, *options, host="web1"):
    return server.cronium("submit", "--host", host, *options,
                          script).ok().out.strip()


def wait_running(server, sshd, job, what):
    """Until the job's own process is there."""
    server.wait_state(job, "running", "failed")
    until(lambda: [p for p in sshd.processes() if what in p[1]])
