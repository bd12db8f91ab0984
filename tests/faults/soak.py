#!/usr/bin/env python3
"""Many jobs through one orchestrator, none of them hit: memory and open files
must be flat, and nothing may be left."""

import argparse
import json
import pathlib
import random
import shutil
import sys
import tempfile
import time

from world import World, usage  # first: it knows where the others' modules are
from oracle import check
from workload import Submitter

SAMPLE_S = 2.0
SHOWN = 12           # samples in the report
AHEAD = 64           # jobs that wait at most
FILES_SLACK = 8      # connections that are just being made
RSS_SLACK_KIB = 2048
RSS_SLACK = 1.05     # of the first half's


def flat(name, samples):
    """What is not, in a sentence: the last quarter against the second."""
    n = len(samples) // 4
    early, late = samples[n:2 * n], samples[-n:]
    files = [max(s[0] for s in part) for part in (early, late)]
    rss = [sum(s[1] for s in part) // len(part) for part in (early, late)]
    if files[1] > files[0] + FILES_SLACK:
        yield f"{name}: {files[0]} open files became {files[1]}"
    if rss[1] > rss[0] * RSS_SLACK + RSS_SLACK_KIB:
        yield f"{name}: {rss[0]} KiB became {rss[1]}"


def run(base, jobs, seconds, pace_s, executors="sandbox", seed=1, every_s=0):
    """The report; `wrong` is empty when all is well."""
    world = World(base, executors, slots=8)
    world.start()
    load = Submitter(world, random.Random(seed), "soak", pace_s=pace_s,
                     ahead=AHEAD, every_s=every_s)
    samples = {p.name: [] for p in world.programs}
    begun = time.monotonic()
    load.start()
    while load.is_alive() and len(load.jobs) < jobs and (
            time.monotonic() - begun < seconds):
        for program in world.programs:
            samples[program.name].append(usage(program.process.pid))
        time.sleep(SAMPLE_S)
    load.halt.set()
    load.join()
    if load.error:
        raise load.error
    verdict = check(world, load.jobs, "docker" in executors)
    took = time.monotonic() - begun
    wrong = verdict.wrong + [
        sentence for name, found in samples.items()
        for sentence in flat(name, found)]
    if verdict.broken:
        wrong.append(f"{verdict.broken} jobs ended otherwise than they should")
    world.stop()
    return {"seconds": round(took, 1), "jobs": len(load.jobs),
            "jobs_per_s": round(len(load.jobs) / took, 1),
            "ends": verdict.ends, "wrong": wrong,
            "samples": {name: thinned(found)
                        for name, found in samples.items()}}


def thinned(samples):
    every = samples[::len(samples) // SHOWN + 1]
    return {"files": [s[0] for s in every], "rss_kib": [s[1] for s in every]}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=10_000)
    parser.add_argument("--seconds", type=float, default=7200)
    parser.add_argument("--pace", type=float, default=0.02,
                        help="seconds to wait when enough jobs are queued")
    parser.add_argument("--every", type=float, default=0,
                        help="seconds between two submissions")
    parser.add_argument("--executors", default="sandbox")
    options = parser.parse_args()
    base = pathlib.Path(tempfile.mkdtemp(prefix="cronium-soak-"))
    report = run(base, options.jobs, options.seconds, options.pace,
                 options.executors, every_s=options.every)
    print(json.dumps(report, indent=1))
    if report["wrong"]:
        sys.exit(f"{len(report['wrong'])} things are wrong: logs in {base}")
    shutil.rmtree(base)


if __name__ == "__main__":
    main()
