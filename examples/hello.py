"""Greets whoever the input names, and counts the visits."""

import cronium

name = (cronium.input() or {}).get("name", "world")
greeting = cronium.get_variable("GREETING", default="Hello")
visits = cronium.increment_variable("visits")

print(f"greeting {name}, visit {visits}")
cronium.output({"message": f"{greeting}, {name}!", "visits": visits})
