"""`npm install ./sdk/node` in an empty project: without a network, for both
module systems, for Bun and for TypeScript."""

import json
import os
import shutil
import subprocess

import npm_tools
import pytest
import sdk_drivers as sdk
from scripted_runtime import TOKEN, ScriptedRuntime

pytestmark = pytest.mark.timeout(120)

REQUIRE = 'require("cronium").getInput().then((v) => console.log(v.n));'
IMPORT = ('import cronium, { getInput } from "cronium";\n'
          "console.log((await getInput()).n, typeof cronium.setOutput);\n")
TYPED = ('import { getInput } from "cronium";\n'
         "const { n }: { n: number } = await getInput<{ n: number }>();\n"
         "console.log(n);\n")
SCRIPTS = {
    "a.cjs": ("node", REQUIRE, "42\n"),
    "a.mjs": ("node", IMPORT, "42 function\n"),
    "b.cjs": (npm_tools.program("bun"), REQUIRE, "42\n"),
    "b.mjs": (npm_tools.program("bun"), IMPORT, "42 function\n"),
    "c.ts": (npm_tools.program("bun"), TYPED, "42\n"),
}


def run(directory, *command, **env):
    done = subprocess.run(
        list(map(str, command)), cwd=directory, capture_output=True,
        text=True, timeout=100, stdin=subprocess.DEVNULL,
        env={**os.environ, **env})
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """Has a copy: what npm would leave behind in it is not left here."""
    directory = tmp_path_factory.mktemp("project")
    package = directory / "sdk" / "node"
    shutil.copytree(sdk.SDK / "node", package)
    project = directory / "project"
    project.mkdir()
    (project / "package.json").write_text('{"private": true}')
    run(project, "npm", "install", "--offline", "--install-links",
        "--no-audit", "--no-fund", package,
        npm_config_cache=directory / "cache")
    return project


def test_it_brings_what_it_needs_and_nothing_else(project):
    modules = project / "node_modules"
    assert [p.name for p in modules.iterdir() if p.name[0] != "."] == [
        "cronium"]
    files = {p.name for p in (modules / "cronium").iterdir()}
    assert files == {p.name for p in (sdk.SDK / "node").iterdir()}
    declared = json.loads((modules / "cronium" / "package.json").read_text())
    assert "dependencies" not in declared


@pytest.mark.parametrize("name", SCRIPTS)
def test_it_is_found(project, name):
    interpreter, text, expected = SCRIPTS[name]
    (project / name).write_text(text)
    with ScriptedRuntime(lambda r: r.reply(200, {"n": 42})) as runtime:
        assert run(project, interpreter, name,
                   CRONIUM_RUNTIME_API=runtime.url,
                   CRONIUM_EXECUTION_TOKEN=TOKEN) == expected


def compile(project, file, *options):
    return subprocess.run(
        ["node", npm_tools.program("tsc"), "--noEmit", "--strict",
         "--noUncheckedIndexedAccess", "--exactOptionalPropertyTypes",
         "--target", "es2022", "--lib", "es2022,esnext.disposable",
         "--types", "node", "--typeRoots",
         npm_tools.directory() / "node_modules" / "@types", *options, file],
        cwd=project, capture_output=True, text=True, timeout=100,
        stdin=subprocess.DEVNULL)


@pytest.mark.parametrize("module, resolution", [
    ("node16", "node16"), ("esnext", "bundler")])
@pytest.mark.parametrize("suffix", ["mts", "cts"])
def test_the_types(project, module, resolution, suffix):
    """What is declared is used rightly, wrong uses are errors."""
    file = project / f"types-{module}.{suffix}"
    shutil.copy(sdk.DRIVERS / "types.ts", file)
    done = compile(project, file, "--module", module,
                   "--moduleResolution", resolution)
    assert done.returncode == 0, done.stdout


def test_the_types_are_looked_at(project):
    """A wrong use that is not marked fails."""
    file = project / "wrong.mts"
    file.write_text('import { getVariable } from "cronium";\ngetVariable(1);')
    done = compile(project, file, "--module", "node16",
                   "--moduleResolution", "node16")
    assert "error TS2345" in done.stdout
