"""`cronium hosts`, against a server of its own."""

import json

import pytest

from cli_process import Home, Up

KEY = "SHA256:" + 43 * "A"


@pytest.fixture(scope="module")
def home():
    home = Home()
    with Up(home, "--executors", "sandbox") as up:
        up.wait_ready()
        yield home
    home.remove()


def listed(home):
    done = home("hosts", "list", "--json")
    assert done.code == 0, done.err
    return {h["name"]: h for h in json.loads(done.out)["hosts"]}


@pytest.mark.parametrize("written, user, address, port", [
    ("a@web1", "a", "web1", 22), ("a@web1:2222", "a", "web1", 2222),
    ("a.b@10.0.0.1:22", "a.b", "10.0.0.1", 22), ("a@::1", "a", "::1", 22),
    ("a@[fe80::1]:23", "a", "fe80::1", 23), ("a@[::1]", "a", "::1", 22),
])
def test_addresses(home, written, user, address, port):
    assert home("hosts", "add", "there", written).code == 0
    host = listed(home)["there"]
    assert (host["user"], host["address"], host["port"]) == (
        user, address, port)
    assert home("hosts", "rm", "there").code == 0
    assert "there" not in listed(home)


@pytest.mark.parametrize("written", [
    "web1", "@web1", "a@", "a@:22", "a@web1:", "a@web1:x", "a@[::1", "a@[]"])
def test_what_is_no_address(home, written):
    done = home("hosts", "add", "there", written)
    assert done.code == 2 and "USER@HOST" in done.err
    assert "there" not in listed(home)


def test_an_accepted_key_stays_with_the_machine(home):
    assert home("hosts", "add", "web1", "a@10.0.0.1").code == 0
    assert listed(home)["web1"]["host_key"] is None
    assert home("hosts", "accept", "web1", KEY).code == 0
    assert home("hosts", "add", "web1", "b@10.0.0.1",
                    "--read-only").code == 0
    host = listed(home)["web1"]
    assert (host["user"], host["host_key"], host["read_only"]) == (
        "b", KEY, True)
    assert home("hosts", "add", "web1", "b@10.0.0.2").code == 0
    assert listed(home)["web1"]["host_key"] is None
