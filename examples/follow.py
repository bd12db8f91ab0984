"""Follows a variable: prints each limit that is set, until it is removed.

cronium run examples/follow.py --input '{"key": "limit"}'
"""

import cronium

key = (cronium.input() or {}).get("key", "limit")
limits = []
for change in cronium.subscribe(key):
    if not change.deleted:
        limits.append(change.value)
        print(f"the limit is {change.value} now ({change.type})")
    elif change.type != "snapshot":
        break
    else:
        print(f"{key} is not set yet")

cronium.output(limits)
