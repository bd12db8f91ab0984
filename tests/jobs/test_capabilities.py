"""Jobs without a script: what they see of shares, and what scripts see."""

import json
import os

from capability_world import worlds
from capability_world import started, world  # noqa: F401
from harness import Server


@worlds("sandbox", "docker")
def test_a_script_sees_no_share(world, tmp_path):
    world.put(world.ro / "secret.txt", b"for capabilities")
    script = tmp_path / "look.py"
    script.write_text(
        "import os, cronium\n"
        f"cronium.output([os.path.exists({str(world.base)!r}),"
        f"os.path.exists({str(world.ro / 'secret.txt')!r})])\n")
    found = world.server.cronium("run", *world.options, "--allow-read",
                                 "--allow-write", "--allow-run", script)
    assert found.ok().json == [False, False]


def test_nothing_is_shared_by_default(tmp_path):
    server = Server(tmp_path / "server", "--executors", "sandbox")
    try:
        for capability, args, option in (
                ("file.read", {"path": "/etc/hostname"}, "--share"),
                ("process.kill", {"pid": os.getpid()}, "--share-processes")):
            found = server.cronium("exec", capability, "--args",
                                   json.dumps(args))
            assert found.code == 125 and option in found.err, found.err
        output = server.cronium("exec", "shell.exec", "--json", "--args",
                                '{"command":"ls -A /srv; pwd"}').ok().json
        assert output["output"]["stdout"].strip() == "/work"
    finally:
        assert server.stop() == 0
