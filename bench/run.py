#!/usr/bin/python3
"""Measures Cronium beside its peers: ./dev bench [--quick] [--only NAME]...

Every figure is the median of runs that alternate with its anchor's, with the
smallest and the largest in brackets. docs/bench.md says how each is measured.
"""

import argparse
import os
import pathlib
import signal
import subprocess
import sys
import tempfile

import docker
import egress
import forward
import machine
import memory
import reads
import recovery
import report
import runtime_config
import sandbox
import sdk_start
import sizes
import ssh
import start
import store
import streams
import submits
import telemetry
import token_check
import tools
import wal
import watches

GROUPS = {
    "reads": reads,
    "forward": forward,
    "token": token_check,
    "config": runtime_config,
    "memory": memory,
    "start": start,
    "sandbox": sandbox,
    "docker": docker,
    "ssh": ssh,
    "egress": egress,
    "submits": submits,
    "recovery": recovery,
    "sizes": sizes,
    "store": store,
    "sdk": sdk_start,
    "streams": streams,
    "watches": watches,
    "tools": tools,
    "wal": wal,
    "telemetry": telemetry,
}
FULL = dict(rounds=5, seconds=3, repeats=31, jobs=20, stream_mb=1000)
QUICK = dict(rounds=3, seconds=1, repeats=11, jobs=8, stream_mb=100)
RESULTS = pathlib.Path(__file__).parent / "results.json"


def parse():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("--quick", action="store_true",
                   help="fewer and shorter runs: to look, not to cite")
    p.add_argument("--only", action="append", choices=GROUPS, metavar="NAME",
                   help=f"one group, may be repeated: {', '.join(GROUPS)}")
    p.add_argument("--json", type=pathlib.Path, default=RESULTS,
                   metavar="FILE", help="where the figures go as JSON "
                   "(default: bench/results.json)")
    return p.parse_args()


def measure(names, settings):
    """Rows, and {name: why} of what cannot be measured here, or failed."""
    rows, skipped, failed = [], {}, {}
    for name in names:
        print(f"measuring {name} …", file=sys.stderr)
        try:
            rows += GROUPS[name].run(settings)
        except machine.Skip as why:
            rows += why.rows
            skipped[name] = str(why)
        except (AssertionError, OSError, RuntimeError,
                subprocess.SubprocessError) as why:
            failed[name] = str(why)
    return rows, skipped, failed


def main():
    options = parse()
    if not machine.PROGRAMS.is_dir():
        sys.exit(f"{machine.BIN} is no build: use ./dev bench, or set "
                 "CRONIUM_BIN_DIR")
    # So that what was started is stopped on the way out.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    with tempfile.TemporaryDirectory(prefix="cronium-bench-") as directory:
        os.chmod(directory, 0o755)  # nginx's worker has a user of its own
        settings = machine.Settings(
            directory=pathlib.Path(directory),
            **(QUICK if options.quick else FULL))
        rows, skipped, failed = measure(options.only or GROUPS, settings)
    report.print_table(rows, sys.stdout)
    for name, why in skipped.items():
        print(f"skipped {name}: {why}")
    for name, why in failed.items():
        print(f"failed {name}: {why}")
    report.save(rows, skipped, failed, options.json)
    load, cores = os.getloadavg()[0], os.cpu_count()
    if load > cores:
        print(f"the machine is busy (load {load:.1f} on {cores} cores): "
              "the spreads are wider than they need be")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
