"""The runtime configuration: from the API and from options to the backend's
assignment, and what a script sees of it."""

import subprocess

import pytest

import frames
from backend_process import FRAMES
from cli_process import CRONIUM, Home

pytestmark = pytest.mark.timeout(60)

NOTHING = {"net": False, "read": False, "write": False, "env": False,
           "run": False}
DEFAULTS = {
    "type": "bash", "entrypoint": None, "environment": "production",
    "permissions": NOTHING, "node_options": [], "max_stderr_capture": 1 << 20,
    "retries": 0,
    "backoff": {"initial": 100, "max": 5000, "max_elapsed": 30000},
    "worker_file_perm": "0600",
    "native_tools": {"call_agents": True, "call_workflows": True}}


@pytest.fixture
def home():
    home = Home()
    yield home
    if (home.run_dir / "up.lock").exists():
        home.wait_server_gone()
    home.remove()


# --- the API -----------------------------------------------------------------

def claimed(backend, **spec):
    reply = backend.admin.post("/v1/jobs", {
        "script": {"content": "true"}, **spec})
    assert reply.status == 201, reply.body
    with_agent = backend.agent()
    claim = with_agent.claim()
    with_agent.close()
    assert claim.job == reply.json["id"]
    return reply.json, claim.assign["spec"]


def test_a_name_alone(backend):
    job, spec = claimed(backend, runtime="bash")
    assert job["runtime"] == "bash"
    assert spec["runtime"] == DEFAULTS
    assert spec["memory_mb"] == 2048 and spec["timeout_ms"] == 0
    assert spec["payload"] is False and spec["host"] is None


def test_a_block(backend):
    job, spec = claimed(backend, name="x.mjs", runtime={
        "environment": "staging", "timeout": "2m", "max_memory_mb": 300,
        "permissions": {"net": ["API.example.com:443"], "read": ["/data/"]},
        "node_options": ["--max-old-space-size=300"], "retries": 2})
    assert job["runtime"] == "node"
    assert spec["memory_mb"] == 300 and spec["timeout_ms"] == 120000
    assert spec["runtime"] == {
        **DEFAULTS, "type": "node", "environment": "staging", "retries": 2,
        "permissions": {**NOTHING, "net": ["api.example.com:443"],
                        "read": ["/data"]},
        "node_options": ["--max-old-space-size=300"]}


WRONG = {
    "memory_mb": 128, "timeout_ms": 1000, "env": {"LD_PRELOAD": "/x.so"},
    "executor": "sandbox", "host": "far",
    "runtime": {"type": "node", "max_memory_mb": 64, "timeout": "2s",
                "entrypoint": "other.js"}}
WRONG_SAYS = (
    "runtime.max_memory_mb: 64 is not what memory_mb says, 128",
    "runtime.timeout: 2000 is not what timeout_ms says, 1000",
    "runtime.entrypoint: \"other.js\" is not the file to run, \"x.js\"",
    "env: \"LD_PRELOAD\" would change what is loaded or run",
    "host: needs \"executor\":\"ssh\"")
BLOCK = {"runtime": {
    "type": "node", "permissions": {"net": ["http://x"], "read": ["y"],
                                    "write": 3, "disk": True},
    "node_options": ["--inspect"], "retries": -1, "colour": "red",
    "worker_file_perm": 600}}
BLOCK_SAYS = (
    "runtime.permissions.net: \"http://x\" is not HOST",
    "runtime.permissions.read: \"y\" is not an absolute path",
    "runtime.permissions.write: must be true, false or an array",
    "runtime.permissions.disk: is not a known member",
    "runtime.node_options: \"--inspect\" is refused",
    "runtime.retries: must be 0 to 100, not -1",
    "runtime.colour: is not a known member",
    "runtime.worker_file_perm: must be octal digits in a string")


@pytest.mark.parametrize("spec, says", [(WRONG, WRONG_SAYS),
                                        (BLOCK, BLOCK_SAYS)])
def test_all_that_is_wrong_at_once(backend, spec, says):
    as_json = backend.admin.post("/v1/jobs", {
        **spec, "script": {"name": "x.js", "content": "1"}})
    as_frames = backend.admin.post(
        "/v1/jobs",
        frames.encode(frames.SPEC, {**spec, "script_name": "x.js"}) +
        frames.encode(frames.SCRIPT, b"1") + frames.encode(frames.INPUT, b"1"),
        **{"Content-Type": FRAMES})
    for reply in as_json, as_frames:
        assert reply.status == 400 and reply.code == "invalid_spec"
        for sentence in says:
            assert sentence in reply.json["detail"]
    assert backend.admin.get("/v1/jobs").json["jobs"] == []


# --- the options -------------------------------------------------------------

def submitted(backend, home, *options, name="x.sh"):
    """What the backend makes of the options."""
    path = home.script("true", name)
    subprocess.run(
        [CRONIUM, "submit", "--server", f"unix:{backend.run}/api.sock",
         *options, path], env=home.env, check=True, stdout=subprocess.DEVNULL,
        timeout=60)
    agent = backend.agent(executors="docker,sandbox,ssh")
    claim = agent.claim()
    agent.close()
    return claim.assign["spec"]


