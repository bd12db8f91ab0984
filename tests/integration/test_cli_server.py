"""`cronium up`, and the commands against it."""

import json
import os
import pathlib
import re
import signal
import socket
import subprocess

import pytest

from cli_process import TIMEOUT, Up, wait_gone, wait_log


@pytest.fixture
def up(home):
    with Up(home, "--executors", "sandbox") as up:
        yield up.wait_ready()


# --- supervision -------------------------------------------------------------

def test_orderly_stop(home, up):
    backend = up.pid("cronium-backend")
    orchestrator = up.pid("cronium-orchestrator")
    assert up.stop() == 0
    assert wait_gone(backend) and wait_gone(orchestrator)
    _, first = up.wait_line("who=cronium-orchestrator msg=\"stopped")
    _, second = up.wait_line("who=cronium-backend msg=\"stopped")
    assert first < second
    assert home.processes() == []


@pytest.mark.parametrize("name", ["cronium-backend", "cronium-orchestrator"])
def test_crashed_child_is_restarted(home, up, name):
    os.kill(up.pid(name), signal.SIGKILL)
    assert up.pid(name, 1) != up.pid(name)
    if name == "cronium-orchestrator":
        _, at = up.wait_line(f"prog=up who={name} msg=\"ended: signal 9")
        up.wait_line("prog=backend .*agent connected", at)
    r = home.run(home.script("print('ran')"))
    assert (r.code, r.err) == (0, "ran\n")


def test_backend_that_somebody_ends_is_restarted(home, up):
    """It has been ready: its configuration is not what ended it."""
    os.kill(up.pid("cronium-backend"), signal.SIGTERM)
    assert up.pid("cronium-backend", 1) != up.pid("cronium-backend")
    r = home.run(home.script("print('ran')"))
    assert (r.code, r.err) == (0, "ran\n")


def test_children_never_outlive_it(home, up):
    backend = up.pid("cronium-backend")
    orchestrator = up.pid("cronium-orchestrator")
    up.process.kill()
    up.process.wait()
    assert wait_gone(backend) and wait_gone(orchestrator)


def test_port_in_use_is_said(home):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        r = home("up", "--listen", f"127.0.0.1:{port}")
    assert r.code == 1
    assert "cronium-backend ended with exit code" in r.err
    assert str(port) in r.err


def test_the_stores_url_is_no_argument_of_others(home):
    """It may have a password; the backend gets it all the same."""
    store = home.data / "s3cret.db"
    with Up(home, "--executors", "sandbox", "--store", f"sqlite:{store}") as up:
        up.wait_ready()
        for name in ("cronium-backend", "cronium-orchestrator"):
            line = pathlib.Path(f"/proc/{up.pid(name)}/cmdline").read_bytes()
            assert line and b"s3cret" not in line
        assert store.exists() and not (home.data / "cronium.db").exists()


def test_second_one_is_refused(home, up):
    r = home("up", "--listen", "none")
    assert r.code == 1
    assert "another `cronium up` runs" in r.err


def test_embedded_one_is_not_started_beside_it(home, up):
    assert home.run(home.script("pass")).code == 0
    assert home.log == ""


