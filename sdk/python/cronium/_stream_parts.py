"""Streams and subscriptions without their I/O: what is asked for next, what
arrived, and how long to go on trying. Threads and asyncio move the bytes."""

from __future__ import annotations

import json
import time
from collections import deque

from . import _operations, errors
from ._call import (
    BACKOFF_MAX_S,
    RETRY_STATUS,
    Call,
    Endpoint,
    backoff,
    no_runtime,
    problem,
    silent,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable

    from ._wire import Reply

WINDOW_BYTES = 1024 * 1024  # what a writer may have unacknowledged
BATCH_BYTES = 1024 * 1024
# The sidecar waits for the backend, 120 s at most, before it gives up.
REPLY_S = 150.0
# A watch says something every 15 s; of an input stream nothing is due.
_WATCH_SILENCE_S = 45.0

NOTHING: Any = object()


class Patience:
    """How long to go on: `timeout` seconds without any progress."""

    def __init__(self, endpoint: Endpoint, timeout: float) -> None:
        self._endpoint, self._timeout = endpoint, timeout
        self.renew()

    def renew(self) -> None:
        """There was progress."""
        self._attempts = 0
        self._deadline: float | None = None

    def renew_deadline(self) -> None:
        """There is somebody, but he is busy."""
        self._deadline = None

    def pause(self, reply: Reply | None, lost: Exception | None) -> float:
        """Seconds before the next attempt. Raises what the reply says, or
        that there was none for too long."""
        if reply and reply.status not in RETRY_STATUS:
            if reply.status < 400:
                raise no_runtime(
                    self._endpoint, reply.status, f"it said {reply.status}"
                )
            raise errors.from_reply(reply.status, problem(reply.body))
        now = time.monotonic()
        if self._deadline is None:
            self._deadline = now + self._timeout
        pause = backoff(self._attempts, reply)
        self._attempts += 1
        if now + pause < self._deadline:
            return pause
        if reply:
            raise errors.from_reply(reply.status, problem(reply.body))
        raise silent(self._endpoint, self._timeout, lost) from lost


class Source:
    """What a reader reads; it is asked for again until it has ended.

    silence: seconds after which a connection that says nothing is lost.
    """

    silence: float | None = None
    reason = ""

    def __init__(self, endpoint: Endpoint, timeout: float) -> None:
        self.endpoint = endpoint
        self.ended = False
        self._patience = Patience(endpoint, timeout)
        self._opened_at = 0.0

    def call(self) -> Call[None]:
        """The request that goes on behind what was read."""
        return Call(self.endpoint, self._operation(), REPLY_S)

    def _operation(self) -> _operations.Operation[None]:
        raise NotImplementedError

    def take(self) -> Any:
        """The next item that has arrived, or NOTHING."""
        raise NotImplementedError

    def opened(self) -> None:
        self._opened_at = time.monotonic()

    def feed(self, data: bytes) -> None:
        raise NotImplementedError

    # These tell for how many seconds to pause, or raise what is the matter.

    def finish(self) -> float:
        """The body came to its proper end."""
        raise NotImplementedError

    def lost(self, why: Exception) -> float:
        """The connection, in the midst of the body."""
        if time.monotonic() - self._opened_at > BACKOFF_MAX_S:
            self._patience.renew()
        return self._patience.pause(None, why)

    def refused(self, reply: Reply | None, lost: Exception | None) -> float:
        """There is no body: another reply, or none."""
        return self._patience.pause(reply, lost)


class RecordSource(Source):
    """The records of the input stream from `position` on."""

    def __init__(
        self, endpoint: Endpoint, timeout: float, position: int
    ) -> None:
        super().__init__(endpoint, timeout)
        self.position = position
        self._lines: deque[bytes] = deque()
        self._rest: list[bytes] = []
        self._operation()  # is it a number?

    def _operation(self) -> _operations.Operation[None]:
        if not self._lines:  # then it may be anything that it was given
            return _operations.stream_input(self.position)
        return _operations.stream_input(self.position + len(self._lines))

    def opened(self) -> None:
        super().opened()
        self._rest = []

    def feed(self, data: bytes) -> None:
        head, newline, rest = data.rpartition(b"\n")
        if newline:
            lines = b"".join([*self._rest, head]).split(b"\n")
            self._lines += [line for line in lines if line.strip()]
            self._rest = []
            self._patience.renew()
        if rest:
            self._rest.append(rest)

    def finish(self) -> float:
        if self._rest:  # the last line may lack its end
            self._lines.append(b"".join(self._rest))
        self.ended = True
        return 0.0

    def take(self) -> Any:
        if not self._lines:
            return NOTHING
        line = self._lines.popleft()
        self.position += 1
        try:
            return json.loads(line)
        except ValueError as error:
            raise no_runtime(self.endpoint, 200, error) from error


class Change:
    """What happened to a variable.

    Attributes:
        type: ``"snapshot"`` (how things are, first of all), ``"change"``,
            ``"delete"``, ``"reset"`` (how things are, after more changes than
            the backend remembers were missed); for who asked for states also
            ``"disconnected"`` and ``"connected"``.
        key: of the variable.
        value: what it is now, any JSON value; None where it was deleted.
        version: of this change, a string; what `set_variable` takes as
            `if_version`. Of a state: the last one that is known, or ``""``.
        deleted: True where there is no such variable now.
        reason: of ``"disconnected"``, why; else ``""``.
    """

    __slots__ = ("type", "key", "value", "version", "deleted", "reason")

    def __init__(
        self,
        type: str,
        key: str,
        value: Any = None,
        version: str = "",
        deleted: bool = False,
        reason: str = "",
    ) -> None:
        self.type = type
        self.key = key
        self.value = value
        self.version = version
        self.deleted = deleted
        self.reason = reason

    def _members(self) -> list[Any]:
        return [getattr(self, name) for name in self.__slots__]

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Change):
            return NotImplemented
        return self._members() == other._members()

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        named = zip(self.__slots__, self._members())
        return f"Change({', '.join(f'{n}={v!r}' for n, v in named)})"


