"""What the Python SDK owes to threads, forks and asyncio."""

import json
import pathlib
import shutil
import subprocess
import threading

import pytest
import sdk_drivers as sdk
from scripted_runtime import TOKEN, ScriptedRuntime
from sdk_fixtures import backend, claim, relay, sidecar  # noqa: F401

pytestmark = pytest.mark.timeout(120)


def python(tmp_path, env, script):
    done = sdk.evaluate(tmp_path, "python", script,
                        {**env, "PYTHONWARNINGS": "error"})
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_the_import_is_small(tmp_path):
    """What takes long to import is not, but for those who use it."""
    loaded = python(tmp_path, sdk.environment(), """
import json, sys
import cronium
print(json.dumps(sorted(sys.modules)))
""")
    heavy = {"asyncio", "http", "http.client", "inspect", "logging", "random",
             "ssl", "threading", "typing", "urllib", "urllib.parse"}
    assert heavy.isdisjoint(loaded)


def test_every_operation_is_there_three_times(tmp_path):
    """As a module function, for threads, and for asyncio."""
    functions, client, asynchronous = python(tmp_path, sdk.environment(), """
import json
import cronium
def names(thing):
    return sorted(
        n for n in dir(thing) if not n.startswith("_") and n != "close")
functions = [n for n in names(cronium)
             if getattr(getattr(cronium, n), "__self__", None)]
print(json.dumps([functions, names(cronium.Cronium),
                  names(cronium.AsyncCronium)]))
""")
    assert functions == client == asynchronous
    assert "get_variable" in functions


def test_both_ways_to_import(tmp_path, sidecar):
    assert python(tmp_path, sdk.environment_of(sidecar), """
import json
import cronium
from cronium import cronium as other, NotFoundError
assert other is cronium and cronium.NotFoundError is NotFoundError
print(json.dumps(other.input()))
""") is None


def test_a_fork_does_not_share_connections(tmp_path, sidecar, relay):
    relay.listen()
    env = sdk.environment(relay.url, sidecar.token)
    assert python(tmp_path, env, """
import json, os
import cronium
cronium.set_variable("who", "both")
children = []
for n in range(3):
    pid = os.fork()
    if not pid:
        for k in range(50):
            cronium.set_variable(f"child{n}", k)
            assert cronium.get_variable(f"child{n}") == k
        os._exit(0)
    children.append(pid)
for k in range(50):
    assert cronium.get_variable("who") == "both"
print(json.dumps([os.waitpid(pid, 0)[1] for pid in children]))
""") == [0, 0, 0]
    assert relay.connections == 4


def test_a_client_outlives_its_event_loop(tmp_path, sidecar):
    assert python(tmp_path, sdk.environment_of(sidecar), """
import asyncio, json
from cronium import AsyncCronium
cronium = AsyncCronium()
async def main():
    return await cronium.increment_variable("n")
async def last():
    async with cronium:
        return await main()
print(json.dumps([asyncio.run(last()) for _ in range(3)]))
""") == [1, 2, 3]


def test_a_cancelled_call_leaves_no_reply_behind(tmp_path, sidecar, relay):
    """The connection of a call that was given up is not used again."""
    relay.listen()
    env = sdk.environment(relay.url, sidecar.token)
    assert python(tmp_path, env, """
import asyncio, json
from cronium import AsyncCronium
async def main():
    async with AsyncCronium() as cronium:
        await cronium.set_variable("a", "a")
        for n in range(40):
            call = asyncio.create_task(cronium.get_event_context())
            for _ in range(n % 10):
                await asyncio.sleep(0)
            call.cancel()
            assert await cronium.get_variable("a") == "a"
asyncio.run(main())
print(json.dumps(True))
""") is True


def test_an_interrupted_call_leaves_no_reply_behind(tmp_path, sidecar):
    assert python(tmp_path, sdk.environment_of(sidecar), """
import json, signal
import cronium
class Interrupt(Exception): pass
def on_alarm(*_): raise Interrupt
signal.signal(signal.SIGALRM, on_alarm)
cronium.set_variable("a", "a")
interrupts = 0
for n in range(1, 200):
    try:
        signal.setitimer(signal.ITIMER_REAL, n * 1e-6)
        while True:
            cronium.get_event_context()
    except Interrupt:
        interrupts += 1
    assert cronium.get_variable("a") == "a"
print(json.dumps(interrupts))
""") == 199


