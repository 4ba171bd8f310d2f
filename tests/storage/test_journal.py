"""The journal keeps what it was told, whatever happens to the process that told it."""

import os
import signal
import sqlite3
import subprocess
import sys
import textwrap

import pytest

from lightning_nas.errors import InputError
from lightning_nas.storage.journal import Journal
from lightning_nas.storage.trial import FINALIST, POLICY, RANDOM, Outcome, Proposal, Trial

GOOD = Outcome(0.5, (0.4, 0.5), 1000, 2000, None, 3.5)


def opened(tmp_path, space="a space"):
    return Journal(tmp_path / "trials.sqlite", space)


def test_what_is_written_is_read_back(tmp_path):
    journal = opened(tmp_path)
    proposal = Proposal(0, (1, 2, 0), (-0.1, -0.25, -1e-9), step=3, arm=RANDOM)
    journal.propose([proposal], ['{"kind": "cell"}'])
    assert journal.open_proposals() == [proposal]
    trial = journal.end(0, GOOD, reward=0.25)
    journal.close()
    assert (trial.proposal, trial.outcome, trial.reward, trial.order) == (proposal, GOOD, 0.25, 1)
    again = opened(tmp_path)
    assert again.list_ended() == [trial]
    assert again.open_proposals() == []


def test_trials_come_in_the_order_of_their_endings(tmp_path):
    journal = opened(tmp_path)
    journal.propose([Proposal(n, (n,)) for n in range(4)], [None] * 4)
    for number in (2, 0, 3):
        journal.end(number, GOOD, 0.5)
    assert [trial.number for trial in journal.list_ended()] == [2, 0, 3]
    assert [trial.number for trial in journal.list_ended(after=2)] == [3]
    assert [proposal.number for proposal in journal.open_proposals()] == [1]


def test_the_best_leave_errors_repeats_and_other_arms_out(tmp_path):
    journal = opened(tmp_path)
    arms = [POLICY, POLICY, POLICY, RANDOM, FINALIST]
    journal.propose([Proposal(n, (n,), arm=arm) for n, arm in enumerate(arms)], [None] * 5)
    journal.end(0, Outcome(0.9, error="out of memory"), 0.9)
    journal.end(1, GOOD, 0.5)
    journal.end(2, GOOD, 0.5, same_as=1)
    journal.end(3, GOOD, 0.7)
    journal.end(4, GOOD, 0.8)
    assert [trial.number for trial in journal.best((POLICY, RANDOM), 5)] == [3, 1]


def recorded(journal, numbers, reward=0.5):
    journal.record([Trial(Proposal(n, (n, 1)), GOOD, reward, n + 1) for n in numbers])


def test_trials_that_have_ended_are_written_at_once(tmp_path):
    journal = opened(tmp_path)
    recorded(journal, range(3))
    recorded(journal, range(3, 5), reward=0.75)
    assert [trial.number for trial in journal.list_ended()] == [0, 1, 2, 3, 4]
    assert [trial.order for trial in journal.list_ended()] == [1, 2, 3, 4, 5]
    assert journal.list_ended()[4].reward == 0.75


def test_what_is_found_again_stays_with_all_that_follows(tmp_path):
    journal = opened(tmp_path)
    recorded(journal, range(4))
    recorded(journal, range(2), reward=0.9)
    assert [trial.reward for trial in journal.list_ended()] == [0.5] * 4


def test_what_is_found_otherwise_replaces_all_that_follows(tmp_path):
    journal = opened(tmp_path)
    recorded(journal, range(4))
    journal.record([Trial(Proposal(1, (7, 7)), GOOD, 0.9, 2)])
    assert [trial.proposal.tokens for trial in journal.list_ended()] == [(0, 1), (7, 7)]


def test_a_journal_of_another_space_is_refused_and_stays_as_it_is(tmp_path):
    journal = opened(tmp_path)
    journal.propose([Proposal(0, (1,))], [None])
    journal.close()
    before = (tmp_path / "trials.sqlite").read_bytes()
    with pytest.raises(InputError, match=r"another space: a space; .* this search: another"):
        opened(tmp_path, "another")
    assert (tmp_path / "trials.sqlite").read_bytes() == before


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("UPDATE about SET value = '0' WHERE name = 'version'", "another version"),
        (
            "ALTER TABLE trials RENAME COLUMN accuracy_reward TO x",
            "damaged: no such column: accuracy_reward",
        ),
    ],
    ids=["of another version", "without a column"],
)
def test_a_journal_that_cannot_be_continued_is_refused(change, message, tmp_path):
    opened(tmp_path).close()
    with sqlite3.connect(tmp_path / "trials.sqlite") as database:
        database.execute(change)
    with pytest.raises(InputError, match=message):
        opened(tmp_path)


def test_a_file_that_is_no_journal_is_one_line(tmp_path):
    (tmp_path / "trials.sqlite").write_text("not a database, but long enough to be looked at" * 99)
    with pytest.raises(InputError, match="file is not a database"):
        opened(tmp_path)


def test_a_journal_that_lacks_a_trial_is_refused(tmp_path):
    journal = opened(tmp_path)
    journal.propose([Proposal(n, (n,)) for n in range(3)], [None] * 3)
    journal.close()
    with sqlite3.connect(tmp_path / "trials.sqlite") as database:
        database.execute("UPDATE trials SET number = 7 WHERE number = 1")
    with pytest.raises(InputError, match="damaged: it has 3 trials, but their numbers go up to 7"):
        opened(tmp_path)


def test_a_full_disk_is_one_line_and_loses_nothing(tmp_path):
    journal = opened(tmp_path)
    journal.propose([Proposal(0, (1,))], [None])
    pages = journal._database.execute("PRAGMA page_count").fetchone()[0]
    journal._database.execute(f"PRAGMA max_page_count = {pages}")  # as large as the disk allows
    with pytest.raises(InputError, match=r"full.*resume=RUN"):
        journal.propose([Proposal(n, (1,) * 1000) for n in range(1, 100)], [None] * 99)
    journal.close()
    assert len(opened(tmp_path)) == 1


def test_two_searches_cannot_write_one_journal(tmp_path):
    journal = opened(tmp_path)
    code = f"""
        from lightning_nas.storage.journal import Journal
        Journal({str(tmp_path / "trials.sqlite")!r}, "a space")
    """
    second = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True
    )
    assert "another search writes into this folder" in second.stderr
    journal.close()


def test_what_was_written_outlives_a_kill(tmp_path):
    code = f"""
        from lightning_nas.storage.journal import Journal
        from lightning_nas.storage.trial import Outcome, Proposal, Trial
        journal = Journal({str(tmp_path / "trials.sqlite")!r}, "a space")
        for number in range(10_000):
            journal.propose([Proposal(number, (number,))], [None])
            print(number, flush=True)
            journal.end(number, Outcome(0.5), 0.5)
    """
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    for line in process.stdout:
        if int(line) == 30:
            os.kill(process.pid, signal.SIGKILL)
            break
    seen = [30, *map(int, process.stdout.read().split())]
    process.wait()
    journal = opened(tmp_path)
    assert len(journal) >= seen[-1] + 1
    assert len(journal.list_ended()) >= seen[-1]
