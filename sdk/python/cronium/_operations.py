"""What can be asked of the runtime: each operation as the request that it
sends and the way its reply reads. No I/O."""

from __future__ import annotations

import json

from . import errors

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Generic, TypeVar

    from ._wire import Reply

    T = TypeVar("T")

    class _Of(Generic[T]):
        __slots__ = ()

else:
    # What typing would cost at run time is more than all else here.
    T = None

    class _Of:
        __slots__ = ()

        def __class_getitem__(cls, _):
            return cls


MISSING: Any = object()

_KEY_MAX_CHARS = 128

# RFC 3986 unreserved characters; everything else in a key is escaped.
_PLAIN = frozenset(
    b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~"
)


JSON = "application/json"
NDJSON = "application/x-ndjson"


class Operation(_Of[T]):
    """absent: the result of a 404, where that is none of the errors.
    value: the body, as JSON; or body: its bytes, of the type `media`.
    key: the Idempotency-Key; None for one of its own, "" for none."""

    __slots__ = (
        "method",
        "path",
        "read",
        "body",
        "media",
        "headers",
        "absent",
        "key",
    )

    def __init__(
        self,
        method: str,
        path: str,
        read: Callable[[Reply], T],
        value: Any = MISSING,
        headers: tuple[tuple[str, str], ...] = (),
        absent: Any = MISSING,
        body: bytes | None = None,
        media: str = JSON,
        key: str | None = None,
    ) -> None:
        self.method = method
        self.path = path
        self.read = read
        self.body = body if value is MISSING else dump(value)
        self.media = media
        self.key = "" if method == "GET" else key
        self.headers = headers
        self.absent = absent


# --- the parts of a request -------------------------------------------------


def dump(value: Any) -> bytes:
    try:
        return json.dumps(value, ensure_ascii=False, allow_nan=False).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise errors.InvalidError(f"not a JSON value: {error}") from error


def _quote(text: str) -> str:
    return "".join(
        chr(byte) if byte in _PLAIN else f"%{byte:02X}"
        for byte in text.encode(errors="surrogatepass")
    )


def _key_path(key: str) -> str:
    if not isinstance(key, str) or not key:
        raise errors.InvalidError(
            f"a variable's key is a non-empty string, not {key!r}"
        )
    return "/variables/" + _quote(key)


def _condition(version: str | None) -> tuple[tuple[str, str], ...]:
    if version is None:
        return ()
    if version == "":
        return (("If-None-Match", "*"),)
    if not isinstance(version, str) or not version.isalnum():
        raise _no_version(version)
    return (("If-Match", f'"{version}"'),)


def _no_version(version: object) -> errors.InvalidError:
    return errors.InvalidError(
        f"a version is what get_variable_version tells, not {version!r}"
    )


def _number(number: int) -> int:
    if isinstance(number, bool) or not isinstance(number, int) or number < 0:
        raise errors.InvalidError(
            f"records are numbered from 0, {number!r} is none of them"
        )
    return number


def _key(key: str | None) -> str | None:
    if key is None:
        return None
    if isinstance(key, str) and 0 < len(key) <= _KEY_MAX_CHARS:
        if all("!" <= c <= "~" for c in key):
            return key
    raise errors.InvalidError(
        f"an idempotency key is 1 to {_KEY_MAX_CHARS} printable ASCII "
        f"characters, not {key!r}"
    )


# --- the parts of a reply ---------------------------------------------------


def _value(reply: Reply) -> Any:
    return json.loads(reply.body)


def _version(reply: Reply) -> str:
    return reply.headers["etag"].strip('"')


def _value_and_version(reply: Reply) -> tuple[Any, str]:
    return _value(reply), _version(reply)


def _sum(reply: Reply) -> Any:
    return _value(reply)["value"]


def _next(reply: Reply) -> int:
    number = _value(reply)["next"]
    if not isinstance(number, int):
        raise TypeError(f"{number!r} is no number of a record")
    return number


def _true(reply: Reply) -> bool:
    return True


def _none(reply: Reply) -> None:
    return None


# --- the operations ---------------------------------------------------------


def input() -> Operation[Any]:
    return Operation("GET", "/input", _value)


def output(value: Any) -> Operation[None]:
    return Operation("POST", "/output", _none, value)


def get_variable(key: str, default: Any) -> Operation[Any]:
    return Operation("GET", _key_path(key), _value, absent=default)


def get_variable_version(key: str) -> Operation[tuple[Any, str]]:
    return Operation("GET", _key_path(key), _value_and_version)


def set_variable(
    key: str, value: Any, if_version: str | None
) -> Operation[str]:
    return Operation(
        "PUT", _key_path(key), _version, value, _condition(if_version)
    )


def delete_variable(key: str) -> Operation[bool]:
    return Operation("DELETE", _key_path(key), _true, absent=False)


def increment_variable(key: str, by: float) -> Operation[Any]:
    return Operation("POST", _key_path(key) + "/increment", _sum, {"by": by})


def list_variables(prefix: str) -> Operation[list[str]]:
    query = f"?prefix={_quote(prefix)}" if prefix else ""
    return Operation("GET", "/variables" + query, _value)


def get_condition() -> Operation[bool]:
    return Operation("GET", "/condition", _value, absent=False)


def set_condition(condition: bool) -> Operation[None]:
    if not isinstance(condition, bool):
        raise errors.InvalidError(
            f"a condition is True or False, not {condition!r}"
        )
    return Operation("POST", "/condition", _none, condition)


def get_event_context() -> Operation[dict[str, Any]]:
    return Operation("GET", "/context", _value)


def execute_tool_action(
    tool: str,
    action: str,
    params: dict[str, Any] | None,
    dry_run: bool,
    idempotency_key: str | None,
) -> Operation[Any]:
    request: dict[str, Any] = {"tool": tool, "action": action}
    request["params"] = params or {}
    if dry_run:
        request["dry_run"] = True
    return Operation(
        "POST",
        "/tool-actions/execute",
        _value,
        request,
        key=_key(idempotency_key),
    )


# --- those that go on -------------------------------------------------------


def stream_input(number: int) -> Operation[None]:
    path = f"/input/stream?from={_number(number)}"
    return Operation("GET", path, _none)


def stream_output(
    number: int | None, body: bytes, end: bool
) -> Operation[int]:
    """number: of the first record; None to ask where the stream stands."""
    query = [] if number is None else [f"from={number}"]
    query += ["end=1"] if end else []
    return Operation(
        "POST",
        "/output/stream" + ("?" if query else "") + "&".join(query),
        _next,
        body=body,
        media=NDJSON,
        key="",  # its number says which records are a repeat
    )


def subscribe(key: str, version: str | int | None) -> Operation[None]:
    headers: tuple[tuple[str, str], ...] = ()
    if version is not None:
        if not str(version).isdecimal():
            raise _no_version(version)
        headers = (("Last-Event-ID", str(version)),)
    return Operation("GET", _key_path(key) + "/watch", _none, headers=headers)
