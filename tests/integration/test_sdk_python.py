"""What the Python SDK owes to threads, forks and asyncio."""

import json

import pytest
import sdk_drivers as sdk
from sdk_fixtures import backend, claim, relay, sidecar  # noqa: F401

pytestmark = pytest.mark.timeout(60)


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
             "ssl", "typing", "urllib", "urllib.parse"}
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
