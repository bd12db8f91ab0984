"""cronium-runner install: a tar.gz from stdin becomes a directory."""

import hashlib
import os
import subprocess
import threading

import pytest

from runner_host import RUNNER, archive

pytestmark = pytest.mark.timeout(60)

FILES = {"python/cronium/__init__.py": "x = 1\n",
         "bash/cronium.sh": (0o755, "echo\n")}


def install(target, data, sha256=None):
    sha256 = sha256 or hashlib.sha256(data).hexdigest()
    return subprocess.run(
        [RUNNER, "install", str(target), "--sha256", sha256], input=data,
        capture_output=True)


def names(root):
    return sorted(str(p.relative_to(root)) for p in root.rglob("*")
                  if p.is_file())


def test_install_and_again(tmp_path):
    target = tmp_path / "cache" / "sdk"
    data = archive(FILES)
    assert install(target, data).returncode == 0
    assert names(target) == [".cronium-sha256", "bash/cronium.sh",
                             "python/cronium/__init__.py"]
    assert (target / "bash/cronium.sh").stat().st_mode & 0o777 == 0o755
    inode = target.stat().st_ino
    again = install(target, b"", hashlib.sha256(data).hexdigest())
    assert again.returncode == 0 and target.stat().st_ino == inode
    assert os.listdir(target.parent) == ["sdk"]


def test_other_bytes_replace_it(tmp_path):
    target = tmp_path / "sdk"
    assert install(target, archive(FILES)).returncode == 0
    assert install(target, archive({"only": "x"})).returncode == 0
    assert names(target) == [".cronium-sha256", "only"]
    assert os.listdir(tmp_path) == ["sdk"]


@pytest.mark.parametrize("data, sha256, words", [
    (archive(FILES), "0" * 64, "has the SHA-256"),
    (archive(FILES)[:-20], None, "cannot|archive|end"),
    (archive({"../x": "y"}), None, "\\.\\."),
    (b"", None, ""),
], ids=["hash", "cut", "outside", "empty"])
def test_what_is_not_unpacked(tmp_path, data, sha256, words):
    import re
    r = install(tmp_path / "sdk", data, sha256)
    assert r.returncode == 1
    assert re.search(words, r.stderr.decode())
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("args", [
    ["d"], ["d", "--sha256", "abc"], ["d", "--sha256", "G" * 64],
    ["--sha256", "0" * 64]])
def test_arguments(args):
    r = subprocess.run([RUNNER, "install", *args], capture_output=True)
    assert r.returncode == 2 and b"--sha256" in r.stderr


def test_many_at_once(tmp_path):
    data = archive(FILES)
    codes = []
    threads = [threading.Thread(target=lambda: codes.append(
        install(tmp_path / "sdk", data).returncode)) for _ in range(8)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert codes == [0] * 8
    assert names(tmp_path / "sdk")[0] == ".cronium-sha256"
    assert os.listdir(tmp_path) == ["sdk"]
