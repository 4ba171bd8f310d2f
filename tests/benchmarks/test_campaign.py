"""A small slice of the campaign, and its parts that decide what counts as a breach."""

import subprocess
import sys

import pytest
from commands import ROOT

from benchmarks.campaign.commands import Command, Ended
from benchmarks.campaign.runs import list_differences, read_trials
from benchmarks.campaign.tally import TRACEBACK, Tally, format_table
from lightning_nas.storage.journal import Journal
from lightning_nas.storage.trial import Outcome, Proposal


@pytest.mark.slow
def test_a_slice_of_the_campaign_finds_no_breach(tmp_path):
    command = [sys.executable, "-m", "benchmarks.campaign", "--out", str(tmp_path)]
    counts = ["--kills", "5", "--signals", "3", "--workers", "0", "--malformed", "30"]
    kinds = ["--kind", "random search", "--kind", "evolution", "--seed", "1"]
    ended = subprocess.run(
        [*command, *counts, *kinds], cwd=ROOT, capture_output=True, text=True, timeout=800
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr


def run_code(code, folder):
    folder.mkdir(exist_ok=True)
    script = folder / "script.py"
    script.write_text(code)
    return Command([str(script)], folder)


def test_a_forked_command_keeps_status_streams_and_arguments(tmp_path):
    command = run_code("import sys\nprint(len(sys.argv))\nsys.exit('error: no')", tmp_path)
    assert command.wait() == Ended(1, "1\n", "error: no\n", False)


def test_a_command_that_hangs_is_stopped(tmp_path):
    ended = run_code("while True: pass", tmp_path).wait(limit=0.1)
    assert ended.hangs
    assert ended.code < 0


@pytest.mark.parametrize(
    ("code", "errors", "is_clean"),
    [
        (2, "error: lr=-1: legal: 0 or more\n", True),
        (2, "a warning\nerror: lr=-1\n", True),
        (2, "error: lr=-1\nmore\n", False),
        (2, "error: one\nerror: two\n", False),
        (2, "", False),
        (1, "error: lr=-1\n", False),
    ],
)
def test_a_refusal_is_one_line_at_the_end_and_status_2(code, errors, is_clean):
    assert Ended(code, "", errors, False).is_clean_refusal == is_clean


def test_a_traceback_is_counted_and_its_case_is_kept(tmp_path):
    tally, case = Tally("part", tmp_path), tmp_path / "case"
    command = run_code("1 / 0", case)
    tally.check(case, command, command.wait())
    tally.end(case, 0)
    assert tally.counts == {TRACEBACK: 1, "cases": 1}
    assert case.exists()
    assert "ZeroDivisionError" in (tmp_path / "breaches.jsonl").read_text()
    assert format_table([tally]).splitlines()[1].split() == ["part", "1", "0", "1", "0", "0", "0"]


def test_a_lost_trial_is_a_difference(tmp_path):
    def write(folder, trials):
        journal = Journal(folder / "trials.sqlite", "space")
        for number in range(trials):
            journal.propose([Proposal(number, (0,))], [None])
            journal.end(number, Outcome(0.5), 0.5)
        journal.close()
        (folder / "summary.json").write_text("{}")
        (folder / "metrics.csv").write_text("epoch\n")
        return sorted(read_trials(folder).items())

    whole = write(tmp_path / "whole", 3)
    assert len(whole) == 3
    write(tmp_path / "broken", 2)
    (difference,) = list_differences({"trials": whole}, tmp_path / "broken")
    assert difference.startswith("trials: ")
