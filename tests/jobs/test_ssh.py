"""Jobs on hosts, over a real sshd: many over one connection, and every way in
which a host, its key, or the network can let them down."""

import hashlib
import os
import signal
import subprocess
import time

import pytest

from harness import BIN, Server
from patience import until
from ssh_jobs import (
    add, nothing_left, start, submit, wait_running)
from sshd import Sshd, fingerprint, keygen

pytestmark = pytest.mark.skipif(os.geteuid() != 0,
                                reason="a test's sshd needs root")
NOTICED_S = 30
RUNNER_NOTICED_S = 35  # two silent heartbeats, and the killing

HELLO = {
    "bash": ("hello.sh", "echo \"hello from $CRONIUM_EXECUTION_MODE\"\n"),
    "python": ("hello.py", "import os\n"
               "print('hello from', os.environ['CRONIUM_EXECUTION_MODE'])\n"),
    "node": ("hello.js", "console.log("
             "'hello from ' + process.env.CRONIUM_EXECUTION_MODE)\n"),
}


@pytest.fixture(scope="module")
def sshd(tmp_path_factory):
    sshd = Sshd(tmp_path_factory.mktemp("sshd"))
    yield sshd
    sshd.stop()


@pytest.fixture(scope="module")
def server(sshd, tmp_path_factory):
    server = start(tmp_path_factory.mktemp("server"), sshd)
    add(server, sshd, "web1", sshd.fingerprint())
    yield server
    assert server.stop() == 0, server.log.read_text()


@pytest.fixture
def scripts(tmp_path):
    def write(text, name="script.sh"):
        path = tmp_path / name
        path.write_text(text)
        return path

    return write


@pytest.fixture
def own(tmp_path):
    """Makes an sshd and a server of the test's own."""
    made = []

    def make(keys=True, server_options=(), **options):
        sshd = Sshd(tmp_path / f"sshd{len(made)}", **options)
        made.append(sshd)
        server = start(tmp_path / f"server{len(made)}", sshd,
                       *server_options, keys=keys)
        made.append(server)
        return sshd, server

    yield make
    codes = [thing.stop() for thing in reversed(made)]
    for thing in made:
        assert "Sanitizer" not in thing.log.read_text(), thing.log.read_text()
    assert not any(codes[::2])  # the servers'


# --- jobs ---------------------------------------------------------------------

@pytest.mark.parametrize("language", HELLO)
@pytest.mark.parametrize("options", [(), ("--allow-all",)],
                         ids=["confined", "all"])
def test_hello(server, sshd, scripts, language, options):
    name, text = HELLO[language]
    done = server.cronium("run", "--host", "web1", *options,
                          scripts(text, name))
    assert done.ok().err.splitlines()[-1] == "hello from ssh"
    nothing_left(sshd)


SDK = {
    "set.sh": "source cronium.sh\ncronium_set_variable greeting '\"hi\"'\n"
              "cronium_get_variable greeting | cronium_output -\n",
    "set.py": "import cronium\n"
              "cronium.set_variable('greeting', 'hi')\n"
              "cronium.output(cronium.get_variable('greeting'))\n",
    "set.mjs": "import cronium from 'cronium';\n"
               "await cronium.setVariable('greeting', 'hi');\n"
               "await cronium.setOutput(await cronium.getVariable('greeting'));"
               "\n",
    "set.cjs": "const cronium = require('cronium');\n"
               "cronium.setVariable('greeting', 'hi')"
               ".then(() => cronium.getVariable('greeting'))"
               ".then((v) => cronium.setOutput(v));\n",
}


@pytest.mark.parametrize("name", SDK)
@pytest.mark.parametrize("options", [(), ("--allow-all",)],
                         ids=["confined", "all"])
def test_sdk_through_the_tunnel(server, scripts, name, options):
    done = server.cronium("run", "--host", "web1", *options,
                          scripts(SDK[name], name))
    assert done.ok().json == "hi"


# Each waits until all the others run, too.
GATED = """source cronium.sh
until [ "$(cronium_get_variable go 2>/dev/null)" = true ]; do sleep 0.1; done
echo done
"""


def run_at_once(server, script, n, then):
    jobs = [server.popen("run", "--allow-run", "--host", "web1", script)
            for _ in range(n)]
    until(lambda: len(server.cronium("jobs", "--state", "running", "--json")
                      .ok().json["jobs"]) == n)
    then()
    server.cronium("vars", "set", "go", "true").ok()
    for job in jobs:
        out, err = job.communicate(timeout=90)
        assert (job.returncode, out) == (0, b""), err
        assert err.endswith(b"done\n")
    server.cronium("vars", "rm", "go").ok()


