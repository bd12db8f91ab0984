"""What `cronium run` promises, on each executor."""

import json
import signal

import pytest

from harness import FREE, ROOT

PYTHON = "import cronium\n"


@pytest.mark.parametrize("example", ["hello.py", "hello.js", "hello.sh",
                                     "hello.ts"])
def test_examples(server, executor, example):
    result = server.cronium(
        "run", "--executor", executor, ROOT / "examples" / example,
        "--input", '{"name":"Ada"}',
    ).ok()
    assert result.json["message"] == "Hello, Ada!"
    assert "greeting Ada" in result.err


def test_output_alone_is_on_stdout(run):
    result = run(PYTHON + "print('noise')\ncronium.output({'a': [1, 'ä']})")
    assert result.ok().json == {"a": [1, "ä"]}
    assert result.err.count("noise") == 1


def test_no_output_prints_nothing(run):
    assert run("print('x')").ok().out == ""


@pytest.mark.parametrize("code", [1, 3, 42, 255])
def test_exit_code_is_the_scripts(run, code):
    assert run(f"import sys; sys.exit({code})").code == code


def test_exception(run):
    result = run("raise RuntimeError('broken')")
    assert result.code == 1
    assert "RuntimeError: broken" in result.err


def test_arguments_and_environment(run):
    result = run(
        "import os, sys, cronium\n"
        "cronium.output([sys.argv[1:], os.environ['COLOUR']])",
        "--env", "COLOUR=deep red", "--", "--flag", "a b",
    )
    assert result.ok().json == [["--flag", "a b"], "deep red"]


def test_environment_is_clean(run):
    result = run("import os, cronium\ncronium.output(dict(os.environ))")
    env = result.ok().json
    for name in (
        "CRONIUM_RUNTIME_API",
        "CRONIUM_EXECUTION_TOKEN",
        "CRONIUM_EXECUTION_ID",
        "CRONIUM_JOB_ID",
        "CRONIUM_EXECUTION_MODE",
        "CRONIUM_ENVIRONMENT",
    ):
        assert env.pop(name)
    assert not [n for n in env if "CRONIUM" in n and n != "CRONIUM_VERSION"]
    assert not {"SUDO_USER", "SSH_AUTH_SOCK", "XDG_RUNTIME_DIR"} & set(env)


@pytest.mark.parametrize("form", ["text", "file", "stdin"])
def test_input_forms(run, tmp_path, form):
    value = {"n": 12345678901234567890, "x": 1.5, "s": "ä\n"}
    text = json.dumps(value)
    (tmp_path / "in.json").write_text(text)
    option = {"text": text, "file": f"@{tmp_path}/in.json", "stdin": "-"}[form]
    result = run(
        PYTHON + "cronium.output(cronium.input())", "--input", option,
        stdin=text if form == "stdin" else None,
    )
    assert result.ok().json == value


def test_bad_input_is_refused_before_anything_runs(run):
    result = run("print(1)", "--input", "{nope")
    assert result.code == 2
    assert "input" in result.err


def test_timeout(run):
    result = run(
        "import time\nprint('started', flush=True)\ntime.sleep(600)",
        "--timeout", "1s",
    )
    assert result.code == 124
    assert "started" in result.err


def test_timeout_lets_the_script_clean_up(run):
    result = run(
        "import signal, sys, time\n"
        "def stop(*_):\n"
        "    print('cleaned up', flush=True); sys.exit(0)\n"
        "signal.signal(signal.SIGTERM, stop)\n"
        "print('ready', flush=True)\n"
        "time.sleep(600)",
        "--timeout", "1s",
    )
    assert result.code == 124
    assert "cleaned up" in result.err


def test_ctrl_c_cancels(server, executor, tmp_path):
    script = tmp_path / "s.py"
    script.write_text("import time\nprint('started', flush=True)\ntime.sleep(600)")
    process = server.popen("run", *FREE, "--executor", executor, script)
    while b"started" not in process.stderr.readline():
        assert process.poll() is None
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode == 130
    jobs = server.cronium("jobs", "--json").ok().json
    assert jobs["jobs"][0]["state"] == "cancelled"


