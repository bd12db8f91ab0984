"""Logs: in order, complete, byte for byte, for fast and slow readers."""

import json
import os
import threading

import pytest

import frames
from backend_process import Backend

pytestmark = pytest.mark.timeout(60)
MiB = 1024 * 1024


@pytest.fixture
def agent(backend):
    return backend.agent()


@pytest.fixture
def claim(backend, agent):
    backend.submit()
    claim = agent.claim()
    agent.started(claim)
    return claim


def rest_of(stream):
    """States and log bytes in the order in which they came."""
    got = []
    try:
        while True:
            kind, payload = stream.next()
            if kind == frames.STATE:
                got.append(json.loads(payload)["state"])
            else:
                got.append((kind, payload))
    except EOFError:
        return got


def text_of(got):
    return b"".join(p[1] for p in got if isinstance(p, tuple))


def test_followers_are_told_at_once(backend, agent, claim):
    follow = backend.follow(claim.job)
    assert follow.expect(frames.STATE)["state"] == "running"
    offset = 0
    for i in range(20):
        line = b"line %d\n" % i
        agent.log(claim, offset, (frames.STDOUT, line))
        offset += len(line)
        # The next line is not even written before this one has arrived.
        assert follow.next() == (frames.STDOUT, line)
    agent.complete(claim)
    assert rest_of(follow) == ["succeeded"]


def test_states_of_a_whole_life(backend, agent):
    job = backend.submit(executor="docker")
    agent.close()
    follow = backend.follow(job)
    first = follow.expect(frames.STATE)["state"]
    other = backend.agent(name="other")
    claim = other.claim()
    other.started(claim)
    other.log(claim, 0, (frames.STDERR, b"x"))
    other.complete(claim, "failed", exit_code=1)
    got = rest_of(follow)
    states = [s for s in [first, *got] if isinstance(s, str)]
    assert states[0] in ("queued", "claimed")
    assert states[-3:] == ["claimed", "running", "failed"] or \
        states == ["claimed", "running", "failed"]
    assert got.index((frames.STDERR, b"x")) > got.index("running")
    assert got[-1] == "failed"


def test_follow_of_a_job_that_has_ended(backend, agent, claim):
    agent.log(claim, 0, (frames.STDOUT, b"abc"))
    agent.complete(claim)
    assert rest_of(backend.follow(claim.job)) == [
        (frames.STDOUT, b"abc"), "succeeded"]
    assert rest_of(backend.follow(claim.job, offset=2)) == [
        (frames.STDOUT, b"c"), "succeeded"]
    reply = backend.admin.get(f"/v1/jobs/{claim.job}/logs?follow=1")
    assert reply.body == b"abc"
    reply = backend.admin.get(f"/v1/jobs/job_{'0' * 26}/logs?follow=1")
    assert reply.status == 404
    assert backend.admin.get("/v1/jobs/x/logs").status == 404


def test_uploads_are_repeated_and_checked(backend, agent, claim):
    assert agent.log(claim, 0, (frames.STDOUT, b"0123")).json == {"next": 4}
    assert agent.log(claim, 0, (frames.STDOUT, b"0123")).json == {"next": 4}
    assert agent.log(claim, 2, (frames.STDOUT, b"2345")).json == {"next": 6}
    reply = agent.log(claim, 9, (frames.STDOUT, b"x"))
    assert reply.status == 409 and reply.code == "log_gap"
    assert reply.json["expected"] == 6
    path = f"/v1/executions/{claim.id}/logs?epoch={claim.epoch}&offset=6"
    for body in (b"x", frames.encode(frames.STDOUT, b"abc")[:-1],
                 frames.encode(frames.STATE, b"{}"),
                 b"\x01\x7f\xff\xff\xff"):
        reply = backend.admin.post(path, body)
        assert reply.status == 400 and reply.code == "invalid_frames"
    assert backend.admin.get(f"/v1/jobs/{claim.job}/logs").body == b"012345"