class ChangeSource(Source):
    """The changes of a variable after `version`; also those of before, as a
    snapshot, where it is None."""

    silence = _WATCH_SILENCE_S

    def __init__(
        self,
        endpoint: Endpoint,
        timeout: float,
        key: str,
        version: str | int | None,
        include_state: bool,
        on_state: Callable[[str, str], object] | None,
    ) -> None:
        super().__init__(endpoint, timeout)
        self._key = key
        self.version = None if version is None else str(version)
        self._include_state, self._on_state = include_state, on_state
        self._operation()  # is it a key?
        self._changes: deque[Change] = deque()
        self._rest = b""
        self._event: dict[str, str] = {}
        self._reached = self._connected = False

    def _operation(self) -> _operations.Operation[None]:
        return _operations.subscribe(self._key, self.version)

    def opened(self) -> None:
        super().opened()
        self._rest, self._event = b"", {}
        if self._reached and not self._connected:
            self._state("connected")
        self._reached = self._connected = True

    def lost(self, why: Exception) -> float:
        if self._connected:
            self._state("disconnected", str(why))
        self._connected = False
        return super().lost(why)

    def finish(self) -> float:
        # The execution has ended; who asks again is told so.
        return self.lost(ConnectionError("the runtime ended the reply"))

    def refused(self, reply: Reply | None, lost: Exception | None) -> float:
        if reply and self._reached and reply.status in RETRY_STATUS:
            self._patience.renew_deadline()
        return super().refused(reply, lost)

    def take(self) -> Any:
        return self._changes.popleft() if self._changes else NOTHING

    def feed(self, data: bytes) -> None:
        if data:
            self._patience.renew()
        lines = (self._rest + data).split(b"\n")
        self._rest = lines.pop()
        for line in lines:
            self._on_line(line.rstrip(b"\r").decode("utf-8", "replace"))

    def _on_line(self, line: str) -> None:
        if line:
            name, _, value = line.partition(":")
            value = value[1:] if value[:1] == " " else value
            if name == "data" and "data" in self._event:
                value = f"{self._event['data']}\n{value}"
            self._event[name] = value
            return
        event, self._event = self._event, {}
        if "data" in event:
            self._on_event(event.get("event", ""), event)

    def _on_event(self, kind: str, event: dict[str, str]) -> None:
        try:
            data = json.loads(event["data"])
            if kind in ("disconnected", "connected"):
                self._state(kind, data.get("reason", ""))
            elif kind in ("snapshot", "change", "delete", "reset"):
                self._on_change(kind, data)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise no_runtime(self.endpoint, 200, error) from error

    def _on_change(self, kind: str, data: dict[str, Any]) -> None:
        version = str(data["version"])
        deleted = bool(data.get("deleted"))
        value = None if deleted else data["value"]
        change = Change(kind, data["key"], value, version, deleted)
        self._changes.append(change)
        self.version = version

    def _state(self, kind: str, reason: str = "") -> None:
        if self._on_state:
            self._on_state(kind, reason)
        if self._include_state:
            version = self.version or ""
            self._changes.append(
                Change(kind, self._key, None, version, reason=reason)
            )


