"""The client behind the module functions."""

import json
import os
import time
from _thread import allocate_lock

from . import errors
from ._http import Connection, ConnectionLost

_RETRY_STATUS = (429, 502, 503, 504)
_BACKOFF_INITIAL_S = 0.05
_BACKOFF_MAX_S = 2.0
_TIMEOUT_S = 30.0
_MISSING = object()

# RFC 3986 unreserved characters; everything else in a key is escaped.
_PLAIN = frozenset(
    b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~"
)


def _quote(text):
    return "".join(
        chr(byte) if byte in _PLAIN else f"%{byte:02X}"
        for byte in text.encode()
    )


def _key_path(key):
    if not isinstance(key, str) or not key:
        raise errors.InvalidError(
            f"a variable's key is a non-empty string, not {key!r}"
        )
    return "/variables/" + _quote(key)


def _dump(value):
    try:
        return json.dumps(value, ensure_ascii=False, allow_nan=False).encode()
    except (TypeError, ValueError) as error:
        raise errors.InvalidError(f"not a JSON value: {error}") from error


def _problem(body):
    try:
        problem = json.loads(body)
    except ValueError:
        problem = None
    return problem if isinstance(problem, dict) else {}


def _split_url(url):
    scheme, separator, rest = url.partition("://")
    host, _, port = rest.rstrip("/").partition(":")
    if not separator or scheme not in ("http", "https") or not host:
        raise errors.NotInJobError(
            f"CRONIUM_RUNTIME_API is no http:// or https:// address: {url!r}"
        )
    return scheme, host, int(port or (443 if scheme == "https" else 80))


