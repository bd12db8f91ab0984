"""Tar archives as nobody's tool would make them, block by block."""

import gzip

BLOCK = 512
END = b"\0" * (2 * BLOCK)
MANIFEST = b"version: v1\ninterpreter: python\nentrypoint: main.py\n"


def octal(value, width):
    return b"%0*o\0" % (width - 1, value)


def base256(value, width):
    return (value & ((1 << (8 * width)) - 1) | (1 << (8 * width - 1))) \
        .to_bytes(width, "big")


def head(name, size=0, kind=b"0", mode=0o644, link=b"", size_field=None,
         magic=b"ustar\x0000", prefix=b"", spoil=0, devices=(0, 0)):
    """A header block; names of more than 100 bytes do not fit."""
    block = bytearray(BLOCK)
    for at, field in (
            (0, name), (100, octal(mode, 8)), (108, octal(0, 8)),
            (116, octal(0, 8)), (124, size_field or octal(size, 12)),
            (136, octal(0, 12)), (148, b" " * 8), (156, kind), (157, link),
            (257, magic), (329, octal(devices[0], 8)),
            (337, octal(devices[1], 8)), (345, prefix)):
        block[at:at + len(field)] = field
    assert len(block) == BLOCK
    block[148:156] = b"%06o\0 " % (sum(block) + spoil)
    return bytes(block)


def pad(data):
    return data + b"\0" * (-len(data) % BLOCK)


def entry(name, data=b"", **fields):
    fields.setdefault("size", len(data))
    return head(name, **fields) + pad(data)


def pax(records, kind=b"x", raw=b""):
    """An extended header; records: pairs of bytes."""
    body = raw
    for key, value in records:
        rest = len(key) + len(value) + 3
        size = rest
        while size != rest + len(str(size)):
            size = rest + len(str(size))
        body += b"%d %s=%s\n" % (size, key, value)
    return entry(b"pax", body, kind=kind)


def long_name(name, kind=b"L"):
    return entry(b"././@LongLink", name + b"\0", kind=kind,
                 magic=b"ustar  \0")


def good():
    return entry(b"manifest.yaml", MANIFEST) + entry(b"main.py", b"pass\n")


def packed(*entries, end=END):
    """good(), what comes with it, and the end, as gzip."""
    return gzip.compress(good() + b"".join(entries) + end, 6, mtime=0)