def test_options_default(backend, home):
    spec = submitted(backend, home)
    assert spec["runtime"] == DEFAULTS
    assert spec["memory_mb"] == 2048 and spec["timeout_ms"] == 0


def test_options_become_the_block(backend, home):
    spec = submitted(
        backend, home, "--allow-net=a.test,*.B.test:80", "--allow-net=c",
        "--allow-read", "--allow-write=/out/", "--allow-env=TZ,LANG",
        "--allow-run", "--environment", "development", "--max-stderr", "64k",
        "--retries", "3", "--backoff", "50ms/1s/1m", "--file-perm", "0644",
        "--no-call-agents", "--no-call-workflows", "-m", "100m", "-t", "5s",
        "--node-option", "--expose-gc", "--node-option=--trace-warnings",
        name="x.js")
    assert spec["memory_mb"] == 100 and spec["timeout_ms"] == 5000
    assert spec["runtime"] == {
        "type": "node", "entrypoint": None, "environment": "development",
        "permissions": {"net": ["a.test", "*.b.test:80", "c"], "read": True,
                        "write": ["/out"], "env": ["TZ", "LANG"],
                        "run": True},
        "node_options": ["--expose-gc", "--trace-warnings"],
        "max_stderr_capture": 65536, "retries": 3,
        "backoff": {"initial": 50, "max": 1000, "max_elapsed": 60000},
        "worker_file_perm": "0644",
        "native_tools": {"call_agents": False, "call_workflows": False}}


def test_allow_all(backend, home):
    spec = submitted(backend, home, "--allow-all")
    assert spec["runtime"]["permissions"] == dict.fromkeys(NOTHING, True)


def test_usage(home):
    path = home.script("true", "x.sh")
    for says, *options in (
            ("permissions.net: \"http://x\" is not", "--allow-net=http://x"),
            ("permissions.read: \"a\" is not an absolute",
             "--allow-read=/ok,a"),
            ("--allow-write: '' is not a list", "--allow-write="),
            ("permissions.env: \"BASH_ENV\" would", "--allow-env=BASH_ENV"),
            ("--allow-run takes no value", "--allow-run=ls"),
            ("node_options: are for the type node", "--node-option=--x"),
            ("environment: must be one of", "--environment", "live"),
            ("--backoff 1s: INITIAL/MAX/MAX-ELAPSED", "--backoff", "1s"),
            ("--backoff 1s/2s/3s/4s", "--backoff", "1s/2s/3s/4s"),
            ("backoff: initial", "--backoff", "9s/2s/3s"),
            ("worker_file_perm: must be octal", "--file-perm", "rw"),
            ("retries: must be 0 to 100", "--retries", "101"),
            ("--host NAME go together", "--executor", "ssh"),
            ("--host NAME go together", "-x", "docker", "--host", "far"),
    ):
        r = home("run", *options, path)
        assert r.code == 2 and says in r.err, (options, r)
    assert not home.log, "a server was started for it"


# --- what a script sees ------------------------------------------------------

def test_environment_of_a_script(home):
    path = home.script("""
import os, cronium
cronium.output({k: os.environ.get(k) for k in (
    "CRONIUM_ENVIRONMENT", "NODE_ENV", "HTTPS_PROXY", "NO_PROXY", "http_proxy")})
""")
    plain = home.run(path).json
    assert plain == {"CRONIUM_ENVIRONMENT": "production", "NODE_ENV": None,
                     "HTTPS_PROXY": None, "NO_PROXY": None,
                     "http_proxy": None}
    asked = home.run(path, "--environment", "staging", "--allow-net=a.test",
                     "-e", "http_proxy=http://mine").json
    assert asked["CRONIUM_ENVIRONMENT"] == "staging"
    assert asked["HTTPS_PROXY"] == "http://localhost:8082"
    assert asked["http_proxy"] == "http://localhost:8082"
    assert asked["NO_PROXY"] == "localhost,127.0.0.1,::1"


def test_node_of_a_script(home):
    path = home.script("""
import cronium from "cronium";
import { getHeapStatistics } from "node:v8";
await cronium.setOutput([process.execArgv, typeof gc, process.env.NODE_ENV,
    getHeapStatistics().heap_size_limit >> 20]);
""", "x.mjs")
    argv, gc, environment, heap = home.run(
        path, "-m", "400m", "--node-option", "--expose-gc",
        "--environment", "development").json
    assert argv == ["--expose-gc", "--max-old-space-size=300"]
    assert gc == "function" and environment == "development"
    assert 300 <= heap < 400


def test_dev_is_development(home):
    script = home.script("import os; print(os.environ['CRONIUM_ENVIRONMENT'])")
    for given, seen in ({}, "development"), \
            ({"CRONIUM_ENVIRONMENT": "staging"}, "staging"):
        done = subprocess.run(
            [CRONIUM, "dev", "--", "/usr/bin/python3", script],
            env={**home.env, **given}, capture_output=True, text=True,
            timeout=60, check=True)
        assert seen in done.stdout.split(), done
