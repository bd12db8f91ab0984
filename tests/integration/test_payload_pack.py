"""payload/pack: the same files are the same bytes, and nothing else gets in."""

import os
import socket
import tarfile

import pytest

from payload_files import Surroundings, files_of, ok, refused, tool
from tar_forge import MANIFEST

pytestmark = pytest.mark.timeout(60)

DEEP = "/".join(["d"] * 33)


@pytest.fixture
def around(tmp_path):
    top = tmp_path / "top"
    top.mkdir()
    return Surroundings(top)


def make_tree(top, order=1):
    files = {"manifest.yaml": MANIFEST, "main.py": b"print(1)\n",
             "lib/a.py": b"a", "lib-b": b"b", "lib/deep/c.py": b"c" * 5000,
             "lib/" + "n" * 120 + "/" + "m" * 120: b"n", "é/ü": b"u",
             "empty.txt": b""}
    for name in sorted(files)[::order]:
        path = top / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(files[name])
    (top / "nothing").mkdir()
    (top / "main.py").chmod(0o755)
    return files


def test_the_same_files_are_the_same_bytes(tmp_path):
    archives = []
    for i, (order, umask, locale) in enumerate(
            [(1, 0o22, "C"), (-1, 0o77, "C.UTF-8"), (1, 0, "xx")]):
        old = os.umask(umask)
        try:
            make_tree(tmp_path / str(i), order)
        finally:
            os.umask(old)
        if i:
            for path in (tmp_path / str(i)).rglob("*"):
                os.utime(path, (i * 1000, i * 1000))
                if os.geteuid() == 0:
                    os.chown(path, i, i)
        out = tmp_path / f"{i}.tgz"
        ok("pack", tmp_path / str(i), out,
           env={**os.environ, "LC_ALL": locale, "TZ": f"X{i}"})
        archives.append(out.read_bytes())
    assert archives[0] == archives[1] == archives[2]
    assert archives[0][4:8] == b"\0\0\0\0"      # no time,
    assert archives[0][3] == 0                  # and no name


def test_what_is_packed_is_what_comes_out(around, tmp_path):
    files = make_tree(tmp_path / "p")
    ok("pack", tmp_path / "p", around.archive)
    ok("extract", around.archive, around.work)
    assert {name: (around.work / name).read_bytes()
            for name in files_of(around.work)} == files
    assert (around.work / "nothing").is_dir()
    assert os.access(around.work / "main.py", os.X_OK)
    with tarfile.open(around.archive) as tar:
        assert {m.name for m in tar if m.isfile()} == set(files)
        assert {(m.uid, m.gid, m.uname, m.mtime) for m in tar} == \
            {(0, 0, "", 0)}
        assert {m.mode for m in tar} == {0o644, 0o755}


@pytest.fixture
def tree(tmp_path):
    make_tree(tmp_path / "p")
    return tmp_path / "p"


def pack_refused(tree):
    out = tree.parent / "out.tgz"
    said = refused("pack", tree, out)
    assert not out.exists()
    return said


def test_links_inside_become_files(tree, around):
    (tree / "one.py").symlink_to("lib/a.py")
    (tree / "lib" / "two.py").symlink_to("../one.py")
    (tree / "three").symlink_to("lib/deep")
    ok("pack", tree, around.archive)
    ok("extract", around.archive, around.work)
    assert (around.work / "one.py").read_bytes() == b"a"
    assert (around.work / "lib" / "two.py").read_bytes() == b"a"
    assert (around.work / "three" / "c.py").read_bytes() == b"c" * 5000
    assert not any(path.is_symlink() for path in around.work.rglob("*"))


@pytest.mark.parametrize("target", [
    "../outside", "/etc/hostname", "lib/../../outside", "../p-other/file"])
def test_links_that_leave_are_refused(tree, target):
    (tree.parent / "outside").write_text("x")
    (tree.parent / "p-other").mkdir()
    (tree.parent / "p-other" / "file").write_text("x")
    (tree / "evil").symlink_to(target)
    said = pack_refused(tree)
    assert "evil" in said and "leads out of" in said


def test_links_that_lead_nowhere_are_refused(tree):
    (tree / "evil").symlink_to("missing")
    assert "evil: the link leads nowhere" in pack_refused(tree)


@pytest.mark.parametrize("target", [".", "..", "../lib"])
def test_links_in_a_circle_are_refused(tree, target):
    (tree / "lib" / "evil").symlink_to(target)
    assert "lib/evil: the link leads to a directory that it is in" in \
        pack_refused(tree)


def test_a_link_to_itself_is_refused(tree):
    (tree / "evil").symlink_to("evil")
    assert "evil: the link leads nowhere" in pack_refused(tree)


def test_what_is_no_file_is_refused(tree):
    os.mkfifo(tree / "evil")
    assert "evil: it is a FIFO" in pack_refused(tree)
    (tree / "evil").unlink()
    with socket.socket(socket.AF_UNIX) as s:
        here = os.getcwd()
        os.chdir(tree)
        try:
            s.bind("evil")
        finally:
            os.chdir(here)
        assert "evil: it is a socket" in pack_refused(tree)


def test_a_link_to_a_fifo_is_refused(tree):
    os.mkfifo(tree / "lib" / "zz")
    (tree / "evil").symlink_to("lib/zz")
    assert "evil: it is a FIFO" in pack_refused(tree)


@pytest.mark.parametrize("name,why", [
    (b"a\nb", "control"), (b"\xff", "UTF-8")])
def test_names_that_would_be_refused_are_not_packed(tree, name, why):
    with open(os.path.join(os.fsencode(tree), name), "wb"):
        pass
    assert why in pack_refused(tree)


def test_too_deep_is_not_packed(tree):
    (tree / DEEP).mkdir(parents=True)
    assert "32 components" in pack_refused(tree)


def test_a_payload_that_could_not_run_is_not_packed(tree):
    (tree / "main.py").unlink()
    assert "entrypoint: main.py is not a file" in pack_refused(tree)
    (tree / "manifest.yaml").write_text("version: v2\nwhat: x\n")
    said = pack_refused(tree)
    assert all(text in said for text in (
        "version: must be v1", "what: is not a known member",
        "interpreter: is missing", "entrypoint: is missing")), said
    (tree / "manifest.yaml").unlink()
    assert "manifest.yaml is not at the archive's top" in pack_refused(tree)


def test_too_big_is_not_packed(tree):
    (tree / "noise").write_bytes(os.urandom(11 << 20))
    assert "more than 10 MiB with noise" in pack_refused(tree)


def test_the_archive_itself_can_be_left_out(tree):
    out = tree / "payload.tgz"
    ok("pack", tree, out, out)
    first = out.read_bytes()
    ok("pack", tree, out, out)
    assert out.read_bytes() == first


def test_a_directory_that_is_not_there(tmp_path):
    done = tool("pack", tmp_path / "missing", tmp_path / "out")
    assert done.returncode == 3 and b"No such file" in done.stderr
