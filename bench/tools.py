"""A tool's action that is one HTTP request, against the same request by
curl: what the check, two durable records and the proxying cost."""

import json
import statistics
import subprocess

import machine
from live import Live
from peers import VALUE, Nginx
from report import Row, Target

CALLS_A_SECOND = 40  # of load: how many that is


def loop(settings, url, *options):
    """The median of so many requests of one curl, in milliseconds."""
    n = int(settings.seconds * CALLS_A_SECOND)
    done = subprocess.run(
        ["curl", "-sS", "--fail", *options, "-o", "/dev/null", "-w",
         "%{time_total}\n", f"{url}#[1-{n}]"],
        capture_output=True, text=True, timeout=2 * machine.TIMEOUT_S)
    if done.returncode:
        raise RuntimeError(f"{url}: {done.stderr}")
    return statistics.median(float(s) for s in done.stdout.split()) * 1000


def run(settings):
    machine.need("curl", "nginx", "taskset")
    with Nginx(settings.directory) as nginx, \
            Live(settings, "--tools-allow",
                 f"127.0.0.1:{nginx.port}") as live:
        sidecar = live.job()
        target = f"http://127.0.0.1:{nginx.port}/"
        body = settings.directory / "action.json"
        body.write_text(json.dumps({
            "tool": "http", "action": "request",
            "params": {"method": "GET", "url": target}}))
        options = ["-H", f"Authorization: Bearer {sidecar.token}",
                   "-H", "Content-Type: application/json",
                   "--data-binary", f"@{body}"]
        url = f"http://127.0.0.1:{sidecar.port}/tool-actions/execute"
        said = subprocess.run(
            ["curl", "-sS", *options, url], check=True, capture_output=True,
            text=True, timeout=machine.TIMEOUT_S).stdout
        if json.loads(VALUE) not in said:
            raise RuntimeError(f"the action did not work: {said}")
        took = machine.interleave(settings.rounds, {
            "action": lambda: loop(settings, url, *options),
            "curl": lambda: loop(settings, target)})
    return [Row("tool action http/request, p50", "ms", took["action"],
                [took["curl"]], Target("extra", at_most=5))]
