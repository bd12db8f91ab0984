"""What the Node SDK owes to JavaScript and TypeScript."""

import json
import re

import pytest
import sdk_drivers as sdk
from sdk_fixtures import backend, claim, relay, sidecar  # noqa: F401

pytestmark = pytest.mark.timeout(60)


def node(tmp_path, sidecar, script, client="node-commonjs", **env):
    done = sdk.evaluate(tmp_path, client, script,
                        sdk.environment_of(sidecar, **env))
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_an_idle_connection_does_not_keep_a_script_alive(tmp_path, sidecar):
    """It exits by itself, although nobody closes the connection."""
    assert node(tmp_path, sidecar, """
        const cronium = require("cronium");
        cronium.getInput().then((v) => console.log(v));
    """) == "null\n"


def test_what_is_exported_is_what_is_declared(tmp_path, sidecar):
    names = json.loads(node(tmp_path, sidecar, """
        const required = Object.keys(require("cronium"));
        import("cronium").then((imported) => console.log(JSON.stringify(
          [required, Object.keys(imported)])));
    """))
    declared = re.findall(
        r"^export (?:class|const) (\w+)",
        (sdk.SDK / "node" / "index.d.ts").read_text(), re.MULTILINE)
    required, imported = map(set, names)
    assert required == imported == {*declared, "cronium", "default"}


def test_both_module_systems_share_one_client(tmp_path, sidecar):
    assert node(tmp_path, sidecar, """
        import cronium, { getInput, CroniumError } from "cronium";
        import { createRequire } from "node:module";
        const required = createRequire(process.cwd() + "/")("cronium");
        console.log(required === cronium, required.getInput === getInput,
          required.CroniumError === CroniumError);
    """, "node-esm") == "true true true\n"


def test_errors_tell_what_to_look_for(tmp_path, sidecar):
    got = json.loads(node(tmp_path, sidecar, """
        const cronium = require("cronium");
        cronium.getVariable("absent").catch((e) => console.log(JSON.stringify(
          [e instanceof cronium.CroniumError, e instanceof Error, e.name,
           e.status, e.code, e.traceId.length, e.message])));
    """))
    assert got[:-1] == [
        True, True, "NotFoundError", 404, "variable_not_found", 32]
    assert "absent" in got[-1]


def test_what_is_no_json_is_refused_here(tmp_path, sidecar):
    assert node(tmp_path, sidecar, """
        const cronium = require("cronium");
        const circle = {}; circle.circle = circle;
        const wrong = [
          () => cronium.setOutput(undefined), () => cronium.setOutput(1n),
          () => cronium.setOutput(circle), () => cronium.setCondition(1),
          () => cronium.getVariable(""), () => cronium.getVariable("\\ud800"),
          () => cronium.setVariable("k", 1, { ifVersion: "1\\r\\nX: y" }),
        ];
        (async () => {
          for (const call of wrong)
            await call().catch((e) => console.log(e.name));
        })();
    """) == "InvalidError\n" * 7


def test_a_variable_as_an_object(tmp_path, sidecar):
    assert node(tmp_path, sidecar, """
        import { variable } from "cronium";
        const n = variable("n");
        const out = [await n.get(null), await n.increment(), await n.get()];
        await n.set(5);
        console.log(JSON.stringify([...out, await n.get(), await n.delete()]));
    """, "node-esm") == "[null,1,1,5,true]\n"


def test_an_address_that_is_none(tmp_path, sidecar):
    for url in "ftp://localhost:1", "localhost:8081", "http://a b":
        assert node(tmp_path, sidecar, """
            require("cronium").getInput().catch((e) => console.log(e.name));
        """, CRONIUM_RUNTIME_API=url) == "NotInJobError\n"
