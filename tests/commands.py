"""The two commands as processes of their own."""

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
        start_new_session=True,  # so that a signal can go to all its processes, as Ctrl-C does
    )


def wait_for(path):
    deadline = time.monotonic() + 120
    while not path.exists():
        assert time.monotonic() < deadline, f"{path} did not come"
        time.sleep(0.2)


def status_of(run):
    return json.loads((run / "summary.json").read_text())["status"]


def run(script, *arguments):
    process = start(script, *arguments)
    try:
        output, errors = process.communicate(timeout=300)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)  # the processes that it started, too
        raise
    return process.returncode, output, errors