def test_a_connection_that_was_closed_while_idle(tmp_path, sidecar, relay):
    """It costs another one, not the call."""
    relay.listen()
    env = sdk.environment(relay.url, sidecar.token)
    assert python(tmp_path, env, """
import json
import cronium
client = cronium.Cronium()
client.input()
(idle,) = client._idle
idle._socket.shutdown(2)
client.input()
client.close()
client.input()
print(json.dumps(len(client._idle)))
""") == 1
    assert relay.connections == 3


def test_exact_integers(tmp_path, sidecar):
    assert python(tmp_path, sdk.environment_of(sidecar), """
import json
import cronium
cronium.set_variable("n", 9007199254740993)
print(json.dumps(cronium.increment_variable("n", 2)))
""") == 9007199254740995


def test_errors_tell_what_to_look_for(tmp_path, sidecar):
    got = python(tmp_path, sdk.environment_of(sidecar), """
import json, pickle
import cronium
try:
    cronium.get_variable("absent")
except cronium.CroniumError as error:
    same = pickle.loads(pickle.dumps(error))
    print(json.dumps([type(same).__name__, same.status, same.code,
                      len(same.trace_id), str(same)]))
""")
    assert got[:-1] == ["NotFoundError", 404, "variable_not_found", 32]
    assert "absent" in got[-1]


def test_what_is_no_json_is_refused_here(tmp_path, sidecar):
    assert python(tmp_path, sdk.environment_of(sidecar), """
import json
import cronium
circle = []
circle.append(circle)
names = []
for call, *args in (
    (cronium.output, float("nan")), (cronium.output, object()),
    (cronium.output, circle), (cronium.output, "\\ud800"),
    (cronium.set_condition, 1), (cronium.get_variable, ""),
    (cronium.get_variable, None), (cronium.get_variable, "\\ud800"),
    (cronium.set_variable, "k", 1, "1\\r\\nX: y"),
):
    try:
        call(*args)
    except cronium.CroniumError as error:
        names.append(type(error).__name__)
print(json.dumps(names))
""") == ["InvalidError"] * 9


@pytest.mark.parametrize("url, split", [
    ("http://localhost:8081", [False, "localhost", 8081, ""]),
    ("http://localhost:8081/", [False, "localhost", 8081, ""]),
    ("https://gate.example/x/", [True, "gate.example", 443, "/x"]),
    ("http://[::1]:8081", [False, "::1", 8081, ""]),
    ("http://[::1]", [False, "::1", 80, ""]),
    ("ftp://localhost:1", None), ("localhost:8081", None),
    ("http://", None), ("http://a:b", None)])
def test_addresses(tmp_path, url, split):
    got = python(tmp_path, sdk.environment(url, "t"), """
import json
import cronium
from cronium._call import Endpoint
try:
    e = Endpoint(None, None)
    print(json.dumps([e.tls, e.host, e.port, e.path]))
except cronium.NotInJobError:
    print("null")
""")
    assert got == split


# --- streams and subscriptions


def scripted(tmp_path, answer, script, **more):
    """What the script prints, beside a scripted runtime; and the requests."""
    with ScriptedRuntime(answer) as runtime:
        env = sdk.environment(runtime.url, TOKEN, **more)
        return python(tmp_path, env, script), runtime.requests


def keeping():
    """What is written, and who answers."""
    store = []

    def answer(request):
        store.extend(request.records)
        request.reply(200, {"next": len(store)})
    return store, answer


def test_a_writer_waits_while_a_mebibyte_is_not_acknowledged():
    held = threading.Event()
    store = []

    def answer(request):
        if request.records:
            assert held.wait(sdk.TIMEOUT_S)
        store.extend(request.records)
        request.reply(200, {"next": len(store)})
    script = """
import json, sys, threading, time
import cronium
out = cronium.stream_output()
done = []
def write():
    for n in range(20):
        out.write("x" * 100_000)
        done.append(n)
thread = threading.Thread(target=write)
thread.start()
while len(done) < 10:
    time.sleep(0.001)
thread.join(0.3)
before = len(done)
print(before, file=sys.stderr, flush=True)
sys.stdin.readline()
thread.join()
out.close()
print(json.dumps([before, len(done), out.acknowledged]))
"""
    with ScriptedRuntime(answer) as runtime:
        process = subprocess.Popen(
            ["python3", "-c", script], stdin=subprocess.PIPE, text=True,
            env=sdk.environment(runtime.url, TOKEN), stdout=subprocess.PIPE,
            stderr=subprocess.PIPE)
        assert process.stderr.readline() == "10\n"
        held.set()
        out, err = process.communicate("\n", sdk.TIMEOUT_S)
    assert (process.returncode, json.loads(out)) == (0, [10, 20, 20]), err