def test_systemd_is_told(home):
    path = str(home.dir / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
        s.bind(path)
        s.settimeout(TIMEOUT)
        home.env["NOTIFY_SOCKET"] = path
        with Up(home, "--executors", "sandbox") as up:
            assert s.recv(100) == b"READY=1"
            up.wait_ready()
            up.process.send_signal(signal.SIGINT)
            assert s.recv(100) == b"STOPPING=1"
            assert up.process.wait(TIMEOUT) == 0


def test_usage(home):
    assert home("up", "--tls-cert", "x").code == 2
    assert home("up", "--log-level", "loud").code == 2
    r = home("up", "--embedded")
    assert r.code == 1 and "cannot listen" in r.err


# --- over TCP ----------------------------------------------------------------

def test_api_key(home, up):
    env = {"CRONIUM_URL": up.url}
    r = home("jobs", env=env)
    assert r.code == 1 and "set CRONIUM_API_KEY" in r.err
    r = home("jobs", env={**env, "CRONIUM_API_KEY": "cro_wrong"})
    assert r.code == 1 and "does not accept this API key" in r.err
    env["CRONIUM_API_KEY"] = up.api_key
    assert home("jobs", env=env).code == 0
    r = home.run(home.script("print('ran')"), env=env)
    assert (r.code, r.err) == (0, "ran\n")
    assert up.api_key not in "".join(up.lines)


def test_config_file(home, up):
    config = home.dir / ".config" / "cronium"
    config.mkdir(parents=True)
    (config / "config").write_text(
        f"# where it is\nurl = {up.url}\napi_key = {up.api_key}\nnope = 1\n")
    r = home("jobs", "--json", "--data-dir", home.dir / "other")
    assert r.code == 0 and r.json["jobs"] == []
    assert ":4: 'nope' is not understood" in r.err


def test_nobody_there(home):
    with socket.create_server(("127.0.0.1", 0)) as s:
        url = f"http://127.0.0.1:{s.getsockname()[1]}"
    r = home("jobs", "--server", url)
    assert r.code == 1 and "Connection refused" in r.err
    r = home("jobs", "--server", "http://nobody.invalid:1")
    assert r.code == 1 and "nobody.invalid" in r.err
    r = home("jobs", "--server", "nonsense")
    assert r.code == 1 and "'nonsense' is no server" in r.err


def certificate(directory, name, alt):
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
         "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj",
         f"/CN={name}", "-addext", f"subjectAltName={alt}", "-keyout",
         f"{directory}/{name}.key", "-out", f"{directory}/{name}.pem"],
        check=True, capture_output=True)
    return f"{directory}/{name}.pem", f"{directory}/{name}.key"


def test_tls(home):
    cert, key = certificate(home.dir, "good", "DNS:localhost,IP:127.0.0.1")
    other, _ = certificate(home.dir, "other", "DNS:localhost")
    with Up(home, "--executors", "sandbox", "--tls-cert", cert, "--tls-key",
            key) as up:
        up.wait_ready()
        env = {"CRONIUM_API_KEY": up.api_key, "CRONIUM_CA_FILE": cert,
               "CRONIUM_URL": f"https://localhost:{up.port}"}
        assert home("jobs", env=env).code == 0
        env["CRONIUM_URL"] = f"https://127.0.0.1:{up.port}"
        r = home.run(home.script("print('ran')"), env=env)
        assert (r.code, r.err) == (0, "ran\n")
        r = home("jobs", env={**env, "CRONIUM_CA_FILE": other})
        assert r.code == 1 and "certificate" in r.err
        r = home("jobs", env={**env, "CRONIUM_CA_FILE": key})
        assert r.code == 1 and "cannot read the certificates" in r.err


def test_certificate_of_another_host(home):
    cert, key = certificate(home.dir, "wrong", "DNS:elsewhere.example")
    with Up(home, "--executors", "sandbox", "--tls-cert", cert, "--tls-key",
            key) as up:
        up.wait_ready()
        r = home("jobs", env={"CRONIUM_API_KEY": up.api_key,
                              "CRONIUM_CA_FILE": cert,
                              "CRONIUM_URL": f"https://localhost:{up.port}"})
        assert r.code == 1 and "mismatch" in r.err


# --- a server that goes away in between --------------------------------------

def test_run_outlives_a_backend_restart(home, up):
    path = home.script("""
import time
for i in range(30):
    print("line", i, flush=True)
    time.sleep(0.1)
""")
    process = home.start("run", "-x", "sandbox", path)
    seen = wait_log(process, "line 1\n").decode()
    os.kill(up.pid("cronium-backend"), signal.SIGKILL)
    r = home.finish(process)
    assert r.code == 0, r
    assert seen + r.err == "".join(f"line {i}\n" for i in range(30))


