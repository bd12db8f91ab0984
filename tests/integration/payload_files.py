"""The payload_tool program, and the places that archives are unpacked in."""

import os
import stat
import subprocess

BIN = os.environ.get("CRONIUM_BIN_DIR", os.path.join(
    os.path.dirname(__file__), "..", "..", "build", "bin"))
TOOL = os.path.join(BIN, "..", "tests", "integration", "payload_tool")


def tool(*args, **options):
    return subprocess.run([TOOL, *map(str, args)], capture_output=True,
                          timeout=60, **options)


def ok(*args, **options):
    done = tool(*args, **options)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


def refused(*args, **options):
    """The sentence; anything but a refusal (a crash, a sanitizer) fails."""
    done = tool(*args, **options)
    assert done.returncode == 1, (done.returncode, done.stderr.decode())
    assert not done.stdout
    return done.stderr.decode().strip()


def snapshot(top):
    """All that there is below: names, kinds, modes, owners, links, bytes."""
    found = {}
    for where, dirs, files in os.walk(top):
        for name in [".", *dirs, *files]:
            path = os.path.join(where, name)
            st = os.lstat(path)
            what = None
            if stat.S_ISLNK(st.st_mode):
                what = os.readlink(path)
            elif stat.S_ISREG(st.st_mode):
                with open(path, "rb") as f:
                    what = f.read()
            found[path] = (st.st_mode, st.st_uid, st.st_gid, st.st_nlink,
                           st.st_mtime_ns, st.st_ino, what)
    return found


class Surroundings:
    """A work dir with something to steal and to spoil around it."""

    def __init__(self, top):
        self.top = top
        self.work = top / "a" / "work"
        self.work.mkdir(parents=True)
        (top / "secret").write_text("secret")
        (top / "a" / "neighbour").mkdir()
        (top / "a" / "neighbour" / "file").write_text("theirs")
        (top / "a" / "evil").write_text("there already")
        self.archive = top.parent / f"{top.name}.tgz"

    def extract(self, data):
        self.archive.write_bytes(data)
        return refused("extract", self.archive, self.work)


def files_of(top):
    return sorted(os.path.relpath(os.path.join(where, name), top)
                  for where, _, names in os.walk(top) for name in names)
