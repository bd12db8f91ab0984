#!/usr/bin/env python3
"""Writes fuzz_payload's first corpus: seed_payload.py DIRECTORY"""

import base64
import gzip
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__),
                                "..", "integration"))

from tar_forge import END, MANIFEST, entry, good, long_name, pax  # noqa: E402

TAR, MANIFESTS, SIGNATURE, ARCHIVE = (bytes([i]) for i in range(4))

BLOCK = b"""environment: {A: b, LANG: C}
runtime:
  environment: staging
  permissions: {net: [a.example.com], read: [/data], run: true}
  node_options: [--max-http-header-size=1]
  timeout: 30s
  backoff: {initial: 1, max: 2, max_elapsed: 3}
metadata: {jobId: j, createdAt: 2024-01-01}
"""

SEEDS = {
    "good": TAR + good() + END,
    "more": TAR + good() + entry(b"lib/", kind=b"5") +
    entry(b"lib/a.py", b"x" * 600, mode=0o755) + END,
    "pax": TAR + pax([(b"path", b"p" * 120), (b"size", b"1")]) +
    entry(b"x", b"x") + END,
    "gnu": TAR + long_name(b"g" * 120) + entry(b"x", b"x") + END,
    "link": TAR + entry(b"l", kind=b"2", link=b"main.py") + END,
    "sparse": TAR + pax([(b"GNU.sparse.major", b"1"),
                         (b"GNU.sparse.minor", b"0"),
                         (b"GNU.sparse.name", b"s"),
                         (b"GNU.sparse.realsize", b"1")]) +
    entry(b"x", b"1\n0\n1\n".ljust(512, b"\0") + b"x") + END,
    "gzip": ARCHIVE + gzip.compress(good() + END),
    "manifest": MANIFESTS + MANIFEST,
    "block": MANIFESTS + MANIFEST + BLOCK,
    "signature": SIGNATURE + base64.b64encode(
        b"\x30\x44" + (b"\x02\x20" + b"\x11" * 32) * 2) + b"\n",
}

for name, data in SEEDS.items():
    with open(os.path.join(sys.argv[1], name), "wb") as f:
        f.write(data)
