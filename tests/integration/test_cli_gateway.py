"""`cronium up` with a gateway: one more process, by the same rules."""

import os
import signal
import socket
import ssl

import pytest
import requests

from cli_process import TIMEOUT, Up, wait_gone
from gateway_harness import Authority


class Gateway:
    """The options, and who asks."""

    def __init__(self, directory):
        self.authority = Authority(directory)
        self.cert, self.key = self.authority.issue(
            "gateway", "DNS:localhost,IP:127.0.0.1")
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]

    @property
    def options(self):
        return ("--executors", "sandbox", "--gateway",
                f"127.0.0.1:{self.port}", "--gateway-cert", self.cert,
                "--gateway-key", self.key, "--gateway-url",
                f"https://localhost:{self.port}")

    def health(self):
        with requests.Session() as session:
            session.trust_env = False
            r = session.get(f"https://localhost:{self.port}/healthz",
                            verify=str(self.authority.file), timeout=TIMEOUT)
        return r.json()

    def name(self):
        """Of its certificate."""
        context = ssl.create_default_context(cafile=self.authority.file)
        with context.wrap_socket(
                socket.create_connection(("127.0.0.1", self.port)),
                server_hostname="localhost") as s:
            return dict(x[0] for x in s.getpeercert()["subject"])[
                "commonName"]


@pytest.fixture
def gateway(home):
    return Gateway(home.dir)


@pytest.fixture
def up(home, gateway):
    with Up(home, *gateway.options) as up:
        yield up.wait_ready()


def test_ready_means_that_it_listens(home, gateway, up):
    assert gateway.health() == {"status": "ok"}
    directory = home.run_dir / "gateway"
    assert directory.stat().st_mode & 0o777 == 0o700
    for name in "control.sock", "door.sock":
        assert (directory / name).stat().st_mode & 0o777 == 0o600


def test_a_wider_directory_is_made_narrow(home, gateway):
    directory = home.run_dir / "gateway"
    directory.mkdir(parents=True)
    directory.chmod(0o777)
    with Up(home, *gateway.options) as up:
        up.wait_ready()
        assert directory.stat().st_mode & 0o777 == 0o700


def test_it_is_stopped_between_the_others(home, up):
    pid = up.pid("gateway")
    assert up.stop() == 0
    assert wait_gone(pid)
    at = 0
    for who in "cronium-orchestrator", "gateway", "cronium-backend":
        _, at = up.wait_line(f"who={who} msg=\"stopped", at)
    assert home.processes() == []
    assert list((home.run_dir / "gateway").iterdir()) == []


def test_it_is_started_again(gateway, up):
    first = up.pid("gateway")
    os.kill(first, signal.SIGKILL)
    assert up.pid("gateway", 1) != first
    up.wait_line("prog=gateway .*ready", up.wait_line(
        "prog=up who=gateway msg=\"ended: signal 9")[1])
    assert gateway.health() == {"status": "ok"}
    # What ended it was not its configuration.
    os.kill(up.pid("gateway", 1), signal.SIGTERM)
    assert up.pid("gateway", 2)


def test_it_never_outlives_the_server(up):
    pid = up.pid("gateway")
    up.process.kill()
    up.process.wait()
    assert wait_gone(pid)


def test_its_certificate_is_read_again(gateway, up):
    assert gateway.name() == "gateway"
    cert, key = gateway.authority.issue("renewed", "DNS:localhost")
    gateway.key.write_bytes(key.read_bytes())
    gateway.cert.write_bytes(cert.read_bytes())
    up.process.send_signal(signal.SIGHUP)
    up.wait_line("prog=gateway .*was read again")
    assert gateway.name() == "renewed"
    assert up.process.poll() is None


def test_a_rate_is_passed_on(home, gateway):
    with Up(home, *gateway.options, "--rate-requests", "60/5") as up:
        pid = up.wait_ready().pid("gateway")
        line = dict(home.processes())[pid]
        assert "--rate-requests 60/5 " in line


def fails(home, options):
    with Up(home, *options) as up:
        assert up.process.wait(TIMEOUT) == 1
        up.wait_line("end of the log")
        return "".join(up.lines)


def test_what_it_cannot_use_is_said(home, gateway):
    gateway.cert.write_text("no certificate")
    said = fails(home, gateway.options)
    assert str(gateway.cert) in said
    assert "gateway ended with exit code 1 when it was started" in said
    gateway.cert.unlink()
    said = fails(home, gateway.options)
    assert f"cannot load '{gateway.cert}': No such file" in said


def test_a_port_in_use_is_said(home, gateway):
    with socket.create_server(("127.0.0.1", gateway.port)):
        said = fails(home, gateway.options)
    assert str(gateway.port) in said
    assert "gateway ended with exit code 1 when it was started" in said


def test_usage(home, gateway):
    given = gateway.options[2:]
    for i in range(0, len(given), 2):
        r = home("up", *given[:i], *given[i + 2:])
        assert r.code == 2
        assert f"{given[i]} " in r.err and "is missing" in r.err
    for url in "http://localhost:1", "localhost:1", "https://":
        r = home("up", *given[:-1], url)
        assert r.code == 2 and "https://HOST[:PORT]" in r.err
    r = home("up", *given, "--rate-requests", "many")
    assert r.code == 2 and "--rate-requests many" in r.err


def test_hanging_up_ends_a_server_without_one(home):
    with Up(home, "--executors", "sandbox") as up:
        up.wait_ready().process.send_signal(signal.SIGHUP)
        assert up.process.wait(TIMEOUT) == 0
