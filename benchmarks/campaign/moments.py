"""Kills at write moments: before and after a rename, a synchronisation, a commit; within a write.

The hooks belong to the campaign and are installed in a fork only. A number chooses the moment.
"""

import os
import signal
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any


class Moments:
    """Counter of write moments; the process kills itself at one of them.

    Args:
        last: Number of the moment at which to kill, from 1; 0 = never.
        count: File that gets the number of moments so far; None = no file.
    """

    def __init__(self, last: int, count: Path | None = None) -> None:
        self.last = last
        self.count = count
        self.number = 0

    def __call__(self) -> None:
        """Install the hooks in this process."""
        for module, name in ((os, "replace"), (os, "rename"), (os, "fsync"), (os, "unlink")):
            setattr(module, name, self._around(getattr(module, name)))
        for name in ("write_bytes", "write_text"):
            setattr(Path, name, self._within(getattr(Path, name)))
        connect = sqlite3.connect
        sqlite3.connect = lambda *args, **kwargs: connect(  # type: ignore[assignment]
            *args, factory=self._make_connection(), **kwargs
        )

    def note(self) -> None:
        """Count a moment, and kill this process if it is the chosen one."""
        self.number += 1
        if self.number == self.last:
            os.kill(os.getpid(), signal.SIGKILL)
        if self.count is not None:
            with self.count.open("w") as file:
                file.write(str(self.number))

    def _around(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def noted(*args: Any, **kwargs: Any) -> Any:
            self.note()
            result = call(*args, **kwargs)
            self.note()
            return result

        return noted

    def _within(self, write: Callable[..., Any]) -> Callable[..., Any]:
        def noted(path: Path, data: Any, *args: Any, **kwargs: Any) -> Any:
            if self.number + 1 == self.last:
                write(path, data[: len(data) // 2], *args, **kwargs)
            self.note()
            return write(path, data, *args, **kwargs)

        return noted

    def _make_connection(self) -> type[sqlite3.Connection]:
        note = self.note

        class Connection(sqlite3.Connection):
            def execute(self, sql: str, *args: Any) -> sqlite3.Cursor:
                if sql != "COMMIT":
                    return super().execute(sql, *args)
                note()
                cursor = super().execute(sql)
                note()
                return cursor

        return Connection
