"""The client behind the module functions."""

from __future__ import annotations

import time

from . import _operations, _wire
from ._call import TIMEOUT_S, TOOL_TIMEOUT_S, Call, Endpoint, two_writers
from ._connection import Connection
from ._operations import MISSING

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, TypeVar

    from ._streams import InputStream, OutputStream, Subscription

    T = TypeVar("T")

_IDLE_MAX = 8


class Cronium:
    """A client of the runtime of this execution.

    Thread-safe: threads that call at the same time get a connection each.
    The module functions use one shared instance; make your own only for
    another `url`, `token` or `timeout`.

    Args:
        url: the runtime API; ``$CRONIUM_RUNTIME_API`` by default.
        token: the execution token; ``$CRONIUM_EXECUTION_TOKEN`` by default.
        timeout: seconds for a whole call with its retries.

    Raises:
        NotInJobError: at the first call, outside a job.
    """

    def __init__(
        self,
        url: str | None = None,
        token: str | None = None,
        timeout: float = TIMEOUT_S,
    ) -> None:
        self._url, self._token, self._timeout = url, token, timeout
        self._endpoint: Endpoint | None = None
        self._idle: list[Connection] = []
        self._writer: OutputStream | None = None

    # --- input and output ---------------------------------------------------

    def input(self) -> Any:
        """The job's input, any JSON value; `None` when none was given."""
        return self._run(_operations.input())

    def output(self, value: Any) -> None:
        """Sets the job's output; the last call wins.

        Returns once the backend has stored it. Raises `TooLargeError` over
        the limit (10 MB), `InvalidError` when `value` is not JSON.
        """
        self._run(_operations.output(value))

    # --- variables ----------------------------------------------------------

    def get_variable(self, key: str, default: Any = MISSING) -> Any:
        """The variable's value.

        Raises `NotFoundError` when there is none and no `default` was given.
        """
        return self._run(_operations.get_variable(key, default))

    def get_variable_version(self, key: str) -> tuple[Any, str]:
        """``(value, version)``; give the version to `set_variable` to write
        only if nobody else has written since."""
        return self._run(_operations.get_variable_version(key))

    def set_variable(
        self, key: str, value: Any, if_version: str | None = None
    ) -> str:
        """Stores `value` and returns the new version.

        if_version: the version it must have now (from
            `get_variable_version`), or ``""`` when it must not exist yet;
            `ConflictError` otherwise.
        """
        return self._run(_operations.set_variable(key, value, if_version))

    def delete_variable(self, key: str) -> bool:
        """Removes the variable. True when it was there."""
        return self._run(_operations.delete_variable(key))

    def increment_variable(self, key: str, by: float = 1) -> Any:
        """Adds `by` in one step that nobody can come between; an absent
        variable counts from 0. Returns the new value."""
        return self._run(_operations.increment_variable(key, by))

    def list_variables(self, prefix: str = "") -> list[str]:
        """The names that this job may read and that begin with `prefix`."""
        return self._run(_operations.list_variables(prefix))

    # --- condition and context ----------------------------------------------

    def get_condition(self) -> bool:
        """The workflow condition; False until it was set."""
        return self._run(_operations.get_condition())

    def set_condition(self, condition: bool) -> None:
        """Sets the workflow condition, True or False."""
        self._run(_operations.set_condition(condition))

    def get_event_context(self) -> dict[str, Any]:
        """What caused the job: `job`, `execution`, `name`, `event`,
        `attempt`, `trigger`, `executor`, `deadline_ms` (since the epoch; None
        without a timeout), `labels`, `session`, `dry_run`."""
        return self._run(_operations.get_event_context())

    # --- tools --------------------------------------------------------------

    def execute_tool_action(
        self,
        tool: str,
        action: str,
        params: dict[str, Any] | None = None,
        *,
        dry_run: bool = False,
        idempotency_key: str | None = None,
        timeout: float = TOOL_TIMEOUT_S,
    ) -> Any:
        """Makes an action of a tool, e.g. ``"slack", "send-message"``, and
        returns its result, any JSON value.

            cronium.execute_tool_action(
                "slack", "send-message", {"channel": "#ops", "text": "done"})

        It is made once, however often the call has to be repeated.

        Args:
            params: what the action takes; see docs/tools.md.
            dry_run: nothing is sent; the result is the request as it would
                be, credentials masked.
            idempotency_key: makes the action once for all calls of the job
                that give the same one, also after a restart of the script.
            timeout: seconds; actions take longer than other calls.

        Raises:
            ToolError: the action failed, see `code`; it is not tried again.
            InvalidError: ``invalid_params``, see ``problem["violations"]``.
            NotFoundError: there is no such tool or action.
            ForbiddenError: the job may not use it.
            RateLimitError: too many actions, until the timeout.
        """
        return self._run(
            _operations.execute_tool_action(
                tool, action, params, dry_run, idempotency_key
            ),
            timeout,
        )

    # --- streams and subscriptions ------------------------------------------

    def stream_input(self, from_: int = 0) -> InputStream:
        """The records of the job's input stream, an iterator.

            for row in cronium.stream_input():
                print(row)

        It ends where the stream does, and waits where there is no record
        yet. Lost connections are made again, without a gap or a repeat.

        Args:
            from_: the number of the first record that is wanted, from 0.

        Raises, while it is read:
            StreamBrokenError: behind the last record, where the job that
                writes them failed.
            InvalidError: `from_` is beyond the end.
            UnavailableError: nobody answered for `timeout` seconds.
        """
        from ._streams import InputStream

        return InputStream(self._where(), self._timeout, from_)

    def stream_output(self) -> OutputStream:
        """A writer of records to the job's output stream.

            with cronium.stream_output() as out:
                for row in rows:
                    out.write(row)

        One at a time: `InvalidError` while another one is open.
        """
        from ._streams import OutputStream

        if self._writer and not self._writer.closed:
            raise two_writers()
        self._writer = OutputStream(self._where(), self._timeout)
        return self._writer

    def subscribe(
        self,
        key: str,
        from_version: str | int | None = None,
        *,
        include_state: bool = False,
        on_state: Callable[[str, str], object] | None = None,
    ) -> Subscription:
        """The changes of a variable as they are made, an iterator of `Change`.

            for change in cronium.subscribe("limit"):
                if not change.deleted:
                    use(change.value)

        The first one is a ``snapshot``: how things are. The iteration does
        not end by itself. Lost connections are made again, and what happened
        meanwhile is told.

        Args:
            from_version: a version that is known: changes after it, and no
                snapshot.
            include_state: also yield ``disconnected`` and ``connected``, when
                changes cannot be heard of, and can again.
            on_state: called with ``"disconnected"`` and the reason, and with
                ``"connected"`` and ``""``, by the thread that iterates.

        Raises, while it is read:
            AuthError: the execution has ended.
            ForbiddenError: the job may not read the variable.
            UnavailableError: nobody answered for `timeout` seconds.
        """
        from ._streams import Subscription

        return Subscription(
            self._where(),
            self._timeout,
            key,
            from_version,
            include_state,
            on_state,
        )

    # --- connections --------------------------------------------------------

    def close(self) -> None:
        """Closes idle connections; the next call opens a new one."""
        while connection := self._take_idle():
            connection.close()

    def __enter__(self) -> Cronium:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _where(self) -> Endpoint:
        if not self._endpoint:
            self._endpoint = Endpoint(self._url, self._token)
        return self._endpoint

    def _run(
        self, operation: _operations.Operation[T], timeout: float = 0
    ) -> T:
        call = Call(self._where(), operation, timeout or self._timeout)
        while True:
            reply, lost = self._attempt(call)
            pause = call.pause(reply)
            if pause is None:
                return call.result(reply, lost)
            time.sleep(pause)

    def _attempt(
        self, call: Call[Any]
    ) -> tuple[_wire.Reply | None, Exception | None]:
        # The runtime may have closed a connection while it was idle: that
        # costs no pause.
        while connection := self._take_idle():
            try:
                return self._exchange(connection, call), None
            except (OSError, _wire.BadReply):
                pass
        try:
            connection = Connection(call)
            return self._exchange(connection, call), None
        except (OSError, _wire.BadReply) as error:
            return None, error

    def _exchange(
        self, connection: Connection, call: Call[Any]
    ) -> _wire.Reply:
        keep = False
        try:
            reply = connection.exchange(call)
            keep = reply.keeps_alive() and len(self._idle) < _IDLE_MAX
        finally:
            if keep:
                self._idle.append(connection)
            else:
                connection.close()
        return reply

    def _take_idle(self) -> Connection | None:
        while True:
            try:
                connection = self._idle.pop()
            except IndexError:
                return None
            if connection.is_ours():
                return connection
            connection.close()
