"""Files of a run folder that a stranger has changed, or a disk has damaged: one line names each."""

import json
import os
import re
import sqlite3

import pytest

from lightning_nas.errors import InputError
from lightning_nas.storage.journal import Journal
from lightning_nas.storage.journal_reader import JournalReader
from lightning_nas.storage.run_folder import RunFolder
from lightning_nas.storage.trial import Outcome, Proposal


@pytest.fixture
def journal(tmp_path):
    path = tmp_path / "trials.sqlite"
    writer = Journal(path, "a space")
    writer.propose([Proposal(0, (1, 2), (-0.5, -0.5)), Proposal(1, (2, 2))], ["{}", "{}"])
    writer.end(0, Outcome(0.5, (0.4, 0.5), 1000, 2000, None, 3.5), 0.5)
    writer.close()
    return path


def change(path, *statements):
    database = sqlite3.connect(path, isolation_level=None)
    for statement in statements:
        database.execute(statement)
    database.close()


def loosen(path):
    """Replace the table of trials by one that takes values of every type."""
    database = sqlite3.connect(path, isolation_level=None)
    (schema,) = database.execute("SELECT sql FROM sqlite_master WHERE name = 'trials'").fetchone()
    columns = re.findall(r"^    (\w+)", schema, re.MULTILINE)
    database.execute("ALTER TABLE trials RENAME TO strict")
    database.execute(f"CREATE TABLE trials ({', '.join(columns)})")
    database.execute("INSERT INTO trials SELECT * FROM strict")
    database.execute("DROP TABLE strict")
    database.close()


def is_refused(function):
    with pytest.raises(InputError) as raised:
        function()
    assert "\n" not in str(raised.value)
    return str(raised.value)


@pytest.mark.parametrize(
    "cell",
    [
        *(f"number = {value}" for value in ("-1", "'a'", "1.5")),
        *(f"tokens = {value}" for value in ("'x'", "NULL", "'{}'", "'[[1]]'", "'[null]'", "'[-1]'",
                                            "'[1.5]'", "x'ff'")),
        *(f"step = {value}" for value in ("-1", "'x'", "1e300")),
        *(f"arm = {value}" for value in ("'x'", "NULL", "'<script>'")),
        *(f"reward = {value}" for value in ("'x'", "NULL", "9e999", "x'00'")),
        *(f"accuracy_reward = {value}" for value in ("'x'", "NULL", "9e999")),
        *(f"accuracies = {value}" for value in ("'x'", "NULL", "'5'", "'[\"a\"]'", "'[null]'")),
        *(f"{cost} = {value}" for cost in ("parameters", "multiply_adds") for value in ("'x'", -1)),
        *(f"{time} = {value}" for time in ("latency", "seconds") for value in ("'x'", "9e999")),
        *(f"error = {value}" for value in ("5", "x'ff'")),
        *(f"same_as = {value}" for value in ("'x'", "-1", "0.5")),
    ],
)  # fmt: skip
def test_each_cell_of_a_journal_is_checked(cell, journal):
    loosen(journal)
    change(journal, f"UPDATE trials SET {cell} WHERE ended = 1")
    reader = JournalReader(journal)
    message = is_refused(reader.list_ended)
    assert re.match(rf"{journal}: damaged: trial .*: {cell.split()[0]}: ", message)


@pytest.mark.parametrize(
    "statements",
    [
        ["DROP TABLE trials"],
        ["ALTER TABLE trials DROP COLUMN latency"],
        ["UPDATE trials SET log_probs = 'x'"],
    ],
    ids=str,
)
def test_a_journal_with_damaged_content_is_one_line(statements, journal):
    change(journal, *statements)

    def read():
        reader = JournalReader(journal)
        return reader.list_ended(), Journal(journal, "a space").open_proposals()

    assert is_refused(read).startswith(f"{journal}: damaged: ")