# --- commands ----------------------------------------------------------------

def test_vars(home, up):
    assert home("vars", "set", "N", "5").code == 0
    assert home("vars", "set", "S", "plain text").code == 0
    assert home("vars", "set", "Q", "5", "--type", "string").code == 0
    assert home("vars", "set", "a/b:c", '{"x": 1.50}').code == 0
    assert home("vars", "get", "N").out == "5\n"
    assert home("vars", "get", "S").out == '"plain text"\n'
    assert home("vars", "get", "-r", "S").out == "plain text\n"
    assert home("vars", "get", "Q").out == '"5"\n'
    assert home("vars", "get", "a/b:c").out == '{"x": 1.50}\n'
    keys = [v["key"] for v in home("vars", "list", "--json").json["variables"]]
    assert sorted(keys) == ["N", "Q", "S", "a/b:c"]
    assert "a/b:c" in home("vars", "list", "--prefix", "a/").out
    assert "NAME" in home("vars", "list").out
    assert home("vars", "rm", "N").code == 0
    r = home("vars", "get", "N")
    assert r.code == 1 and "N" in r.err
    r = home("vars", "set", "bad key", "1")
    assert r.code == 1 and "cannot set the variable" in r.err
    r = home("vars", "set", "J", "{", "--type", "json")
    assert r.code == 2 and "not JSON" in r.err


def test_secret_from_stdin_is_masked(home, up):
    secret = "correct-horse-battery"
    r = home("vars", "set", "KEY", "-", "--secret", stdin=secret.encode())
    assert r.code == 0, r
    r = home("vars", "list", "--json").json["variables"][0]
    assert r["secret"] is True
    r = home.run(home.script("""
import cronium
print("key", cronium.get_variable("KEY"))
"""))
    assert r.code == 0, r
    assert r.err == "key ********\n"
    assert secret not in "".join(up.lines)


def test_jobs_and_logs(home, up):
    path = home.script("""
import sys
print("out")
print("err", file=sys.stderr)
""", "two.py")
    first = home("submit", "-x", "sandbox", path).out.strip()
    r = home("logs", "-f", first)
    assert r.code == 0, r
    assert (r.out, r.err) == ("out\n", "err\n")
    r = home("logs", first)
    assert (r.out, r.err) == ("out\n", "err\n")
    pieces = [json.loads(l) for l in
              home("logs", "--json", first).out.splitlines()]
    assert {p["stream"] for p in pieces} == {"stdout", "stderr"}
    second = home("submit", "-x", "sandbox", "--name", "named", "--label",
                  "team=ops", path, "--json").json
    assert second["labels"] == {"team": "ops"}
    home("logs", "-f", second["id"])
    jobs = home("jobs", "--json").json["jobs"]
    assert [j["id"] for j in jobs] == [second["id"], first]
    assert home("jobs", "-n", "1", "--json").json["jobs"][0]["name"] == "named"
    r = home("jobs", "--before", second["id"], "--json").json["jobs"]
    assert [j["id"] for j in r] == [first]
    assert home("jobs", "--state", "failed", "--json").json["jobs"] == []
    r = home("jobs", "--state", "nonsense")
    assert r.code == 1 and "nonsense" in r.err
    assert "succeeded" in home("jobs").out
    out = home("job", first).out
    assert re.search(r"^exit code\s+0$", out, re.M)
    r = home("job", "job_nope")
    assert r.code == 1 and "cannot show the job" in r.err
    r = home("logs", "job_nope")
    assert r.code == 1 and "cannot read the log" in r.err
    r = home("logs", "-f", "job_nope")
    assert r.code == 1 and "cannot follow" in r.err


