"""The programs that the set-up installs with npm; see tools/npm.sh."""

import functools
import os
import pathlib
import shutil
import subprocess

ROOT = pathlib.Path(__file__).parents[2]
ASK = '. "$0/tools/lib.sh"; . "$0/tools/npm.sh"; npm_dir'


@functools.cache
def directory():
    """Has bin/ and node_modules/ in it, once ./dev setup was run."""
    return pathlib.Path(subprocess.run(
        ["bash", "-euc", ASK, ROOT], check=True, capture_output=True,
        text=True).stdout.strip())


def program(name):
    """Its path: where the set-up has put it, or in PATH. What is nowhere
    fails when it is run."""
    path = directory() / "bin" / name
    return str(path) if os.access(path, os.X_OK) else (
        shutil.which(name) or name)
