#!/usr/bin/env python3
"""Writes the built-in tools as a C table: embed.py OUTPUT FILE…"""

import os
import sys


def literal(data):
    """The bytes, twelve to a line."""
    rows = (data[i : i + 12] for i in range(0, len(data), 12))
    return ",\n".join("\t" + ", ".join(str(b) for b in row) for row in rows)


def main():
    output, files = sys.argv[1], sorted(sys.argv[2:], key=os.path.basename)
    arrays, entries = [], []
    for number, path in enumerate(files):
        with open(path, "rb") as f:
            data = f.read()
        arrays.append(
            f"static const unsigned char tool_{number}[] = {{\n"
            f"{literal(data)},\n\t0\n}};\n"
        )
        entries.append(
            f'\t{{ "{os.path.basename(path)}", (const char *)tool_{number},'
            f" sizeof(tool_{number}) - 1 }},"
        )
    with open(output, "w") as f:
        f.write('#include "backend/tool_file.h"\n\n')
        f.write("\n".join(arrays))
        f.write("\nconst struct tool_builtin tool_builtins[] = {\n")
        f.write("\n".join(entries))
        f.write("\n\t{ 0 },\n};\n")


main()
