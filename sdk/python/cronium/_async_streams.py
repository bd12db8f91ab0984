"""Streams and subscriptions for asyncio; what each does is said in
`_streams`."""

from __future__ import annotations

import asyncio

from . import _wire, errors
from ._async_connection import Connection, connect
from ._stream_parts import (
    NOTHING,
    REPLY_S,
    Change,
    ChangeSource,
    Outbox,
    RecordSource,
    Source,
    line_of,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from typing import Any, Callable

    from ._call import Call, Endpoint


class _Reader:
    def __init__(self, source: Source) -> None:
        self._source = source
        self._connection: Connection | None = None
        self._body: _wire.Body | None = None
        self._closing: asyncio.Event | None = None
        self._closed = False

    async def close(self) -> None:
        """Ends the iteration, also one that another task waits in."""
        self._closed = True
        if self._closing:
            self._closing.set()
        self._drop()

    async def _next(self) -> Any:
        while True:
            if self._closed:
                raise StopAsyncIteration
            item = self._source.take()
            if item is not NOTHING:
                return item
            if self._source.ended:
                await self.close()
                continue
            try:
                await self._unless_closed()
            except BaseException:
                # What was cancelled is asked for again.
                self._drop()
                raise

    async def _unless_closed(self) -> None:
        self._closing = self._closing or asyncio.Event()
        closing = asyncio.ensure_future(self._closing.wait())
        work = asyncio.ensure_future(self._receive())
        try:
            await asyncio.wait(
                (work, closing), return_when=asyncio.FIRST_COMPLETED
            )
        finally:
            closing.cancel()
            if not work.done():
                work.cancel()
        if not self._closed:
            await work

    def _drop(self) -> None:
        connection, self._connection = self._connection, None
        self._body = None
        if connection:
            connection.close()

    async def _receive(self) -> None:
        """Waits until there is more, or another connection."""
        body, connection = self._body, self._connection
        if not body or not connection:
            await self._open()
            return
        try:
            body.feed(
                await asyncio.wait_for(connection.read(), self._source.silence)
            )
        except asyncio.TimeoutError:
            await self._lose(body, TimeoutError("timed out"))
        except (OSError, _wire.BadReply) as error:
            await self._lose(body, error)
        else:
            await self._hand_over(body)

    async def _lose(self, body: _wire.Body, error: Exception) -> None:
        self._source.feed(body.take())
        self._drop()
        await asyncio.sleep(self._source.lost(error))

    async def _hand_over(self, body: _wire.Body) -> None:
        self._source.feed(body.take())
        if body.ended:
            self._drop()
            await asyncio.sleep(self._source.finish())

    async def _open(self) -> None:
        opened: _wire.Reply | _wire.Body | None = None
        lost: Exception | None = None
        call = self._source.call()
        try:
            opened = await asyncio.wait_for(self._ask(call), call.left())
        except asyncio.TimeoutError:
            lost = TimeoutError("timed out")
        except (OSError, _wire.BadReply) as error:
            lost = error
        if isinstance(opened, _wire.Body):
            self._body = opened
            self._source.opened()
            await self._hand_over(opened)
            return
        self._drop()
        await asyncio.sleep(self._source.refused(opened, lost))

    async def _ask(self, call: Call[None]) -> _wire.Reply | _wire.Body:
        self._connection = await connect(call.endpoint)
        return await self._connection.open(call)


class AsyncInputStream(_Reader):
    """The records of the job's input stream, an asynchronous iterator; see
    `InputStream`."""

    _source: RecordSource

    def __init__(
        self, endpoint: Endpoint, timeout: float, position: int
    ) -> None:
        super().__init__(RecordSource(endpoint, timeout, position))

    @property
    def position(self) -> int:
        """The number of the next record."""
        return self._source.position

    def __aiter__(self) -> AsyncIterator[Any]:
        return self

    async def __anext__(self) -> Any:
        return await self._next()

    async def __aenter__(self) -> AsyncInputStream:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.close()


class AsyncSubscription(_Reader):
    """The changes of a variable, an asynchronous iterator of `Change`; see
    `Subscription`."""

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

    def __aiter__(self) -> AsyncIterator[Change]:
        return self

    async def __anext__(self) -> Change:
        change: Change = await self._next()
        return change

    async def __aenter__(self) -> AsyncSubscription:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.close()


class AsyncOutputStream:
    """Writes records to the job's output stream; see `OutputStream`.

        async with cronium.stream_output() as out:
            async for row in cronium.stream_input():
                await out.write(row)

    A task sends what was written. Who does not `close` it loses what is on
    its way when the event loop ends.
    """

    def __init__(self, endpoint: Endpoint, timeout: float) -> None:
        self._outbox = Outbox(endpoint, timeout)
        self._changed = asyncio.Condition()
        self._task: asyncio.Task[None] | None = None
        self._connection: Connection | None = None
        self._error: Exception | None = None
        self._closed = False

    @property
    def acknowledged(self) -> int:
        """How many records of the stream are stored, as far as is known
        here; 0 before the first was sent."""
        return self._outbox.next or 0

    @property
    def closed(self) -> bool:
        """Nothing more can be written."""
        return self._closed

    async def write(self, value: Any) -> None:
        """Appends one record, any JSON value of at most 1 MiB. Returns at
        once; waits while 1 MiB is not acknowledged."""
        line = line_of(value)
        self._check_open()
        async with self._changed:
            while not self._error and not self._outbox.has_room(line):
                await self._changed.wait()
            self._check()
            self._outbox.add(line)
            self._start()

    async def flush(self) -> None:
        """Waits until all that was written is stored."""
        self._check_open()
        async with self._changed:
            await self._finish()

    async def end(self) -> None:
        """Says that the stream is complete, and closes the writer."""
        self._check_open()
        async with self._changed:
            self._check()
            self._outbox.ending = True
            self._start()
        await self.close()

    async def close(self) -> None:
        """Waits until all that was written is stored. The stream goes on."""
        if self._closed:
            return
        try:
            async with self._changed:
                await self._finish()
        finally:
            self._closed = True
            if self._task:
                self._task.cancel()
            if self._connection:
                self._connection.close()

    async def __aenter__(self) -> AsyncOutputStream:
        return self

    async def __aexit__(self, kind: object, *exc: object) -> None:
        try:
            await self.close()
        except errors.CroniumError:
            if not kind:  # the other error tells more
                raise

    def _check_open(self) -> None:
        if self._closed:
            raise errors.InvalidError(
                "the writer is closed; stream_output() gives another one"
            )

    def _check(self) -> None:
        if self._error:
            raise self._error

    async def _finish(self) -> None:
        while not self._error and not self._outbox.is_idle():
            await self._changed.wait()
        self._check()

    def _start(self) -> None:
        if not self._task:
            self._task = asyncio.ensure_future(self._send_all())
        self._changed.notify_all()

    # --- in its task --------------------------------------------------------

    async def _send_all(self) -> None:
        try:
            while True:
                async with self._changed:
                    while self._outbox.is_idle():
                        await self._changed.wait()
                    call = self._outbox.call()
                reply, lost = await self._exchange(call)
                async with self._changed:
                    pause = self._outbox.answered(call, reply, lost)
                    self._changed.notify_all()
                if pause:
                    await asyncio.sleep(pause)
        except Exception as error:
            async with self._changed:
                self._error = error
                self._changed.notify_all()

    async def _exchange(
        self, call: Call[int]
    ) -> tuple[_wire.Reply | None, Exception | None]:
        reply: _wire.Reply | None = None
        lost: Exception | None = None
        try:
            reply = await asyncio.wait_for(self._ask(call), REPLY_S)
        except asyncio.TimeoutError:
            lost = TimeoutError("timed out")
        except (OSError, _wire.BadReply) as error:
            lost = error
        if self._connection and not (reply and reply.keeps_alive()):
            self._connection.close()
            self._connection = None
        return reply, lost

    async def _ask(self, call: Call[int]) -> _wire.Reply:
        if not self._connection:
            self._connection = await connect(call.endpoint)
        return await self._connection.exchange(call)
