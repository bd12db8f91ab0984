"""Keeps the last runs in one variable, however many jobs write it at once.

cronium run examples/history.py --input '{"note": "nightly"}'
"""

import time

import cronium

KEY = "history"
KEPT = 10


def append(run):
    """Compare and set: what another job wrote meanwhile is never lost."""
    while True:
        try:
            runs, version = cronium.get_variable_version(KEY)
        except cronium.NotFoundError:
            runs, version = [], ""  # it must not exist yet
        runs = [*runs, run][-KEPT:]
        try:
            cronium.set_variable(KEY, runs, if_version=version)
            return runs
        except cronium.ConflictError:
            print("another job was quicker, once more")


context = cronium.get_event_context()
note = (cronium.input() or {}).get("note", "")
runs = append({"job": context["job"], "at": int(time.time()), "note": note})
print(f"{len(runs)} of the last {KEPT} runs are known")
cronium.output(runs)
