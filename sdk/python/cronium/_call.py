"""One operation under way: its request, the same bytes for every attempt, and
when to try again. No I/O."""

from __future__ import annotations

import json
import os
import time

from . import _wire, errors
from ._operations import MISSING, T, _Of

TYPE_CHECKING = False
if TYPE_CHECKING:
    import ssl
    from typing import Any

    from ._operations import Operation
    from ._wire import Reply

TIMEOUT_S = 30.0
TOOL_TIMEOUT_S = 300.0
RETRY_STATUS = (429, 502, 503, 504)
_BACKOFF_INITIAL_S = 0.05
BACKOFF_MAX_S = 2.0
_HEX = frozenset("0123456789abcdef")


class Endpoint:
    """Where the runtime answers."""

    def __init__(self, url: str | None, token: str | None) -> None:
        url = url or os.environ.get("CRONIUM_RUNTIME_API")
        token = token or os.environ.get("CRONIUM_EXECUTION_TOKEN")
        if not url or not token:
            raise errors.NotInJobError(
                "this script does not run in a Cronium job "
                "(CRONIUM_RUNTIME_API and CRONIUM_EXECUTION_TOKEN are not "
                "set): start it with 'cronium run SCRIPT'"
            )
        self.url, self.token = url, token
        scheme, _, rest = url.partition("://")
        self.authority, _, path = rest.partition("/")
        self.path = "/" + path.rstrip("/") if path else ""
        self.tls = scheme == "https"
        self.host, self.port = self._split(443 if self.tls else 80)
        if scheme not in ("http", "https") or not self.host:
            self._refuse()
        self._context: ssl.SSLContext | None = None

    def tls_context(self) -> ssl.SSLContext:
        """Made once: reading whom to trust takes a while."""
        if not self._context:
            import ssl

            file = os.environ.get("CRONIUM_CA_FILE") or None
            try:
                self._context = ssl.create_default_context(cafile=file)
            except OSError as error:
                raise errors.NotInJobError(
                    f"CRONIUM_CA_FILE cannot be read: {file!r}: {error}"
                ) from error
        return self._context

    def _split(self, port: int) -> tuple[str, int]:
        host, colon, digits = self.authority.rpartition(":")
        if not colon or digits.endswith("]"):  # [::1] without a port
            host, digits = self.authority, str(port)
        if not digits.isdecimal():
            self._refuse()
        return host.strip("[]"), int(digits)

    def _refuse(self) -> None:
        raise errors.NotInJobError(
            f"CRONIUM_RUNTIME_API is no http:// or https:// address: "
            f"{self.url!r}"
        )


class Call(_Of[T]):
    def __init__(
        self, endpoint: Endpoint, operation: Operation[T], timeout: float
    ) -> None:
        self.endpoint = endpoint
        self._operation = operation
        self._timeout = timeout
        self._deadline = time.monotonic() + timeout
        self._attempts = 0
        self.request = self._encode()

    def _encode(self) -> bytes:
        operation, endpoint = self._operation, self.endpoint
        headers = [
            ("Host", endpoint.authority),
            ("Authorization", "Bearer " + endpoint.token),
            *operation.headers,
        ]
        if operation.body is not None:
            headers.append(("Content-Type", operation.media))
        # With it a write that is sent again counts once.
        if operation.key != "":
            key = operation.key or os.urandom(16).hex()
            headers.append(("Idempotency-Key", key))
        if trace := _traceparent():
            headers.append(("traceparent", trace))
        return _wire.request(
            operation.method,
            endpoint.path + operation.path,
            headers,
            operation.body,
        )

    def left(self) -> float:
        """Seconds until the deadline."""
        return self._deadline - time.monotonic()

    def pause(self, reply: Reply | None) -> float | None:
        """Seconds before the next attempt; None when there is none.

        reply: of the last attempt; None when the connection was lost.
        """
        if reply and reply.status not in RETRY_STATUS:
            return None
        pause = backoff(self._attempts, reply)
        self._attempts += 1
        return pause if pause < self.left() else None

    def result(self, reply: Reply | None, lost: Exception | None) -> T:
        if not reply:
            raise silent(self.endpoint, self._timeout, lost) from lost
        if reply.status == 404 and self._operation.absent is not MISSING:
            absent: T = self._operation.absent
            return absent
        if reply.status >= 400:
            raise errors.from_reply(reply.status, problem(reply.body))
        try:
            return self._operation.read(reply)
        except (ValueError, KeyError, TypeError) as error:
            raise no_runtime(self.endpoint, reply.status, error) from error


def backoff(attempts: int, reply: Reply | None) -> float:
    """Seconds after so many attempts: full jitter, after what the reply's
    Retry-After says."""
    ceiling = min(_BACKOFF_INITIAL_S * (1 << min(attempts, 16)), BACKOFF_MAX_S)
    pause = int.from_bytes(os.urandom(4), "big") / 2**32 * ceiling
    after = reply.headers.get("retry-after", "") if reply else ""
    return pause + float(after) if after.isdecimal() else pause


def silent(
    endpoint: Endpoint, timeout: float, lost: Exception | None
) -> errors.UnavailableError:
    return errors.UnavailableError(
        f"the runtime at {endpoint.url} did not answer within "
        f"{timeout:g} s: {lost}"
    )


def no_runtime(
    endpoint: Endpoint, status: int, why: object
) -> errors.CroniumError:
    return errors.CroniumError(
        f"what answers at {endpoint.url} is no Cronium runtime: {why}", status
    )


def two_writers() -> errors.InvalidError:
    return errors.InvalidError(
        "the output stream has a writer that is open: close() it before"
    )


def _traceparent() -> str:
    """A span of the trace that the environment names."""
    parts = os.environ.get("TRACEPARENT", "").split("-")
    if [len(part) for part in parts] != [2, 32, 16, 2]:
        return ""
    if not _HEX.issuperset("".join(parts)) or parts[0] != "00":
        return ""
    return f"00-{parts[1]}-{os.urandom(8).hex()}-{parts[3]}"


def problem(body: bytes) -> dict[str, Any]:
    try:
        document = json.loads(body)
    except ValueError:
        document = None
    return document if isinstance(document, dict) else {}
