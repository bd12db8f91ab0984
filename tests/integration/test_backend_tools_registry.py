"""The list of the tools, and people who try them."""

import json
import signal
import subprocess

import pytest

from backend_process import BIN
from patience import until
from tool_world import EXECUTE, NEEDY, TOKEN, put_secret
from tool_world import no_world_stays, world  # noqa: F401

pytestmark = pytest.mark.timeout(120)


def listed(world):
    return {t["name"]: t for t in
            world.backend.admin.get("/v1/tools").json["tools"]}


def wait_listed(world, condition):
    until(lambda: condition(listed(world)), lambda: listed(world))


def test_the_registry(world):
    tools = listed(world)
    assert {"http", "slack", "discord", "email", "webhook", "cronium",
            "probe", "needy"} <= set(tools)
    assert all(t["problem"] is None for t in tools.values())
    assert tools["slack"]["source"] == "built in"
    assert tools["probe"]["source"].endswith("/tools/probe.yaml")
    # A file over a built-in tool, one with a mistake, and one that goes.
    (world.tools / "slack.yaml").write_text(
        NEEDY.replace("name: needy", "name: slack") % {"url": "http://x.org"})
    (world.tools / "bad.yaml").write_text("name: bad\nactions: 1\nwhat: 2\n")
    (world.tools / "cronium.yaml").write_text("name: cronium\n")
    (world.tools / "needy.yaml").unlink()
    wait_listed(world, lambda t: "bad" in t)
    tools = listed(world)
    assert "needy" not in tools
    assert tools["slack"]["source"].endswith("slack.yaml")
    assert tools["slack"]["actions"] == ["do"]
    assert "actions" in tools["bad"]["problem"]
    assert world.call("bad", "x").code == "tool_not_found"
    assert world.call("probe", "once", {"path": "echo"}).status == 200
    assert any("bad.yaml" in line for line in world.backend.log)
    (world.tools / "slack.yaml").unlink()
    world.backend.process.send_signal(signal.SIGHUP)
    wait_listed(world, lambda t: t["slack"]["source"] == "built in")


def test_a_call_keeps_its_tool(world):
    """The file changes under a call that is under way."""
    call = world.later("probe", "once", {"path": "hold"})
    world.target.wait(1)
    (world.tools / "probe.yaml").unlink()
    wait_listed(world, lambda t: "probe" not in t)
    world.target.release.set()
    assert call.result(20).status == 200


def test_one_in_full(world):
    reply = world.backend.admin.get("/v1/tools/probe")
    assert reply.status == 200
    assert reply.json["credentials"][0]["secret"] == "PROBE_TOKEN"
    assert reply.json["credentials"][0]["present"] is False
    once = reply.json["actions"][0]
    assert once["name"] == "once" and "url" in once["params"]["properties"]
    put_secret(world, "PROBE_TOKEN", TOKEN)
    reply = world.backend.admin.get("/v1/tools/probe")
    assert reply.json["credentials"][0]["present"] is True
    assert TOKEN not in reply.body.decode()
    assert world.backend.admin.get("/v1/tools/absent").status == 404
    native = world.backend.admin.get("/v1/tools/cronium").json
    assert {a["name"] for a in native["actions"]} == {"call-workflow",
                                                      "call-agent"}


def test_people_try_tools(world):
    reply = world.backend.admin.post("/v1/tools/probe/once", {
        "params": world.params({"path": "echo"})})
    assert reply.status == 200 and len(world.target.calls) == 1, reply
    reply = world.backend.admin.post("/v1/tools/probe/once", {
        "params": world.params({"path": "echo"}), "dry_run": True})
    assert reply.json["dry_run"] is True and len(world.target.calls) == 1
    assert world.sidecar.post("/v1/tools/probe/once", {}).status == 403


def cronium(world, *args):
    return subprocess.run(
        [f"{BIN}/cronium", *args, "--server",
         f"unix:{world.backend.run}/api.sock"],
        capture_output=True, text=True, timeout=60)


def test_the_command(world, tmp_path):
    done = cronium(world, "tools", "list")
    assert done.returncode == 0 and "probe" in done.stdout, done
    done = cronium(world, "tools", "show", "probe")
    assert "PROBE_TOKEN" in done.stdout and "url" in done.stdout, done
    params = json.dumps(world.params({"path": "echo"}))
    done = cronium(world, "tools", "run", "probe", "once", "--params", params)
    assert json.loads(done.stdout)["method"] == "POST", done
    done = cronium(world, "tools", "run", "probe/once", "--params", params,
                   "--dry-run")
    assert json.loads(done.stdout)["dry_run"] is True
    done = cronium(world, "tools", "run", "probe")
    assert done.returncode == 2 and "action" in done.stderr, done
    done = cronium(world, "tools", "run", "probe", "once")
    assert done.returncode == 1 and "url" in done.stderr, done
    bad = tmp_path / "bad.yaml"
    bad.write_text("name: bad\n")
    done = cronium(world, "tools", "check", str(bad))
    assert done.returncode == 1 and "actions" in done.stderr, done
    done = cronium(world, "tools", "check", str(world.tools / "probe.yaml"))
    assert done.returncode == 0, done


def test_the_command_prints_no_controls_of_others(world, tmp_path):
    """A tool of somebody else's does not steer the terminal."""
    (tmp_path / "evil.json").write_text(json.dumps({
        "name": "evil", "actions": {"x": {
            "request": {"url": "https://a.example"},
            "params": {"type": "object", "properties": {
                "p\x1b[1m": {"type": "string", "description":
                             "a\x1b]0;owned\x07b\u009b2Jc\x7f\r"}}}}}}))
    done = cronium(world, "tools", "check", str(tmp_path / "evil.json"))
    shown = done.stdout + done.stderr
    assert "owned" in shown, done
    assert all(c.isprintable() or c == "\n" for c in shown), done


def test_params_are_called_config_as_well(world):
    params = world.params({"path": "echo", "note": "hi"})
    body = {"tool": "probe", "action": "once", "config": params}
    reply = world.sidecar.call("POST", EXECUTE, body, {})
    assert reply.status == 200
    assert json.loads(reply.json["body"]) == {"note": "hi"}
    reply = world.sidecar.call("POST", EXECUTE, {**body, "params": params}, {})
    assert reply.status == 400 and reply.code == "invalid_request"
