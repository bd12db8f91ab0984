"""A runtime configuration against copies of its strings; see
bench_runtime_config.c."""

import json
import subprocess

from machine import PROGRAMS, TIMEOUT_S
from report import Row, Samples, Target

ROUND_MS = 200  # for the two


def run(settings):
    done = subprocess.run(
        [PROGRAMS / "bench_runtime_config", str(ROUND_MS)], check=True,
        stdout=subprocess.PIPE, timeout=TIMEOUT_S)
    measured = json.loads(done.stdout)
    us = {name: [ns / 1000 for ns in of["ns"]]
          for name, of in measured.items()}
    kb = {name: [of["bytes"] / 1000] for name, of in measured.items()}
    return [
        Row("runtime config: make and validate", "us",
            Samples("runtime_config_new", us["make"]),
            [Samples("strdup of each string", us["copy"])],
            Target("value", at_most=1)),
        Row("runtime config: bytes", "KB",
            Samples("runtime_config_new", kb["make"]),
            [Samples("strdup of each string", kb["copy"])],
            Target("value", at_most=5)),
    ]
