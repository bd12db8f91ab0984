"""docs/cli.md says what the option tables say. Run as a program, this writes
the tables into it."""

import pathlib
import re
import subprocess
import sys

import pytest

from cli_process import CRONIUM

DOCS = pathlib.Path(__file__).resolve().parents[2] / "docs" / "cli.md"
TABLE = re.compile(r"<!-- options of (\S+) -->\n(.*?)<!-- end -->\n", re.S)
OPTION = re.compile(
    r"^ {2}(?:(-\w),| {3}) (--[\w-]+)(?: (\S+))? {2,}(.*?)(?: \[([^]]*)\])?$")


def cronium_help(*args):
    return subprocess.run([CRONIUM, *args], capture_output=True, text=True,
                          timeout=60, check=True).stdout


def commands():
    return re.findall(r"^  (\w+) +\w", cronium_help("help"), re.M)


def table(command):
    rows = ["", "| option | does | default |", "|---|---|---|"]
    for line in cronium_help(command, "--help").splitlines():
        match = OPTION.match(line)
        if not match:
            continue
        letter, name, arg, text, default = match.groups()
        name = f"{name} {arg}" if arg else name
        name = name.replace("|", "\\|")
        short = f"`{letter}`, " if letter else ""
        rows.append(f"| {short}`{name}` | {text} | "
                    f"{f'`{default}`' if default else ''} |")
    return "\n".join(rows) + "\n\n"


def write():
    text = TABLE.sub(lambda m: f"<!-- options of {m[1]} -->\n{table(m[1])}"
                               "<!-- end -->\n", DOCS.read_text())
    DOCS.write_text(text)


@pytest.mark.parametrize("command", commands())
def test_options(command):
    documented = dict(TABLE.findall(DOCS.read_text()))
    assert documented.get(command) == table(command), \
        f"run {pathlib.Path(__file__).name} to write the tables anew"


def test_no_others():
    assert sorted(dict(TABLE.findall(DOCS.read_text()))) == sorted(commands())


if __name__ == "__main__":
    sys.exit(write())
