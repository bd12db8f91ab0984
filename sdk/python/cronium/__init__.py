"""What a script can ask of the Cronium job that it runs in.

    import cronium

    rows = cronium.input()
    key = cronium.get_variable("API_KEY")
    cronium.output({"rows": len(rows)})

Every value is plain JSON. Calls are retried with backoff until `timeout`
(30 s); a write that was retried counts once. Errors are `CroniumError`.
With asyncio, `AsyncCronium` has the same operations.
"""

from __future__ import annotations

import sys as _sys

from ._client import Cronium
from .errors import (
    AuthError,
    ConflictError,
    CroniumError,
    ForbiddenError,
    InvalidError,
    NotFoundError,
    NotInJobError,
    RateLimitError,
    TooLargeError,
    UnavailableError,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ._async import AsyncCronium

_shared = Cronium()

input = _shared.input
output = _shared.output
get_variable = _shared.get_variable
get_variable_version = _shared.get_variable_version
set_variable = _shared.set_variable
delete_variable = _shared.delete_variable
increment_variable = _shared.increment_variable
list_variables = _shared.list_variables
get_condition = _shared.get_condition
set_condition = _shared.set_condition
get_event_context = _shared.get_event_context

# `from cronium import cronium` works too.
cronium = _sys.modules[__name__]


if not TYPE_CHECKING:

    def __getattr__(name):
        # asyncio takes 25 ms to import: only who uses it waits for it.
        if name == "AsyncCronium":
            from ._async import AsyncCronium

            return AsyncCronium
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


__all__ = [
    "AsyncCronium",
    "AuthError",
    "ConflictError",
    "Cronium",
    "CroniumError",
    "ForbiddenError",
    "InvalidError",
    "NotFoundError",
    "NotInJobError",
    "RateLimitError",
    "TooLargeError",
    "UnavailableError",
    "cronium",
    "delete_variable",
    "get_condition",
    "get_event_context",
    "get_variable",
    "get_variable_version",
    "increment_variable",
    "input",
    "list_variables",
    "output",
    "set_condition",
    "set_variable",
]