def test_several_share_a_connection(server, sshd, scripts):
    before = sshd.connections()

    def one():
        assert sshd.connections() <= before + 1

    run_at_once(server, scripts(GATED), 6, one)
    one()


def test_more_than_a_connection_takes(own, scripts):
    """With MaxSessions 2, five jobs at once need three connections."""
    sshd, server = own(MaxSessions=2)
    add(server, sshd, "web1", sshd.fingerprint())

    def three():
        assert sshd.connections() >= 3

    run_at_once(server, scripts(GATED), 5, three)


def test_large_output(server, scripts):
    text = ("import sys\nfor i in range(80000):\n"
            "    sys.stdout.write(f'{i:08d}' + 'x' * 91 + '\\n')\n")
    done = server.cronium("run", "--host", "web1", scripts(text, "big.py"))
    assert done.code == 0, done.err
    lines = [line for line in done.err.splitlines() if len(line) == 99]
    assert [int(line[:8]) for line in lines] == list(range(80000))


def test_large_input_and_output(server, scripts, tmp_path):
    given = tmp_path / "input.json"
    given.write_text('"' + "y" * 4_000_000 + '"')
    script = scripts("import cronium\ncronium.output(cronium.input() * 2)\n",
                     "in.py")
    done = server.cronium("run", "--host", "web1", "--input", f"@{given}",
                          script)
    assert done.ok().json == "y" * 8_000_000


def test_exit_code_and_stderr(server, scripts):
    done = server.cronium("run", "--host", "web1",
                          scripts("echo oops >&2; exit 7\n"))
    assert done.code == 7
    assert "oops" in done.err


TREE = "echo up\n(sleep 1234 & sleep 1234) &\nsleep 1234\n"


def test_cancel_ends_the_tree(server, sshd, scripts):
    job = submit(server, scripts(TREE), "--allow-run")
    wait_running(server, sshd, job, "sleep 1234")
    server.cronium("cancel", job).ok()
    assert server.wait_state(job, "cancelled", "failed")["state"] == \
        "cancelled"
    nothing_left(sshd)


def test_timeout_ends_the_tree(server, sshd, scripts):
    job = submit(server, scripts(TREE), "--allow-run", "--timeout", "1s")
    found = server.wait_state(job, "timed_out", "failed", "succeeded")
    assert found["state"] == "timed_out"
    nothing_left(sshd)


def test_one_that_ignores_signals(server, sshd, scripts):
    text = "trap '' TERM\necho up\nwhile :; do sleep 1234; done\n"
    job = submit(server, scripts(text), "--allow-all", "--timeout", "1s")
    found = server.wait_state(job, "timed_out", "failed", "succeeded")
    assert found["state"] == "timed_out"
    nothing_left(sshd)


# --- what breaks --------------------------------------------------------------

@pytest.mark.parametrize("options", [("--allow-run",), ("--allow-all",)],
                         ids=["confined", "all"])
def test_sshd_dies(own, scripts, options):
    sshd, server = own()
    add(server, sshd, "web1", sshd.fingerprint())
    job = submit(server, scripts(TREE), *options)
    wait_running(server, sshd, job, "sleep 1234")
    sshd.kill()
    found = server.wait_state(job, "failed", "succeeded", "lost")
    assert found["state"] == "failed"
    assert "connection to host web1 was lost" in found["reason"]
    assert "not known" in found["reason"]
    nothing_left(sshd)
    assert not sshd.listeners()
    sshd.start()
    done = server.cronium("run", "--host", "web1", scripts("echo again\n"))
    assert done.ok().err.endswith("again\n")


def test_the_orchestrator_dies(own, scripts):
    sshd, server = own()
    add(server, sshd, "web1", sshd.fingerprint())
    job = submit(server, scripts(TREE), "--allow-run")
    wait_running(server, sshd, job, "sleep 1234")
    os.kill(server.children()["cronium-orchestrator"], signal.SIGKILL)
    nothing_left(sshd)
    until(lambda: not sshd.listeners())
    found = server.wait_state(job, "lost", "failed", "succeeded")
    assert found["state"] == "lost"


