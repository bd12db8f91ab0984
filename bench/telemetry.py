"""What telemetry costs; see bench_telemetry.c."""

import json
import subprocess

from machine import PROGRAMS, TIMEOUT_S
from report import Row, Samples, Target, known

ROUND_MS = 400
PROCESSES = 500  # a machine that is in use
SCAN_EVERY_S = 3  # orchestrator/sampler.h


def run(settings):
    done = subprocess.run(
        [PROGRAMS / "bench_telemetry", str(ROUND_MS)], check=True,
        stdout=subprocess.PIPE, timeout=TIMEOUT_S)
    ns = json.loads(done.stdout)
    # Percent of a core: what is done every second, and the scans.
    always = [sample / 1e9 * 100 + process * PROCESSES / SCAN_EVERY_S / 1e7
              for sample, process in zip(ns["sample"], ns["process"])]
    return [
        Row("telemetry of a job", "us",
            Samples("orchestrator", [n / 1000 for n in ns["job"]]),
            [known("limit", 100)], Target("value", at_most=100)),
        Row(f"sampling, {PROCESSES} processes", "% of a core",
            Samples("orchestrator", always),
            [known("limit", 1)], Target("value", at_most=1)),
    ]