def test_cancel(home, up):
    job = home("submit", "-x", "sandbox",
               home.script("import time; time.sleep(600)")).out.strip()
    r = home("cancel", job, "--reason", "enough of it")
    assert r.code == 0, r
    home("logs", "-f", job)
    r = home("job", job, "--json").json
    assert r["state"] == "cancelled" and r["reason"] == "enough of it"
    r = home("cancel", job)
    assert r.code == 1 and "ended" in r.err


def test_killed_command_of_a_service_leaves_its_job(home, up):
    path = home.script("""
import time, cronium
print("started", flush=True)
while not cronium.get_variable("go-on", False):
    time.sleep(0.05)
""")
    process = home.start("run", "-x", "sandbox", path)
    wait_log(process, "started")
    process.kill()
    process.communicate()
    assert home("vars", "set", "go-on", "true").code == 0
    job = home("jobs", "--json").json["jobs"][0]["id"]
    assert home("logs", "-f", job).code == 0
    assert home("job", job, "--json").json["state"] == "succeeded"


def test_closed_pipe(home, up):
    job = home("submit", "-x", "sandbox", home.script(
        "for i in range(100000): print('line', i)")).out.strip()
    process = home.start("logs", "-f", job)
    process.stdout.read(5)
    process.stdout.close()
    process.stderr.close()
    process.wait(TIMEOUT)


# --- doctor ------------------------------------------------------------------

def test_doctor(home, up):
    r = home("doctor", "--json")
    checks = {}
    for c in r.json["checks"]:
        assert c["level"] in ("ok", "warn", "fail") and c["detail"]
        assert (c["mend"] is None) == (c["level"] == "ok")
        checks.setdefault(c["check"], []).append(c)
    assert set(checks) >= {
        "programs", "data", "keys", "docker", "namespaces", "bubblewrap",
        "executors", "cgroups", "seccomp", "overlay", "runtimes", "port",
        "clock", "server"}
    assert [c["level"] for c in checks["server"]] == ["ok"]
    assert "1 orchestrator" in checks["server"][0]["detail"]
    failed = any(c["level"] == "fail" for c in r.json["checks"])
    assert r.json["ok"] is not failed
    assert r.code == (1 if failed else 0)


def test_doctor_finds_what_is_amiss(home, up):
    (home.data / "api-key").chmod(0o644)
    r = home("doctor")
    assert r.code == 1
    assert "can be read by others" in r.out
    assert f"chmod 600 {home.data}/api-key" in r.out
    r = home("doctor", env={"CRONIUM_URL": "http://127.0.0.1:1"})
    assert r.code == 1 and "correct CRONIUM_URL" in r.out


# The limit is one of the user namespace, so that nobody else is limited.
NO_NAMESPACES = """echo 0 >/proc/sys/user/max_user_namespaces
exec setpriv --inh-caps=-all --ambient-caps=-all "$0" doctor --json"""


def test_doctor_says_what_forbids_sandboxes(home):
    """To an ordinary user; it tries, and then looks at the settings."""
    from cli_process import CRONIUM
    r = subprocess.run(
        ["unshare", "--user", "--map-user=1000", "--keep-caps", "sh", "-c",
         NO_NAMESPACES, CRONIUM], env=home.env, capture_output=True, text=True)
    checks = {c["check"]: c for c in json.loads(r.stdout)["checks"]}
    assert checks["namespaces"]["level"] == "warn"
    assert "are switched off" in checks["namespaces"]["detail"]
    assert "user.max_user_namespaces=" in checks["namespaces"]["mend"]
    assert checks["bubblewrap"]["level"] == "warn"
    assert "sandbox" not in checks["executors"]["detail"]


def test_doctor_without_programs(home):
    """Copied away from the others."""
    import shutil
    from cli_process import CRONIUM
    alone = home.dir / "alone"
    alone.mkdir()
    shutil.copy(CRONIUM, alone / "cronium")
    r = subprocess.run([alone / "cronium", "doctor"], env={
        **home.env, "PATH": "/usr/bin:/bin"}, capture_output=True, text=True)
    assert r.returncode == 1
    assert "cronium-backend is missing" in r.stdout
