"""Streams and subscriptions for threads."""

from __future__ import annotations

import atexit
import os
import threading

from . import _wire, errors
from ._connection import Connection
from ._stream_parts import (
    NOTHING,
    Change,
    ChangeSource,
    Outbox,
    RecordSource,
    Source,
    line_of,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any, Callable

    from ._call import Call, Endpoint


class _Reader:
    """Reads a source over connections of its own."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._connection: Connection | None = None
        self._body: _wire.Body | None = None
        self._closed = threading.Event()

    def close(self) -> None:
        """Ends the iteration, also one that another thread waits in."""
        self._closed.set()
        if connection := self._connection:
            connection.shut_down()

    def _next(self) -> Any:
        while True:
            if self._closed.is_set():
                self._drop()
                raise StopIteration
            item = self._source.take()
            if item is not NOTHING:
                return item
            if self._source.ended:
                self.close()
                continue
            try:
                self._receive()
            except BaseException:
                # What was interrupted is asked for again.
                self._drop()
                raise

    def _drop(self) -> None:
        connection, self._connection = self._connection, None
        self._body = None
        if connection:
            connection.close()

    def _receive(self) -> None:
        """Waits until there is more, or another connection."""
        if not self._body or not self._connection:
            self._open()
            return
        try:
            self._body.feed(self._connection.read(self._source.silence))
        except (OSError, _wire.BadReply) as error:
            self._source.feed(self._body.take())
            self._drop()
            self._pause(self._source.lost(error))
            return
        self._hand_over(self._body)

    def _hand_over(self, body: _wire.Body) -> None:
        self._source.feed(body.take())
        if body.ended:
            self._drop()
            self._pause(self._source.finish())

    def _pause(self, seconds: float) -> None:
        if seconds:
            self._closed.wait(seconds)

    def _open(self) -> None:
        opened: _wire.Reply | _wire.Body | None = None
        lost: Exception | None = None
        call = self._source.call()
        try:
            self._connection = Connection(call)
            opened = self._connection.open(call)
        except (OSError, _wire.BadReply) as error:
            lost = error
        if isinstance(opened, _wire.Body):
            self._body = opened
            self._source.opened()
            self._hand_over(opened)
            return
        self._drop()
        if not self._closed.is_set():
            self._pause(self._source.refused(opened, lost))


class InputStream(_Reader):
    """The records of the job's input stream, an iterator.

    Lost connections are made again behind the last record that was read. Use
    it from one thread; another one may `close` it.

    Raises:
        StreamBrokenError: behind the last record, where the job that writes
            them failed.
        UnavailableError: nobody answered for `timeout` seconds.
    """

    _source: RecordSource

    def __init__(
        self, endpoint: Endpoint, timeout: float, position: int
    ) -> None:
        super().__init__(RecordSource(endpoint, timeout, position))

    @property
    def position(self) -> int:
        """The number of the next record; what `stream_input` takes to go on
        from here."""
        return self._source.position

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        return self._next()

    def __enter__(self) -> InputStream:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


class Subscription(_Reader):
    """The changes of a variable, an iterator of `Change` that does not end.

    Lost connections are made again; nothing is missed or told twice. Use it
    from one thread; another one may `close` it, which ends the iteration.

    Raises:
        AuthError: the execution has ended.
        ForbiddenError: the job may not read the variable.
        UnavailableError: nobody answered for `timeout` seconds.
    """

    _source: ChangeSource

    def __init__(
        self,
        endpoint: Endpoint,
        timeout: float,
        key: str,
        from_version: str | int | None,
        include_state: bool,
        on_state: Callable[[str, str], object] | None,
    ) -> None:
        super().__init__(
            ChangeSource(
                endpoint, timeout, key, from_version, include_state, on_state
            )
        )

    def __iter__(self) -> Iterator[Change]:
        return self

    def __next__(self) -> Change:
        change: Change = self._next()
        return change

    def __enter__(self) -> Subscription:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


class OutputStream:
    """Writes records to the job's output stream.

        with cronium.stream_output() as out:
            for row in rows:
                out.write(row)

    Thread-safe. A thread of its own sends what was written, one batch after
    the other; what is lost on the way is sent again and stored once. A script
    that ends without `close` waits until all is stored.
    """

    def __init__(self, endpoint: Endpoint, timeout: float) -> None:
        self._outbox = Outbox(endpoint, timeout)
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._connection: Connection | None = None
        self._error: Exception | None = None
        self._closed = False
        self._pid = os.getpid()

    @property
    def acknowledged(self) -> int:
        """How many records of the stream are stored, as far as is known
        here; 0 before the first was sent."""
        return self._outbox.next or 0

    @property
    def closed(self) -> bool:
        """Also in a process that was forked since."""
        return self._closed or self._pid != os.getpid()

    def write(self, value: Any) -> None:
        """Appends one record, any JSON value of at most 1 MiB.

        Returns at once; waits while 1 MiB is not acknowledged.

        Raises:
            InvalidError: `value` is not JSON, or the writer is closed, or the
                stream has ended.
            TooLargeError: an earlier record was over the limit; it and what
                was written after it is not stored.
            UnavailableError: nobody answered for `timeout` seconds; see
                `acknowledged`.
        """
        line = line_of(value)
        self._check_open()
        with self._changed:
            while not self._error and not self._outbox.has_room(line):
                self._changed.wait()
            self._check()
            self._outbox.add(line)
            self._start()

    def flush(self) -> None:
        """Waits until all that was written is stored; raises as `write`."""
        self._check_open()
        with self._changed:
            self._finish()

    def end(self) -> None:
        """Says that the stream is complete, waits until that is stored, and
        closes the writer. Raises as `write`.

        Not needed where the job ends: one that succeeds ends its stream.
        """
        self._check_open()
        with self._changed:
            self._check()
            self._outbox.ending = True
            self._start()
        self.close()

    def close(self) -> None:
        """Waits until all that was written is stored; raises as `write`.
        The stream goes on: another writer may append. Once is enough."""
        if self.closed:
            return
        try:
            with self._changed:
                self._finish()
        finally:
            self._closed = True
            with self._changed:
                self._changed.notify_all()
            atexit.unregister(self.close)

    def __enter__(self) -> OutputStream:
        return self

    def __exit__(self, kind: object, *exc: object) -> None:
        try:
            self.close()
        except errors.CroniumError:
            if not kind:  # the other error tells more
                raise

    def _check_open(self) -> None:
        if self.closed:
            raise errors.InvalidError(
                "the writer is closed; stream_output() gives another one"
            )

    def _check(self) -> None:
        if self._error:
            raise self._error

    def _finish(self) -> None:
        while not self._error and not self._outbox.is_idle():
            self._changed.wait()
        self._check()

    def _start(self) -> None:
        if not self._thread:
            # It does not hold up a script that ends: close() does.
            atexit.register(self.close)
            self._thread = threading.Thread(
                target=self._send_all, name="cronium-output", daemon=True
            )
            self._thread.start()
        self._changed.notify_all()

    # --- in its thread ------------------------------------------------------

    def _send_all(self) -> None:
        try:
            while call := self._wait_for_call():
                reply, lost = self._exchange(call)
                with self._changed:
                    pause = self._outbox.answered(call, reply, lost)
                    self._changed.notify_all()
                    if pause and not self._closed:
                        self._pause(pause)
        except Exception as error:
            with self._changed:
                self._error = error
                self._changed.notify_all()
        finally:
            if self._connection:
                self._connection.close()

    def _wait_for_call(self) -> Call[int] | None:
        """None once the writer is closed."""
        with self._changed:
            while self._outbox.is_idle() and not self._closed:
                self._changed.wait()
            return None if self._closed else self._outbox.call()

    def _pause(self, seconds: float) -> None:
        self._changed.wait_for(lambda: self._closed, seconds)

    def _exchange(
        self, call: Call[int]
    ) -> tuple[_wire.Reply | None, Exception | None]:
        try:
            if not self._connection:
                self._connection = Connection(call)
            reply = self._connection.exchange(call)
            if reply.keeps_alive():
                return reply, None
            lost = None
        except (OSError, _wire.BadReply) as error:
            reply, lost = None, error
        if self._connection:
            self._connection.close()
        self._connection = None
        return reply, lost
