"""The runners that ./dev runner builds for hosts, of both architectures; the
arm64 one under qemu-user, which knows neither namespaces nor Landlock."""

import os
import platform
import shutil
import struct
import subprocess

import pytest

from patience import until
from runner_host import BIN, Host, archive
from signing import SIGNER

MAX_BYTES = 5 * 1000 * 1000
MACHINES = {"amd64": 62, "arm64": 183}  # e_machine of ELF
PT_INTERP, PT_DYNAMIC = 3, 2
ALL = "runtime:\n  permissions: {all: true}\n"

pytestmark = pytest.mark.timeout(90)


def runner(arch):
    return os.path.abspath(os.path.join(
        os.path.dirname(os.path.abspath(BIN)), "..", "build", "bin",
        f"cronium-runner-{arch}"))


def command(arch):
    """How a runner of this architecture runs on this machine."""
    here = {"x86_64": "amd64", "aarch64": "arm64"}[platform.machine()]
    if arch == here:
        return []
    return [shutil.which("qemu-aarch64-static")]


@pytest.fixture(params=MACHINES)
def arch(request):
    return request.param


@pytest.fixture
def host(arch, tmp_path):
    host = Host(tmp_path, None)
    host.wrap = command(arch)
    host.runner = runner(arch)
    return host


def test_small_and_static(arch):
    path = runner(arch)
    assert os.path.getsize(path) <= MAX_BYTES
    with open(path, "rb") as f:
        data = f.read()
    assert data[:5] == b"\x7fELF\x02"
    assert struct.unpack_from("<H", data, 18)[0] == MACHINES[arch]
    offset, = struct.unpack_from("<Q", data, 32)
    size, count = struct.unpack_from("<HH", data, 54)
    kinds = {struct.unpack_from("<I", data, offset + i * size)[0]
             for i in range(count)}
    assert PT_INTERP not in kinds and PT_DYNAMIC not in kinds
    assert b".debug_info" not in data


def test_version(host):
    out = subprocess.run(host.command("--version"), capture_output=True,
                         text=True)
    assert (out.returncode, out.stdout) == (0, "0.1.0\n"), out.stderr


def run(host, more=ALL, change=None, script="cat lib/x; echo $0 $1; exit 3"):
    data = archive({"manifest.yaml": "version: v1\ninterpreter: bash\n"
                                     f"entrypoint: main.sh\n{more}",
                    "main.sh": script, "lib/x": "x\n"})
    path = host.root / "p.tar.gz"
    (host.root / "p.tar.gz.sig").write_text(SIGNER.sign(data))
    (host.root / "key.pub").write_bytes(SIGNER.pem)
    path.write_bytes(change(data) if change else data)
    return subprocess.run(
        host.command("run", path, "--key", host.root / "key.pub", "--", "a"),
        env=host.env(), capture_output=True, text=True, timeout=60)


def test_a_signed_payload(host):
    r = run(host)
    assert (r.returncode, r.stdout) == (3, "x\nmain.sh a\n"), r.stderr
    until(lambda: host.left() == [])


def test_an_altered_one(host):
    r = run(host, change=lambda data: data[:-1] + bytes([data[-1] ^ 1]))
    assert (r.returncode, r.stdout) == (125, ""), r.stderr
    assert "altered" in r.stderr and host.left() == []


def test_what_cannot_be_confined_does_not_run(host, arch):
    """Natively it can."""
    r = run(host, more="", script="echo ran")
    if host.wrap:
        assert (r.returncode, r.stdout) == (125, ""), r.stderr
    else:
        assert (r.returncode, r.stdout) == (0, "ran\n"), r.stderr
    assert host.left() == []
