"""``python -m lightning_nas.watch RUN``: the report of a search that is running, in a browser.

The page is the report with a line on the state of the search, made anew when the run folder has
changed. The server only reads the run folder, and listens on this machine alone.
"""

import argparse
import os
import sys
import time
from collections.abc import Collection, Sequence
from contextlib import closing
from html import escape
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Lock
from typing import Any

from lightning_nas.ctrl_c import end_at_ctrl_c
from lightning_nas.errors import InputError, describe_os_error
from lightning_nas.report.html import build_page
from lightning_nas.report.page import CONTENT_POLICY, render_page
from lightning_nas.report.record import NoTrialsError, RunRecord, read_run
from lightning_nas.report.table import format_duration, format_number
from lightning_nas.storage.lock import LOCK
from lightning_nas.storage.run_folder import RunFolder
from lightning_nas.storage.trial import FINALIST
from lightning_nas.trust import find_named

ADDRESS = "127.0.0.1"
SECONDS = 5  # between two reloads of the page
WAITING = """<!doctype html><meta charset="utf-8"><meta http-equiv="refresh" content="{seconds}">
<title>{title}</title><p>{words} This page reloads every {seconds} seconds.</p>
"""


class LivePage:
    """The page of a search, kept until the run folder changes.

    Args:
        folder: The run folder.
        named: Classes outside of this package that the search may name (``trust.py``).
    """

    def __init__(self, folder: Path, named: Collection[str] = ()) -> None:
        self.run = RunFolder(folder)
        self.named = named
        self._lock = Lock()
        self._state: Any = None
        self._page = ""

    def render(self) -> str:
        """Return the page."""
        with self._lock:
            state = self._find_state()
            if state != self._state:
                self._page, self._state = self._render(), state
            return self._page

    def _find_state(self) -> list[tuple[int, int]]:
        """Return what changes when a search writes: sizes and times of its files."""
        journal = self.run.journal
        paths = [journal, journal.with_name(f"{journal.name}-wal"), self.run.summary]
        paths += [self.run.metrics, self.run.judgement, self.run.path / LOCK]
        found = [_find_stat(path) for path in paths]
        return [(one.st_size, one.st_mtime_ns) for one in found if one]

    def _render(self) -> str:
        try:
            record = read_run(self.run.path, self.named)
        except NoTrialsError:
            words = "No architecture has been evaluated yet."
            return WAITING.format(seconds=SECONDS, title=escape(self.run.path.name), words=words)
        content = build_page(record)
        lock = _find_stat(self.run.path / LOCK)
        if lock:  # a command writes here
            seconds = max(0.0, time.time() - lock.st_mtime)
            content |= {"live": describe_progress(record, seconds), "refresh": SECONDS}
        return render_page("run.html", content)


def _find_stat(path: Path) -> os.stat_result | None:
    """Return size and times of a file; None if it is not there, for the search may remove it."""
    try:
        return path.stat()
    except FileNotFoundError:
        return None


def describe_progress(record: RunRecord, seconds: float) -> str:
    """Return how far a search is: trials, those in progress, time so far and time left.

    Args:
        record: The search.
        seconds: Time since its command began.
    """
    parts = []
    if record.shares_weights:
        done = int(max(record.read_curve("weights/loss")[0], default=0))
        total, unit = (record.config.get("trainer") or {}).get("max_epochs"), "epochs"
    else:
        done = sum(trial.proposal.arm != FINALIST for trial in record.trials)
        total, unit = record.config["method"].get("samples"), "architectures"
        with closing(RunFolder(record.folder).open_journal()) as journal:
            parts.append(f"{len(journal.open_proposals())} not evaluated yet")
        spent = sum(trial.outcome.seconds for trial in record.trials if trial.same_as is None)
        parts.append(f"{format_duration(spent)} of training")
    parts.append(f"began {format_duration(seconds)} ago")
    if not isinstance(total, int) or total < done:
        return ", ".join([f"{format_number(done)} {unit}", *parts])
    if done and not record.summary:  # a resume did only a part of it since it began
        parts.append(f"about {format_duration(seconds / done * (total - done))} left")
    return ", ".join([f"{format_number(done)} of {format_number(total)} {unit}", *parts])


def make_server(page: LivePage, port: int) -> ThreadingHTTPServer:
    """Return a server of one page, on this machine alone.

    Args:
        page: The page.
        port: Port; 0 = any free one.
    """

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            host = self.headers.get("Host", "").rpartition(":")[0]
            if host not in (ADDRESS, "localhost"):  # another page may have renamed this machine
                self.send_error(HTTPStatus.FORBIDDEN)
                return
            if self.path != "/":
                self.send_error(HTTPStatus.NOT_FOUND)
                return
            try:
                status, text = HTTPStatus.OK, page.render()
            except InputError as error:  # such as a damaged file
                words = escape(str(error))
                status = HTTPStatus.INTERNAL_SERVER_ERROR
                text = WAITING.format(seconds=SECONDS, title="error", words=words)
            body = text.encode()
            self.send_response(status)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Content-Security-Policy", CONTENT_POLICY)
            self.send_header("Cache-Control", "no-store")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            """Print nothing for each request."""

    return ThreadingHTTPServer((ADDRESS, port), Handler)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m lightning_nas.watch",
        description="Show the report of a running search in a browser; it reloads by itself.",
    )
    parser.add_argument("run", type=Path, help="run folder")
    parser.add_argument("--port", type=int, default=8000, help="default: 8000; 0 = any free one")
    parser.add_argument(
        "--config-dir",
        action="append",
        default=[],
        type=Path,
        help="folder of your own configurations, as for the report",
    )
    options = parser.parse_args(arguments)
    try:
        RunFolder(options.run).check_is_run()
        page = LivePage(options.run, find_named((), options.config_dir))
        with make_server(page, options.port) as server:
            print(f"http://{ADDRESS}:{server.server_port}/ (Ctrl-C ends it)", flush=True)
            server.serve_forever()
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        print(f"error: port {options.port}: {describe_os_error(error)}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    with end_at_ctrl_c():
        sys.exit(main())
