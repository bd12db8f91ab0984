"""Makes the calls of vector steps with the Python SDK; what it reads and
prints is said in sdk/vectors/README.md.

Reads the steps from argv[1]. With "async" as argv[2] AsyncCronium makes them.
"""

import asyncio
import contextlib
import inspect
import json
import sys

import cronium

MEMBERS = "type", "key", "version", "value", "deleted"


async def settled(result):
    return await result if inspect.isawaitable(result) else result


async def each(items):
    """For both kinds of iterators."""
    if hasattr(items, "__aiter__"):
        async for item in items:
            yield item
    else:
        for item in items:
            yield item


class Driver:
    def __init__(self, client):
        self.client, self.saved = client, {}

    # --- the calls that are not simply made

    async def stream_input(self, step, partial, *args):
        async for value in each(self.client.stream_input(*args)):
            partial.append(value)
        return partial

    async def stream_output(self, step, partial, values, how):
        out = self.client.stream_output()
        async with contextlib.AsyncExitStack() as stack:
            if hasattr(out, "__aenter__"):
                await stack.enter_async_context(out)
            else:
                stack.enter_context(out)
            for value in values:
                await settled(out.write(value))
            if how != "close":
                await settled(getattr(out, how)())
        return out.acknowledged

    async def subscribe(self, step, partial, *args):
        during = step.get("during", [])
        subscription = self.client.subscribe(*args)
        async for change in each(subscription):
            partial.append({m: getattr(change, m) for m in MEMBERS})
            if len(partial) == len(step["events"]):
                break
            for other in during:
                if other["after"] == len(partial):
                    await self.make(other)
        await settled(subscription.close())
        return partial

    async def variable_version(self, step, partial, key):
        return (await settled(self.client.get_variable_version(key)))[1]

    async def make(self, step, partial=None):
        args = [
            self.saved.get(a[1:], a)
            if isinstance(a, str) and a[:1] == "$" else a
            for a in step["args"]]
        special = getattr(type(self), step["call"], None)
        if special and step["call"] != "make":
            return await special(self, step, partial, *args)
        call = getattr(self.client, step["call"])
        return await settled(call(*args, **step.get("options", {})))

    # --- a step

    async def run(self, step):
        partial = []
        try:
            result = await self.make(step, partial)
        except cronium.CroniumError as error:
            got = {
                "error": type(error).__name__.removesuffix("Error"),
                "code": error.code}
            return {**got, "records": partial} if partial else got
        if "save" in step:
            last = result[-1]["version"] if "events" in step else result
            self.saved[step["save"]] = last
        return {"result": result}


async def main():
    client = cronium.AsyncCronium() if "async" in sys.argv else cronium
    driver = Driver(client)
    with open(sys.argv[1], encoding="utf-8") as file:
        steps = json.load(file)
    print(json.dumps([await driver.run(step) for step in steps]))


asyncio.run(main())
