"""payload/: archives that want out leave no trace, and all others come out."""

import gzip
import io
import json
import os
import random
import stat
import subprocess
import tarfile
import zlib

import pytest

from payload_files import TOOL, Surroundings, files_of, ok, refused, \
    snapshot, tool
from tar_forge import END, MANIFEST, base256, entry, good, head, long_name, \
    packed, pax

pytestmark = pytest.mark.timeout(120)


@pytest.fixture
def around(tmp_path):
    top = tmp_path / "top"
    top.mkdir()
    return Surroundings(top)


# --- archives that want out ---------------------------------------------------

def tarred(*members):
    """By Python's tarfile: what a usual tool can be made to write."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz",
                      format=tarfile.PAX_FORMAT) as tar:
        for member, data in members:
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return out.getvalue()


def member(name, data=b"", **fields):
    info = tarfile.TarInfo(name)
    for key, value in fields.items():
        setattr(info, key, value)
    return info, data


def link(name, target, kind=tarfile.SYMTYPE):
    return member(name, linkname=target, type=kind)


GOOD = gzip.compress(good() + END)

SPARSE_HEAD = bytearray(head(b"evil", size=512, kind=b"S",
                             magic=b"ustar  \0"))
SPARSE_HEAD[386:398] = b"%011o\0" % 0
SPARSE_HEAD[398:410] = b"%011o\0" % 512
SPARSE_HEAD[483:495] = b"%011o\0" % (1 << 32)
SPARSE_HEAD[148:156] = b" " * 8
SPARSE_HEAD[148:156] = b"%06o\0 " % sum(SPARSE_HEAD)

DEEP = "/".join(["d"] * 33)

# name: (archive, what the sentence says: the entry and the reason)
HOSTILE = {
    # out by the path
    "dots": (tarred(member("../evil", b"x")), ["../evil", '".."']),
    "dots inside": (tarred(member("lib/../../evil", b"x")),
                    ["lib/../../evil", '".."']),
    "dots at the end": (packed(entry(b"lib/..", b"")), ["lib/..", '".."']),
    "dots as a directory": (packed(entry(b"../", kind=b"5", mode=0o755)),
                            ["../", '".."']),
    "absolute": (packed(entry(b"/etc/evil", b"x")), ["/etc/evil", "absolute"]),
    "absolute, twice": (packed(entry(b"//etc/evil", b"x")),
                        ["//etc/evil", "absolute"]),
    "a dot": (packed(entry(b"./evil", b"x")), ["./evil", '"."']),
    "the top itself": (packed(entry(b"./", kind=b"5", mode=0o777)),
                       ["./", '"."']),
    "only a slash": (packed(entry(b"/", kind=b"5")), ["/", "absolute"]),
    "an empty component": (packed(entry(b"lib//evil", b"x")),
                           ["lib//evil", "empty"]),
    "two slashes at the end": (packed(entry(b"lib//", kind=b"5")),
                               ["lib//", "empty"]),
    "by ustar's prefix": (packed(entry(b"evil", b"x", prefix=b"../..")),
                          ["../../evil", '".."']),
    "by an absolute prefix": (packed(entry(b"evil", b"x", prefix=b"/tmp")),
                              ["/tmp/evil", "absolute"]),
    "by pax": (packed(pax([(b"path", b"../evil")]), entry(b"nice", b"x")),
               ["../evil", '".."']),
    "by pax, the last of two": (
        packed(pax([(b"path", b"nice"), (b"path", b"../evil")]),
               entry(b"nice", b"x")), ["../evil", '".."']),
    "by pax for all": (packed(pax([(b"path", b"../evil")], b"g"),
                              entry(b"../also", b"x")), ['".."']),
    "by GNU's long name": (packed(long_name(b"../" * 60 + b"evil"),
                                  entry(b"nice", b"x")), ["../", '".."']),
    "by GNU.sparse.name": (
        packed(pax([(b"GNU.sparse.major", b"1"), (b"GNU.sparse.minor", b"0"),
                    (b"GNU.sparse.name", b"../evil"),
                    (b"GNU.sparse.realsize", b"1")]),
               entry(b"nice", b"1\n0\n1\n".ljust(512, b"\0") + b"x")),
        ["../evil", '".."']),
    # out by a link
    "a symbolic link": (tarred(link("lib", "../neighbour")),
                        ["lib", "symbolic link"]),
    "a symbolic link, then through it": (
        tarred(link("lib", "../neighbour"), member("lib/file", b"x")),
        ["lib", "symbolic link"]),
    "a link to a file": (tarred(link("evil", "../../secret")),
                         ["evil", "symbolic link"]),
    "a link inside": (tarred(member("main.py", b"x"),
                             link("other.py", "main.py")),
                      ["other.py", "symbolic link"]),
    "a hard link": (tarred(link("evil", "../../secret", tarfile.LNKTYPE)),
                    ["evil", "hard link"]),
    "a hard link with contents": (
        packed(entry(b"evil", b"x", kind=b"1", link=b"../../secret")),
        ["evil", "hard link"]),
    "a hard link inside": (packed(entry(b"b.py", kind=b"1", link=b"main.py")),
                           ["b.py", "hard link"]),
    "a file made a link by pax": (
        packed(pax([(b"linkpath", b"../../secret")]),
               entry(b"evil", kind=b"2", link=b"x")),
        ["evil", "symbolic link"]),
    "GNU's long link": (
        packed(long_name(b"../" * 60, b"K"), entry(b"evil", kind=b"2")),
        ["evil", "symbolic link"]),
    # what is no file
    "a FIFO": (tarred(member("evil", type=tarfile.FIFOTYPE)),
               ["evil", "FIFO"]),
    "a character device": (
        packed(entry(b"evil", kind=b"3", devices=(1, 3))),
        ["evil", "device"]),
    "a block device": (packed(entry(b"evil", kind=b"4", devices=(8, 0))),
                       ["evil", "device"]),
    "setuid": (packed(entry(b"evil", b"x", mode=0o4755)),
               ["evil", "setuid"]),
    "setgid": (packed(entry(b"evil", b"x", mode=0o2755)),
               ["evil", "setuid"]),
    "a sticky directory": (packed(entry(b"tmp/", kind=b"5", mode=0o1777)),
                           ["tmp/", "sticky"]),
    # one over the other
    "twice": (packed(entry(b"main.py", b"other")), ["main.py", "twice"]),
    "a directory twice": (packed(entry(b"d/", kind=b"5"),
                                 entry(b"d", kind=b"5")), ["d", "twice"]),
    "a directory where a file is": (
        packed(entry(b"main.py/", kind=b"5")), ["main.py/", "twice"]),
    "a file where a directory is": (
        packed(entry(b"d/", kind=b"5"), entry(b"d", b"x")), ["d", "twice"]),
    "a file where files are": (
        packed(entry(b"d/f", b"x"), entry(b"d", b"x")),
        ["d", "directory", "already"]),
    "a file below a file": (packed(entry(b"main.py/x", b"x")),
                            ["main.py/x", "is a file"]),
    # names
    "no name": (packed(entry(b"", b"x")), []),
    "an empty name by pax": (packed(pax([(b"path", b"")]),
                                    entry(b"../x", b"x")), []),
    "control characters": (packed(entry(b"a\nb\x1b[2J", b"x")),
                           ["a\\x0ab\\x1b", "control"]),
    "not UTF-8": (packed(entry(b"a\xff\xc0\xaf", b"x")),
                  ["a\\xff\\xc0\\xaf", "UTF-8"]),
    "a long component": (tarred(member("n" * 256, b"x")),
                         ["nnn", "255 bytes"]),
    "a long path": (tarred(member("/".join(["n" * 200] * 6), b"x")),
                    ["nnn", "1024 bytes"]),
    "too deep": (tarred(member(DEEP, b"x")), ["d/d", "32 components"]),
    # sizes
    "a negative size": (
        packed(head(b"evil", size_field=base256(-1, 12))), []),
    "the smallest size": (
        packed(head(b"evil", size_field=base256(-(1 << 63), 12))), []),
    "a size of 64 bits": (
        packed(head(b"evil", size_field=base256(1 << 63, 12))), []),
    "a big size": (packed(head(b"evil", size_field=base256(1 << 40, 12))),
                   ["evil", "bigger"]),
    "a size by pax": (packed(pax([(b"size", b"%d" % (1 << 40))]),
                             entry(b"evil", b"x")), ["evil", "bigger"]),
    "a negative size by pax": (packed(pax([(b"size", b"-512")]),
                                      entry(b"evil", b"x")), []),
    "a directory with contents": (
        packed(entry(b"d/", entry(b"../evil", b"x"), kind=b"5")), ["evil"]),
    "a directory with other contents": (
        packed(entry(b"d/", b"x" * 600, kind=b"5")), ["behind d"]),
    "sparse": (packed(bytes(SPARSE_HEAD), b"x" * 512), ["evil"]),
    "sparse by pax": (
        packed(pax([(b"GNU.sparse.major", b"0"), (b"GNU.sparse.minor", b"1"),
                    (b"GNU.sparse.size", b"1099511627776"),
                    (b"GNU.sparse.map", b"0,1")]), entry(b"evil", b"x")),
        ["behind main.py", "sparse"]),
    # the archive
    "a wrong checksum": (packed(entry(b"evil", b"x", spoil=1)),
                         ["behind main.py"]),
    "a file that is cut off": (
        packed(head(b"evil", size=100000), b"x", end=b""), ["evil"]),
    "no end": (packed(end=b""), ["cut off"]),
    "half an end": (packed(end=b"\0" * 512), ["cut off"]),
    "something behind the end": (
        packed(end=END + entry(b"../evil", b"x") + END), ["follows the end"]),
    "something behind half an end": (
        packed(end=b"\0" * 512 + entry(b"../evil", b"x") + END),
        ["follows the end"]),
    "a second member of gzip": (GOOD + gzip.compress(b"x" * 100),
                                ["follow the end"]),
    "a second archive": (GOOD + GOOD, ["follow the end"]),
    "garbage behind the gzip": (GOOD + b"\0", ["1 bytes follow the end"]),
    "gzip's checksum": (GOOD[:-8] + bytes([GOOD[-8] ^ 1]) + GOOD[-7:],
                        ["not sound gzip"]),
    "gzip's length": (GOOD[:-1] + bytes([GOOD[-1] ^ 1]),
                      ["not sound gzip"]),
    "not packed": (good() + END, ["not sound gzip"]),
    "zlib instead": (zlib.compress(good() + END), ["not sound gzip"]),
    "empty": (b"", ["cut off"]),
    "a zip in gzip": (gzip.compress(b"PK\3\4" + b"x" * 2000), ["tar"]),
    "gzip in gzip": (gzip.compress(GOOD), ["tar"]),
    # bombs
    "a bomb": (packed(entry(b"evil", b"\0" * (64 << 20))), ["200 times"]),
    "a bomb of headers": (
        packed(pax([(b"comment", b"x" * 1000000)]) * 20), ["200 times"]),
    "too many": (
        packed(*(entry(b"%d" % i) for i in range(10001))),
        ["10000 files"]),
    "a big header": (packed(pax([(b"comment", os.urandom(1 << 21).hex()
                                  .encode())]), entry(b"x")), ["tar"]),
    "too big": (gzip.compress(os.urandom(11 << 20), 1), ["at most 10485760"]),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_archive_leaves_no_trace(around, name):
    data, said = HOSTILE[name]
    before = snapshot(around.top)
    sentence = around.extract(data)
    assert sentence and all(text in sentence for text in said), sentence
    assert snapshot(around.top) == before
    assert refused("inspect", around.archive) == sentence


def test_an_archive_cut_off_anywhere_is_refused(around):
    before = snapshot(around.top)
    for end in range(len(GOOD)):
        assert "cut off" in around.extract(GOOD[:end])
    assert snapshot(around.top) == before


def test_bits_that_flip_are_noticed(around):
    """By gzip's checksum, wherever they are but in what gzip ignores."""
    flip = random.Random(4)
    before = snapshot(around.top)
    for _ in range(200):
        bad = bytearray(GOOD)
        bad[flip.randrange(10, len(bad))] ^= 1 << flip.randrange(8)
        assert around.extract(bytes(bad))
    assert snapshot(around.top) == before


