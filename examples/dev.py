"""Tells a channel how many orders are late, and remembers that it did.

    cronium dev --fixtures examples/dev.yaml --check -- python3 examples/dev.py
"""

import cronium

limit = cronium.get_variable("LATE_AFTER_DAYS", 7)
late = [o for o in cronium.input()["orders"] if o["days"] > limit]

if late:
    cronium.execute_tool_action("slack", "send-message", {
        "channel": "#orders", "text": f"{len(late)} orders are late"})
    cronium.set_variable("last_warning", [o["id"] for o in late])
cronium.set_condition(bool(late))
cronium.output({"late": len(late)})
