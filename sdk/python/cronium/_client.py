"""The client behind the module functions."""

from __future__ import annotations

import time

from . import _operations, _wire
from ._call import TIMEOUT_S, Call, Endpoint
from ._connection import Connection
from ._operations import MISSING

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

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

    # --- connections --------------------------------------------------------

    def close(self) -> None:
        """Closes idle connections; the next call opens a new one."""
        while connection := self._take_idle():
            connection.close()

    def __enter__(self) -> Cronium:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _run(self, operation: _operations.Operation) -> Any:
        if not self._endpoint:
            self._endpoint = Endpoint(self._url, self._token)
        call = Call(self._endpoint, operation, self._timeout)
        while True:
            reply, lost = self._attempt(call)
            pause = call.pause(reply)
            if pause is None:
                return call.result(reply, lost)
            time.sleep(pause)

    def _attempt(
        self, call: Call
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

    def _exchange(self, connection: Connection, call: Call) -> _wire.Reply:
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
