"""Scripts with an SDK, as a pod starts them."""

import json
import os
import pathlib
import shutil
import subprocess
import sys

ROOT = pathlib.Path(__file__).parents[2]
SDK = ROOT / "sdk"
DRIVERS = ROOT / "tests" / "sdk"
TIMEOUT_S = 60

# How each vector step is made: the interpreter, the driver, its arguments.
CLIENTS = {
    "python": (sys.executable, "driver.py"),
    "python-async": (sys.executable, "driver.py", "async"),
    "node-commonjs": ("node", "driver.cjs"),
    "node-esm": ("node", "driver.mjs"),
    "bash": ("bash", "driver.sh"),
}


def environment(url=None, token=None, **more):
    """What a script finds: nothing of ours but the SDK's places."""
    env = {
        "PATH": f"{SDK / 'bash'}:{os.environ['PATH']}",
        "PYTHONPATH": str(SDK / "python"),
        "PYTHONDONTWRITEBYTECODE": "1",
        "LANG": "C.UTF-8",
        **more,
    }
    if url:
        env["CRONIUM_RUNTIME_API"] = url
    if token:
        env["CRONIUM_EXECUTION_TOKEN"] = token
    return env


def install_node(directory):
    """As the images do it: import finds a package in node_modules only.
    Returns the directory with the scripts beside it."""
    modules = directory / "node_modules"
    if not modules.exists():
        modules.mkdir()
        (modules / "cronium").symlink_to(SDK / "node")
        for name in "driver.cjs", "driver.mjs", "run.js":
            shutil.copy(DRIVERS / name, directory)
    return directory


def run(directory, client, steps, env):
    """Makes the steps; the ended process."""
    interpreter, driver, *args = CLIENTS[client]
    if interpreter == "node":
        driver = install_node(directory) / driver
    else:
        driver = DRIVERS / driver
    file = directory / "steps.json"
    file.write_text(json.dumps(steps), encoding="utf-8")
    return subprocess.run(
        [interpreter, driver, file, *args], env=env, capture_output=True,
        text=True, timeout=TIMEOUT_S, stdin=subprocess.DEVNULL)
