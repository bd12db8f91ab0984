"""`cronium payload`, as far as it needs no server: what it shows and says."""

import subprocess

import pytest


MANIFEST = """\
version: v1
interpreter: python
entrypoint: main.py
environment:
  REGION: eu
runtime:
  permissions:
    net: [api.example.com]
"""


@pytest.fixture
def payload(home):
    source = home.dir / "report"
    source.mkdir()
    (source / "manifest.yaml").write_text(MANIFEST)
    (source / "main.py").write_text("print('ran')")
    r = home("pack", source)
    assert r.code == 0, r
    return r.out.strip()


def test_what_it_asks_for_is_shown(home, payload):
    r = home("payload", "show", payload)
    assert r.code == 0
    assert 'environment: {"REGION":"eu"}\n' in r.out
    assert 'runtime: {"permissions":{"net":["api.example.com"]}}\n' in r.out


def test_the_advice_for_a_wrong_key_overwrites_none(home, payload):
    key = home.dir / "p384.pem"
    subprocess.run(["openssl", "ecparam", "-name", "secp384r1", "-genkey",
                    "-noout", "-out", key], check=True)
    r = home("payload", "sign", payload, "--key", key)
    assert r.code == 1 and f"{key} is no private key of P-256" in r.err
    assert f"-out {key}" not in r.err
