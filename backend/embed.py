#!/usr/bin/env python3
"""Writes files as C tables: embed.py OUTPUT KIND FILE…

KIND is the name of a function below."""

import os
import sys


def literal(data):
    """The bytes, twelve to a line."""
    rows = (data[i : i + 12] for i in range(0, len(data), 12))
    return ",\n".join("\t" + ", ".join(str(b) for b in row) for row in rows)


def arrays(files):
    """A C array for each file, named by its place."""
    for number, path in enumerate(files):
        with open(path, "rb") as f:
            data = f.read()
        yield (
            f"static const unsigned char file_{number}[] = {{\n"
            f"{literal(data)},\n\t0\n}};\n"
        )


def table(declaration, entries):
    return f"const {declaration} = {{\n" + "\n".join(entries) + "\n\t{ 0 },\n};\n"


def named(header, struct, files):
    """The files by their names."""
    yield f'#include "backend/{header}.h"\n'
    yield from arrays(files)
    yield table(
        f"struct {struct} {struct}s[]",
        (
            f'\t{{ "{os.path.basename(path)}", (const char *)file_{number},'
            f" sizeof(file_{number}) - 1 }},"
            for number, path in enumerate(files)
        ),
    )


def tools(files):
    """The built-in tools."""
    return named("tool_file", "tool_builtin", files)


def capabilities(files):
    """The capabilities, and the parts of their programs."""
    return named("capability", "capability_file", files)


def migrations(files):
    """The steps of each driver: migrations/DRIVER/NNNN.sql."""
    by_driver = {}
    for number, path in enumerate(files):
        driver = os.path.basename(os.path.dirname(path))
        version = int(os.path.splitext(os.path.basename(path))[0])
        by_driver.setdefault(driver, []).append(
            f"\t{{ {version}, (const char *)file_{number} }},"
        )
    yield '#include "backend/migrate.h"\n'
    yield from arrays(files)
    for driver, entries in by_driver.items():
        yield table(f"struct migration migrations_{driver}[]", entries)


def main():
    kinds = {f.__name__: f for f in (tools, capabilities, migrations)}
    output, kind, files = sys.argv[1], sys.argv[2], sorted(sys.argv[3:])
    with open(output, "w") as f:
        f.write("\n".join(kinds[kind](files)))


main()