def test_a_text_that_is_not_utf_8_is_one_line(journal):
    change(journal, "UPDATE trials SET error = CAST(x'ff' AS TEXT) WHERE ended = 1")
    message = is_refused(JournalReader(journal).list_ended)
    assert message.startswith(f"{journal}: damaged: ")


def test_a_damaged_page_is_found_before_a_resume_writes(journal):
    change(journal, "PRAGMA wal_checkpoint(TRUNCATE)")
    content = bytearray(journal.read_bytes())
    content[-4096:] = b"\xff" * 4096
    journal.write_bytes(content)
    assert "damaged: " in is_refused(lambda: Journal(journal, "a space"))
    assert journal.read_bytes() == content


@pytest.mark.parametrize("opens", [JournalReader, lambda path: Journal(path, "a space")])
def test_a_view_in_place_of_the_table_is_refused_because_it_may_never_end(opens, journal):
    endless = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n)"
    change(
        journal,
        "ALTER TABLE trials RENAME TO kept",
        f"CREATE VIEW trials AS {endless} SELECT kept.* FROM kept, n",
    )
    assert "it has a view" in is_refused(lambda: opens(journal))


def test_a_trigger_is_refused(journal):
    change(journal, "CREATE TRIGGER t AFTER UPDATE ON trials BEGIN DELETE FROM trials; END")
    assert "it has a trigger" in is_refused(lambda: Journal(journal, "a space"))


def test_a_pipe_in_place_of_a_journal_does_not_block(tmp_path):
    os.mkfifo(tmp_path / "trials.sqlite")
    assert "not a regular file" in is_refused(RunFolder(tmp_path).open_journal)


@pytest.mark.parametrize(
    "facts",
    [
        *({"seconds": value} for value in ("x", None, [1], -1, float("inf"), float("nan"), True)),
        *({"status": value} for value in ("x", 3, [], None)),
        *({name: value} for name in ("method", "data") for value in (1, [], {}, None)),
        {"checkpoint": 3},
    ],
    ids=str,
)
def test_each_fact_of_a_summary_that_is_read_is_checked(facts, tmp_path):
    run = RunFolder(tmp_path)
    run.summary.write_text(json.dumps({"status": "complete", "seconds": 1.5, "method": "nas"}))
    assert run.read_summary()["seconds"] == 1.5
    run.summary.write_text(json.dumps(facts))
    assert is_refused(run.read_summary).startswith(f"{run.summary}: damaged: {next(iter(facts))}")


@pytest.mark.parametrize(
    "text", ["", "[]", "1", "{", "[" * 100_000, '{"a": 1' + "0" * 5000 + "}", "é".encode("latin-1")]
)
def test_a_summary_that_is_no_object_is_one_line(text, tmp_path):
    run = RunFolder(tmp_path)
    run.summary.write_bytes(text if isinstance(text, bytes) else text.encode())
    assert is_refused(run.read_summary).startswith(f"{run.summary}: damaged")


@pytest.mark.parametrize(
    "text", ["epoch,a\n0,abc\n", "epoch\n0,1,2\n", b"epoch\n\xe9\n", "epoch,a\n0," + "1" * 200_000]
)
def test_metrics_that_are_no_numbers_are_one_line(text, tmp_path):
    run = RunFolder(tmp_path)
    run.metrics.write_bytes(text if isinstance(text, bytes) else text.encode())
    assert is_refused(run.read_metrics).startswith(f"{run.metrics}: damaged")


@pytest.mark.parametrize("text", ["trial\nabc\n", "trial\n1.5\n", "x\n1\n"])
def test_a_table_of_the_best_without_trial_numbers_is_one_line(text, tmp_path):
    run = RunFolder(tmp_path)
    run.top.write_text(text)
    assert "damaged: a row has no trial number" in is_refused(run.read_chosen)


def test_a_folder_with_an_empty_journal_has_no_results(tmp_path):
    run = RunFolder(tmp_path)
    writer = Journal(run.journal, "a space")
    assert run.is_bare
    writer.propose([Proposal(0, (1, 2))], [None])
    assert not run.is_bare
    writer.close()
