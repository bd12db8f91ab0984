"""Streams and subscriptions of every SDK where connections break, replies are
lost and the runtime says no: scripted, so that each happens when it should."""

import json

import pytest
import sdk_drivers as sdk
from scripted_runtime import TOKEN, ScriptedRuntime

pytestmark = pytest.mark.timeout(120)

all_clients = pytest.mark.parametrize("client", sdk.CLIENTS)


def drive(tmp_path, client, answer, *steps):
    """What the steps came to, and the requests."""
    with ScriptedRuntime(answer) as runtime:
        env = sdk.environment(runtime.url, TOKEN, CRONIUM_TIMEOUT="10")
        got = sdk.results(tmp_path, client, list(steps), env)
    return got, runtime.requests


# --- the input stream


@all_clients
def test_input_goes_on_behind_what_was_read(tmp_path, client):
    """Breaks: within a line, without a head, busy, between lines."""
    def answer(request):
        number = int(request.query["from"])
        n = request.number
        if n == 0:
            request.records_from(number)
            request.send(b'"a"\n{"b":')
            request.cut()
        elif n == 1:
            request.cut()
        elif n == 2:
            request.problem(503, "backend_unavailable")
        elif n == 3:
            request.records_from(number)
            request.send(b'{"b": 1}\n\n')
            request.send(b'"c')
            request.send(b'"\n')
            request.cut()
        else:
            request.records_from(number)
            request.send(b'"d"\n')
            request.end()
    got, requests = drive(
        tmp_path, client, answer, sdk.step("stream_input"))
    assert got == [{"result": ["a", {"b": 1}, "c", "d"]}]
    assert [r.query["from"] for r in requests] == ["0", "1", "1", "1", "3"]
    assert {r.headers["authorization"] for r in requests} == {
        f"Bearer {TOKEN}"}


@all_clients
def test_input_of_a_job_that_failed(tmp_path, client):
    def answer(request):
        if request.query["from"] == "2":
            request.problem(409, "stream_broken")
        else:
            request.records_from(0)
            request.send(b"1\n2\n")
            request.cut()
    got, _ = drive(tmp_path, client, answer, sdk.step("stream_input"))
    assert got == [{"error": "StreamBroken", "code": "stream_broken",
                    "records": [1, 2]}]


@all_clients
def test_input_while_nobody_answers(tmp_path, client):
    """Without any progress there is an end to it."""
    def answer(request):
        request.records_from(0)
        request.cut()
    with ScriptedRuntime(answer) as runtime:
        env = sdk.environment(runtime.url, TOKEN, CRONIUM_TIMEOUT="2")
        script = {
            "python": "import cronium\n"
            "list(cronium.Cronium(timeout=2).stream_input())",
            "python-async": "import asyncio, cronium\nasync def main():\n"
            " async for _ in cronium.AsyncCronium(timeout=2).stream_input():\n"
            "  pass\nasyncio.run(main())",
            "bash": "source cronium.sh; cronium_stream_input",
        }.get(client, 'const { Cronium } = require("cronium");'
              "(async () => { for await (const _ of new Cronium("
              "{ timeoutMs: 2000 }).streamInput()); })()")
        client = client.replace("esm", "commonjs")
        done = sdk.evaluate(tmp_path, client, script, env)
    assert done.returncode == (19 if client == "bash" else 1), done.stderr
    assert "did not answer within 2 s" in done.stderr


@all_clients
def test_a_large_input(tmp_path, client):
    """Many records, and one as large as may be."""
    count, large = 20000, "x" * 1_000_000

    def answer(request):
        request.records_from(0)
        data = b"".join(b'{"n": %d}\n' % n for n in range(count))
        data += json.dumps(large).encode() + b"\n"
        for at in range(0, len(data), 50_000):
            request.send(data[at:at + 50_000])
        request.end()
    got, _ = drive(tmp_path, client, answer, sdk.step("stream_input"))
    assert got[0]["result"][:-1] == [{"n": n} for n in range(count)]
    assert got[0]["result"][-1] == large


