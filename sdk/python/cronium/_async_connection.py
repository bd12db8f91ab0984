"""A connection to the runtime for asyncio, for one call at a time."""

from __future__ import annotations

import asyncio

from . import _wire

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Generator
    from typing import Any, TypeVar

    from ._call import Call, Endpoint

    T = TypeVar("T")


class Connection:
    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._reader, self._writer = reader, writer

    def close(self) -> None:
        self._writer.close()

    async def exchange(self, call: Call[Any]) -> _wire.Reply:
        self._send(call)
        return await self._receive(_wire.parse_reply())

    async def open(self, call: Call[Any]) -> _wire.Reply | _wire.Body:
        """As exchange(); but the body of a 200 is read() by and by."""
        self._send(call)
        return await self._receive(_wire.parse_opening())

    async def read(self) -> bytes:
        return await self._reader.read(_wire.READ_BYTES)

    def _send(self, call: Call[Any]) -> None:
        # Not drained: who refuses a request may answer before all of it was
        # sent.
        self._writer.write(call.request)

    async def _receive(self, parser: Generator[None, bytes, T]) -> T:
        next(parser)
        try:
            while True:
                parser.send(await self.read())
        except StopIteration as done:
            received: T = done.value
            return received


async def connect(endpoint: Endpoint) -> Connection:
    reader, writer = await asyncio.open_connection(
        endpoint.host,
        endpoint.port,
        ssl=endpoint.tls_context() if endpoint.tls else None,
    )
    return Connection(reader, writer)
