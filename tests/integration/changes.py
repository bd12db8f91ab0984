"""Streams of changes, as who follows variables reads them."""

import http.client


import frames
from backend_process import quote

ADMIN, RUNTIME = "/v1/changes", "/v1/runtime/changes"
LATENCY_S = 10  # on a loaded machine; bench/ has the real figure
HISTORY = 4096  # STORE_CHANGES_MAX
BROKEN = (OSError, http.client.HTTPException)  # EOFError is a proper end


class Changes:
    """One stream of changes."""

    def __init__(self, peer, key=None, since=None, path=ADMIN):
        query = [f"key={quote(key)}"] if key else []
        query += [f"from={since}"] if since is not None else []
        self.stream = peer.stream(path + "?" + "&".join(query))
        position = self.stream.expect(frames.POSITION)
        assert set(position) == {"version", "reset"}
        self.position, self.reset = position["version"], position["reset"]

    def next(self):
        """The next change, with its value (bytes) if one came."""
        change = self.stream.expect(frames.CHANGE)
        assert set(change) == {"key", "version", "deleted", "secret",
                               "snapshot", "value_bytes"}
        change["value"] = None
        if change["value_bytes"]:
            kind, change["value"] = self.stream.next()
            assert kind == frames.VALUE
            assert len(change["value"]) == change["value_bytes"]
        return change

    def take(self, n):
        return [self.next() for _ in range(n)]

    def close(self):
        self.stream.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def put(peer, key, value, runtime=False, **headers):
    """Its version."""
    base = "/v1/runtime/variables" if runtime else "/v1/variables"
    reply = peer.put(f"{base}/{quote(key)}", value, **headers)
    assert reply.status in (201, 204), reply
    return int(reply.headers["etag"].strip('"'))


def told(changes):
    return [(c["key"], c["version"], c["deleted"], c["value"])
            for c in changes]
