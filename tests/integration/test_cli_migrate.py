"""`cronium migrate`: a script that was migrated does under `cronium dev` what
it did with the old helper."""

import json
import os
import pathlib
import shutil
import subprocess

import pytest
from cli_process import CRONIUM, Home
from dev_process import dev  # noqa: F401

pytestmark = pytest.mark.timeout(120)

HELPERS = pathlib.Path(__file__).parent / "old_helpers"
INPUT = {"name": "Ada", "rows": [{"id": 1}, {"id": 2}]}
VARIABLES = {"greeting": "Hi", "seen": "0"}
EVENT = {"event": {"kind": "timer"}}

PYTHON = '''
"""cronium.getVariable is not called here."""
import cronium, json

def greet(name):
    return "%s, %s!" % (cronium.getVariable("greeting"), name)

def main():
    data = cronium.input()
    absent = cronium.get_variable("absent")
    cronium.setVariable("seen", str(len(data["rows"])))
    cronium.setVariable("kind", cronium.event()["event"]["kind"])
    if not cronium.getCondition():
        cronium.setCondition(True)
    print("cronium.event() is text", absent)
    cronium.output({"text": greet(data["name"]), "absent": absent,
                    "seen": cronium.getVariable("seen")})

main()
'''
NAMES = '''
from cronium import input as get, getVariable, output, setVariable, event
from cronium import setCondition
data = get()
setVariable("seen", str(len(data["rows"])))
setVariable("kind", event()["event"]["kind"])
setCondition(True)
print("cronium.event() is text", getVariable("absent"))
output({"text": getVariable("greeting") + ", " + data["name"] + "!",
        "absent": getVariable("absent"), "seen": getVariable("seen")})
'''
NODE = '''
'use strict'
const cronium = require('./cronium.js')

// cronium.input() in a comment
function greet(name) {
  return `${word()}, ${name}!`
}
const word = () => cronium.getVariable('greeting')

function run() {
  const data = cronium.input()
  cronium.input().rows.forEach((row) => { if (!row.id) throw row })
  const absent = cronium.getVariable('absent')
  cronium.setVariable('seen', String(data.rows.length))
  cronium.setVariable('kind', cronium.event().event.kind)
  if (!cronium.getCondition()) cronium.setCondition(true)
  console.log('cronium.event() is text', /cronium.input()/.test('') ? 1 : 'None')
  cronium.output({ text: greet(data.name), absent, seen: cronium.getVariable('seen') })
}

run()
'''
# A function that is called in a template is seen by nobody but its author.
NODE = NODE.replace("return `${word()}, ${name}!`", "return word() + `, ${name}!`")
DESTRUCTURED = '''
const { input, output, getVariable: get, setVariable, event, setCondition } =
  require("./cronium");
const data = input();
(function () {
  setVariable("seen", String(data.rows.length));
  setVariable("kind", event().event.kind);
})();
setCondition(true);
console.log("cronium.event() is text", get("absent") === null ? "None" : 1);
output({ text: get("greeting") + ", " + input().name + "!",
         absent: get("absent"), seen: get("seen") });
'''
BASH = '''
set -euo pipefail
source ./cronium.sh

greet() {
	echo "$(cronium_get_variable greeting), $1!"
}
# cronium_event in a comment
name=$(cronium_input | jq -r .name)
cronium_set_variable seen "$(cronium_input | jq '.rows | length')"
cronium_set_variable kind "$(cronium_event | jq -r .event.kind)"
if [ "$(cronium_get_condition)" = false ]; then cronium_set_condition true; fi
absent=$(cronium_get_variable absent)
echo "cronium.event() is text ${absent:-None}"
jq -n --arg t "$(greet "$name")" --arg s "$(cronium_get_variable seen)" \\
	'{text: $t, absent: null, seen: $s}' | cronium_output
'''
SCRIPTS = {"a.py": PYTHON, "names.py": NAMES, "a.js": NODE, "a.cjs": NODE,
           "destructured.js": DESTRUCTURED, "a.sh": BASH}


def files(directory):
    for name, value in (("input", INPUT), ("variables", VARIABLES),
                        ("event", EVENT)):
        (directory / f"{name}.json").write_text(json.dumps(value))


def old_result(dev, directory, script):
    """What the script does with the old helper."""
    files(directory)
    done = subprocess.run(dev.program(script), cwd=directory, text=True,
                          capture_output=True, timeout=60)
    assert done.returncode == 0, done.stderr
    read = {name: json.loads((directory / f"{name}.json").read_text())
            for name in ("output", "variables", "condition")}
    changed = {k: v for k, v in read["variables"].items()
               if VARIABLES.get(k) != v}
    return done.stdout, read["output"], changed, read["condition"]


