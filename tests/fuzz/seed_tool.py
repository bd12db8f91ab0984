#!/usr/bin/env python3
"""Writes fuzz_tool's first corpus: seed_tool.py DIRECTORY

Each built-in tool's file under the name that the target loads, a NUL byte,
and the parameters of a call.
"""

import json
import pathlib
import sys

TOOLS = pathlib.Path(__file__).parents[2] / "backend" / "tools"
PARAMS = {
    "http": [
        {
            "url": "https://a.org/x",
            "method": "PUT",
            "json": [1],
            "query": {"a": ["b"]},
            "headers": {"A": "b"},
            "auth": {"bearer": {"secret": "T"}},
        },
        {
            "url": "http://a.org",
            "form": {"a": 1},
            "auth": {"basic": {"username": "u", "password": {"secret": "p"}}},
        },
    ],
    "slack": [{"text": "hi", "channel": "C1", "blocks": [{}]}, {"text": "hi"}],
    "discord": [{"content": "hi", "mentions": ["users"]}],
    "email": [{"to": ["Ann <a@b.org>"], "cc": "c@d.org", "subject": "s", "text": "t"}],
    "webhook": [{"url": "https://a.org", "payload": {"a": 0.1}}],
}


def main():
    out = pathlib.Path(sys.argv[1])
    out.mkdir(parents=True, exist_ok=True)
    for name, calls in PARAMS.items():
        text = (TOOLS / f"{name}.yaml").read_text()
        text = text.replace(f"name: {name}\n", "name: t\n", 1)
        for number, params in enumerate(calls):
            seed = text + "\0" + json.dumps(params)
            (out / f"{name}-{number}").write_bytes(seed.encode())


main()