@pytest.fixture
def cable():
    """A network namespace, and the veth that leads to it."""
    name = f"crssh{os.getpid() % 10000}"
    net = f"10.{200 + os.getpid() % 50}.{os.getpid() // 50 % 250}"

    def ip(*args):
        subprocess.run(["ip", *args], check=True)

    ip("netns", "add", name)
    try:
        ip("link", "add", f"{name}a", "type", "veth", "peer", "name",
           f"{name}b", "netns", name)
        ip("addr", "add", f"{net}.1/24", "dev", f"{name}a")
        ip("link", "set", f"{name}a", "up")
        ip("-n", name, "addr", "add", f"{net}.2/24", "dev", f"{name}b")
        ip("-n", name, "link", "set", f"{name}b", "up")
        ip("-n", name, "link", "set", "lo", "up")
        yield name, f"{net}.2", lambda: ip("link", "set", f"{name}a", "down")
    finally:
        subprocess.run(["ip", "link", "del", f"{name}a"])
        ip("netns", "del", name)


@pytest.mark.timeout(180)
def test_the_cable_is_cut(own, scripts, cable):
    name, address, cut = cable
    sshd, server = own(netns=name, address=address)
    add(server, sshd, "web1", sshd.fingerprint())
    job = submit(server, scripts(TREE), "--allow-run")
    wait_running(server, sshd, job, "sleep 1234")
    cut()
    began = time.monotonic()
    found = server.wait_state(job, "failed", "succeeded", "lost")
    assert found["state"] == "failed"
    assert "connection to host web1 was lost" in found["reason"]
    assert time.monotonic() - began < NOTICED_S
    until(lambda: not sshd.processes(),
          seconds=RUNNER_NOTICED_S - (time.monotonic() - began))
    nothing_left(sshd)


def test_a_runner_that_was_altered_is_replaced(own, scripts):
    sshd, server = own()
    add(server, sshd, "web1", sshd.fingerprint())
    hello = scripts("echo hello\n")
    server.cronium("run", "--host", "web1", hello).ok()
    good = (BIN / "cronium-runner").read_bytes()
    runner = sshd.cache / f"runner-{hashlib.sha256(good).hexdigest()}"
    assert runner.read_bytes() == good
    runner.unlink()  # one may still run
    runner.write_bytes(b"#!/bin/sh\necho evil\n")
    os.chown(runner, sshd.user.pw_uid, sshd.user.pw_gid)
    for pid in sshd.sessions():
        os.kill(pid, signal.SIGKILL)
    done = until(lambda: (d := server.cronium(
        "run", "--host", "web1", hello)).code == 0 and d)
    assert done.err.endswith("hello\n")
    assert runner.read_bytes() == good
    assert runner.stat().st_mode & 0o777 == 0o700


# --- who is who ---------------------------------------------------------------

def refused(server, scripts, host="web1", name="refused.sh"):
    done = server.cronium("run", "--host", host, scripts("echo no\n", name))
    assert done.code == 125
    assert done.out == ""
    return done.err


def test_an_unknown_key(own, scripts):
    sshd, server = own()
    add(server, sshd, "web1")
    err = refused(server, scripts)
    accept = f"cronium hosts accept web1 {sshd.fingerprint()}"
    assert "is not known" in err and accept in err
    assert sshd.connections() == 0
    server.cronium("hosts", "accept", "web1", sshd.fingerprint()).ok()
    done = server.cronium("run", "--host", "web1", scripts("echo yes\n"))
    assert done.ok().err.endswith("yes\n")


def test_a_key_that_changed(own, scripts):
    sshd, server = own()
    old = fingerprint(keygen(sshd.base / "other").with_suffix(".pub"))
    add(server, sshd, "web1", old)
    err = refused(server, scripts)
    assert "HAS CHANGED" in err and old in err
    assert f"cronium hosts accept web1 {sshd.fingerprint()}" in err
    assert sshd.connections() == 0


def test_a_pinned_key_of_another_algorithm(own, scripts):
    sshd, server = own()
    add(server, sshd, "web1", sshd.fingerprint("ecdsa"))
    done = server.cronium("run", "--host", "web1", scripts("echo yes\n"))
    assert done.ok().err.endswith("yes\n")


def hashed(sshd, path, line):
    path.write_text(line)
    subprocess.run(["ssh-keygen", "-q", "-H", "-f", path], check=True,
                   capture_output=True)