def test_a_single_record_is_sent_at_once(tmp_path):
    """The next is written only when the one before is acknowledged."""
    store, answer = keeping()
    got, requests = scripted(tmp_path, answer, """
import json, time
import cronium
with cronium.stream_output() as out:
    for n in range(5):
        out.write(n)
        while out.acknowledged == n:
            time.sleep(0.001)
print(json.dumps(out.acknowledged))
""")
    assert got == 5 and store == list(range(5))
    assert len({r.headers["host"] for r in requests}) == 1


def test_a_script_that_ends_without_close_loses_nothing(tmp_path):
    store, answer = keeping()
    scripted(tmp_path, answer, """
import cronium
out = cronium.stream_output()
for n in range(1000):
    out.write(n)
print("null")
""")
    assert store == list(range(1000))


def test_one_writer_at_a_time(tmp_path):
    got, _ = scripted(tmp_path, lambda r: r.reply(200, {"next": 0}), """
import json
import cronium
first = cronium.stream_output()
names = []
def refused(call):
    try:
        call()
    except cronium.InvalidError as error:
        names.append(str(error))
refused(cronium.stream_output)
first.close()
refused(lambda: first.write(1))
cronium.stream_output().close()
refused(lambda: cronium.stream_input(-1))
refused(lambda: cronium.stream_input(True))
refused(lambda: cronium.subscribe("k", "x"))
refused(lambda: cronium.subscribe(""))
refused(lambda: cronium.execute_tool_action("a", "b", idempotency_key="a b"))
print(json.dumps(names))
""")
    assert len(got) == 7


def test_a_fork_writes_nothing_twice(tmp_path):
    store, answer = keeping()
    got, _ = scripted(tmp_path, answer, """
import json, os
import cronium
out = cronium.stream_output()
for n in range(100):
    out.write(n)
child = os.fork()
if not child:
    out.close()  # nothing is the child's to send
    try:
        out.write("never")
    except cronium.InvalidError:
        os._exit(0)
    os._exit(1)
status = os.waitpid(child, 0)[1]
out.close()
print(json.dumps(status))
""")
    assert got == 0 and store == list(range(100))


def test_another_writer_is_noticed(tmp_path):
    def answer(request):
        request.reply(200, {"next": 0 if not request.records else 9})
    got, _ = scripted(tmp_path, answer, """
import json
import cronium
try:
    with cronium.stream_output() as out:
        out.write(1)
except cronium.InvalidError as error:
    print(json.dumps(str(error)))
""")
    assert "another writer" in got


def test_threads_close_what_others_wait_in(tmp_path):
    def answer(request):
        if request.path == "/input/stream":
            request.records_from(0)
            request.send(b"1\n")
        else:
            request.events()
            request.event("snapshot", {"key": "k", "version": 1, "value": 1},
                          id=1)
    got, _ = scripted(tmp_path, answer, """
import json, threading
import cronium
counts = []
for items in cronium.stream_input(), cronium.subscribe("k"):
    first = threading.Event()
    seen = []
    def read():
        for item in items:
            seen.append(item)
            first.set()
    thread = threading.Thread(target=read)
    thread.start()
    first.wait()
    items.close()
    thread.join(30)
    counts.append([thread.is_alive(), len(seen)])
print(json.dumps(counts))
""")
    assert got == [[False, 1], [False, 1]]


def test_tasks_close_and_cancel_what_others_wait_in(tmp_path):
    def answer(request):
        number = int(request.query["from"])
        request.records_from(number)
        request.send(b"".join(b"%d\n" % (number + n) for n in range(3)))
    got, _ = scripted(tmp_path, answer, """
import asyncio, json
from cronium import AsyncCronium
async def main():
    seen = []
    async with AsyncCronium() as cronium:
        rows = cronium.stream_input()
        async def read():
            async for row in rows:
                seen.append(row)
        task = asyncio.create_task(read())
        while len(seen) < 3:
            await asyncio.sleep(0.001)
        task.cancel()
        try:
            await task
        except asyncio.CancelledError:
            pass
        task = asyncio.create_task(read())  # goes on behind what was read
        while len(seen) < 6:
            await asyncio.sleep(0.001)
        await rows.close()
        await task
    return [seen, rows.position]
print(json.dumps(asyncio.run(main())))
""")
    assert got == [list(range(6)), 6]


