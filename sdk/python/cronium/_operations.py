"""What can be asked of the runtime: each operation as the request that it
sends and the way its reply reads. No I/O."""

from __future__ import annotations

import json

from . import errors

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable

    from ._wire import Reply

MISSING: Any = object()

# RFC 3986 unreserved characters; everything else in a key is escaped.
_PLAIN = frozenset(
    b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~"
)


class Operation:
    """absent: the result of a 404, where that is none of the errors."""

    __slots__ = ("method", "path", "body", "headers", "read", "absent")

    def __init__(
        self,
        method: str,
        path: str,
        read: Callable[[Reply], Any],
        value: Any = MISSING,
        headers: tuple[tuple[str, str], ...] = (),
        absent: Any = MISSING,
    ) -> None:
        self.method = method
        self.path = path
        self.read = read
        self.body = None if value is MISSING else _dump(value)
        self.headers = headers
        self.absent = absent


# --- the parts of a request -------------------------------------------------


def _dump(value: Any) -> bytes:
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
        raise errors.InvalidError(
            f"a version is what get_variable_version tells, not {version!r}"
        )
    return (("If-Match", f'"{version}"'),)


# --- the parts of a reply ---------------------------------------------------


def _value(reply: Reply) -> Any:
    return json.loads(reply.body)


def _version(reply: Reply) -> str:
    return reply.headers["etag"].strip('"')


def _value_and_version(reply: Reply) -> tuple[Any, str]:
    return _value(reply), _version(reply)


def _sum(reply: Reply) -> Any:
    return _value(reply)["value"]


def _true(reply: Reply) -> bool:
    return True


def _none(reply: Reply) -> None:
    return None


# --- the operations ---------------------------------------------------------


def input() -> Operation:
    return Operation("GET", "/input", _value)


def output(value: Any) -> Operation:
    return Operation("POST", "/output", _none, value)


def get_variable(key: str, default: Any) -> Operation:
    return Operation("GET", _key_path(key), _value, absent=default)


def get_variable_version(key: str) -> Operation:
    return Operation("GET", _key_path(key), _value_and_version)


def set_variable(key: str, value: Any, if_version: str | None) -> Operation:
    return Operation(
        "PUT", _key_path(key), _version, value, _condition(if_version)
    )


def delete_variable(key: str) -> Operation:
    return Operation("DELETE", _key_path(key), _true, absent=False)


def increment_variable(key: str, by: float) -> Operation:
    return Operation("POST", _key_path(key) + "/increment", _sum, {"by": by})


def list_variables(prefix: str) -> Operation:
    query = f"?prefix={_quote(prefix)}" if prefix else ""
    return Operation("GET", "/variables" + query, _value)


def get_condition() -> Operation:
    return Operation("GET", "/condition", _value, absent=False)


def set_condition(condition: bool) -> Operation:
    if not isinstance(condition, bool):
        raise errors.InvalidError(
            f"a condition is True or False, not {condition!r}"
        )
    return Operation("POST", "/condition", _none, condition)


def get_event_context() -> Operation:
    return Operation("GET", "/context", _value)
