"""What a script can ask of the Cronium job that it runs in.

    import cronium

    rows = cronium.input()
    key = cronium.get_variable("API_KEY")
    cronium.output({"rows": len(rows)})

    for row in cronium.stream_input():
        print(row)

Every value is plain JSON. A call is repeated with backoff until its `timeout`
(30 seconds), also while the runtime is not there yet; a write that was
repeated counts once. What fails is a `CroniumError`. With asyncio,
`AsyncCronium` has the same operations, and another `timeout` is a `Cronium`
of one's own. All may be used by many threads and after a fork.
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
    StreamBrokenError,
    ToolError,
    TooLargeError,
    UnavailableError,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ._async import AsyncCronium
    from ._async_streams import (
        AsyncInputStream,
        AsyncOutputStream,
        AsyncSubscription,
    )
    from ._stream_parts import Change
    from ._streams import InputStream, OutputStream, Subscription

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
execute_tool_action = _shared.execute_tool_action
stream_input = _shared.stream_input
stream_output = _shared.stream_output
subscribe = _shared.subscribe

# `from cronium import cronium` works too.
if TYPE_CHECKING:
    import cronium as cronium
else:
    cronium = _sys.modules[__name__]


if not TYPE_CHECKING:

    # asyncio takes 25 ms to import: only who uses it waits for it.
    _LATER = {
        "AsyncCronium": "_async",
        "AsyncInputStream": "_async_streams",
        "AsyncOutputStream": "_async_streams",
        "AsyncSubscription": "_async_streams",
        "Change": "_stream_parts",
        "InputStream": "_streams",
        "OutputStream": "_streams",
        "Subscription": "_streams",
    }

    def __getattr__(name):
        if name not in _LATER:
            raise AttributeError(
                f"module {__name__!r} has no attribute {name!r}"
            )
        from importlib import import_module

        return getattr(import_module(f".{_LATER[name]}", __name__), name)


__all__ = [
    "AsyncCronium",
    "AsyncInputStream",
    "AsyncOutputStream",
    "AsyncSubscription",
    "AuthError",
    "Change",
    "ConflictError",
    "Cronium",
    "CroniumError",
    "ForbiddenError",
    "InputStream",
    "InvalidError",
    "NotFoundError",
    "NotInJobError",
    "OutputStream",
    "RateLimitError",
    "StreamBrokenError",
    "Subscription",
    "TooLargeError",
    "ToolError",
    "UnavailableError",
    "cronium",
    "delete_variable",
    "execute_tool_action",
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
    "stream_input",
    "stream_output",
    "subscribe",
]
