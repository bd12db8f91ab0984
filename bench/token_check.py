"""A token check against bare OpenSSL; see bench_token.c."""

import json
import subprocess

from machine import PROGRAMS, TIMEOUT_S
from report import Row, Samples, Target

ROUND_MS = 400  # for the four


def run(settings):
    done = subprocess.run(
        [PROGRAMS / "bench_token", str(ROUND_MS)], check=True,
        stdout=subprocess.PIPE, timeout=TIMEOUT_S)
    us = {name: [ns / 1000 for ns in values]
          for name, values in json.loads(done.stdout).items()}
    return [
        Row("token check, first", "us", Samples("sidecar", us["first"]),
            [Samples("EVP_DigestVerify", us["bare_verify"])],
            Target("ratio", at_most=1.2)),
        Row("token check, again", "us", Samples("sidecar", us["again"]),
            [Samples("SHA-256", us["bare_digest"])],
            Target("value", at_most=2)),
    ]
