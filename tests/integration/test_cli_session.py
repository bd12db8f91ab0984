"""`cronium session`, --session, --no-wait, and what a job waits for."""

import re
import signal

import pytest

from cli_process import TIMEOUT


@pytest.fixture
def call(home, backend):
    """cronium, with a scripted orchestrator or none."""
    def call(*args):
        return home(*args, env={"CRONIUM_URL": f"unix:{backend.run}/api.sock"})
    return call


def test_a_session_from_new_to_end(call, home, backend):
    script = home.script("print(1)")
    r = call("session", "new", "night")
    assert r.code == 0 and r.out == (
        "night is active: 0 queued, 0 running, 0 ended\n"), r
    r = call("session", "new", "night")
    assert r.code == 1 and "there is a session night already" in r.err
    r = call("submit", "--session", "night", script)
    assert r.code == 0, r
    job = r.out.strip()
    other = call("submit", script).out.strip()
    r = call("session", "pause", "night", "--reason", "a power cut")
    assert r.out == ("night is paused (a power cut): 1 queued, 0 running, "
                     "0 ended\n")
    r = call("job", job)
    assert re.search(r"^session +night$", r.out, re.M), r
    assert re.search(r"^waiting +its session night is paused: a power cut$",
                     r.out, re.M), r
    listed = call("jobs", "--session", "night", "--json").json["jobs"]
    assert [j["id"] for j in listed] == [job]
    assert other in call("jobs").out
    assert call("session", "resume", "night", "--json").json["state"] == (
        "active")
    r = call("session", "show", "night")
    assert r.out == "night is active: 1 queued, 0 running, 0 ended\n"
    assert call("session", "new", "day").code == 0
    r = call("session", "list")
    lines = [line.split() for line in r.out.splitlines()]
    assert lines[0][:5] == ["SESSION", "STATE", "QUEUED", "RUNNING", "ENDED"]
    assert [line[:5] for line in lines[1:]] == [
        ["day", "active", "0", "0", "0"], ["night", "active", "1", "0", "0"]]
    day = call("session", "list", "-n", "1", "--json").json
    assert call("session", "list", "--before", day["next"], "--json"
                ).json["sessions"][0]["name"] == "night"
    r = call("session", "end", "night", "--reason", "enough")
    assert r.code == 0 and "night is ended (enough)" in r.out
    assert backend.job(job)["state"] == "cancelled"
    assert call("session", "list", "--state", "ended", "--json"
                ).json["sessions"][0]["name"] == "night"
    r = call("submit", "--session", "night", script)
    assert r.code == 1 and "its session has ended" in r.err
    r = call("session", "resume", "night")
    assert r.code == 1 and "the session night has ended" in r.err


def test_what_is_wrong_is_said(call, home):
    script = home.script("print(1)")
    r = call("submit", "--session", "night", script)
    assert r.code == 1 and "there is no session night" in r.err
    assert "cronium session new" in r.err
    for words in (("end", "night"), ("show", "a b"), ("pause", "night")):
        r = call("session", *words)
        assert r.code == 1 and "there is no session" in r.err, r
    r = call("session", "new", "a b")
    assert r.code == 1 and "letters, digits" in r.err
    for words in ((), ("new",), ("over", "night"), ("end", "a", "b")):
        r = call("session", *words)
        assert r.code == 2 and "usage: cronium session" in r.err, r
    r = call("session", "list", "--state", "over")
    assert r.code == 1 and "active, paused or ended" in r.err
    assert call("jobs", "--session", "day").code == 1


def test_no_wait(call, home, backend):
    """At once where somebody is there whom it would wait for."""
    script = home.script("print(1)")
    agent = backend.agent(slots=1, executors="sandbox")
    call("session", "new", "night")
    call("session", "pause", "night")
    r = call("submit", "--no-wait", "--session", "night", script)
    assert r.code == 125 and "its session night is paused" in r.err, r
    assert backend.job(r.out.strip())["state"] == "failed"
    r = call("submit", "--no-wait", "--session", "night", script, "--json")
    assert r.code == 125 and r.json["reason"] == "its session night is paused"
    r = call("run", "--no-wait", "--session", "night", script)
    assert r.code == 125 and r.err.startswith(
        "cronium: the script could not be run: its session night is paused"), r
    # A free slot is waited for.
    first = call("submit", "--no-wait", script).out.strip()
    second = call("submit", "--no-wait", script).out.strip()
    assert backend.job(second)["waiting"] == {
        "code": "slots", "message": "the only slot is taken"}
    while True:
        claim = agent.claim()
        agent.complete(claim)
        if claim.job == second:
            break
        assert claim.job == first


def test_who_follows_is_told_what_a_job_waits_for(call, home, backend):
    agent = backend.agent(name="box", slots=1, executors="sandbox")
    call("session", "new", "night")
    first = backend.submit()
    agent.started(claim := agent.claim())
    assert claim.job == first
    process = home.start(
        "run", "--session", "night", home.script("print(1)"), text=True,
        env={"CRONIUM_URL": f"unix:{backend.run}/api.sock"})

    def next_line():
        return process.stderr.readline()

    assert "waiting: the only slot is taken" in next_line()
    call("session", "pause", "night", "--reason", "a power cut")
    assert "waiting: its session night is paused: a power cut" in next_line()
    call("session", "resume", "night")
    assert "waiting: the only slot is taken" in next_line()
    agent.close()
    assert "waiting: no orchestrator is connected" in next_line()
    agent = backend.agent(name="box", slots=1, executors="docker")
    agent.complete(claim)
    claim = agent.claim()
    agent.started(claim)
    agent.complete(claim)
    out, err = process.communicate(timeout=TIMEOUT)
    assert process.returncode == 0 and "waiting" not in err


def test_an_orchestrator_that_goes_away(call, home, backend):
    """A job that does not wait gives it a moment to come back."""
    agent = backend.agent(slots=1)
    backend.submit()
    agent.started(claim := agent.claim())
    job = call("submit", "--no-wait", home.script("print(1)")).out.strip()
    agent.close()
    assert backend.job(job)["state"] == "queued"
    failed = backend.wait_state(job, "failed")
    assert failed["reason"] == "no orchestrator is connected"
    assert failed["attempt"] == 1 and failed["execution"] is None
    # Now it is known that nobody is there.
    r = call("run", "--no-wait", home.script("print(1)"))
    assert r.code == 125 and "no orchestrator is connected" in r.err
    assert claim.job != job


def test_interrupted_while_it_waits(home, backend):
    process = home.start(
        "run", home.script("print(1)"), text=True,
        env={"CRONIUM_URL": f"unix:{backend.run}/api.sock"})
    assert "waiting: no orchestrator is connected" in (
        process.stderr.readline())
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=TIMEOUT)
    assert process.returncode == 130
