#!/usr/bin/env python3
"""./dev faults: thousands of small jobs under random kills, and an oracle.

The seed gives the order of kills, fail points and jobs; what the kernel makes
of it differs from run to run, so a failure is looked for with the same seed
and more kills.
"""

import argparse
import json
import pathlib
import random
import shutil
import sys
import tempfile
import time

from world import (EngineWorld, RemoteWorld, World, built_with_fail_points,
                   usage)
from chaos import (ENGINE_TARGETS, HOSTILE_TARGETS, REMOTE_TARGETS, TARGETS,
                   Chaos)
from oracle import check
from workload import Submitter, Writer, variable

SUBMITTERS = 3


def arguments(argv=None):
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int,
                        default=random.SystemRandom().randrange(1 << 32))
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--hostile", action="store_true",
                        help="the disk fills up and the clock jumps, too "
                             "(root)")
    parser.add_argument("--engine", action="store_true",
                        help="containers, of a Docker engine that is killed, "
                             "too (root)")
    parser.add_argument("--executors", default="sandbox")
    parser.add_argument("--targets", default="",
                        help="what is hit, of " + ",".join(TARGETS))
    parser.add_argument("--remote", action="store_true",
                        help="backend and orchestrator over TCP; connections "
                             "break, too")
    parser.add_argument("--slots", type=int, default=6)
    parser.add_argument("--store", default="", help="of the backend")
    parser.add_argument("--keep", action="store_true",
                        help="keep the directory, also of a good run")
    return parser.parse_args(argv)


def make_world(options, base):
    if options.engine:
        return EngineWorld(base, options.slots)
    if options.hostile:
        return World(base, options.executors, options.slots,
                     backend_options=["--lease", "20s"], hostile=True)
    if options.remote:
        return RemoteWorld(base, options.executors, options.slots)
    store = ["--store", options.store] if options.store else []
    return World(base, options.executors, options.slots,
                 backend_options=store)


def targets(options):
    known = (ENGINE_TARGETS if options.engine else
             HOSTILE_TARGETS if options.hostile else
             REMOTE_TARGETS if options.remote else TARGETS)
    names = options.targets.split(",") if options.targets else known
    return {name: known[name] for name in names}


def run(options, base):
    """The report; its `wrong` is empty when everything held."""
    rng = random.Random(options.seed)
    docker = options.engine or "docker" in options.executors
    world = make_world(options, base)
    world.start()
    before = usage(world.orchestrator.process.pid)
    load = [Submitter(world, random.Random(rng.random()), f"s{n}")
            for n in range(SUBMITTERS)]
    writer = Writer(world, "heartbeat")
    chaos = Chaos(world, rng, targets(options))
    begun = time.monotonic()
    for thread in (*load, writer):
        thread.start()
    try:
        chaos.run(options.kills)
    finally:
        chaos.calm()
        for thread in (*load, writer):
            thread.halt.set()
        for thread in (*load, writer):
            thread.join()
    took = time.monotonic() - begun
    for thread in (*load, writer):
        if thread.error:
            raise thread.error
    jobs = [job for thread in load for job in thread.jobs]
    verdict = check(world, jobs, docker)
    if (variable(world, "heartbeat") or 0) < writer.acknowledged:
        verdict.wrong.append("an acknowledged write of a variable is lost")
    # What was in the engine, or was to be, ends with it, and says so.
    if not options.engine and verdict.broken > chaos.pod_kills:
        verdict.wrong.append(
            f"{verdict.broken} jobs ended otherwise than their scripts, but "
            f"only {chaos.pod_kills} pods were hit")
    after = usage(world.orchestrator.process.pid)
    world.stop()
    return {"seed": options.seed, "seconds": round(took, 1),
            "jobs": len(jobs), "ends": verdict.ends,
            "broken": verdict.broken, "kills": dict(chaos.kills),
            "deaths": chaos.deaths(), "writes": writer.acknowledged,
            "files": [before[0], after[0]], "rss_kib": [before[1], after[1]],
            "wrong": verdict.wrong}


def main():
    options = arguments()
    if not built_with_fail_points():
        sys.exit("these programs have no fail points: ./dev faults builds "
                 "some that have")
    base = pathlib.Path(tempfile.mkdtemp(prefix="cronium-faults-"))
    print(f"seed {options.seed}, in {base}", flush=True)
    report = run(options, base)
    print(json.dumps(report, indent=2))
    if report["wrong"]:
        sys.exit(f"{len(report['wrong'])} things are wrong: logs in {base}")
    if not options.keep:
        shutil.rmtree(base)


if __name__ == "__main__":
    main()
