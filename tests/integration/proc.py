"""What /proc says of the processes of this machine."""

import contextlib
import pathlib


def processes_with(text):
    """Those whose command line, as one would type it, has the text."""
    found = []
    for entry in pathlib.Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                line = (entry / "cmdline").read_bytes().replace(b"\0", b" ")
                if text.encode() in line:
                    found.append(int(entry.name))
    return found