def test_states_are_told_who_asks(tmp_path):
    def answer(request):
        request.events()
        if request.number == 0:
            request.event("snapshot", {"key": "k", "version": 1, "value": 1},
                          id=1)
            request.event("disconnected", {"reason": "the backend is away"})
            request.event("connected", {})
            request.cut()
        else:
            request.event("delete", {"key": "k", "version": 2,
                                     "deleted": True}, id=2)
    got, _ = scripted(tmp_path, answer, """
import json
import cronium
told = []
states = []
for change in cronium.subscribe("k", include_state=True,
                                on_state=lambda *s: states.append(s)):
    told.append([change.type, change.version, change.reason])
    if change.deleted:
        break
print(json.dumps([told, states]))
""")
    told, states = got
    assert [t[0] for t in told] == [
        "snapshot", "disconnected", "connected", "disconnected", "connected",
        "delete"]
    assert told[1] == ["disconnected", "1", "the backend is away"]
    assert [s[0] for s in states] == [
        "disconnected", "connected", "disconnected", "connected"]


# --- types, help, installing


SAMPLE = """
from typing import Any
from cronium import AsyncCronium, Change, Cronium, cronium

text: str = cronium.set_variable("k", 1, if_version="")
names: list[str] = cronium.list_variables()
for row in cronium.stream_input(from_=3):
    value: Any = row
with cronium.stream_output() as out:
    out.write({"a": [1]})
    count: int = out.acknowledged
change: Change
for change in cronium.subscribe("k", 7, on_state=lambda state, why: None):
    version: str = change.version
result: Any = cronium.execute_tool_action("t", "a", {}, dry_run=True)

async def main() -> bool:
    async with AsyncCronium(timeout=3) as client:
        async with client.stream_output() as out:
            async for row in client.stream_input():
                await out.write(row)
        return await client.delete_variable("k")
"""
WRONG = """
from cronium import cronium
number: int = cronium.list_variables()
cronium.stream_output().write()
cronium.subscribe("k", on_state="x")
"""


def mypy(*args):
    return subprocess.run(
        ["/usr/bin/python3", "-m", "mypy", "--strict", "--python-version",
         "3.9", "--cache-dir=/dev/null", *args], cwd=sdk.SDK / "python",
        env=sdk.environment(), capture_output=True, text=True,
        timeout=sdk.TIMEOUT_S)


def test_types(tmp_path):
    """mypy --strict takes the package and who uses it as he should."""
    (tmp_path / "sample.py").write_text(SAMPLE)
    (tmp_path / "wrong.py").write_text(WRONG)
    done = mypy("cronium", tmp_path / "sample.py")
    assert done.returncode == 0, done.stdout
    done = mypy(tmp_path / "wrong.py")
    assert done.stdout.count("error:") == 3, done.stdout


def test_everything_that_is_public_is_explained(tmp_path):
    silent = python(tmp_path, sdk.environment(), """
import inspect, json
import cronium
silent = []
for name in cronium.__all__:
    thing = getattr(cronium, name)
    if not inspect.getdoc(thing):
        silent.append(name)
    if not inspect.isclass(thing):
        continue
    for member, value in vars(thing).items():
        if member[0] != "_" and not inspect.getdoc(value):
            if callable(value) or isinstance(value, property):
                silent.append(f"{name}.{member}")
print(json.dumps(silent))
""")
    assert silent == []


def test_help_reads_well(tmp_path):
    done = sdk.evaluate(tmp_path, "python", "import cronium; help(cronium)",
                        sdk.environment())
    assert done.returncode == 0, done.stderr
    assert "What a script can ask of the Cronium job" in done.stdout
    assert "execute_tool_action(" in done.stdout


def test_pip_installs_it(tmp_path):
    """Without a network, into an environment of its own."""
    copy = tmp_path / "sdk"
    shutil.copytree(sdk.SDK / "python", copy, ignore=shutil.ignore_patterns(
        "__pycache__", "build", ".*", "*.egg-info"))
    place = tmp_path / "venv"
    subprocess.run(
        ["/usr/bin/python3", "-m", "venv", "--system-site-packages", place],
        check=True, timeout=sdk.TIMEOUT_S)
    done = subprocess.run(
        [place / "bin" / "pip", "install", "--no-build-isolation",
         "--no-index", "--no-deps", copy], capture_output=True, text=True,
        timeout=sdk.TIMEOUT_S)
    assert done.returncode == 0, done.stderr
    done = subprocess.run(
        [place / "bin" / "python3", "-c",
         "from cronium import cronium; print(cronium.__file__)"],
        capture_output=True, text=True, cwd=tmp_path,
        timeout=sdk.TIMEOUT_S)
    assert done.returncode == 0, done.stderr
    installed = pathlib.Path(done.stdout.strip()).parent
    assert place in installed.parents
    assert {p.name for p in installed.iterdir() if p.is_file()} == {
        p.name for p in (copy / "cronium").iterdir()}
