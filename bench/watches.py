"""A variable is set through one sidecar and watched through others; Redis
sets a value durably and publishes it, in one transaction."""

import json
import pathlib
import statistics
import subprocess
import tempfile

import machine
from live import Live
from peers import Redis
from report import Row, Samples, Target, pick

NUMBER = b"########"  # see bench_watch.c
VALUE = b'"' + NUMBER + b'"'
WATCHERS = (1, 100)
SIDECARS = 2  # of those who watch: one holds 64 watches
WRITES_A_SECOND = 100  # of load: how many that is


def measure(settings, watchers, publish_port, watch_ports, texts):
    """Microseconds: p50 and p99 from the write to the event, and from its
    reply to the event (which may come before it)."""
    directory = pathlib.Path(tempfile.mkdtemp(dir=settings.directory))
    for name, text in texts.items():
        (directory / name).write_bytes(text)
    done = subprocess.run(
        [machine.PROGRAMS / "bench_watch", str(watchers),
         str(int(settings.seconds * WRITES_A_SECOND)), directory,
         str(publish_port), *map(str, watch_ports)],
        capture_output=True, text=True, timeout=2 * machine.TIMEOUT_S)
    if done.returncode:
        raise RuntimeError(done.stderr)
    writes = json.loads(done.stdout)
    events = [event for _, *told in writes for event in told]
    after = [event - reply for reply, *told in writes for event in told]
    return tuple(q for values in (events, after) for q in (
        statistics.median(values), statistics.quantiles(values, n=100)[98]))


def cronium(settings, setter, watching, watchers):
    texts = {f"watch.{i}": w.head("GET", "/variables/watched/watch",
                                  "Accept: text/event-stream")
             for i, w in enumerate(watching)}
    return measure(settings, watchers, setter.port,
                   [w.port for w in watching], {
        **texts, "watching": b"event: snapshot", "reply": b"HTTP/1.1 20",
        "publish": setter.head("PUT", "/variables/watched",
                               f"Content-Length: {len(VALUE)}") + VALUE})


def redis(settings, server, watchers):
    command = server.command
    return measure(settings, watchers, server.port, [server.port], {
        "watch.0": command(b"SUBSCRIBE", b"watched"),
        "watching": b"subscribe", "reply": b"*2\r\n",  # EXEC's
        "publish": command(b"MULTI") + command(b"SET", b"watched", VALUE) +
        command(b"PUBLISH", b"watched", VALUE) + command(b"EXEC")})


def run(settings):
    rows = []
    with Live(settings) as live, Redis(settings.directory) as peer:
        setter, *watching = [live.job() for _ in range(1 + SIDECARS)]
        for n in WATCHERS:
            took = machine.interleave(settings.rounds, {
                "cronium": lambda: cronium(settings, setter, watching, n),
                "redis": lambda: redis(settings, peer, n)})
            many = f"{n} watcher{'s' if n > 1 else ''}"
            rows += [Row(f"{what}, {many}, {q}", "us",
                         pick(took, i)["cronium"], [pick(took, i)["redis"]],
                         target)
                     for i, (what, q, target) in enumerate((
                         ("PUT → event", "p50", Target("ratio", at_most=4)),
                         ("PUT → event", "p99", Target("ratio", at_most=4)),
                         ("PUT's reply → event", "p50",
                          Target("value", at_most=1000)),
                         ("PUT's reply → event", "p99",
                          Target("value", at_most=10000))))]
    return rows