class Outbox:
    """Records on their way out, in batches that know their first number: one
    that is sent twice is stored once."""

    def __init__(self, endpoint: Endpoint, timeout: float) -> None:
        self.endpoint = endpoint
        self.next: int | None = None  # how many the stream has, once asked
        self.ending = self.ended = False
        self.bytes = 0
        self._patience = Patience(endpoint, timeout)
        self._lines: deque[bytes] = deque()
        self._sent = 0

    def add(self, line: bytes) -> None:
        self._lines.append(line)
        self.bytes += len(line)

    def has_room(self, line: bytes) -> bool:
        """A record of any size has room where nothing else waits."""
        return not self.bytes or self.bytes + len(line) <= WINDOW_BYTES

    def is_idle(self) -> bool:
        return not self._lines and self.ending == self.ended

    def call(self) -> Call[int]:
        """The next batch; or where the stream stands, first of all."""
        body, end = b"", False
        if self.next is not None:
            body = self._batch()
            end = self.ending and self._sent == len(self._lines)
        self._ends = end
        operation = _operations.stream_output(self.next, body, end)
        return Call(self.endpoint, operation, REPLY_S)

    def _batch(self) -> bytes:
        taken: list[bytes] = []
        size = 0
        for line in self._lines:
            if taken and size + len(line) > BATCH_BYTES:
                break
            taken.append(line)
            size += len(line)
        self._sent = len(taken)
        return b"".join(taken)

    def answered(
        self, call: Call[int], reply: Reply | None, lost: Exception | None
    ) -> float:
        """Takes what is acknowledged; seconds before the next call. Raises
        what went wrong."""
        if reply and reply.status < 300:
            self._advance(call.result(reply, lost))
            self.ended = self.ended or self._ends
            self._patience.renew()
            return 0.0
        if reply:
            document = problem(reply.body)
            stored = document.get("next")
            if isinstance(stored, int) and stored > (self.next or stored):
                self._advance(stored)
            if document.get("code") == "stream_full":
                self._patience.renew_deadline()
        return self._patience.pause(reply, lost)

    def _advance(self, number: int) -> None:
        if self.next is None:
            self.next = number
        if self.next <= number <= self.next + self._sent:
            if number > self.next:
                self._patience.renew()
            for _ in range(number - self.next):
                self.bytes -= len(self._lines.popleft())
            self._sent -= number - self.next
            self.next = number
        elif self._sent or number < self.next:
            raise errors.InvalidError(
                f"the output stream stands at record {number}, not at "
                f"{self.next + self._sent}: it has another writer"
            )


def line_of(value: Any) -> bytes:
    return _operations.dump(value) + b"\n"
