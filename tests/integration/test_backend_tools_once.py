"""Calls happen once, and what failed is tried again where that is safe."""

import json
import signal
import time

import pytest

from patience import until
from tool_world import EXECUTE, World, count
from tool_world import no_world_stays, world  # noqa: F401

pytestmark = pytest.mark.timeout(120)


# --- once ---------------------------------------------------------------------

def test_the_first_outcome_is_repeated(world):
    ask = {"path": "echo"}
    first = world.call("probe", "once", ask, key="k")
    assert first.status == 200
    again = world.call("probe", "once", ask, key="k")
    assert again.status == 200 and again.body == first.body
    assert len(world.target.calls) == 1
    world.restart()
    after = world.call("probe", "once", ask, key="k")
    assert after.status == 200 and after.body == first.body
    assert len(world.target.calls) == 1
    reply = world.call("probe", "once", {"path": "other"}, key="k")
    assert reply.status == 422 and reply.code == "key_reused"
    reply = world.call("probe", "again", ask, key="k")
    assert reply.status == 422 and reply.code == "key_reused"
    assert world.call("probe", "once", ask, key="l").status == 200
    assert len(world.target.calls) == 2


def test_failures_are_repeated_too(world):
    ask = {"path": "status/404"}
    first = world.call("probe", "once", ask, key="k")
    assert first.status == 424 and first.code == "tool_failed"
    assert first.json["upstream_status"] == 404
    assert "no such luck" in first.json["detail"]
    again = world.call("probe", "once", ask, key="k")
    assert again.status == 424 and again.body == first.body
    assert len(world.target.calls) == 1


def test_two_at_once_are_one(world):
    ask = {"path": "hold"}
    first = world.later("probe", "once", ask, key="k")
    world.target.wait(1)
    second = world.later("probe", "once", ask, key="k")
    other = world.call("probe", "once", {"path": "other"}, key="k")
    assert other.status == 422 and other.code == "key_reused"
    world.target.release.set()
    assert first.result(20).status == 200
    assert second.result(20).body == first.result().body
    assert len(world.target.calls) == 1


def test_a_script_that_hangs_up(world):
    """The call goes on, and its outcome is there for whoever asks again."""
    connection = world.sidecar.connect()
    body = json.dumps({"tool": "probe", "action": "once",
                       "params": world.params({"path": "hold"})})
    connection.request("POST", EXECUTE, body, {
        "Authorization": f"Bearer {world.sidecar.bearer}",
        "Idempotency-Key": "k"})
    world.target.wait(1)
    connection.close()
    world.target.release.set()
    reply = world.call("probe", "once", {"path": "hold"}, key="k")
    assert reply.status == 200 and len(world.target.calls) == 1


def test_the_backend_dies_before_the_target_answers(world):
    once = world.later("probe", "once", {"path": "hold"}, key="once")
    again = world.later("probe", "again", {"path": "hold"}, key="again")
    world.target.wait(2)
    world.restart()
    for lost in (once, again):
        assert lost.exception(20) is not None
    world.target.release.set()
    # Nobody knows what the target did.
    reply = world.call("probe", "once", {"path": "hold"}, key="once")
    assert reply.status == 409 and reply.code == "outcome_unknown", reply
    assert len(world.target.calls) == 2
    # To this one it makes no difference.
    reply = world.call("probe", "again", {"path": "hold"}, key="again")
    assert reply.status == 200, reply
    assert len(world.target.calls) == 3
    assert {c.headers["idempotency-key"] for c in world.target.calls} == {
        "once", "again"}
    assert world.target.calls[2].headers["idempotency-key"] == "again"


def test_the_backend_stops(world):
    """What is under way is finished first."""
    reply = world.later("probe", "once", {"path": "hold"}, key="k")
    world.target.wait(1)
    world.backend.process.send_signal(signal.SIGTERM)
    until(lambda: any("stopping" in line for line in world.backend.log))
    world.target.release.set()
    assert reply.result(20).status == 200
    assert world.backend.stop() == 0
    world.backend.start()
    assert world.call("probe", "once", {"path": "hold"}, key="k").status == 200
    assert len(world.target.calls) == 1


