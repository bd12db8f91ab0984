"""Greets whoever the input names, with a secret that never shows."""

import cronium

name = (cronium.input() or {}).get("name", "world")
greeting = cronium.get_variable("GREETING", default="Hello")
visits = cronium.increment_variable("visits")

print(f"greeting {name}, visit {visits}")
cronium.output({"message": f"{greeting}, {name}!", "visits": visits})
