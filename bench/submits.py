"""Durable submissions, and how fast the backend hands a job on."""

import contextlib
import json
import re
import subprocess
import time

from machine import TIMEOUT_S, interleave, need
from report import Row, Samples, Target, known
from server import ASSIGN, Backend, Connection, bash_job

IN_FLIGHT = 64
SUBMITS_A_SECOND = 1000  # of load: how many that is
POSTGRES = known("PostgreSQL queue (known)", 7000)


def submits_per_second(server, body, n):
    done = subprocess.run(
        ["h2load", "-n", str(n), "-c", "1", "-m", str(IN_FLIGHT), "-t", "1",
         "-B", f"unix:{server.api}", "-d", body,
         "-H", "content-type: application/json", "http://localhost/v1/jobs"],
        check=True, capture_output=True, text=True, timeout=TIMEOUT_S).stdout
    if f"status codes: {n} 2xx" not in done:
        raise RuntimeError(f"not every job was taken:\n{done}")
    return float(re.search(r"finished in .*, ([\d.]+) req/s", done)[1])


def dispatch_ms(settings):
    """From a submission until its reply, and until an idle orchestrator has
    the job, each time."""
    replied, assigned = [], []
    with Backend(settings) as server, \
            contextlib.closing(Connection(server.api)) as admin, \
            contextlib.closing(Connection(server.api)) as claims:
        stream = claims.frames(
            "/v1/agents/bench/claims?slots=1&executors=sandbox")
        next(stream)  # it greets
        for _ in range(settings.repeats):
            start = time.perf_counter()
            admin.call("POST", "/v1/jobs", bash_job("sandbox"))
            replied.append((time.perf_counter() - start) * 1000)
            assign = json.loads(next(p for k, p in stream if k == ASSIGN))
            assigned.append((time.perf_counter() - start) * 1000)
            admin.call("POST", f"/v1/executions/{assign['execution']}/complete",
                       {"epoch": assign["epoch"], "state": "succeeded",
                        "exit_code": 0})
    return Samples("backend", assigned), Samples("submit → 201", replied)


def run(settings):
    need("h2load")
    body = settings.directory / "job.json"
    body.write_text(json.dumps(bash_job("sandbox")))
    assigned, replied = dispatch_ms(settings)
    n = max(IN_FLIGHT, int(settings.seconds * SUBMITS_A_SECOND * 5))
    with Backend(settings) as server:
        rate = interleave(settings.rounds, {
            "backend": lambda: submits_per_second(server, body, n)})
    return [
        Row("durable submits, 64 in flight", "jobs/s", rate["backend"],
            [POSTGRES], Target("value", at_least=10000),
            higher_is_better=True),
        Row("dispatch: submit → assigned, p50", "ms", assigned, [replied],
            Target("value", at_most=5)),
    ]
