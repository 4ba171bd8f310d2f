"""What every command does before it begins."""

import os
import subprocess
import sys

import pytest
from commands import ROOT

CODE = """
import os, sys
from lightning_nas.run.cli import run_command
sys.argv = ["search.py"]
run_command(lambda: print(os.environ.get("GOMP_SPINCOUNT"), "torch" in sys.modules))
"""


@pytest.mark.parametrize(
    ("given", "expected"),
    [({}, "3000"), ({"GOMP_SPINCOUNT": "7"}, "7"), ({"OMP_WAIT_POLICY": "ACTIVE"}, "None")],
)
def test_threads_that_wait_sleep_soon_unless_the_user_has_chosen(given, expected):
    """The library reads the variable when torch is imported."""
    names = ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")
    own = {name: value for name, value in os.environ.items() if name not in names}
    ended = subprocess.run(
        [sys.executable, "-c", CODE], cwd=ROOT, env=own | given, capture_output=True, text=True
    )
    assert (ended.stdout, ended.stderr) == (f"{expected} False\n", "")
