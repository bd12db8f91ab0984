"""PostgreSQL's store beside SQLite's, by bench_store.c: a database and a server
of its own for each round."""

import json
import pathlib
import subprocess
import tempfile

from machine import PROGRAMS, TIMEOUT_S
from report import Row, Samples, Target

SERVER = pathlib.Path(__file__).parents[1] / "tools/postgres.sh"


def measure(where, seconds):
    done = subprocess.run([PROGRAMS / "bench_store", where, str(seconds)],
                          check=True, stdout=subprocess.PIPE,
                          timeout=TIMEOUT_S)
    return json.loads(done.stdout)


def on_sqlite(settings):
    with tempfile.TemporaryDirectory(dir=settings.directory) as directory:
        return measure(directory, settings.seconds)


def on_postgres(settings):
    # Its socket's path has to be short.
    with tempfile.TemporaryDirectory(prefix="cronium-", dir="/tmp") as parent:
        pathlib.Path(parent).chmod(0o755)
        directory = f"{parent}/server"
        url = subprocess.run([SERVER, "start", directory], check=True,
                             stdout=subprocess.PIPE, text=True,
                             timeout=TIMEOUT_S).stdout.strip()
        try:
            return measure(url, settings.seconds)
        finally:
            subprocess.run([SERVER, "stop", directory], check=True,
                           timeout=TIMEOUT_S)


def run(settings):
    rounds = [(on_postgres(settings), on_sqlite(settings))
              for _ in range(settings.rounds)]

    def row(what, unit, name, value, target, higher):
        ours, other = ([r[i][name][value] for r in rounds] for i in (0, 1))
        return Row(what, unit, Samples("PostgreSQL", ours),
                   [Samples("SQLite", other)], target, higher)

    return [
        row("store: durable submits", "/s", "submits", "per_second",
            Target("value", at_least=500), True),
        row("store: claim, one at a time", "µs", "claims_one_at_a_time",
            "p50_us", Target("value", at_most=20000), False),
    ]
