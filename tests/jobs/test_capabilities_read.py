"""file.read, in every place that has it."""

import base64
import os

from capability_world import ALL, BINARY, EVERYWHERE, sha256
from capability_world import started, world  # noqa: F401


@EVERYWHERE
def test_read(world):
    path = world.put(world.ro / "a.txt", "grüße\n".encode(), 0o640)
    path.chmod(0o644)
    output = world.ok("file.read", {"path": str(path)})
    assert output["content"] == "grüße\n" and output["encoding"] == "utf-8"
    assert output["size"] == output["bytes"] == 8
    assert output["sha256"] == sha256(path.read_bytes())
    assert output["mode"] == "0644" and output["truncated"] is False
    found = world.exec("file.read", {"path": str(path)})
    assert (found.out, found.code) == ("grüße\n", 0)


@ALL
def test_read_binary_and_parts(world):
    path = world.put(world.ro / "b.bin", BINARY)
    found = world.exec("file.read", {"path": str(path)}, text=False)
    assert found.out == BINARY
    output = world.ok("file.read", {
        "path": str(path), "offset": 250, "limit": 10})
    assert base64.b64decode(output["content"]) == BINARY[250:260]
    assert output["truncated"] is True and output["size"] == len(BINARY)
    beyond = world.ok("file.read", {"path": str(path), "offset": 99999})
    assert (beyond["content"], beyond["truncated"]) == ("", False)
    error = world.refused("file.read", {"path": str(path),
                                        "encoding": "utf-8"})
    assert error["code"] == "not_utf8"
    # A character that the limit cuts in two is left for the next part.
    path = world.put(world.ro / "c.txt", "aä".encode() * 10)
    first = world.ok("file.read", {"path": str(path), "limit": 5})
    assert (first["content"], first["bytes"]) == ("aäa", 4)
    found = world.exec("file.read", {"path": str(path), "limit": 5})
    assert '"offset": 4' in found.err


@ALL
def test_read_a_large_file(world):
    path = world.put(world.ro / "large", os.urandom(6 * 1024 * 1024))
    output = world.ok("file.read", {"path": str(path), "limit": 4194304})
    assert base64.b64decode(output["content"]) == path.read_bytes()[:4194304]
    assert output["sha256"] == sha256(path.read_bytes())


@ALL
def test_read_what_is_no_file(world):
    directory = world.ro / "d"
    directory.mkdir()
    os.mkfifo(world.ro / "fifo")
    read = lambda path: world.refused("file.read", {"path": str(path)})
    assert read(directory)["code"] == "not_a_file"
    assert read(world.ro / "fifo")["code"] == "not_a_file"
    assert read(world.ro / "nothing")["code"] in ("not_found",
                                                  "not_permitted")
    if os.geteuid() == 0:
        (world.ro / "roots").write_text("secret")
        (world.ro / "roots").chmod(0o600)
        assert read(world.ro / "roots")["code"] == "not_permitted"


@ALL
def test_paths_outside_are_refused(world):
    world.put(world.ro / "inside.txt")
    for path in ("/etc/passwd", f"{world.ro}/../../etc/passwd",
                 f"{world.ro}x/a", "/", str(world.base),
                 f"/proc/self/root{world.ro}/inside.txt",
                 f"{world.ro}/../../../../proc/self/environ"):
        reason = world.reason("file.read", {"path": path})
        assert "--share" in reason, reason
    found = world.exec("file.read", {"path": "/etc/passwd"})
    assert found.code == 125 and "--share" in found.err
    # As text it stays inside.
    output = world.ok("file.read", {
        "path": f"{world.ro}/x/.././/inside.txt"})
    assert output["path"] == f"{world.ro}/inside.txt"


@ALL
def test_links(world):
    outside = world.base / "outside.txt"
    outside.write_text("not for you")
    world.put(world.ro / "target.txt", b"for you")
    links = {
        "out-absolute": str(outside), "out-relative": "../outside.txt",
        "out-etc": "/etc/passwd", "out-proc": "/proc/self/environ",
        "out-root": f"/proc/self/root{outside}",
    }
    for name, target in links.items():
        (world.ro / name).symlink_to(target)
        error = world.refused("file.read", {"path": f"{world.ro}/{name}"})
        assert error["code"] in ("not_permitted", "not_found"), name
    (world.ro / "up").symlink_to("..")
    world.refused("file.read", {"path": f"{world.ro}/up/outside.txt"})
    (world.ro / "in-relative").symlink_to("target.txt")
    (world.ro / "in-absolute").symlink_to(world.ro / "target.txt")
    for name in ("in-relative", "in-absolute"):
        output = world.ok("file.read", {"path": f"{world.ro}/{name}"})
        assert output["content"] == "for you"


@ALL
def test_read_dry_run(world):
    path = world.put(world.ro / "dry.txt", b"12345")
    output = world.ok("file.read", {"path": str(path)}, "--dry-run")
    assert output["dry_run"] is True and output["size"] == 5
    assert "content" not in output
