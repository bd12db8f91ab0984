"""cronium-runner run: a signed payload, alone."""

import os
import signal
import subprocess
import sys
import time

import pytest

import frames
from patience import until
from proc import processes_with
from runner_host import RUNNER, archive, children, host  # noqa: F401
from signing import SIGNER, Signer

assert host and frames
pytestmark = pytest.mark.timeout(90)

RUN_ALL = "runtime:\n  permissions: {all: true}\n"
RUN_LOOK = ("runtime:\n  permissions: "
            "{read: true, write: true, run: true}\n")


def manifest(interpreter="bash", entrypoint="main", more=RUN_LOOK):
    return (f"version: v1\ninterpreter: {interpreter}\n"
            f"entrypoint: {entrypoint}\n{more}")


def put(host, script, more=RUN_LOOK, interpreter="bash", signer=SIGNER,
        **files):
    data = archive({"manifest.yaml": manifest(interpreter, more=more),
                    "main": script, **files})
    path = host.root / "p.tar.gz"
    path.write_bytes(data)
    (host.root / "p.tar.gz.sig").write_text(signer.sign(data) + "\n")
    (host.root / "key.pub").write_bytes(SIGNER.pem)
    return path


def start(host, script, *args, options=(), env=(), stdout=subprocess.PIPE,
          **how):
    path = put(host, script, **how)
    return host.popen("run", path, "--key", host.root / "key.pub", *options,
                      "--", *args, env=env, stdout=stdout,
                      stderr=subprocess.PIPE, text=True)


def run(*args, **how):
    p = start(*args, **how)
    out, err = p.communicate(timeout=60)
    return p.returncode, out, err


def first_line(p):
    return p.stdout.readline()


@pytest.mark.parametrize("more", [RUN_LOOK, RUN_ALL], ids=["pod", "none"])
def test_output_code_and_arguments(host, more):
    code, out, err = run(host, 'echo "$@"; cat lib/x; echo oops >&2; pwd; '
                         "exit 7", "a", "b c", more=more, **{"lib/x": "x\n"})
    assert code == 7, err
    assert out.startswith(f"a b c\nx\n{host.tmp}/cronium-run-")
    assert "oops\n" in err
    assert "prog=runner" in err and "ended with 7" in err
    assert host.left() == []


@pytest.mark.parametrize("interpreter, script", [
    ("python", "import os; print(os.environ['CRONIUM_ENVIRONMENT'])"),
    ("node", "console.log(process.env.NODE_ENV)"),
])
def test_interpreters_and_the_environment(host, interpreter, script):
    code, out, err = run(host, script, interpreter=interpreter,
                         more=RUN_LOOK + "  environment: staging\n")
    assert (code, out) == (0, "staging\n"), err


def test_the_environment_is_not_the_callers(host):
    _, out, _ = run(host, "env", more="environment: {A: b}\n" + RUN_LOOK,
                    env={"SECRET": "x", "CRONIUM_RUNTIME_API": "http://127.0.0.1:1",
                         "CRONIUM_EXECUTION_TOKEN": "t"})
    names = dict(line.split("=", 1) for line in out.splitlines())
    assert "SECRET" not in names and names["A"] == "b"
    assert names["CRONIUM_RUNTIME_API"] == "http://127.0.0.1:1"
    assert names["CRONIUM_EXECUTION_TOKEN"] == "t"


def test_permissions_are_held(host):
    code, out, err = run(
        host, "cat /etc/passwd; echo x >f; ls; "
        "(exec 3<>/dev/tcp/127.0.0.1/22)", more="")
    assert out == "" and code != 0
    assert err.count("ermission denied") >= 2
    assert "allow-run" in err


def test_the_callers_runtime_api_has_a_door(host):
    import http.server
    import threading

    class Api(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"hello")

        def log_message(self, *args):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Api)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        code, out, err = run(
            host, "curl -sS $CRONIUM_RUNTIME_API/x", env={
                "CRONIUM_RUNTIME_API":
                    "http://localhost:%d" % server.server_address[1]})
        assert (code, out) == (0, "hello"), err
    finally:
        server.shutdown()
        server.server_close()


def refused(host, change, words):
    path = put(host, "echo ran")
    args = change(host, path) or ["--key", host.root / "key.pub"]
    r = subprocess.run(host.command("run", path, *args), env=host.env(),
                       capture_output=True, text=True, timeout=60)
    assert r.returncode == 125 and r.stdout == ""
    assert words in r.stderr, r.stderr
    assert host.left() == []


def altered(host, path):
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def test_what_is_not_as_it_was_signed(host):
    refused(host, altered, "altered")
    refused(host, lambda h, p: (h.root / "p.tar.gz.sig").unlink(),
            "p.tar.gz.sig: No such file")
    refused(host, lambda h, p: (h.root / "p.tar.gz.sig").write_text("x") and
            None, "signature is not one")
    refused(host, lambda h, p: (h.root / "p.tar.gz.sig").write_text(
        Signer().sign(p.read_bytes())) and None, "another key")
    refused(host, lambda h, p: ["--limit-processes", "9"], "--key")
    refused(host, lambda h, p: p.unlink(), "No such file")