class Cronium:
    """A connection to the runtime of this execution.

    Thread-safe. The module functions use one shared instance; make your own
    only for another `url`, `token` or `timeout`.

    Args:
        url: the runtime API; ``$CRONIUM_RUNTIME_API`` by default.
        token: the execution token; ``$CRONIUM_EXECUTION_TOKEN`` by default.
        timeout: seconds for a whole call with its retries.

    Raises:
        NotInJobError: at the first call, outside a job.
    """

    def __init__(self, url=None, token=None, timeout=_TIMEOUT_S):
        self._url = url or os.environ.get("CRONIUM_RUNTIME_API", "")
        self._token = token or os.environ.get("CRONIUM_EXECUTION_TOKEN", "")
        self._timeout = timeout
        self._lock = allocate_lock()
        self._connection = None

    # --- input and output ---------------------------------------------------

    def input(self):
        """The job's input, any JSON value; `None` when none was given."""
        return self._json("GET", "/input")

    def output(self, value):
        """Sets the job's output; the last call wins.

        Returns once the backend has stored it. Raises `TooLargeError` over
        the limit (10 MB), `InvalidError` when `value` is not JSON.
        """
        self._call("POST", "/output", value)

    # --- variables ----------------------------------------------------------

    def get_variable(self, key, default=_MISSING):
        """The variable's value.

        Raises `NotFoundError` when there is none and no `default` was given.
        """
        try:
            return self._json("GET", _key_path(key))
        except errors.NotFoundError:
            if default is _MISSING:
                raise
            return default

    def get_variable_version(self, key):
        """``(value, version)``; give the version to `set_variable` to write
        only if nobody else has written since."""
        _, headers, body = self._call("GET", _key_path(key))
        return json.loads(body), headers.get("etag", "").strip('"')

    def set_variable(self, key, value, if_version=None):
        """Stores `value` and returns the new version.

        if_version: the version it must have now (from
            `get_variable_version`), or ``""`` when it must not exist yet;
            `ConflictError` otherwise.
        """
        extra = []
        if if_version == "":
            extra = [("if-none-match", "*")]
        elif if_version is not None:
            extra = [("if-match", f'"{if_version}"')]
        _, headers, _ = self._call("PUT", _key_path(key), value, extra)
        return headers.get("etag", "").strip('"')

    def delete_variable(self, key):
        """Removes the variable. True when it was there."""
        try:
            self._call("DELETE", _key_path(key))
        except errors.NotFoundError:
            return False
        return True

    def increment_variable(self, key, by=1):
        """Adds `by` in one step that nobody can come between; an absent
        variable counts from 0. Returns the new value."""
        return self._json("POST", _key_path(key) + "/increment", {"by": by})[
            "value"
        ]

    def list_variables(self, prefix=""):
        """The names that this job may read and that begin with `prefix`."""
        query = f"?prefix={_quote(prefix)}" if prefix else ""
        return self._json("GET", "/variables" + query)

    # --- condition and context ----------------------------------------------

    def get_condition(self):
        """The workflow condition; False until it was set."""
        try:
            return self._json("GET", "/condition")
        except errors.NotFoundError:
            return False

    def set_condition(self, condition):
        """Sets the workflow condition, True or False."""
        if not isinstance(condition, bool):
            raise errors.InvalidError(
                f"a condition is True or False, not {condition!r}"
            )
        self._call("POST", "/condition", condition)

    def get_event_context(self):
        """What caused the job: a dict with `job`, `execution`, `name`,
        `event`, `attempt`, `trigger`, `executor`, `deadline_ms` (since the
        epoch; None without a timeout), `labels`, `session`, `dry_run`."""
        return self._json("GET", "/context")

    # --- the call -----------------------------------------------------------

    def close(self):
        """Closes the connection; the next call opens a new one."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()

    def _json(self, method, path, value=_MISSING):
        return json.loads(self._call(method, path, value)[2])

    def _call(self, method, path, value=_MISSING, extra=()):
        body = None if value is _MISSING else _dump(value)
        headers = self._headers(method, body, extra)
        deadline = time.monotonic() + self._timeout
        attempt = 0
        while True:
            reply, lost = self._attempt(method, path, headers, body, deadline)
            if reply and reply[0] not in _RETRY_STATUS:
                break
            if not self._wait(attempt, deadline, reply):
                break
            attempt += 1
        if not reply:
            raise errors.UnavailableError(
                f"the runtime at {self._url} did not answer within "
                f"{self._timeout:g} s: {lost}"
            )
        if reply[0] >= 400:
            raise errors.from_reply(reply[0], _problem(reply[2]))
        return reply

    def _headers(self, method, body, extra):
        if not self._url or not self._token:
            raise errors.NotInJobError(
                "this script does not run in a Cronium job "
                "(CRONIUM_RUNTIME_API and CRONIUM_EXECUTION_TOKEN are not "
                "set): start it with 'cronium run SCRIPT'"
            )
        headers = [("authorization", "Bearer " + self._token), *extra]
        if body is not None:
            headers.append(("content-type", "application/json"))
        # The same key for every attempt: a retried write counts once.
        if method != "GET":
            headers.append(("idempotency-key", os.urandom(16).hex()))
        return headers

    def _attempt(self, method, path, headers, body, deadline):
        """(reply, None) or (None, why)."""
        with self._lock:
            if self._connection is None:
                self._connection = Connection(*_split_url(self._url))
            left = max(deadline - time.monotonic(), 0.001)
            try:
                return (
                    self._connection.request(
                        method, path, headers, body, left
                    ),
                    None,
                )
            except ConnectionLost as lost:
                return None, lost

    def _wait(self, attempt, deadline, reply):
        """Waits before the next attempt; False when there is no time left."""
        ceiling = min(_BACKOFF_INITIAL_S * 2**attempt, _BACKOFF_MAX_S)
        pause = int.from_bytes(os.urandom(4), "big") / 2**32 * ceiling
        after = reply[1].get("retry-after", "") if reply else ""
        if after.isdigit():
            pause = max(pause, float(after))
        if time.monotonic() + pause >= deadline:
            return False
        time.sleep(pause)
        return True
