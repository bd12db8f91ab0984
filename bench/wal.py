"""Records of the write-ahead log against plain writes of the same bytes; see
bench_wal.c."""

import json
import subprocess
import tempfile

from machine import PROGRAMS, TIMEOUT_S
from report import Row, Samples, Target

ROUND_MS = 400


def run(settings):
    with tempfile.TemporaryDirectory(dir=settings.directory) as directory:
        done = subprocess.run(
            [PROGRAMS / "bench_wal", directory, str(ROUND_MS)], check=True,
            stdout=subprocess.PIPE, timeout=TIMEOUT_S)
    measured = json.loads(done.stdout)
    return [
        Row("log: records written", "/s",
            Samples("wal_append", measured["append"]),
            [Samples("write of the same", measured["write"])],
            Target("value", at_least=100000), higher_is_better=True),
        Row("log: records on disk, 16 at a time", "/s",
            Samples("wal_sync", measured["synced"]),
            [Samples("write, fdatasync", measured["fdatasync"])],
            Target("ratio", at_least=0.7), higher_is_better=True),
    ]