def test_bomb_costs_little(around):
    """Ten MiB that would be ten GiB."""
    around.archive.write_bytes(gzip.compress(
        good() + head(b"evil", size=200 << 20) + b"\0" * (200 << 20)))
    done = subprocess.run(
        ["bash", "-c", 'ulimit -t 5; exec "$@"', "-", TOOL, "inspect",
         around.archive], capture_output=True, timeout=60)
    assert done.returncode == 1 and b"200 times" in done.stderr


# --- archives that are all right ---------------------------------------------

FINE = {
    "gnu": tarfile.GNU_FORMAT, "pax": tarfile.PAX_FORMAT,
    "ustar": tarfile.USTAR_FORMAT,
}


@pytest.mark.parametrize("form", FINE)
def test_what_other_tools_write_is_read(around, form):
    out = io.BytesIO()
    names = ["manifest.yaml", "main.py", "lib/é/ü.py", "lib/" + "n" * 95,
             "p" * 90 + "/" + "q" * 90]
    if form != "ustar":
        names.append("/".join(["long" * 20] * 5))
    with tarfile.open(fileobj=out, mode="w:gz", format=FINE[form]) as tar:
        for name in names:
            data = MANIFEST if name == "manifest.yaml" else b"pass\n"
            info = tarfile.TarInfo(name)
            info.size, info.mtime = len(data), 1.5
            info.uname = "jürgen"
            tar.addfile(info, io.BytesIO(data))
    around.archive.write_bytes(out.getvalue())
    ok("extract", around.archive, around.work)
    assert files_of(around.work) == sorted(names)
    assert [f["path"] for f in json.loads(
        ok("inspect", around.archive))["files"]] == \
        sorted(names, key=str.encode)


