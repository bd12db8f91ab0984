"""Errors that the SDK raises. All of them are `CroniumError`."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class CroniumError(Exception):
    """What the runtime answered, or why it could not be asked.

    Attributes:
        status: HTTP status, 0 when there was no answer.
        code: short stable word, e.g. ``"not_found"``; see openapi.yaml.
        detail: a sentence for people.
        trace_id: finds the request in the logs; ``""`` when unknown.
        problem: the whole problem document, with what belongs to its code
            (``violations``, ``upstream_status``, ``next``, …).
    """

    def __init__(
        self,
        detail: str,
        status: int = 0,
        code: str = "",
        trace_id: str = "",
        problem: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        self.status = status
        self.code = code
        self.trace_id = trace_id
        self.problem = problem or {}


class NotInJobError(CroniumError):
    """The script does not run under Cronium: its environment names no
    runtime."""


class AuthError(CroniumError):
    """401: the execution token is missing, expired or revoked."""


class ForbiddenError(CroniumError):
    """403: the token does not allow this operation or this variable."""


class NotFoundError(CroniumError):
    """404: there is no such value."""


class ConflictError(CroniumError):
    """412: the variable has changed since the version that was given."""


class TooLargeError(CroniumError):
    """413: the value is over the limit; nothing was stored."""


class InvalidError(CroniumError):
    """400, 409 or another 4xx: the request makes no sense to the runtime."""


class RateLimitError(CroniumError):
    """429: too many calls."""


class ToolError(CroniumError):
    """424: the action of a tool failed, see `code` and
    ``problem["upstream_status"]``; or 409 ``outcome_unknown``: nobody knows
    what the target saw. It is not tried again."""


class StreamBrokenError(CroniumError):
    """409 ``stream_broken``: the job that writes the stream failed; all that
    it wrote was read before."""


class UnavailableError(CroniumError):
    """5xx, or no answer until the deadline: a write may not be stored."""


_BY_STATUS: dict[int, type[CroniumError]] = {
    401: AuthError,
    403: ForbiddenError,
    404: NotFoundError,
    412: ConflictError,
    413: TooLargeError,
    424: ToolError,
    429: RateLimitError,
}
_BY_CODE: dict[str, type[CroniumError]] = {
    "outcome_unknown": ToolError,
    "stream_broken": StreamBrokenError,
}


def from_reply(status: int, problem: dict[str, Any]) -> CroniumError:
    """The error for a reply; `problem` is its problem document."""
    other = InvalidError if status < 500 else UnavailableError
    code = problem.get("code", "")
    kind = _BY_CODE.get(code, _BY_STATUS.get(status, other))
    detail = problem.get("detail") or problem.get("title")
    return kind(
        detail or f"the runtime answered {status}",
        status,
        code,
        problem.get("trace_id", ""),
        problem,
    )
