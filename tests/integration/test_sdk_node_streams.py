"""Streams and subscriptions of the Node SDK as JavaScript knows them: loops,
Node's streams, the web's, signals; on Node and on Bun."""

import json
import threading

import pytest
import sdk_drivers as sdk
from scripted_runtime import TOKEN, ScriptedRuntime

pytestmark = pytest.mark.timeout(60)

clients = pytest.mark.parametrize("client", ["node-commonjs", "bun"])


def evaluate(tmp_path, client, answer, script):
    """What an async function prints; the requests."""
    with ScriptedRuntime(answer) as runtime:
        done = sdk.evaluate(
            tmp_path, client,
            f'const cronium = require("cronium"); (async () => {{{script}}})();',
            sdk.environment(runtime.url, TOKEN))
        assert done.returncode == 0, done.stderr
        return done.stdout, runtime.requests


def rows_without_end(closed):
    """Rows as long as somebody takes them."""
    def answer(request):
        number = int(request.query["from"])
        request.records_from(number)
        try:
            while True:
                request.send(b"%d\n" % number)
                number += 1
        except OSError:
            closed.release()
            raise
    return answer


def four_rows(request):
    request.records_from(0)
    request.send(b'{"n":1}\n{"n":2}\n')
    request.send(b'{"n":3}\n{"n":4}\n')
    request.end()


LEAVES = {
    "break": "for await (const n of rows) if (n === 2) break;",
    "readable": """const readable = rows.toReadable();
        await new Promise((done) => readable.on("data", (n) => {
          if (n === 2) { readable.destroy(); done(); } }));""",
    "web": """const reader = rows.toWeb().getReader();
        for (let n = 0; n < 2; n++) await reader.read();
        await reader.cancel();""",
}


@clients
@pytest.mark.parametrize("how", LEAVES)
def test_who_leaves_closes_the_connection(tmp_path, client, how):
    closed = threading.Semaphore(0)
    evaluate(tmp_path, client, rows_without_end(closed),
             f"const rows = cronium.streamInput(); {LEAVES[how]}")
    assert closed.acquire(timeout=20)


@clients
def test_another_loop_goes_on(tmp_path, client):
    out, requests = evaluate(
        tmp_path, client, rows_without_end(threading.Semaphore(0)), """
        const rows = cronium.streamInput(5), seen = [];
        for (let round = 0; round < 2; round++)
          for await (const n of rows)
            if (seen.push(n) % 3 === 0) break;
        console.log(JSON.stringify([seen, rows.position]));
    """)
    assert json.loads(out) == [[5, 6, 7, 8, 9, 10], 11]
    assert [r.query["from"] for r in requests] == ["5", "8"]


@clients
def test_nodes_streams_and_the_webs(tmp_path, client):
    out, _ = evaluate(tmp_path, client, four_rows, """
        const { pipeline } = require("node:stream/promises");
        const sum = async (rows) => {
          let sum = 0;
          for await (const { n } of rows) sum += n;
          console.log(sum);
        };
        await pipeline(cronium.streamInput().toReadable(), sum);
        await sum(cronium.streamInput().toWeb());
    """)
    assert out == "10\n10\n"


@clients
def test_null_is_a_record_but_none_of_nodes(tmp_path, client):
    def answer(request):
        request.records_from(int(request.query["from"]))
        request.send(b"null\n")
        request.end()
    out, _ = evaluate(tmp_path, client, answer, """
        for await (const row of cronium.streamInput()) console.log(row);
        for await (const row of cronium.streamInput().toWeb())
          console.log(row);
        try {
          for await (const row of cronium.streamInput().toReadable());
        } catch (error) { console.log(error.name); }
    """)
    assert out == "null\nnull\nInvalidError\n"


WAITS = {
    "input": "for await (const row of cronium.streamInput({ signal }));",
    "readable": "for await (const row of cronium.streamInput({ signal })"
                ".toReadable());",
    "subscription": 'for await (const c of cronium.subscribe("k", '
                    "{ signal }));",
    "output": "const out = cronium.streamOutput({ signal });"
              "await out.write(1); await out.flush();",
    "tool": 'await cronium.executeToolAction("t", "a", {}, { signal });',
}


@clients
@pytest.mark.parametrize("headers", [True, False])
@pytest.mark.parametrize("what", WAITS)
def test_a_signal_ends_the_wait(tmp_path, client, what, headers):
    """Before an answer has begun, and within one that goes on."""
    def answer(request):
        if headers and request.method == "GET":
            request.records_from(0)
            request.send(b": \n" if "watch" in request.path else b"1\n")
    out, _ = evaluate(tmp_path, client, answer, f"""
        const stop = new AbortController(), signal = stop.signal;
        setTimeout(() => stop.abort(new Error("enough")), 300);
        try {{ {WAITS[what]} }}
        catch (error) {{ console.log(error.message); }}
    """)
    assert out == "enough\n"