@pytest.mark.parametrize("kind", ["ed25519", "ecdsa"])
@pytest.mark.parametrize("form", ["plain", "hashed", "revoked", "changed"])
def test_known_hosts(tmp_path, sshd, scripts, kind, form):
    known = tmp_path / "known_hosts"
    line = sshd.known_hosts(kind)
    if form == "changed":
        other = keygen(tmp_path / "other", kind).with_suffix(".pub")
        line = f"[{sshd.address}]:{sshd.port} {other.read_text()}"
    known.write_text(f"# comment\n\n{line}")
    if form == "hashed":
        hashed(sshd, known, line)
        assert sshd.address not in known.read_text()
    if form == "revoked":
        known.write_text(f"@revoked * {line.split(' ', 1)[1]}{line}")
    server = Server(tmp_path / "server", "--executors", "ssh", "--ssh-key",
                    sshd.key, "--ssh-known-hosts", known)
    try:
        add(server, sshd, "web1")
        done = server.cronium("run", "--host", "web1",
                              scripts("echo yes\n"))
        if form in ("plain", "hashed"):
            assert done.ok().err.endswith("yes\n")
        else:
            assert done.code == 125
            assert {"revoked": "is marked as revoked",
                    "changed": "HAS CHANGED"}[form] in done.err
    finally:
        assert server.stop() == 0


def test_the_agent(own, scripts, tmp_path, monkeypatch):
    agent = subprocess.run(["ssh-agent", "-s"], capture_output=True,
                           text=True, check=True).stdout
    found = dict(part.split("=", 1) for part in agent.replace(
        "\n", "").split(";") if part.startswith("SSH_"))
    monkeypatch.setenv("SSH_AUTH_SOCK", found["SSH_AUTH_SOCK"])
    try:
        sshd, server = own(
            keys=False, server_options=("--ssh-key", tmp_path / "none"))
        ecdsa = keygen(tmp_path / "agent_ecdsa", "ecdsa")
        sshd.authorize(sshd.key)
        for key in (ecdsa, sshd.key):
            subprocess.run(["ssh-add", "-q", key], check=True)
        add(server, sshd, "web1", sshd.fingerprint())
        done = server.cronium("run", "--host", "web1",
                              scripts("echo yes\n"))
        assert done.ok().err.endswith("yes\n")
    finally:
        os.kill(int(found["SSH_AGENT_PID"]), signal.SIGTERM)


def test_no_key_is_accepted(own, scripts):
    sshd, server = own()
    sshd.authorized.write_text("")
    add(server, sshd, "web1", sshd.fingerprint())
    err = refused(server, scripts)
    assert f"accepts none of our keys for user {sshd.user.pw_name}" in err
    assert "authorized_keys" in err


def test_a_key_with_a_passphrase(own, scripts, tmp_path):
    key = keygen(tmp_path / "locked", passphrase="secret")
    sshd, server = own(keys=False, server_options=("--ssh-key", key))
    sshd.authorize(key)
    add(server, sshd, "web1", sshd.fingerprint())
    assert "passphrase" in refused(server, scripts)


def test_a_wrong_user(server, sshd, scripts):
    add(server, sshd, "wrong", sshd.fingerprint(), user="nobody-there")
    assert "accepts none of our keys for user nobody-there" in \
        refused(server, scripts, "wrong")


def test_unreachable(server, sshd, scripts):
    import socket
    with socket.socket() as s:  # bound, and nobody listens
        s.bind(("127.0.0.1", 0))
        add(server, sshd, "off", sshd.fingerprint(),
            port=s.getsockname()[1])
        err = refused(server, scripts, "off")
    assert "cannot be reached: Connection refused" in err


def test_a_host_that_says_nothing(server, sshd, scripts):
    import socket
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        s.listen(4)
        add(server, sshd, "mute", sshd.fingerprint(),
            port=s.getsockname()[1])
        err = refused(server, scripts, "mute")
    assert "handshake" in err


def test_no_forwarding(own, scripts):
    sshd, server = own(AllowTcpForwarding="no")
    add(server, sshd, "web1", sshd.fingerprint())
    err = refused(server, scripts)
    assert "AllowTcpForwarding" in err
    nothing_left(sshd)


def test_no_commands(own, scripts):
    sshd, server = own(ForceCommand="echo welcome")
    add(server, sshd, "web1", sshd.fingerprint())
    assert "writes text of its own" in refused(server, scripts)


def test_a_refusal_is_not_repeated_at_once(own, scripts):
    """Five jobs at a host that lets nobody in: attempts wait."""
    sshd, server = own()
    sshd.authorized.write_text("")
    add(server, sshd, "web1", sshd.fingerprint())
    script = scripts("echo no\n")
    began = time.monotonic()
    for _ in range(4):
        assert server.cronium("run", "--host", "web1", script).code == 125
    assert time.monotonic() - began > 0.5 + 1 + 2 - 0.2
