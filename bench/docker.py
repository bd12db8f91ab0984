"""Jobs in cold Docker pods on a running server, against docker run."""

import concurrent.futures
import shutil
import subprocess
import time

from machine import TIMEOUT_S, Skip, bench_exec, interleave
from report import Row, Target
from server import Cronium, bash_job, first_line_ms

IMAGE = "cronium/bash"
RUN = ["docker", "run", "--rm", IMAGE, "bash", "-c", "echo first"]
AT_ONCE = 4


def need_engine():
    if not shutil.which("docker"):
        raise Skip("docker is not installed")
    done = subprocess.run(["docker", "image", "inspect", IMAGE],
                          capture_output=True, timeout=TIMEOUT_S)
    if done.returncode:
        raise Skip(f"no engine answers, or it has no image {IMAGE}: "
                   "./dev engine, ./dev images bash")


def per_second(n, work):
    """n of them, AT_ONCE at a time."""
    start = time.perf_counter()
    with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
        for done in [pool.submit(work) for _ in range(n)]:
            done.result()
    return n / (time.perf_counter() - start)


def docker_run():
    subprocess.run(RUN, check=True, capture_output=True, timeout=TIMEOUT_S)


def run(settings):
    need_engine()
    job = bash_job("docker")
    with Cronium(settings, "docker", AT_ONCE) as server:
        first_line_ms(server, job)
        cold = interleave(settings.rounds, {
            "docker job": lambda: first_line_ms(server, job),
            "docker run": lambda: bench_exec("output", *RUN),
        })
        rate = interleave(settings.rounds, {
            "docker jobs": lambda: per_second(
                settings.jobs, lambda: first_line_ms(server, job)),
            "docker run": lambda: per_second(settings.jobs, docker_run),
        })
    return [
        Row("Docker job, cold: submit → first line", "ms", cold["docker job"],
            [cold["docker run"]], Target("ratio", at_most=1.2)),
        Row(f"Docker jobs, {AT_ONCE} at a time", "jobs/s",
            rate["docker jobs"], [rate["docker run"]],
            Target("ratio", at_least=1), higher_is_better=True),
    ]
