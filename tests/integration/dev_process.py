"""`cronium dev` for tests: in a home of its own, with this tree's SDKs."""

import json
import pathlib
import re
import subprocess
import sys

import npm_tools
import pytest
from cli_process import Home

ROOT = pathlib.Path(__file__).resolve().parents[2]
SDK = ROOT / "sdk"
PROGRAMS = {".py": [sys.executable], ".js": ["node"], ".mjs": ["node"],
            ".cjs": ["node"], ".ts": [npm_tools.program("bun"), "run"],
            ".sh": ["bash"]}


class Dev(Home):
    """Runs scripts; fixtures are Python values."""

    def __init__(self):
        super().__init__()
        # Temporary directories are to be gone when all is done.
        self.tmp = self.dir / "tmp"
        self.tmp.mkdir()
        self.env.update(TMPDIR=str(self.tmp), PYTHONDONTWRITEBYTECODE="1")

    def fixtures(self, value, name="dev.json"):
        path = self.dir / name
        path.write_text(value if isinstance(value, str)
                        else json.dumps(value))
        return str(path)

    def program(self, script):
        return [*PROGRAMS[pathlib.Path(script).suffix], script]

    def start(self, *args, **options):
        return super().start("dev", "--sdk-dir", SDK, *args, **options)

    def dev(self, script, fixtures=None, *args, **options):
        """script: a path, or a whole command."""
        command = self.program(script) if isinstance(script, str) else script
        if fixtures is not None:
            args = ("--fixtures", self.fixtures(fixtures), *args)
        return self.finish(self.start(*args, "--", *command, **options))

    def report(self, script, fixtures=None, *args, **options):
        result = self.dev(script, fixtures, "--json", *args, **options)
        assert result.out, result
        return result.json

    def left(self):
        return list(self.tmp.iterdir())


def operations(result):
    """What the lines say, without what comes at the end."""
    lines = re.findall(r"^cronium: (.*)$", result.err, re.M)
    end = next((i for i, line in enumerate(lines)
                if line.startswith("the script ")), len(lines))
    return lines[:end]


def runs(pid):
    return subprocess.run(["ps", "-p", str(pid)],
                          capture_output=True).returncode == 0


@pytest.fixture
def dev():
    home = Dev()
    yield home
    left = home.left()
    home.remove()
    assert not left
