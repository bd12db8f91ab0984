"""Makes the calls of vector steps with the Python SDK.

Reads the steps from argv[1] and prints one JSON array: {"result": …} or
{"error": "NotFound", "code": …} a step.
"""

import json
import sys

import cronium


def variable_version(key):
    return cronium.get_variable_version(key)[1]


def run(step, saved):
    args = [
        saved.get(a[1:], a) if isinstance(a, str) and a[:1] == "$" else a
        for a in step["args"]
    ]
    call = getattr(cronium, step["call"], None) or globals()[step["call"]]
    try:
        result = call(*args)
    except cronium.CroniumError as error:
        return {
            "error": type(error).__name__.removesuffix("Error"),
            "code": error.code,
        }
    if "save" in step:
        saved[step["save"]] = result
    return {"result": result}


def main():
    saved = {}
    with open(sys.argv[1], encoding="utf-8") as file:
        steps = json.load(file)
    print(json.dumps([run(step, saved) for step in steps]))


main()