def migrate(dev, *args):
    return dev.finish(Home.start(dev, "migrate", *args))


@pytest.mark.parametrize("name", SCRIPTS)
def test_it_does_the_same(dev, name):
    place = dev.dir / "scripts"
    place.mkdir()
    for helper in HELPERS.iterdir():
        if helper.is_file():
            shutil.copy(helper, place)
    script = place / name
    script.write_text(SCRIPTS[name])
    script.chmod(0o754)
    out, output, variables, condition = old_result(dev, place, str(script))
    if name.endswith(".py"):
        left = migrate(dev, script)
        assert left.code == 3 and "remove the cronium.py" in left.err
        (place / "cronium.py").unlink()

    shown = migrate(dev, script)
    assert shown.code == 1, shown
    assert script.read_text() == SCRIPTS[name]
    assert shown.out.startswith(f"--- a/{script}\n+++ b/{script}\n@@ ")
    written = migrate(dev, "--write", script)
    assert written.code == 0, written
    assert written.out == shown.out
    assert script.stat().st_mode & 0o7777 == 0o754
    assert {f.name for f in place.iterdir()} <= {
        name, *(h.name for h in HELPERS.iterdir()), "__pycache__",
        *(f"{n}.json" for n in (
            "input", "output", "variables", "event", "condition"))}
    again = migrate(dev, script)
    assert (again.code, again.out) == (0, ""), again

    # The diff is one that patch(1) takes.
    copy = dev.dir / "patched"
    copy.write_text(SCRIPTS[name])
    subprocess.run(["patch", "-s", copy], input=shown.out, text=True,
                   check=True, timeout=60)
    assert copy.read_text() == script.read_text()

    result = dev.dev(str(script), {
        "input": INPUT, "variables": VARIABLES, "context": EVENT,
        "expect": {"exit_code": 0, "output": output, "condition": condition,
                   "variables": variables}}, "--check")
    assert result.code == 0, (result, script.read_text())
    assert result.out == out


def test_what_is_left_is_said(dev):
    script = dev.script("""
const cronium = require('./cronium');
const rows = [1, 2].map((r) => cronium.getVariable('k' + r));
console.log(rows, require('fs').readFileSync('./input.json'));
""", "left.js")
    result = migrate(dev, script)
    assert result.code == 3
    assert result.err.splitlines() == [
        f"{script}:3: this call is left, because what is done with the "
        "function around it cannot be seen: it has to be awaited",
        f"{script}:4: input.json is not there any more: use "
        "await cronium.getInput()"]
    assert "require('cronium')" in result.out


def test_nothing_to_do(dev):
    script = dev.script("import cronium\ncronium.get_variable('a')\n")
    result = migrate(dev, script)
    assert (result.code, result.out, result.err) == (0, "", "")


def test_many_files(dev):
    new = dev.script("print(1)", "new.py")
    old = dev.script("import cronium\ncronium.getVariable('a')\n", "old.py")
    assert migrate(dev, new, old).code == 1
    assert migrate(dev, new, old, dev.dir / "absent.py").code == 2
    assert migrate(dev, "--write", new, old).code == 0
    assert migrate(dev, new, old).code == 0


def test_a_name_like_an_option(dev):
    dev.script("import cronium\ncronium.getVariable('a')\n", "-x.py")
    result = migrate(dev, "--", "-x.py")
    assert result.code == 1 and "+++ b/-x.py" in result.out


@pytest.mark.parametrize("args", [[], ["--no-such", "a.py"]])
def test_usage(dev, args):
    assert migrate(dev, *args).code == 2


def test_what_cannot_be_read(dev):
    unknown = dev.script("hello", "notes.txt")
    result = migrate(dev, unknown, dev.dir)
    assert result.code == 2
    assert "is it Python, Node or Bash?" in result.err
    assert "Is a directory" in result.err


def test_links_are_refused(dev):
    text = "import cronium\ncronium.getVariable('a')\n"
    target = pathlib.Path(dev.script(text, "target.py"))
    link = dev.dir / "link.py"
    link.symlink_to(target)
    result = migrate(dev, "--write", link)
    assert result.code == 2 and "symbolic link" in result.err
    assert target.read_text() == text and link.is_symlink()


def test_what_may_not_be_written(dev):
    text = "import cronium\ncronium.getVariable('a')\n"
    script = pathlib.Path(dev.script(text))
    script.chmod(0o444)
    dev.dir.chmod(0o755)
    command = [CRONIUM, "migrate", "--write", script]
    if os.geteuid() == 0:
        command = ["setpriv", "--reuid=65534", "--clear-groups", *command]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2, done
    assert "cannot write" in done.stderr
    assert script.read_text() == text
