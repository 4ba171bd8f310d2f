"""Ctrl-C outside of a training: real processes, real signals."""

import signal
import subprocess
import sys
import textwrap

import pytest
from commands import ROOT

BEGIN = """
import os, signal, sys, time
from dataclasses import dataclass
from omegaconf import OmegaConf
from lightning_nas.ctrl_c import end_at_ctrl_c
from lightning_nas.run.cli import print_user_errors

def press():
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(10)

class Destroyed:
    def __del__(self):
        press()

@dataclass
class Pressed:
    size: int = 1

    def __getattribute__(self, name):
        return press() if name == "size" else super().__getattribute__(name)

def compose():
    OmegaConf.create([Pressed()])

def compose_and_go_on():
    try:
        compose()
    except AttributeError:
        with print_user_errors():
            print("goes on")

def fail():
    with print_user_errors():
        try:
            press()
        finally:
            open("/no/such/file")

def clean_up():
    try:
        press()
    finally:
        press()

with end_at_ctrl_c():
"""


def run(code, **options):
    ended = subprocess.run(
        [sys.executable, "-c", BEGIN + textwrap.indent(code, "    ")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        **options,
    )
    return ended.returncode, ended.stdout, ended.stderr


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("press()", 130),
        ("clean_up()", -signal.SIGINT),
        ("compose()", 130),
        ("compose_and_go_on()", 130),
        ("fail()", 130),
        ("Destroyed()\nprint('lost')", -signal.SIGINT),
        ("import atexit\natexit.register(press)", -signal.SIGINT),
    ],
    ids=[
        "in the code",
        "while cleaning up",
        "OmegaConf",
        "handled",
        "an error in its place",
        "in a destructor",
        "at the exit",
    ],
)
def test_ctrl_c_ends_a_command_without_a_traceback(code, status):
    assert run(code) == (status, "", "")


@pytest.mark.parametrize(
    ("raced", "expected"),
    [("SIGCHLD", (0, "goes on\n", "")), ("SIGTERM", (-signal.SIGTERM, "", ""))],
)
def test_a_signal_that_races_with_the_removal_of_its_handler_is_no_traceback(raced, expected):
    code = f"""
raced = signal.{raced}
signal.signal(raced, lambda *_: None)
signal.signal(signal.SIGUSR1, lambda *_: signal.signal(raced, signal.SIG_DFL))
signal.pthread_sigmask(signal.SIG_BLOCK, [raced, signal.SIGUSR1])
os.kill(os.getpid(), raced)
os.kill(os.getpid(), signal.SIGUSR1)
signal.pthread_sigmask(signal.SIG_UNBLOCK, [raced, signal.SIGUSR1])
print("goes on", flush=True)
"""
    assert run(code) == expected


def test_another_exception_of_a_destructor_is_printed():
    code = "class Broken:\n    def __del__(self):\n        1 / 0\nBroken()\nprint('goes on')"
    status, output, errors = run(code)
    assert (status, output) == (0, "goes on\n")
    assert "ZeroDivisionError" in errors


def test_a_command_in_the_background_of_a_shell_ignores_ctrl_c_as_before():
    def ignore():
        signal.signal(signal.SIGINT, signal.SIG_IGN)

    code = "os.kill(os.getpid(), signal.SIGINT)\nprint('goes on')"
    assert run(code, preexec_fn=ignore)[:2] == (0, "goes on\n")


@pytest.mark.parametrize("library", ["hydra", "pydantic"])
@pytest.mark.parametrize("script", ["search.py", "train.py"])
def test_ctrl_c_while_a_library_is_imported_is_no_traceback(script, library):
    code = f"""
import os, runpy, signal, sys
from importlib.abc import MetaPathFinder

class Press(MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name == {library!r}:
            os.kill(os.getpid(), signal.SIGINT)

sys.meta_path.insert(0, Press())
sys.argv = [{script!r}, "--help"]
runpy.run_path({script!r}, run_name="__main__")
"""
    ended = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert (ended.returncode, ended.stdout, ended.stderr) == (-signal.SIGINT, "", "")