def test_bytes_stay_what_they_are(backend, agent, claim):
    blob = os.urandom(300_000) + "ünïcødé ☃".encode() + b"\x00\r\n no newline"
    agent.log(claim, 0, (frames.STDOUT, blob))
    agent.complete(claim)
    assert backend.admin.get(f"/v1/jobs/{claim.job}/logs").body == blob
    assert text_of(rest_of(backend.follow(claim.job))) == blob


def test_over_the_limit(tmp_path):
    backend = Backend(str(tmp_path), "--max-log-bytes", "10k")
    try:
        agent = backend.agent()
        backend.submit()
        claim = agent.claim()
        agent.started(claim)
        assert agent.log(claim, 0, (frames.STDOUT, b"a" * 10_000)
                         ).json == {"next": 10_000}
        reply = agent.log(claim, 10_000, (frames.STDOUT, b"b" * 1_000))
        assert reply.status == 200 and reply.json["full"] is True
        assert agent.log(claim, reply.json["next"], (frames.STDOUT, b"c")
                         ).json["full"] is True
        agent.complete(claim, log_dropped_bytes=100)
        got = rest_of(backend.follow(claim.job))
        out = b"".join(p for k, p in got[:-1] if k == frames.STDOUT)
        assert out == b"a" * 10_000 + b"b" * 240
        notices = [p for k, p in got[:-1] if k == frames.NOTICE]
        assert len(notices) == 1 and b"limit of 10240 bytes" in notices[0]
        job = backend.job(claim.job)
        assert job["log_dropped_bytes"] == 1_000 - 240 + 1 + 100
    finally:
        assert backend.stop() == 0


def memory_kb(backend):
    with open(f"/proc/{backend.process.pid}/status") as f:
        return int(next(l for l in f if l.startswith("VmRSS")).split()[1])


def test_slow_readers(backend, agent, claim):
    """They hold nothing up, cost little, and miss nothing."""
    slow = [backend.follow(claim.job) for _ in range(20)]
    for s in slow:
        assert s.expect(frames.STATE)["state"] == "running"
    piece = os.urandom(MiB)
    agent.log(claim, 0, (frames.STDOUT, piece))
    before = memory_kb(backend)
    for i in range(1, 9):
        agent.log(claim, i * MiB, (frames.STDOUT, piece))
    agent.complete(claim)
    grown = memory_kb(backend) - before
    assert grown < 100 * 1024, f"{grown} kB for 20 readers of 9 MB"
    for s in slow:
        got = rest_of(s)
        assert text_of(got) == piece * 9
        assert got[-1] == "succeeded"


def test_readers_that_leave(backend, agent, claim):
    for _ in range(20):
        backend.follow(claim.job).close()
    follow = backend.follow(claim.job)
    follow.expect(frames.STATE)
    follow.close()
    assert agent.log(claim, 0, (frames.STDOUT, b"x")).status == 200
    assert agent.complete(claim).status == 200


def test_many_followers_while_it_is_written(backend, agent, claim):
    lines = [b"%06d\n" % i for i in range(2000)]
    got = [None] * 8

    def follow(i):
        got[i] = rest_of(backend.follow(claim.job))

    threads = [threading.Thread(target=follow, args=(i,)) for i in range(8)]
    for t in threads:
        t.start()
    offset = 0
    for i in range(0, len(lines), 50):
        chunk = b"".join(lines[i:i + 50])
        agent.log(claim, offset, (frames.STDOUT, chunk))
        offset += len(chunk)
    agent.complete(claim)
    for t in threads:
        t.join(30)
    for g in got:
        assert text_of(g) == b"".join(lines)
        assert g[-1] == "succeeded"


def test_stop_breaks_followers_off(tmp_path):
    """A follower must not take the backend's stop for the job's end."""
    backend = Backend(str(tmp_path))
    job = backend.submit()
    agent = backend.agent()
    follow = backend.follow(job)
    follow.expect(frames.STATE)
    assert backend.stop() == 0
    states = []
    with pytest.raises(Exception) as broken:
        while True:
            states.append(json.loads(follow.next()[1])["state"])
    assert not isinstance(broken.value, EOFError) or \
        "succeeded" not in states
    agent.close()
