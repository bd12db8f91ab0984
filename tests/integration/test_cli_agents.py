"""`cronium agents`, `agent`, `top`, and jobs that are for some of them."""

import json
import os
import pty
import select

import pytest

from cli_process import Up

pytestmark = pytest.mark.timeout(120)


@pytest.fixture
def up(home):
    with Up(home, "--executors", "sandbox", "--name", "here", "--labels",
            "zone=a,gpu=yes") as up:
        up.wait_ready()
        while not home("agents", "--json").json["agents"]:
            pass
        yield up


def test_agents(home, up):
    table = home("agents")
    assert table.code == 0, table
    head, row = table.out.splitlines()
    assert head.split() == ["NAME", "STATE", "JOBS", "EXECUTORS", "LABELS",
                            "SEEN"]
    assert row.split()[:2] == ["here", "connected"]
    assert "gpu=yes,zone=a" in row
    agent, = home("agents", "--json").json["agents"]
    assert agent["name"] == "here" and agent["labels"]["zone"] == "a"
    shown = home("agent", "show", "here")
    lines = dict(n.split(None, 1) for n in shown.out.splitlines())
    assert lines["agent"] == "here" and lines["state"] == "connected"
    assert lines["jobs"] == f"0/{agent['slots']}"
    assert lines["labels"] == "gpu=yes,zone=a" and "memory" in lines
    shown = home("agent", "show", "here", "--json").json
    assert shown["slots"] == agent["slots"]


def test_drain(home, up):
    drained = home("agent", "drain", "here")
    assert drained.out == "here is drained: no new job, 0 to finish\n"
    assert "drained" in home("agents").out
    job = home("submit", "--json", home.script("print(1)")).json["id"]
    assert home("job", job, "--json").json["state"] == "queued"
    undrained = home("agent", "undrain", "here", "--json")
    assert undrained.json["drained"] is False
    assert home("logs", "-f", job).out == "1\n"
    gone = home("agent", "drain", "there")
    assert gone.code == 1 and "there is no agent there" in gone.err
    forget = home("agent", "forget", "here")
    assert forget.code == 1 and "is connected" in forget.err
    bent = home("agent", "bend", "here")
    assert bent.code == 2 and "`cronium agent bend`" in bent.err


def test_labels(home, up):
    script = home.script("print('here')")
    for on in (["--on", "zone=a"], ["--on", "zone=a", "--on", "gpu=yes"],
               ["--agent", "here"]):
        ran = home("run", *on, script)
        assert ran.code == 0 and "here" in ran.err, ran
    job = home("submit", "--json", "--on", "zone=b", script).json["id"]
    assert home("job", job, "--json").json["state"] == "queued"
    assert home("cancel", job).code == 0
    bad = home("run", "--on", "zone", script)
    assert bad.code != 0 and "KEY=VALUE is expected" in bad.err
    bad = home("run", "--on", "zo ne=b", script)
    assert bad.code != 0 and "agent_labels" in bad.err


def test_top(home, up):
    job = home("submit", "--json", "--name", "sleeper", home.script(
        "import cronium\nfor _ in cronium.stream_input(): pass\n")).json["id"]
    while home("job", job, "--json").json["state"] != "running":
        pass
    once = home("top")
    assert once.code == 0, once
    lines = once.out.splitlines()
    assert lines[0].split()[:3] == ["AGENT", "STATE", "JOBS"]
    assert lines[1].split()[:2] == ["here", "connected"]
    assert lines[3].split()[0] == "JOB"
    assert lines[4].split()[:5] == [job, "sleeper", "here", "sandbox",
                                    "running"]
    both = json.loads(home("top", "--json").out)
    assert [p["job"] for p in both["pods"]] == [job]
    assert both["agents"][0]["running"] == 1
    home("cancel", job)


def test_top_on_a_terminal(home, up):
    """It is drawn again and again; Ctrl-C ends it."""
    ours, theirs = pty.openpty()
    process = home.start("top", "--interval", "200ms", stdin=theirs,
                         stdout=theirs, stderr=theirs, start_new_session=True)
    os.close(theirs)
    seen = b""
    while seen.count(b"\x1b[H") < 3:
        assert select.select([ours], [], [], 30)[0], seen
        seen += os.read(ours, 4096)
    process.terminate()
    process.wait(30)
    os.close(ours)
    assert b"here" in seen
