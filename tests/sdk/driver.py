"""Makes the calls of vector steps with the Python SDK.

Reads the steps from argv[1] and prints one JSON array: {"result": …} or
{"error": "NotFound", "code": …} a step. With "async" as argv[2] AsyncCronium
makes them.
"""

import asyncio
import inspect
import json
import sys

import cronium


async def run(client, step, saved):
    args = [
        saved.get(a[1:], a) if isinstance(a, str) and a[:1] == "$" else a
        for a in step["args"]
    ]
    version_only = step["call"] == "variable_version"
    name = "get_variable_version" if version_only else step["call"]
    call = getattr(client, name)
    try:
        result = call(*args)
        if inspect.isawaitable(result):
            result = await result
    except cronium.CroniumError as error:
        return {
            "error": type(error).__name__.removesuffix("Error"),
            "code": error.code,
        }
    if version_only:
        result = result[1]
    if "save" in step:
        saved[step["save"]] = result
    return {"result": result}


async def main():
    client = cronium.AsyncCronium() if "async" in sys.argv else cronium
    saved = {}
    with open(sys.argv[1], encoding="utf-8") as file:
        steps = json.load(file)
    print(json.dumps([await run(client, step, saved) for step in steps]))


asyncio.run(main())
