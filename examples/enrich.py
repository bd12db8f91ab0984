"""Reads records from the input stream and writes each, with more in it, to the
output stream, as they come: however many there are, and however slowly.

seq 3 | jq -c '{n: .}' >rows.ndjson
cronium run examples/enrich.py --input-stream rows.ndjson
"""

import cronium

count = 0
with cronium.stream_output() as out:
    for row in cronium.stream_input():
        out.write({**row, "square": row["n"] ** 2})
        count += 1

print(f"{count} records passed")
cronium.output({"records": count})
