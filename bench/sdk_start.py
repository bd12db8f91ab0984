"""What the SDK of each language and a first call add to a script."""

import compileall
import dataclasses
import os
import shutil
import subprocess
import sys

import machine
from machine import ROOT, bench_exec, interleave
from pod import Sidecar, Upstream
from report import Row, Target

KEY = "API_URL"
NODE_CALL = f'require("cronium").getVariable("{KEY}")'
# The same request by the module that the SDK is built on.
NODE_HTTP = f"""require("http").get(
  process.env.CRONIUM_RUNTIME_API + "/variables/{KEY}", {{ headers: {{
    authorization: `Bearer ${{process.env.CRONIUM_EXECUTION_TOKEN}}` }} }},
  (reply) => reply.resume())"""
ASK_NPM = '. "$0/tools/lib.sh"; . "$0/tools/npm.sh"; npm_dir'


@dataclasses.dataclass
class Language:
    title: str
    ours: list            # argv: the SDK, and a call
    bare: list            # argv: nothing
    env: dict
    http: list = None     # argv: the same request without the SDK
    extra_ms: float = 15  # that is allowed over bare


def python(directory):
    # A copy, compiled as an installed one is.
    sdk = directory / "python"
    shutil.copytree(ROOT / "sdk" / "python" / "cronium", sdk / "cronium",
                    ignore=shutil.ignore_patterns("__pycache__"))
    compileall.compile_dir(sdk, quiet=1)
    call = f'import cronium; cronium.get_variable("{KEY}")'
    return Language("Python: import cronium, first call",
                    [sys.executable, "-c", call],
                    [sys.executable, "-c", "pass"], {"PYTHONPATH": str(sdk)})


def javascript(name, program, directory):
    path = directory / "node"
    if not path.exists():
        shutil.copytree(ROOT / "sdk" / "node", path / "cronium")
    return Language(f'{name}: require("cronium"), first call',
                    [program, "-e", NODE_CALL], [program, "-e", "0"],
                    {"NODE_PATH": str(path)}, [program, "-e", NODE_HTTP], 30)


def node(directory):
    machine.need("node")
    return javascript("Node", "node", directory)


def bun(directory):
    """The one that the set-up installs, or that is in PATH."""
    bin_dir = subprocess.run(
        ["bash", "-euc", ASK_NPM, ROOT], check=True, capture_output=True,
        text=True).stdout.strip() + "/bin"
    program = shutil.which("bun", path=bin_dir) or shutil.which("bun")
    if not program:
        raise machine.Skip("bun is not installed")
    return javascript("Bun", program, directory)


def bash(directory):
    machine.need("curl", "jq")
    call = f'source cronium.sh; cronium_get_variable "{KEY}"'
    return Language("Bash: source cronium.sh, first call",
                    ["bash", "-c", call], ["bash", "-c", ":"],
                    {"PATH": f"{ROOT / 'sdk' / 'bash'}:{os.environ['PATH']}"})


def rows_of(language, settings, sidecar, token):
    env = {**os.environ, **language.env, "CRONIUM_EXECUTION_TOKEN": token,
           "CRONIUM_RUNTIME_API": f"http://127.0.0.1:{sidecar.port}"}
    name = " ".join([os.path.basename(language.bare[0]), *language.bare[1:]])
    measured = {"SDK": language.ours, name: language.bare}
    if language.http:
        measured["node:http"] = language.http
    took = interleave(settings.repeats, {
        name: lambda argv=argv: bench_exec("exit", *argv, env=env)
        for name, argv in measured.items()})
    rows = [Row(language.title, "ms", took["SDK"], [took[name]],
                Target("extra", at_most=language.extra_ms))]
    if language.http:
        rows.append(Row("the same, over a bare request", "ms", took["SDK"],
                        [took["node:http"]], Target("extra", at_most=5)))
    return rows


def run(settings):
    rows, missing = [], []
    with Upstream(settings) as upstream, Sidecar(upstream) as sidecar:
        for language in (python, node, bun, bash):
            try:
                rows += rows_of(language(settings.directory), settings,
                                sidecar, upstream.token)
            except machine.Skip as why:
                missing.append(str(why))
    if missing:
        raise machine.Skip("; ".join(missing), rows)
    return rows
