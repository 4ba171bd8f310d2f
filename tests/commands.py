"""Running ``search.py`` and ``train.py`` as processes, by default forked from a command server."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[1]


@cache
def start_server():
    """Return the command server of this test process."""
    environment = {name: text for name, text in os.environ.items() if name != "PYTHONPATH"}
    return subprocess.Popen(
        [sys.executable, "-m", "tests.command_server"],
        cwd=ROOT,
        env=environment,
        text=True,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,  # Ctrl-C ends the tests, and they stop the server
    )


def stop_server():
    """Stop the command server, if there is one; the commands that still run go on."""
    if start_server.cache_info().currsize:
        start_server().stdin.close()
        start_server().wait()


class Command:
    """A process that the command server forked, with the methods of ``subprocess.Popen``.

    Attributes:
        pid: Number of the process, which leads a session of its own.
        returncode: Exit status, negative after a signal, or None before ``communicate``.
    """

    def __init__(self, arguments, environment):
        self.folder = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        request = {"arguments": arguments, "environment": environment, "folder": self.folder.name}
        server = start_server()
        server.stdin.write(json.dumps(request) + "\n")
        server.stdin.flush()
        self.pid = int(server.stdout.readline())
        self.returncode = None

    def send_signal(self, signum):
        os.kill(self.pid, signum)

    def poll(self):
        """Return the exit status, or None as long as the process runs."""
        status = Path(self.folder.name) / "status"
        return int(status.read_text()) if status.exists() else None

    def communicate(self, timeout=900):
        """Wait for the process and return what it wrote to stdout and to stderr."""
        folder, deadline = Path(self.folder.name), time.monotonic() + timeout
        while not (folder / "status").exists():
            if time.monotonic() > deadline:
                raise subprocess.TimeoutExpired(str(self.pid), timeout)
            time.sleep(0.02)
        self.returncode = int((folder / "status").read_text())
        return (folder / "output").read_text(), (folder / "errors").read_text()


def start(script, *arguments, environment=None):
    """Start a script, or a module after ``-m``, without the time of its imports.

    Libraries that read a variable of the environment at their import, see that of the tests.
    """
    command = [script, *map(str, arguments)]
    return Command(command, dict(os.environ) if environment is None else environment)


def start_python(script, *arguments, environment=None):
    """Start a script in a Python of its own, as a user does."""
    return subprocess.Popen(
        [sys.executable, script, *map(str, arguments)],
        cwd=ROOT,
        env=environment,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,  # a signal to the group reaches all processes, like Ctrl-C
    )


def wait_for(path):
    deadline = time.monotonic() + 400
    while not path.exists():
        assert time.monotonic() < deadline, f"{path} does not exist after 400 s"
        time.sleep(0.2)


def status_of(run):
    return json.loads((run / "summary.json").read_text())["status"]


def run(*command, start=start, **more):
    """Run a script to its end; return its exit status and what it wrote to stdout and stderr."""
    process = start(*command, **more)
    try:
        output, errors = process.communicate(timeout=900)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)  # also the processes that it started
        raise
    return process.returncode, output, errors


def succeed(*command, **more):
    """Run a script, check that it succeeds, and return what it printed to stdout."""
    status, output, errors = run(*command, **more)
    assert status == 0, errors
    return output
