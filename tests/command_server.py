"""A server that forks commands: it has imported what they import, which takes most of their time.

Each line of stdin asks for one command. The command is a process of its own, with its own session,
environment, output files, signals and exit status, and runs its script as ``python SCRIPT`` does.
"""

import contextlib
import gc
import importlib
import json
import os
import sys
from pathlib import Path

from benchmarks.campaign.commands import run_python

PRELOADED = ("torch._dynamo", "lightning_nas.run.search", "lightning_nas.run.train")


def serve():
    """Fork a supervisor and a command for each request; return the request in the command alone.

    The command prints the number of its process, and the supervisor writes its exit status.
    """
    for line in sys.stdin:
        collect_supervisors()
        if os.fork():
            continue
        request = json.loads(line)
        command = os.fork()
        if command == 0:
            os.setsid()  # before the tests know the number, so that they can signal the session
            print(os.getpid(), flush=True)
            return request
        _, status = os.waitpid(command, 0)
        unfinished = Path(request["folder"], "unfinished")
        unfinished.write_text(str(os.waitstatus_to_exitcode(status)))
        unfinished.rename(unfinished.with_name("status"))
        os._exit(0)
    collect_supervisors()
    return None


def collect_supervisors():
    """Wait for the supervisors that have ended."""
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def run(arguments, environment, folder):
    """Run a script, or a module after ``-m``, with its output in ``folder``."""
    for number, name in enumerate((os.devnull, f"{folder}/output", f"{folder}/errors")):
        os.dup2(os.open(name, os.O_RDWR | os.O_CREAT | os.O_APPEND), number)
    os.environ.clear()
    os.environ.update(environment)
    sys.path[1:1] = filter(None, environment.get("PYTHONPATH", "").split(os.pathsep))
    run_python(arguments)


if __name__ == "__main__":
    for module in PRELOADED:
        importlib.import_module(module)
    gc.collect()
    gc.freeze()  # otherwise each command's collections go through all that is imported, for 2 s
    request = serve()
    if request is not None:
        run(**request)
