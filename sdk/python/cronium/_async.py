"""The same client for asyncio."""

from __future__ import annotations

import asyncio

from . import _operations, _wire
from ._async_connection import Connection, connect
from ._call import TIMEOUT_S, TOOL_TIMEOUT_S, Call, Endpoint, two_writers
from ._operations import MISSING

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, TypeVar

    from ._async_streams import (
        AsyncInputStream,
        AsyncOutputStream,
        AsyncSubscription,
    )

    T = TypeVar("T")

_CONNECTIONS_MAX = 16


class AsyncCronium:
    """`Cronium` with methods to await; what each does is said there.

    Tasks may share one. At most 16 calls are under way at once, more wait
    for their turn.
    """

    def __init__(
        self,
        url: str | None = None,
        token: str | None = None,
        timeout: float = TIMEOUT_S,
    ) -> None:
        self._url, self._token, self._timeout = url, token, timeout
        self._endpoint: Endpoint | None = None
        self._pool: _Pool | None = None
        self._writer: AsyncOutputStream | None = None

    async def input(self) -> Any:
        """The job's input, any JSON value; `None` when none was given."""
        return await self._run(_operations.input())

    async def output(self, value: Any) -> None:
        """Sets the job's output; the last call wins."""
        await self._run(_operations.output(value))

    async def get_variable(self, key: str, default: Any = MISSING) -> Any:
        """The variable's value; `NotFoundError` when there is none and no
        `default` was given."""
        return await self._run(_operations.get_variable(key, default))

    async def get_variable_version(self, key: str) -> tuple[Any, str]:
        """``(value, version)``, for compare and set."""
        return await self._run(_operations.get_variable_version(key))

    async def set_variable(
        self, key: str, value: Any, if_version: str | None = None
    ) -> str:
        """Stores `value` and returns the new version."""
        return await self._run(
            _operations.set_variable(key, value, if_version)
        )

    async def delete_variable(self, key: str) -> bool:
        """Removes the variable. True when it was there."""
        return await self._run(_operations.delete_variable(key))

    async def increment_variable(self, key: str, by: float = 1) -> Any:
        """Adds `by` in one step; returns the new value."""
        return await self._run(_operations.increment_variable(key, by))

    async def list_variables(self, prefix: str = "") -> list[str]:
        """The names that this job may read and that begin with `prefix`."""
        return await self._run(_operations.list_variables(prefix))

    async def get_condition(self) -> bool:
        """The workflow condition; False until it was set."""
        return await self._run(_operations.get_condition())

    async def set_condition(self, condition: bool) -> None:
        """Sets the workflow condition, True or False."""
        await self._run(_operations.set_condition(condition))

    async def get_event_context(self) -> dict[str, Any]:
        """What caused the job, a dict."""
        return await self._run(_operations.get_event_context())

    async def execute_tool_action(
        self,
        tool: str,
        action: str,
        params: dict[str, Any] | None = None,
        *,
        dry_run: bool = False,
        idempotency_key: str | None = None,
        timeout: float = TOOL_TIMEOUT_S,
    ) -> Any:
        """Makes an action of a tool and returns its result."""
        return await self._run(
            _operations.execute_tool_action(
                tool, action, params, dry_run, idempotency_key
            ),
            timeout,
        )

    # --- streams and subscriptions ------------------------------------------

    def stream_input(self, from_: int = 0) -> AsyncInputStream:
        """``async for record in cronium.stream_input()``: the records of the
        job's input stream."""
        from ._async_streams import AsyncInputStream

        return AsyncInputStream(self._where(), self._timeout, from_)

    def stream_output(self) -> AsyncOutputStream:
        """``async with cronium.stream_output() as out``: a writer of records
        to the job's output stream."""
        from ._async_streams import AsyncOutputStream

        if self._writer and not self._writer.closed:
            raise two_writers()
        self._writer = AsyncOutputStream(self._where(), self._timeout)
        return self._writer

    def subscribe(
        self,
        key: str,
        from_version: str | int | None = None,
        *,
        include_state: bool = False,
        on_state: Callable[[str, str], object] | None = None,
    ) -> AsyncSubscription:
        """``async for change in cronium.subscribe(key)``: the changes of a
        variable as they are made."""
        from ._async_streams import AsyncSubscription

        return AsyncSubscription(
            self._where(),
            self._timeout,
            key,
            from_version,
            include_state,
            on_state,
        )

    # --- the call -----------------------------------------------------------

    async def close(self) -> None:
        """Closes idle connections; the next call opens a new one."""
        if self._pool:
            self._pool.close()

    async def __aenter__(self) -> AsyncCronium:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.close()

    def _where(self) -> Endpoint:
        if not self._endpoint:
            self._endpoint = Endpoint(self._url, self._token)
        return self._endpoint

    async def _run(
        self, operation: _operations.Operation[T], timeout: float = 0
    ) -> T:
        endpoint = self._where()
        loop = asyncio.get_running_loop()
        if not self._pool or self._pool.loop is not loop:
            self._pool = _Pool(loop)
        call = Call(endpoint, operation, timeout or self._timeout)
        while True:
            reply, lost = await self._pool.attempt(call)
            pause = call.pause(reply)
            if pause is None:
                return call.result(reply, lost)
            await asyncio.sleep(pause)


class _Pool:
    """The connections of one event loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self._turn = asyncio.Semaphore(_CONNECTIONS_MAX)
        self._idle: list[Connection] = []

    def close(self) -> None:
        while self._idle:
            self._idle.pop().close()

    async def attempt(
        self, call: Call[Any]
    ) -> tuple[_wire.Reply | None, Exception | None]:
        try:
            reply = await asyncio.wait_for(
                self._take_turn(call), max(call.left(), 0.001)
            )
            return reply, None
        except asyncio.TimeoutError:
            return None, TimeoutError("timed out")
        except (OSError, _wire.BadReply) as error:
            return None, error

    async def _take_turn(self, call: Call[Any]) -> _wire.Reply:
        async with self._turn:
            # The runtime may have closed a connection while it was idle:
            # that costs no pause.
            while self._idle:
                try:
                    return await self._exchange(self._idle.pop(), call)
                except (OSError, _wire.BadReply):
                    pass
            return await self._exchange(await connect(call.endpoint), call)

    async def _exchange(
        self, connection: Connection, call: Call[Any]
    ) -> _wire.Reply:
        keep = False
        try:
            reply = await connection.exchange(call)
            keep = reply.keeps_alive()
        finally:
            if keep:
                self._idle.append(connection)
            else:
                connection.close()
        return reply