def test_attributes_and_comments_are_passed_over(around):
    around.archive.write_bytes(packed(
        pax([(b"comment", b"of a commit")], b"g"),
        pax([(b"SCHILY.xattr.user.evil", b"x"),
             (b"SCHILY.xattr.security.capability", b"\1\0\0\2" + b"\xff" * 16),
             (b"uid", b"0"), (b"uname", b"root"), (b"mtime", b"1.5")]),
        entry(b"file", b"x")))
    ok("extract", around.archive, around.work)
    assert os.listxattr(around.work / "file") == []


def test_a_name_ends_at_its_nul(around):
    """What is checked is what is used."""
    around.archive.write_bytes(packed(entry(b"nice\0/../../evil", b"x")))
    before = snapshot(around.top / "a" / "neighbour")
    ok("extract", around.archive, around.work)
    assert files_of(around.work) == ["main.py", "manifest.yaml", "nice"]
    assert snapshot(around.top / "a" / "neighbour") == before


def test_directories_may_come_late_and_be_empty(around):
    around.archive.write_bytes(packed(
        entry(b"d/e/f", b"x"), entry(b"d/", kind=b"5"),
        entry(b"empty/", kind=b"5", mode=0)))
    ok("extract", around.archive, around.work)
    assert (around.work / "empty").is_dir()
    assert (around.work / "d" / "e" / "f").read_bytes() == b"x"


