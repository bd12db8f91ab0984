"""Scripts with an SDK, as a pod starts them."""

import errno
import json
import os
import pathlib
import shutil
import subprocess
import sys

import npm_tools

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
    "bun": (npm_tools.program("bun"), "driver.mjs"),
    "bash": ("bash", "driver.sh"),
}
# A script as an argument.
EVALUATE = {
    "python": [sys.executable, "-c"],
    "python-async": [sys.executable, "-c"],
    "node-commonjs": ["node", "-e"],
    "node-esm": ["node", "--input-type=module", "-e"],
    "bun": [npm_tools.program("bun"), "-e"],
    "bash": ["bash", "-c"],
}


def environment(url=None, token=None, **more):
    """What a script finds: nothing of ours but the SDK's places."""
    env = {
        "PATH": f"{SDK / 'bash'}:{os.environ['PATH']}",
        "PYTHONPATH": str(SDK / "python"),
        "PYTHONDONTWRITEBYTECODE": "1",
        "LANG": "C.UTF-8",
    }
    if url:
        env["CRONIUM_RUNTIME_API"] = url
    if token:
        env["CRONIUM_EXECUTION_TOKEN"] = token
    return env | more


def environment_of(sidecar, **more):
    return environment(sidecar.base_url, sidecar.token, **more)


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


def step(call, *args):
    return {"call": call, "args": args}


def command(directory, client, file):
    interpreter, driver, *args = CLIENTS[client]
    place = DRIVERS
    if driver in ("driver.cjs", "driver.mjs"):
        place = install_node(directory)
    return [interpreter, place / driver, file, *args]


def run(directory, client, steps, env):
    """Makes the steps; the ended process."""
    file = directory / "steps.json"
    file.write_text(json.dumps(steps), encoding="utf-8")
    return subprocess.run(
        command(directory, client, file), env=env, capture_output=True,
        text=True, timeout=TIMEOUT_S, stdin=subprocess.DEVNULL)


def results(directory, client, steps, env):
    """Makes the steps; what they came to."""
    done = run(directory, client, steps, env)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def start(directory, client, steps, env):
    """A driver that makes the steps after go()."""
    file = directory / "steps.fifo"
    os.mkfifo(file)
    process = subprocess.Popen(
        command(directory, client, file), env=env, text=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE)
    process.fifo, process.steps = file, steps
    return process


def go(process):
    """Once the driver waits for its steps; fails when it never does."""
    fifo = None
    while fifo is None:
        assert process.poll() is None, process.stderr.read()
        try:
            fifo = os.open(process.fifo, os.O_WRONLY | os.O_NONBLOCK)
        except OSError as error:
            assert error.errno == errno.ENXIO  # nobody reads yet
    os.set_blocking(fifo, True)
    with open(fifo, "w", encoding="utf-8") as file:
        json.dump(process.steps, file)


def evaluate(directory, client, script, env, *args, **more):
    """Runs a script that is given as text; the ended process."""
    install_node(directory)
    return subprocess.run(
        [*EVALUATE[client], script, *args], cwd=directory, env=env,
        capture_output=True, text=True, timeout=TIMEOUT_S, **more)


def refused_connections():
    """How many of this host's connections were refused so far."""
    names, values = (
        line.split() for line in open("/proc/net/snmp")
        if line.startswith("Tcp:"))
    return int(values[names.index("AttemptFails")])