@pytest.mark.parametrize("more, words", [
    ("runtime:\n  permissions: {net: [example.com]}\n", "orchestrator"),
    ("runtime: {colour: red}\n", "colour"),
])
def test_a_manifest_that_cannot_be_run(host, more, words):
    code, out, err = run(host, "echo ran", more=more)
    assert (code, out) == (125, "") and words in err


def test_an_interpreter_that_is_not_there(host):
    code, _, err = run(host, "1", interpreter="bun",
                       env={"PATH": "/nonexistent"})
    assert code == 125 and "bun is not" in err


def test_a_timeout(host):
    began = time.monotonic()
    code, out, err = run(host, "trap 'echo told; exit 3' TERM; "
                         "while :; do sleep 0.05; done",
                         more=RUN_LOOK + "  timeout: 300\n")
    assert code == 124 and "told" in out and "300 ms" in err
    assert time.monotonic() - began < 30
    assert host.left() == []


def test_max_stderr(host):
    code, _, err = run(host, "head -c 100000 /dev/zero | tr '\\0' x >&2",
                       more=RUN_LOOK + "  max_stderr_capture: 1000\n")
    assert code == 0
    assert err.count("x" * 1000) == 1 and "dropped" in err


@pytest.mark.parametrize("sig", [signal.SIGTERM, signal.SIGINT])
def test_signals_are_passed_on(host, sig):
    p = start(host, f"trap 'echo got; exit 9' {sig.name[3:]}; echo up; "
              "while :; do sleep 0.05; done")
    assert first_line(p) == "up\n"
    p.send_signal(sig)
    assert p.communicate(timeout=30)[0] == "got\n"
    assert p.returncode == 9 and host.left() == []


def test_a_script_that_ends_by_a_signal(host):
    assert run(host, "kill -SEGV $$")[0] == 139


def test_the_second_signal_kills(host):
    p = start(host, "trap '' TERM; echo up; while :; do sleep 0.05; done")
    assert first_line(p) == "up\n"
    p.send_signal(signal.SIGTERM)
    until(lambda: b"told to stop" in os.read(p.stderr.fileno(), 4096))
    p.send_signal(signal.SIGTERM)
    p.communicate(timeout=4)
    assert p.returncode == 137 and host.left() == []


def test_much_output_to_a_pipe_and_a_file(host):
    script = "for i in {1..20000}; do echo $i; done; head -c 3000000 /dev/zero"
    want = "".join(f"{i}\n" for i in range(1, 20001)) + "\0" * 3000000
    assert run(host, script)[1] == want
    with open(host.root / "out", "w+") as f:
        p = start(host, script, stdout=f)
        assert p.wait(60) == 0
        p.stderr.close()
    assert (host.root / "out").read_text() == want


def test_a_reader_that_is_gone(host):
    p = start(host, "while echo y; do :; done")
    assert first_line(p) == "y\n"
    p.stdout.close()
    assert p.wait(30) == 128 + signal.SIGPIPE
    p.stderr.close()
    assert host.left() == []


PARENT = """
import subprocess, sys, time
p = subprocess.Popen(sys.argv[1:], stdout=1)
p.wait()
"""


@pytest.mark.parametrize("more", [RUN_LOOK, RUN_ALL], ids=["pod", "none"])
@pytest.mark.parametrize("who", ["runner", "half", "parent"])
def test_nothing_is_left(host, who, more):
    marker = f"sleep 58{os.getpid()}{abs(hash((who, more, host.user)))}"[:17]
    path = put(host, f"trap '' HUP; (setsid {marker} &); echo up; {marker}",
               more=more)
    command = host.command("run", path, "--key", host.root / "key.pub")
    p = subprocess.Popen([sys.executable, "-c", PARENT, *command],
                         env=host.env(), stdout=subprocess.PIPE,
                         stderr=subprocess.DEVNULL)
    assert p.stdout.readline() == b"up\n"
    runner = children(p.pid)[0]
    until(lambda: len(processes_with(marker)) >= 2)
    assert len(host.left()) == 1
    victim = {"runner": runner, "half": children(runner)[0],
              "parent": p.pid}[who]
    os.kill(victim, signal.SIGKILL)
    until(lambda: not processes_with(marker))
    until(lambda: not host.left())
    until(lambda: not os.path.exists(f"/proc/{runner}"))
    p.wait(10)
    p.stdout.close()


def test_nohup_outlives_its_parent(host):
    path = put(host, "echo up; until [ -e go ]; do sleep 0.05; done; "
               f"touch {host.tmp}/done")
    command = ["nohup", *host.command("run", path, "--key",
                                      host.root / "key.pub")]
    p = subprocess.Popen([sys.executable, "-c", PARENT, *command],
                         env=host.env(), stdout=subprocess.PIPE,
                         stderr=subprocess.DEVNULL)
    assert p.stdout.readline() == b"up\n"
    p.kill()
    p.wait(10)
    (work,) = host.tmp.glob("cronium-run-*/work")
    (work / "go").touch()
    until(lambda: host.left() == ["done"])
    p.stdout.close()


def test_help():
    r = subprocess.run([RUNNER, "run", "--help"], capture_output=True,
                       text=True)
    assert r.returncode == 0 and "--signature" in r.stdout