@pytest.mark.parametrize("umask", [0, 0o77, 0o777])
@pytest.mark.parametrize("mode,plain,run,directory", [
    ("0600", 0o600, 0o700, 0o700), ("0640", 0o640, 0o750, 0o750),
    ("0644", 0o644, 0o755, 0o755), ("0400", 0o400, 0o500, 0o700),
])
def test_modes_follow_the_option(around, mode, plain, run, directory, umask):
    around.archive.write_bytes(packed(
        entry(b"d/run", b"x", mode=0o755), entry(b"d/plain", b"x",
                                                 mode=0o666)))
    ok("extract", around.archive, around.work, mode, umask=umask)
    modes = [stat.S_IMODE((around.work / "d" / name).stat().st_mode)
             for name in ("plain", "run", ".")]
    assert modes == [plain, run, directory]


# --- what is there already ---------------------------------------------------

def extract_over(around, what):
    around.archive.write_bytes(packed(entry(b"d/file", b"new")))
    what(around.work)
    before = snapshot(around.top / "a" / "neighbour")
    secret = (around.top / "secret").read_text()
    done = tool("extract", around.archive, around.work)
    assert snapshot(around.top / "a" / "neighbour") == before
    assert (around.top / "secret").read_text() == secret
    return done.returncode, done.stderr.decode()


def test_no_link_that_is_there_is_followed(around):
    code, said = extract_over(
        around, lambda work: (work / "d").symlink_to("../neighbour"))
    assert code == 3 and "d/file" in said


def test_no_link_in_place_of_a_file_is_followed(around):
    code, said = extract_over(
        around, lambda work: (work / "main.py").symlink_to("../../secret"))
    assert code == 3 and "main.py: File exists" in said


def test_no_file_is_replaced(around):
    code, said = extract_over(
        around, lambda work: (work / "main.py").write_text("mine"))
    assert code == 3 and "main.py: File exists" in said
    assert (around.work / "main.py").read_text() == "mine"
