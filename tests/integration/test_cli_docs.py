"""docs/cli.md and docs/programs.md say what the option tables say. Run as a
program, this writes the tables into them."""

import pathlib
import re
import subprocess
import sys

import pytest

from cli_process import CRONIUM

ROOT = pathlib.Path(__file__).resolve().parents[2]
CLI_DOCS = ROOT / "docs" / "cli.md"
PROGRAM_DOCS = ROOT / "docs" / "programs.md"
PROGRAMS = ["backend", "orchestrator", "sidecar", "runner"]
TABLE = re.compile(r"<!-- options of (\S+) -->\n(.*?)<!-- end -->\n", re.S)
OPTION = re.compile(
    r"^ {2}(?:(-\w),| {3}) (--[\w-]+)(\[\S+| \S+)? {2,}(.*?)(?: \[([^]]*)\])?$")


def help_of(program, *args):
    return subprocess.run([program, *args], capture_output=True, text=True,
                          timeout=60, check=True).stdout


def commands():
    return re.findall(r"^  (\w+) +\w", help_of(CRONIUM, "help"), re.M)


def pages():
    """For each page: what it documents, and the help that says the same."""
    return {
        CLI_DOCS: {c: (CRONIUM, c, "--help") for c in commands()},
        PROGRAM_DOCS: {
            **{p: (f"{CRONIUM}-{p}", "--help") for p in PROGRAMS},
            "runner-run": (f"{CRONIUM}-runner", "run", "--help"),
        },
    }


def table(help_command):
    rows = ["", "| option | does | default |", "|---|---|---|"]
    for line in help_of(*help_command).splitlines():
        match = OPTION.match(line)
        if not match:
            continue
        letter, name, arg, text, default = match.groups()
        name += arg or ""
        name = name.replace("|", "\\|")
        short = f"`{letter}`, " if letter else ""
        rows.append(f"| {short}`{name}` | {text} | "
                    f"{f'`{default}`' if default else ''} |")
    return "\n".join(rows) + "\n\n"


def write():
    for page, helps in pages().items():
        text = TABLE.sub(
            lambda m, helps=helps: f"<!-- options of {m[1]} -->\n"
            f"{table(helps[m[1]])}<!-- end -->\n", page.read_text())
        page.write_text(text)


@pytest.mark.parametrize("page,name", [(page, name) for page, helps
                                       in pages().items() for name in helps])
def test_options(page, name):
    documented = dict(TABLE.findall(page.read_text()))
    assert documented.get(name) == table(pages()[page][name]), \
        f"run {pathlib.Path(__file__).name} to write the tables anew"


@pytest.mark.parametrize("page", [CLI_DOCS, PROGRAM_DOCS])
def test_no_others(page):
    documented = dict(TABLE.findall(page.read_text()))
    assert sorted(documented) == sorted(pages()[page])


if __name__ == "__main__":
    sys.exit(write())