# --- the output stream


class Store:
    """An output stream as the backend keeps it."""

    def __init__(self):
        self.records, self.ended = [], False

    def append(self, request, count=None):
        """What of the request is new, of its first `count` records."""
        assert request.path == "/output/stream"
        new = request.records[:count]
        at = int(request.query.get("from", len(self.records)))
        assert at <= len(self.records), "a gap"
        self.records += new[len(self.records) - at:]
        if count is None:
            self.ended |= request.query.get("end") == "1"

    def answer(self, request):
        self.append(request)
        request.reply(200, {"next": len(self.records)})


VALUES = [{"n": n, "text": "ä€😀" * 20} for n in range(500)]


@all_clients
def test_output_arrives_once(tmp_path, client):
    """Replies are lost, requests are, and some of a batch is stored."""
    store = Store()

    def answer(request):
        n = request.number
        if n == 1:
            store.append(request)
            request.cut()
        elif n == 2:
            request.cut()
        elif n == 3:
            store.append(request, len(request.records) // 2)
            request.problem(503, "backend_unavailable",
                            next=len(store.records))
        elif n == 4:
            request.problem(503, "stream_full", {"Retry-After": "0"},
                            next=len(store.records))
        elif n == 6 and request.query.get("end"):
            store.append(request)
            request.cut()
        else:
            store.answer(request)
    got, _ = drive(tmp_path, client, answer,
                   {"call": "stream_output", "args": [VALUES, "end"]})
    assert got == [{"result": len(VALUES)}]
    assert store.records == VALUES and store.ended


@all_clients
def test_output_in_batches(tmp_path, client):
    """A body is at most 1 MiB, of whole lines; one is under way at a time."""
    store = Store()
    values = ["x" * 100_000] * 45
    got, requests = drive(
        tmp_path, client, store.answer,
        {"call": "stream_output", "args": [values, "close"]})
    assert got == [{"result": 45}]
    assert store.records == values and not store.ended
    assert max(len(r.body) for r in requests) <= 1 << 20


@all_clients
def test_output_that_is_refused(tmp_path, client):
    """What was before it is stored, and told."""
    store = Store()

    def answer(request):
        if request.records:
            store.append(request, 2)
            request.problem(413, "too_large", record=2,
                            next=len(store.records))
        else:
            store.answer(request)
    got, _ = drive(tmp_path, client, answer,
                   {"call": "stream_output", "args": [[1, 2, 3], "flush"]})
    assert got[0]["error"] == "TooLarge" and got[0]["code"] == "too_large"
    assert store.records in ([1], [1, 2], [1, 2, 3])


@all_clients
def test_output_of_nothing(tmp_path, client):
    store = Store()
    got, _ = drive(tmp_path, client, store.answer,
                   {"call": "stream_output", "args": [[], "close"]},
                   {"call": "stream_output", "args": [[], "end"]})
    assert got == [{"result": 0}] * 2
    assert store.ended


# --- subscriptions


def changes(count, **more):
    return {"call": "subscribe", "args": ["k"], "events": [{}] * count,
            **more}


@all_clients
def test_a_subscription_goes_on_behind_what_was_told(tmp_path, client):
    def answer(request):
        assert request.path == "/variables/k/watch"
        n = request.number
        if n == 0:
            request.events()
            request.event("snapshot", {"key": "k", "version": 7, "value": 1},
                          id=7)
            request.send(b": a comment\n\n")
            request.send(b"event: change\nid: 9\ndata: {\"key\"")
            request.cut()
        elif n == 1:
            request.problem(503, "backend_unavailable")
        elif n == 2:
            assert request.headers["last-event-id"] == "7"
            request.events()
            request.event("disconnected", {"reason": "gone"})
            request.event("connected", {})
            request.event("change", {"key": "k", "version": 9, "value": None},
                          id=9)
            request.end()
        else:
            assert request.headers["last-event-id"] == "9"
            request.events()
            request.event("reset", {"key": "k", "version": 50,
                                    "deleted": True}, id=50)
    got, _ = drive(tmp_path, client, answer, changes(3))
    told = got[0]["result"]
    assert [(e["type"], e["value"], e["deleted"]) for e in told] == [
        ("snapshot", 1, False), ("change", None, False),
        ("reset", None, True)]
    assert [str(e["version"]) for e in told] == ["7", "9", "50"]
    assert {e["key"] for e in told} == {"k"}


@all_clients
@pytest.mark.parametrize("status, code, error", [
    (401, "execution_ended", "Auth"), (403, "key_forbidden", "Forbidden")])
def test_a_subscription_that_is_over(tmp_path, client, status, code, error):
    def answer(request):
        if request.number == 0:
            request.events()
            request.event("snapshot", {"key": "k", "version": 1, "value": 1},
                          id=1)
            request.end()
        else:
            request.problem(status, code)
    got, _ = drive(tmp_path, client, answer, changes(2))
    assert (got[0]["error"], got[0]["code"]) == (error, code)


# --- tool actions


@all_clients
def test_a_tool_action_is_made_once(tmp_path, client):
    """One key for all attempts; what failed for good is not tried again."""
    def answer(request):
        assert request.path == "/tool-actions/execute"
        if request.number == 0:
            request.cut()
        elif request.number == 1:
            request.problem(429, "rate_limited", {"Retry-After": "0"})
        elif request.number == 2:
            request.reply(200, {"ok": True})
        else:
            request.problem(424, "tool_failed", upstream_status=502)
    step = {"call": "execute_tool_action", "args": ["t", "a", {"x": 1}]}
    got, requests = drive(
        tmp_path, client, answer, step,
        {**step, "options": {"idempotency_key": "mine", "dry_run": True}})
    assert got == [{"result": {"ok": True}},
                   {"error": "Tool", "code": "tool_failed"}]
    keys = [r.headers["idempotency-key"] for r in requests]
    assert len(keys) == 4 and len(set(keys[:3])) == 1
    assert keys[3] == "mine"
    assert json.loads(requests[0].body) == {
        "tool": "t", "action": "a", "params": {"x": 1}}
    assert json.loads(requests[3].body)["dry_run"] is True


@all_clients
@pytest.mark.parametrize("status, code, error", [
    (409, "outcome_unknown", "Tool"), (422, "invalid_params", "Invalid"),
    (424, "tool_timed_out", "Tool")])
def test_a_tool_action_that_fails(tmp_path, client, status, code, error):
    got, requests = drive(
        tmp_path, client, lambda r: r.problem(status, code),
        {"call": "execute_tool_action", "args": ["t", "a"]})
    assert got == [{"error": error, "code": code}]
    assert len(requests) == 1


# --- traces


@all_clients
def test_each_call_is_a_span_of_the_trace(tmp_path, client):
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    with ScriptedRuntime(lambda r: r.reply(200, None)) as runtime:
        env = sdk.environment(
            runtime.url, TOKEN,
            TRACEPARENT=f"00-{trace}-00f067aa0ba902b7-01")
        sdk.results(tmp_path, client, [sdk.step("input")] * 2, env)
        spans = [r.headers["traceparent"].split("-")
                 for r in runtime.requests]
        assert all(s[0] == "00" and s[1] == trace and s[3] == "01"
                   for s in spans)
        assert len({s[2] for s in spans} | {"00f067aa0ba902b7"}) == 3
        env["TRACEPARENT"] = "not a trace\r\nX: y"
        sdk.results(tmp_path, client, [sdk.step("input")], env)
        assert "traceparent" not in runtime.requests[-1].headers
        assert "x" not in runtime.requests[-1].headers