def test_submit_job_logs_cancel(server, executor, tmp_path):
    script = tmp_path / "s.sh"
    script.write_text("echo one; echo two >&2; exec sleep 600")
    job = server.cronium(
        "submit", *FREE, "--executor", executor, script, "--json"
    ).ok().json["id"]
    server.wait_state(job, "running")
    follow = server.popen("logs", "-f", job)
    assert follow.stdout.readline().strip() in (b"one", b"two")
    server.cronium("cancel", job).ok()
    follow.communicate(timeout=60)
    found = server.wait_state(job, "cancelled")
    assert found["ended_ms"] >= found["started_ms"] > 0


def test_secret_is_masked_in_the_log(server, run):
    server.cronium(
        "vars", "set", "API_KEY", "-", "--secret", stdin="s3cr3t-value-1"
    ).ok()
    result = run(
        "import base64, cronium, sys\n"
        "key = cronium.get_variable('API_KEY')\n"
        "print('plain', key)\n"
        "print('base64', base64.b64encode(key.encode()).decode())\n"
        "for c in key:\n"
        "    sys.stdout.write(c); sys.stdout.flush()\n"
        "cronium.output(len(key))"
    ).ok()
    assert result.json == 14
    assert "s3cr3t-value-1" not in result.err
    assert "czNjcjN0LXZhbHVlLTE" not in result.err
    assert result.err.count("********") == 3


def test_token_is_masked_in_the_log(run):
    result = run(
        "import os\nprint(os.environ['CRONIUM_EXECUTION_TOKEN'])"
    ).ok()
    assert "eyJ" not in result.err


def test_plain_http_client(run):
    """The way any language can do it."""
    result = run(
        "import json, os, urllib.request\n"
        "api = os.environ['CRONIUM_RUNTIME_API']\n"
        "auth = {'Authorization': 'Bearer '"
        " + os.environ['CRONIUM_EXECUTION_TOKEN']}\n"
        "def call(method, path, value=None):\n"
        "    data = None if value is None else json.dumps(value).encode()\n"
        "    r = urllib.request.Request(api + path, data, auth,"
        " method=method)\n"
        "    return json.loads(urllib.request.urlopen(r).read() or 'null')\n"
        "call('PUT', '/variables/plain', {'a': 1})\n"
        "call('POST', '/output',"
        " [call('GET', '/input'), call('GET', '/variables/plain')])\n",
        "--input", '"in"',
    )
    assert result.ok().json == ["in", {"a": 1}]


def test_parallel_increments(server, run):
    server.cronium("vars", "set", "counter", "0").ok()
    result = run(
        "import concurrent.futures as f, cronium\n"
        "with f.ThreadPoolExecutor(20) as pool:\n"
        "    list(pool.map(lambda _: cronium.Cronium()"
        ".increment_variable('counter'), range(100)))\n"
    )
    result.ok()
    assert server.cronium("vars", "get", "counter").ok().json == 100


def test_two_jobs_race_on_one_variable(server, executor, tmp_path):
    server.cronium("vars", "set", "lock", '"free"').ok()
    version_script = (
        "import cronium, time\n"
        "value, version = cronium.get_variable_version('lock')\n"
        "cronium.set_variable('ready.%s' % cronium.input(), 1)\n"
        "end = time.monotonic() + 60\n"
        "while len(cronium.list_variables('ready.')) < 2:\n"
        "    assert time.monotonic() < end\n"
        "    time.sleep(0.01)\n"
        "try:\n"
        "    cronium.set_variable('lock', cronium.input(), version)\n"
        "    cronium.output('won')\n"
        "except cronium.ConflictError:\n"
        "    cronium.output('lost')\n"
    )
    script = tmp_path / "race.py"
    script.write_text(version_script)
    racers = [
        server.popen("run", *FREE, "--executor", executor, script,
                     "--input", n)
        for n in ("1", "2")
    ]
    outputs = sorted(
        json.loads(r.communicate(timeout=120)[0] or b"null") for r in racers
    )
    assert outputs == ["lost", "won"]
    for name in server.cronium("vars", "list", "--json").ok().json["variables"]:
        if name["key"].startswith("ready."):
            server.cronium("vars", "rm", name["key"]).ok()
