"""Running ``search.py`` and ``train.py`` as processes."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]


def start(script, *arguments):
    command = [sys.executable, script, *map(str, arguments)]
    return subprocess.Popen(
        command,
        cwd=ROOT,
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


def run(script, *arguments):
    process = start(script, *arguments)
    try:
        output, errors = process.communicate(timeout=900)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)  # also the processes that it started
        raise
    return process.returncode, output, errors


def succeed(script, *arguments):
    """Run a script, check that it succeeds, and return what it printed to stdout."""
    status, output, errors = run(script, *arguments)
    assert status == 0, errors
    return output