def test_the_end_of_an_execution(world):
    assert world.call("probe", "once", {"path": "echo"}, key="k").status == 200
    assert world.agent.complete(world.claim).status == 200
    reply = world.call("probe", "once", {"path": "echo"}, key="k")
    assert reply.status == 401 and len(world.target.calls) == 1


# --- tries --------------------------------------------------------------------

def test_safe_tries(world):
    """429 and 503 say that nothing was done."""
    reply = world.call("probe", "once", {"path": "fail/2/503"}, key="k")
    assert reply.status == 200 and len(world.target.calls) == 3, reply
    assert len({c.headers["idempotency-key"]
                for c in world.target.calls}) == 1


def test_unsafe_tries(world):
    reply = world.call("probe", "once", {"path": "fail/1/500"})
    assert reply.status == 424 and reply.json["upstream_status"] == 500
    assert len(world.target.calls) == 1
    world.target.calls.clear()
    reply = world.call("probe", "again", {"path": "fail/2/500"})
    assert reply.status == 200 and len(world.target.calls) == 3, reply


def test_a_connection_that_breaks(world):
    reply = world.call("probe", "once", {"path": "drop"})
    assert reply.status == 424 and reply.code == "tool_failed"
    assert "not known" in reply.json["detail"], reply
    assert len(world.target.calls) == 1
    world.target.calls.clear()
    assert world.call("probe", "again", {"path": "drop"}).status == 424
    assert len(world.target.calls) > 2


def test_a_used_connection_is_not_trusted(world):
    """libcurl alone would send again what it sent on a kept connection that
    is closed."""
    for _ in range(3):
        assert world.call("probe", "once", {"path": "echo"}).status == 200
        assert world.call("probe", "again", {"path": "echo"}).status == 200
    before = count(world, "/drop")
    assert world.call("probe", "once", {"path": "drop"}).status == 424
    assert count(world, "/drop") == before + 1


def test_a_target_that_asks_for_patience(world):
    """For longer than there is: it is told at once."""
    start = time.monotonic()
    reply = world.call("probe", "patient", {"path": "busy"})
    assert reply.status == 424 and reply.json["upstream_status"] == 503
    assert len(world.target.calls) == 1
    assert time.monotonic() - start < 20


def test_nobody_listens(tmp_path):
    world = World(tmp_path)
    world.target.server.shutdown()
    world.target.server.server_close()
    reply = world.call("probe", "once", {"path": "echo"}, key="k")
    assert reply.status == 424 and reply.code == "tool_failed", reply
    assert "not known" not in reply.json["detail"]
    assert world.backend.stop() == 0


def test_a_target_that_hangs(world):
    start = time.monotonic()
    hanging = world.later("probe", "once", {"path": "hang"}, key="k")
    world.target.wait(1)
    # Everything else goes on meanwhile.
    for _ in range(20):
        assert world.sidecar.get("/v1/runtime/variables").status == 200
    reply = hanging.result(20)
    assert reply.status == 424 and reply.code == "tool_timed_out", reply
    assert 2.5 < time.monotonic() - start < 15
    assert len(world.target.calls) == 1


def test_a_reply_that_is_too_large(world):
    reply = world.call("probe", "once", {"path": "big"})
    assert reply.status == 424 and reply.code == "tool_failed"
    assert "larger" in reply.json["detail"], reply
    assert len(world.target.calls) == 1


def test_too_many_at_a_time(world):
    calls = [world.later("probe", "once", {"path": "hold"})
             for _ in range(8)]
    world.target.wait(8)
    reply = world.call("probe", "once", {"path": "echo"})
    assert reply.status == 429 and reply.code == "too_many_calls", reply
    assert reply.headers["retry-after"]
    world.target.release.set()
    assert all(c.result(20).status == 200 for c in calls)
    assert world.call("probe", "once", {"path": "echo"}).status == 200
