"""HTTP/1.1 as bytes in memory; who uses it moves them.

A reply is read by a generator that yields when it wants more bytes, so one
parser serves threads and asyncio. Importing http.client instead would cost
16 ms, more than all else that the SDK does.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Generator, Iterable
    from typing import Union

    Parser = Generator[None, bytes, "Reply"]
    Opening = Generator[None, bytes, Union["Reply", "Body"]]

READ_BYTES = 256 * 1024
_HEAD_MAX_BYTES = 64 * 1024


class BadReply(Exception):
    """The peer does not speak HTTP, or went away in the middle of it."""


class Reply:
    __slots__ = ("status", "headers", "body")

    def __init__(
        self, status: int, headers: dict[str, str], body: bytes
    ) -> None:
        self.status = status
        self.headers = headers  # by lower-case name
        self.body = body

    def keeps_alive(self) -> bool:
        return self.headers.get("connection", "").lower() != "close"


def request(
    method: str,
    target: str,
    headers: Iterable[tuple[str, str]],
    body: bytes | None,
) -> bytes:
    lines = [f"{method} {target} HTTP/1.1"]
    lines += [f"{name}: {value}" for name, value in headers]
    if body is not None:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + (body or b"")


def parse_reply() -> Parser:
    """Returns the reply to one request; send it what arrives, b"" at the end
    of the stream."""
    stream = _Stream()
    status = 0
    while status < 200:  # 1xx are interim
        status, headers = yield from _head(stream)
    body = yield from _body(stream, status, headers)
    if not stream.is_empty():
        raise BadReply("there is more after the reply")
    return Reply(status, headers, body)


def parse_opening() -> Opening:
    """As parse_reply(); but of a reply that is 200 only the head is read, and
    a Body takes the rest."""
    stream = _Stream()
    status = 0
    while status < 200:
        status, headers = yield from _head(stream)
    if status == 200:
        return Body(headers, stream)
    return Reply(status, headers, (yield from _body(stream, status, headers)))


class Body:
    """A body that is used while it arrives."""

    def __init__(self, headers: dict[str, str], stream: _Stream) -> None:
        self.headers = headers
        self.ended = False  # properly
        self._here = bytearray()
        self._parser = self._parse(stream)
        self._go_on(None)

    def take(self) -> bytes:
        """What has arrived since."""
        here = bytes(self._here)
        self._here.clear()
        return here

    def feed(self, data: bytes) -> None:
        """Raises BadReply where it breaks off; what came before is there."""
        self._go_on(data)

    def _go_on(self, data: bytes | None) -> None:
        try:
            if data is None:
                next(self._parser)
            else:
                self._parser.send(data)
        except StopIteration:
            self.ended = True

    def _parse(self, stream: _Stream) -> Generator[None, bytes, None]:
        if self.headers.get("transfer-encoding", "").lower() != "chunked":
            yield from self._counted(stream, _length(self.headers))
            return
        while size := (yield from _chunk_size(stream)):
            yield from self._counted(stream, size)
            yield from stream.line()
        while (yield from stream.line()):
            pass  # trailers

    def _counted(
        self, stream: _Stream, count: int
    ) -> Generator[None, bytes, None]:
        while count:
            part = yield from stream.at_most(count)
            self._here += part
            count -= len(part)


class _Stream:
    def __init__(self) -> None:
        self._data = bytearray()

    def is_empty(self) -> bool:
        return not self._data

    def _more(self) -> Generator[None, bytes, None]:
        data = yield
        if not data:
            raise BadReply("it closed the connection before its reply ended")
        self._data += data

    def _take(self, count: int) -> bytes:
        taken = bytes(self._data[:count])
        del self._data[:count]
        return taken

    def line(self) -> Generator[None, bytes, str]:
        while (end := self._data.find(b"\r\n")) < 0:
            if len(self._data) > _HEAD_MAX_BYTES:
                raise BadReply("a line of its reply does not end")
            yield from self._more()
        return self._take(end + 2)[:-2].decode("latin-1")

    def exactly(self, count: int) -> Generator[None, bytes, bytes]:
        while len(self._data) < count:
            yield from self._more()
        return self._take(count)

    def at_most(self, count: int) -> Generator[None, bytes, bytes]:
        """What is there, one byte at least."""
        while not self._data:
            yield from self._more()
        return self._take(count)


def _number(text: str, base: int = 10) -> int:
    try:
        return int(text, base)
    except ValueError:
        raise BadReply(f"{text!r} is no number") from None


def _head(
    stream: _Stream,
) -> Generator[None, bytes, tuple[int, dict[str, str]]]:
    line = yield from stream.line()
    if not line.startswith("HTTP/1."):
        raise BadReply(f"{line[:40]!r} is not HTTP")
    headers: dict[str, str] = {}
    while header := (yield from stream.line()):
        name, _, value = header.partition(":")
        headers[name.lower()] = value.strip()
    return _number(line[9:12]), headers


def _body(
    stream: _Stream, status: int, headers: dict[str, str]
) -> Generator[None, bytes, bytes]:
    if status in (204, 304):
        return b""
    if headers.get("transfer-encoding", "").lower() == "chunked":
        return (yield from _chunks(stream))
    return (yield from stream.exactly(_length(headers)))


def _length(headers: dict[str, str]) -> int:
    if "content-length" not in headers:
        raise BadReply("its reply has no length")
    return _number(headers["content-length"])


def _chunk_size(stream: _Stream) -> Generator[None, bytes, int]:
    return _number((yield from stream.line()).partition(";")[0], 16)


def _chunks(stream: _Stream) -> Generator[None, bytes, bytes]:
    parts = []
    while True:
        size = yield from _chunk_size(stream)
        part = yield from stream.exactly(size)
        if not part:
            break
        parts.append(part)
        yield from stream.line()
    while (yield from stream.line()):
        pass  # trailers
    return b"".join(parts)
