"""Scripts that do not want to end, and what is left of them: nothing."""

import glob
import time

import pytest

from harness import ENDS, FREE, docker
from patience import until
from proc import processes_with


def assert_gone(marker):
    until(lambda: not processes_with(marker),
          lambda: processes_with(marker))


def test_children_outlive_the_script(run, executor):
    marker = f"86{executor and len(executor)}4711.5"
    result = run(
        "import subprocess\n"
        f"for _ in range(5): subprocess.Popen(['sleep', '{marker}'])\n"
        f"subprocess.Popen(['setsid', 'sleep', '{marker}'])\n"
        "print('leaving')\n"
    ).ok()
    assert "leaving" in result.err
    assert_gone(marker)


def test_daemon_keeps_the_pipes(run):
    """A double-forked child holds stdout: the job ends all the same."""
    result = run(
        "import os, time\n"
        "if os.fork() == 0:\n"
        "    os.setsid()\n"
        "    if os.fork() == 0:\n"
        "        time.sleep(86471.25)\n"
        "    os._exit(0)\n"
        "print('parent done')\n"
    ).ok()
    assert "parent done" in result.err


def test_ignores_sigterm(run):
    started = time.monotonic()
    result = run(
        "import signal, time\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "print('ignoring', flush=True)\n"
        "while True: time.sleep(1)\n",
        "--timeout", "1s",
    )
    assert result.code == 124
    assert time.monotonic() - started < 30


def test_closes_its_stdout(run):
    result = run(
        "import os, cronium\n"
        "os.close(1); os.close(2)\n"
        "cronium.output('still here')\n"
    )
    assert result.ok().json == "still here"


@pytest.mark.timeout(120)
def test_allocates_without_end(run, server):
    result = run(
        "hold = []\nwhile True: hold.append(bytearray(1 << 20))\n",
        "--memory", "64m",
    )
    assert result.code != 0
    job = server.cronium("jobs", "--json").ok().json["jobs"][0]
    assert job["state"] == "failed"
    assert "memory" in job["reason"]
    assert job["oom_killed"] is True


@pytest.mark.timeout(120)
def test_fork_bomb(run, server):
    run(
        "import os, time\n"
        "while True:\n"
        "    try: os.fork()\n"
        "    except OSError: time.sleep(0.01)\n",
        "--timeout", "3s",
    )
    job = server.cronium("jobs", "--json").ok().json["jobs"][0]
    assert job["state"] == "timed_out"


def test_killed_by_itself(run, server):
    result = run("import os, signal\nos.kill(os.getpid(), signal.SIGKILL)")
    assert result.code == 128 + 9
    job = server.cronium("jobs", "--json").ok().json["jobs"][0]
    assert (job["state"], job["signal"]) == ("failed", 9)


def test_missing_interpreter(server, executor, tmp_path):
    script = tmp_path / "s.js"
    script.write_text("console.log(1)")
    if executor != "docker":
        return
    result = server.cronium(
        "run", *FREE, "--executor", "docker",
        "--image", "cronium/bash", script
    )
    assert result.code == 125
    assert "node" in result.err


def test_nothing_is_left(server, executor):
    """After all of the above: no pod, container, network or cgroup."""
    until(lambda: not list((server.run_dir / "pods").glob("*")))
    for job in server.cronium("jobs", "--json").ok().json["jobs"]:
        assert job["state"] in ENDS
        if executor == "docker":
            execution = f"label=cronium.execution={job['execution']}"
            assert docker("ps", "-aq", "--filter", execution) == ""
            assert docker("network", "ls", "-q", "--filter", execution) == ""
    instance = (server.data_dir / "orchestrator.lock").read_text().strip()
    assert instance.startswith("in_")
    for top in ("/sys/fs/cgroup", "/sys/fs/cgroup/*"):
        assert not glob.glob(f"{top}/cronium/{instance}/pod_*")
