"""What tests of jobs on hosts do again and again."""

import glob
import os
import time

from harness import Server

GONE_S = 30


def start(base, sshd, *options, keys=True):
    more = ("--ssh-key", sshd.key) if keys else ()
    return Server(base, "--executors", "ssh", "--ssh-known-hosts",
                  "/dev/null", *more, *options)


def add(server, sshd, name, key=None, user=None, port=None, mode="tunnel"):
    pin = ("--host-key", key) if key else ()
    return server.cronium(
        "hosts", "add", name, f"{user or sshd.user.pw_name}@{sshd.address}:"
        f"{port or sshd.port}", "--mode", mode, *pin).ok()


def wait_for(what, timeout=GONE_S):
    deadline = time.monotonic() + timeout
    while not (found := what()):
        assert time.monotonic() < deadline, "it did not come to pass"
        time.sleep(0.05)
    return found


def is_theirs(sshd, path):
    try:
        return os.stat(path).st_uid == sshd.user.pw_uid
    except FileNotFoundError:
        return False


def nothing_left(sshd):
    wait_for(lambda: not sshd.processes())
    wait_for(lambda: not [d for d in glob.glob("/tmp/cronium-run-*")
                          if is_theirs(sshd, d)])


def submit(server, script, *options, host="web1"):
    return server.cronium("submit", "--host", host, *options,
                          script).ok().out.strip()


def wait_running(server, sshd, job, what):
    """Until the job's own process is there."""
    server.wait_state(job, "running", "failed")
    wait_for(lambda: [p for p in sshd.processes() if what in p[1]])
