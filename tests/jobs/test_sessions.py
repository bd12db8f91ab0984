"""Sessions with jobs that really run."""

import time

import pytest

from harness import FREE, Server
from patience import until

WAIT_S = 60

# Says where it is, and goes on when it is told to.
SCRIPT = """
import cronium, sys, time
name = sys.argv[1]
cronium.set_variable('here.' + name, cronium.increment_variable('turn'))
while name == 'first' and not cronium.get_variable('go', 0):
    time.sleep(0.05)
"""
SLEEPER = "import time\nprint('up', flush=True)\ntime.sleep(600)\n"


@pytest.fixture(scope="module")
def server(tmp_path_factory, executor):
    s = Server(tmp_path_factory.mktemp("s"), "--executors", executor,
               "--slots", "1")
    yield s
    assert s.stop() == 0


def submit(server, session, script, *args):
    return server.cronium("submit", *FREE, "--session", session, "--json",
                          script, *args).ok().json["id"]


def count(server, session):
    return server.cronium("session", "show", session, "--json"
                          ).ok().json["jobs"]


def test_pause_holds_and_resume_goes_on_in_order(server, tmp_path):
    script = tmp_path / "s.py"
    script.write_text(SCRIPT)
    server.cronium("session", "new", "night").ok()
    names = ["first", "a", "b", "c"]
    jobs = [submit(server, "night", script, "--", n) for n in names]
    until(lambda: server.cronium("vars", "get", "here.first").code == 0)
    server.cronium("session", "pause", "night", "--reason", "hold on").ok()
    server.cronium("vars", "set", "go", "1").ok()
    # What ran has gone on to its end; nothing else has begun.
    until(lambda: count(server, "night")["ended"] == 1)
    probe = server.cronium("run", *FREE, script, "--", "probe").ok()
    assert probe.code == 0
    assert count(server, "night") == {"queued": 3, "running": 0, "ended": 1}
    for job in jobs[1:]:
        assert server.job(job)["waiting"]["code"] == "session_paused"
    server.cronium("session", "resume", "night").ok()
    until(lambda: count(server, "night")["ended"] == 4)
    turns = [int(server.cronium("vars", "get", f"here.{n}").ok().out)
             for n in ("first", "probe", "a", "b", "c")]
    assert turns == [1, 2, 3, 4, 5]
    assert all(server.job(j)["state"] == "succeeded" for j in jobs)
    server.cronium("session", "end", "night").ok()
    for name in ("go", "turn"):
        server.cronium("vars", "rm", name).ok()


def test_end_cancels_what_runs_and_what_waits(server, tmp_path):
    script = tmp_path / "sleeper.py"
    script.write_text(SLEEPER)
    server.cronium("session", "new", "night").ok()
    run = server.popen("run", *FREE, "--session", "night", script)
    try:
        while b"up" not in run.stderr.readline():
            assert run.poll() is None
        waiting = submit(server, "night", script)
        begun = time.monotonic()
        server.cronium("session", "end", "night", "--reason", "enough").ok()
        out, err = run.communicate(timeout=WAIT_S)
    finally:
        if run.poll() is None:
            run.kill()
            run.communicate()
    assert run.returncode == 130
    assert b"its session night was ended: enough" in err
    # At once, not with a heartbeat, of which one comes every 10 s.
    assert time.monotonic() - begun < 9
    job = server.job(waiting)
    assert job["state"] == "cancelled" and job["execution"] is None
    assert count(server, "night") == {"queued": 0, "running": 0, "ended": 2}
    # The slot is free again.
    script.write_text("print(1)")
    server.cronium("run", script).ok()


def test_a_script_sees_its_session(server, tmp_path):
    script = tmp_path / "s.py"
    script.write_text("import cronium\n"
                      "cronium.output(cronium.get_event_context()"
                      "['session'])\n")
    made = server.cronium("session", "new", "day", "--json").ok().json
    seen = server.cronium("run", "--session", "day", script, "--json"
                          ).ok().json["output"]
    assert seen == {"id": made["id"], "name": "day"}
    assert server.cronium("run", script, "--json").ok().json["output"] is None


def test_no_wait_where_nobody_could_run_it(server, tmp_path):
    script = tmp_path / "s.py"
    script.write_text("print(1)")
    server.cronium("run", "--no-wait", script).ok()
    done = server.cronium("run", "--no-wait", "--agent", "nobody", script)
    assert done.code == 125
    assert "for the orchestrator 'nobody', which is not" in done.err