@clients
def test_states_of_the_connection(tmp_path, client):
    def answer(request):
        request.events()
        request.event("snapshot", {"key": "k", "version": 1, "value": 1}, 1)
        request.event("disconnected", {"reason": "gone"})
        request.event("connected", {})
        request.event("change", {"key": "k", "version": 2, "value": 2}, 2)
    out, requests = evaluate(tmp_path, client, answer, """
        const told = [], heard = [];
        const options = {
          includeState: true, onState: (s) => heard.push(s.type) };
        const k = cronium.variable("k");
        for await (const c of k.subscribe(options))
          if (told.push(c) === 4) break;
        console.log(JSON.stringify([told, heard]));
    """)
    told, heard = json.loads(out)
    assert [t["type"] for t in told] == [
        "snapshot", "disconnected", "connected", "change"]
    assert told[1] == {"type": "disconnected", "key": "k", "reason": "gone"}
    assert heard == ["disconnected", "connected"]
    assert told[3] == {"type": "change", "key": "k", "version": "2",
                       "value": 2, "deleted": False}
    assert "last-event-id" not in requests[0].headers


# --- writing


class Store:
    """Keeps what comes; holds back its answers while it is told to."""

    def __init__(self):
        self.records = []
        self.go = threading.Event()
        self.go.set()

    def answer(self, request):
        if request.records:
            assert self.go.wait(20)
        assert int(request.query.get("from", 0)) == (
            len(self.records) if request.query else 0)
        self.records += request.records
        request.reply(200, {"next": len(self.records)})


@clients
def test_a_single_record_goes_at_once(tmp_path, client):
    """Without flush or close."""
    store = Store()
    evaluate(tmp_path, client, store.answer, """
        const out = cronium.streamOutput();
        await out.write("first");
        while (out.acknowledged < 1)
          await new Promise((done) => setTimeout(done, 5));
    """)
    assert store.records == ["first"]


@clients
def test_a_writer_waits_while_a_mebibyte_is_not_stored(tmp_path, client):
    store = Store()
    store.go.clear()

    def answer(request):
        if request.path == "/output":  # it has seen that it waits
            store.go.set()
            request.reply(204)
        else:
            store.answer(request)
    evaluate(tmp_path, client, answer, """
        const out = cronium.streamOutput(), text = "x".repeat(100_000);
        for (let n = 0; n < 10; n++) await out.write(text);
        let waits = true;
        const write = out.write(text).then(() => { waits = false; });
        await new Promise((done) => setTimeout(done, 100));
        if (!waits) process.exit(1);
        await cronium.setOutput(1);
        await write;
        await out.close();
    """)
    assert len(store.records) == 11


@clients
def test_it_takes_pipelines(tmp_path, client):
    store = Store()
    evaluate(tmp_path, client, store.answer, """
        const { pipeline } = require("node:stream/promises");
        const { Readable } = require("node:stream");
        await pipeline(Readable.from([1, "two", false]),
          cronium.streamOutput().toWritable());
        const writer = cronium.streamOutput().toWeb().getWriter();
        await writer.write(null);
        await writer.close();
        if (Symbol.asyncDispose) {
          const out = cronium.streamOutput();
          await out.write("last");
          await out[Symbol.asyncDispose]();
          await out.write("late").catch((e) => console.error(e.name));
        }
    """)
    assert store.records in ([1, "two", False, None, "last"],
                             [1, "two", False, None])


@clients
def test_what_is_no_json_is_not_taken(tmp_path, client):
    store = Store()
    out, _ = evaluate(tmp_path, client, store.answer, """
        const out = cronium.streamOutput();
        for (const value of [undefined, 1n, () => 1, 7])
          await out.write(value).catch((e) => console.log(e.name));
        await out.close();
        await out.write(8).catch((e) => console.log(e.message));
        await out.close();
        for (const from of [-1, 0.5, "x"])
          try { cronium.streamInput(from); }
          catch (error) { console.log(error.name); }
        try { cronium.subscribe("k", { fromVersion: "x\\r\\ny: z" }); }
        catch (error) { console.log(error.name); }
    """)
    assert out == ("InvalidError\n" * 3 + "this writer is closed\n"
                   + "InvalidError\n" * 4)
    assert store.records == [7]


@clients
def test_an_error_comes_with_the_next_write(tmp_path, client):
    def answer(request):
        if request.records:
            request.problem(413, "too_large", next=4)
        else:
            request.reply(200, {"next": 4})
    out, _ = evaluate(tmp_path, client, answer, """
        const out = cronium.streamOutput();
        await out.write(1);
        await out.flush().catch((e) => console.log(e.code));
        await out.write(2).catch((e) => console.log(e.code));
        await out.end().catch((e) => console.log(e.code, e.problem.next));
        console.log(out.acknowledged);
    """)
    assert out == "too_large\ntoo_large\ntoo_large 4\n4\n"
