"""One operation under way: its request, the same bytes for every attempt, and
when to try again. No I/O."""

from __future__ import annotations

import json
import os
import time

from . import _wire, errors
from ._operations import MISSING

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ._operations import Operation
    from ._wire import Reply

TIMEOUT_S = 30.0
_RETRY_STATUS = (429, 502, 503, 504)
_BACKOFF_INITIAL_S = 0.05
_BACKOFF_MAX_S = 2.0


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


class Call:
    def __init__(
        self, endpoint: Endpoint, operation: Operation, timeout: float
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
            headers.append(("Content-Type", "application/json"))
        # With it a write that is sent again counts once.
        if operation.method != "GET":
            headers.append(("Idempotency-Key", os.urandom(16).hex()))
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
        if reply and reply.status not in _RETRY_STATUS:
            return None
        ceiling = min(_BACKOFF_INITIAL_S * 2**self._attempts, _BACKOFF_MAX_S)
        pause = int.from_bytes(os.urandom(4), "big") / 2**32 * ceiling
        after = reply.headers.get("retry-after", "") if reply else ""
        if after.isdecimal():
            pause += float(after)
        self._attempts += 1
        return pause if pause < self.left() else None

    def result(self, reply: Reply | None, lost: Exception | None) -> Any:
        if not reply:
            raise errors.UnavailableError(
                f"the runtime at {self.endpoint.url} did not answer within "
                f"{self._timeout:g} s: {lost}"
            ) from lost
        if reply.status == 404 and self._operation.absent is not MISSING:
            return self._operation.absent
        if reply.status >= 400:
            raise errors.from_reply(reply.status, _problem(reply.body))
        try:
            return self._operation.read(reply)
        except (ValueError, KeyError, TypeError) as error:
            raise errors.CroniumError(
                f"what answers at {self.endpoint.url} is no Cronium "
                f"runtime: {error}",
                reply.status,
            ) from error


def _problem(body: bytes) -> dict[str, Any]:
    try:
        problem = json.loads(body)
    except ValueError:
        problem = None
    return problem if isinstance(problem, dict) else {}
