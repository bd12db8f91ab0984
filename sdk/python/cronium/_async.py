"""The same client for asyncio."""

from __future__ import annotations

import asyncio

from . import _operations, _wire
from ._call import TIMEOUT_S, Call, Endpoint
from ._operations import MISSING

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

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

    async def input(self) -> Any:
        return await self._run(_operations.input())

    async def output(self, value: Any) -> None:
        await self._run(_operations.output(value))

    async def get_variable(self, key: str, default: Any = MISSING) -> Any:
        return await self._run(_operations.get_variable(key, default))

    async def get_variable_version(self, key: str) -> tuple[Any, str]:
        return await self._run(_operations.get_variable_version(key))

    async def set_variable(
        self, key: str, value: Any, if_version: str | None = None
    ) -> str:
        return await self._run(
            _operations.set_variable(key, value, if_version)
        )

    async def delete_variable(self, key: str) -> bool:
        return await self._run(_operations.delete_variable(key))

    async def increment_variable(self, key: str, by: float = 1) -> Any:
        return await self._run(_operations.increment_variable(key, by))

    async def list_variables(self, prefix: str = "") -> list[str]:
        return await self._run(_operations.list_variables(prefix))

    async def get_condition(self) -> bool:
        return await self._run(_operations.get_condition())

    async def set_condition(self, condition: bool) -> None:
        await self._run(_operations.set_condition(condition))

    async def get_event_context(self) -> dict[str, Any]:
        return await self._run(_operations.get_event_context())

    # --- the call -----------------------------------------------------------

    async def close(self) -> None:
        """Closes idle connections; the next call opens a new one."""
        if self._pool:
            self._pool.close()

    async def __aenter__(self) -> AsyncCronium:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.close()

    async def _run(self, operation: _operations.Operation) -> Any:
        if not self._endpoint:
            self._endpoint = Endpoint(self._url, self._token)
        loop = asyncio.get_running_loop()
        if not self._pool or self._pool.loop is not loop:
            self._pool = _Pool(loop)
        call = Call(self._endpoint, operation, self._timeout)
        while True:
            reply, lost = await self._pool.attempt(call)
            pause = call.pause(reply)
            if pause is None:
                return call.result(reply, lost)
            await asyncio.sleep(pause)


class _Connection:
    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._reader, self._writer = reader, writer

    def close(self) -> None:
        self._writer.close()

    async def exchange(self, call: Call) -> _wire.Reply:
        # Not drained: who refuses a request may answer before all of it was
        # sent.
        self._writer.write(call.request)
        parser = _wire.parse_reply()
        next(parser)
        try:
            while True:
                parser.send(await self._reader.read(_wire.READ_BYTES))
        except StopIteration as done:
            reply: _wire.Reply = done.value
        return reply


async def _connect(endpoint: Endpoint) -> _Connection:
    reader, writer = await asyncio.open_connection(
        endpoint.host, endpoint.port, ssl=endpoint.tls or None
    )
    return _Connection(reader, writer)


class _Pool:
    """The connections of one event loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self._turn = asyncio.Semaphore(_CONNECTIONS_MAX)
        self._idle: list[_Connection] = []

    def close(self) -> None:
        while self._idle:
            self._idle.pop().close()

    async def attempt(
        self, call: Call
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

    async def _take_turn(self, call: Call) -> _wire.Reply:
        async with self._turn:
            # The runtime may have closed a connection while it was idle:
            # that costs no pause.
            while self._idle:
                try:
                    return await self._exchange(self._idle.pop(), call)
                except (OSError, _wire.BadReply):
                    pass
            return await self._exchange(await _connect(call.endpoint), call)

    async def _exchange(
        self, connection: _Connection, call: Call
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
