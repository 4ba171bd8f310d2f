"""Reading a run folder: finished, partial, still being written, or damaged."""

import sqlite3

import pytest
import yaml

from lightning_nas.errors import InputError
from lightning_nas.report.comparison import list_final_ranking, list_random_arm
from lightning_nas.report.record import read_run
from lightning_nas.spaces.edge_cell import EdgeCellSpace
from lightning_nas.storage.journal import Journal
from lightning_nas.storage.journal_reader import JournalReader
from lightning_nas.storage.trial import DERIVED, FINALIST, POLICY, RANDOM, Outcome, Proposal
from tests.report.folders import EDGES, shared_search, trial_search, write_folder


def test_a_search_by_trials_is_read_completely(tmp_path):
    record = read_run(trial_search(tmp_path / "run"))
    assert len(record.trials) == 120
    assert not record.shares_weights
    assert record.partial_reason == ""
    assert record.metrics[2]["controller/entropy"] == 7.0
    space = EdgeCellSpace()
    for trial in record.trials:
        assert record.decode(trial.proposal) == space.decode(trial.proposal.tokens)
    rewards = [one.trial.reward for one in record.best]
    whole = sorted({t.proposal.tokens: t.reward for t in record.trials}.values(), reverse=True)
    assert rewards == whole[:10]
    costs = [one.trial.outcome.parameters for one in record.front]
    assert costs == sorted(costs)
    assert {t.proposal.arm for t in list_random_arm(record)} == {RANDOM}


def test_the_final_ranking_is_separated_from_the_random_arm_of_the_search(tmp_path):
    record = read_run(shared_search(tmp_path / "run"))
    derived, random_arm = list_final_ranking(record)
    assert record.shares_weights
    assert (len(derived), len(random_arm), len(list_random_arm(record))) == (12, 12, 16)
    assert {t.proposal.arm for t in derived} == {DERIVED}
    assert record.best[0].trial.reward == max(t.reward for t in derived)
    assert record.front == ()


def test_finalists_stand_before_the_others(tmp_path):
    folder = trial_search(tmp_path / "run")
    journal = Journal(folder / "trials.sqlite", str(EdgeCellSpace()))
    tokens = journal.best((POLICY,), 1)[0].proposal.tokens
    journal.propose([Proposal(120, tokens, arm=FINALIST)], [None])
    journal.end(120, Outcome(0.05, (0.05,)), 0.05)
    journal.close()
    best = read_run(folder).best
    assert (best[0].trial.number, best[0].trial.reward) == (120, 0.05)
    assert [one.trial.proposal.tokens for one in best].count(tokens) == 1


def test_the_best_of_an_extended_search_are_those_in_its_table(tmp_path):
    folder = trial_search(tmp_path / "run")
    journal = Journal(folder / "trials.sqlite", str(EdgeCellSpace()))
    first, second = journal.best((POLICY,), 2)
    for number, trial, reward in ((120, first, 0.9), (121, second, 0.8)):
        journal.propose([Proposal(number, trial.proposal.tokens, arm=FINALIST)], [None])
        journal.end(number, Outcome(reward, (reward,)), reward)
    journal.close()
    (folder / "top.csv").write_text("trial,reward\n121,0.8\n")  # 120 is from before the extension
    best = read_run(folder).best
    assert [one.trial.number for one in best[:2]] == [121, first.number]
    (folder / "top.csv").write_text("trial,reward\nnone,0.8\n")
    with pytest.raises(InputError, match=r"top\.csv: damaged"):
        read_run(folder)


def test_settings_of_the_last_resume_are_in_the_record(tmp_path):
    folder = shared_search(tmp_path / "run")
    resumed = folder / ".hydra" / "resumed.yaml"
    resumed.write_text("- method.controller_steps=20\n- trainer.max_epochs=9\n")
    record = read_run(folder)
    assert record.config["method"]["controller_steps"] == 20
    assert record.config["trainer"]["max_epochs"] == 9
    first = record.configuration.splitlines()[0]
    assert first == "# resumed with: method.controller_steps=20 trainer.max_epochs=9"
    resumed.write_text("9\n")
    with pytest.raises(InputError, match=r"resumed\.yaml: damaged"):
        read_run(folder)


def test_a_journal_is_read_at_one_state_while_a_search_writes_it(tmp_path):
    folder = trial_search(tmp_path / "run", status="")
    journal = Journal(folder / "trials.sqlite", str(EdgeCellSpace()))
    journal.propose([Proposal(120, (0,) * 6)], ["{}"])
    reader = JournalReader(folder / "trials.sqlite")
    assert len(reader.list_ended()) == 120
    journal.end(120, Outcome(0.5), 0.5)
    assert len(reader.list_ended()) == 120  # the state at opening
    reader.close()
    journal.close()


def test_reading_creates_no_files(tmp_path):
    folder = trial_search(tmp_path / "run")
    before = sorted(path.name for path in folder.iterdir())
    read_run(folder)
    assert sorted(path.name for path in folder.iterdir()) == before


@pytest.mark.parametrize(
    ("status", "reason"),
    [("interrupted", "the search was interrupted"), ("", "still running, or it was killed")],
)
def test_a_search_that_has_not_ended_is_partial(status, reason, tmp_path):
    assert reason in read_run(trial_search(tmp_path / "run", status=status)).partial_reason


def test_a_folder_without_a_search_is_an_error(tmp_path):
    with pytest.raises(InputError, match="not a run folder"):
        read_run(tmp_path)
    without = write_folder(tmp_path / "begun", EDGES)
    with pytest.raises(InputError, match="a search without trials"):
        read_run(without)
    Journal(without / "trials.sqlite", "a space").close()
    with pytest.raises(InputError, match="a search without trials"):
        read_run(without)
    training = tmp_path / "training" / ".hydra"
    training.mkdir(parents=True)
    (training / "config.yaml").write_text("architecture: nasnet_a\nmode: fit\n")
    with pytest.raises(InputError, match="the folder of a training"):
        read_run(tmp_path / "training")


def test_a_space_is_built_from_references_and_without_the_keys_of_hydra(tmp_path):
    folder = trial_search(tmp_path / "run", width=32)
    change_space(folder, filters="${width}", _convert_="all", _recursive_=False)
    assert read_run(folder).space.filters == 32


def change_space(folder, **settings):
    """Change settings of the space in a run folder."""
    path = folder / ".hydra" / "config.yaml"
    config = yaml.safe_load(path.read_text())
    path.write_text(yaml.safe_dump({**config, "space": {**config["space"], **settings}}))


@pytest.mark.parametrize(
    "settings", [{"_target_": "no.such.Space"}, {"filters": "${nowhere}"}, {"no_setting": 1}]
)
def test_a_space_that_cannot_be_built_is_one_line_that_names_the_file(settings, tmp_path):
    folder = trial_search(tmp_path / "run", count=5)
    change_space(folder, **settings)
    with pytest.raises(InputError, match=r"config\.yaml: (its )?space") as raised:
        read_run(folder)
    assert len(str(raised.value).splitlines()) == 1


@pytest.mark.parametrize("name", ["summary.json", ".hydra/config.yaml"])
@pytest.mark.parametrize("text", ["", "{", "[1]"])
def test_a_damaged_file_is_one_line_that_names_it(name, text, tmp_path):
    folder = trial_search(tmp_path / "run", count=5)
    (folder / name).write_text(text)
    with pytest.raises(InputError, match=f"{name}: damaged") as raised:
        read_run(folder)
    assert len(str(raised.value).splitlines()) == 1


@pytest.mark.parametrize(
    "settings",
    [
        *({"method": value} for value in (5, None, {"budget": 3}, {"controller": 7})),
        *({"method": {"budget": {"cost": value}}} for value in ("<b>", "seconds", 5)),
        *({"name": value} for value in ([1], None)),
        *({"seed": value} for value in ("<script>", [1])),
        *({name: 7} for name in ("controller", "evaluation", "method_name")),
    ],
    ids=str,
)
def test_a_setting_of_a_wrong_type_is_one_line(settings, tmp_path):
    folder = trial_search(tmp_path / "run", count=3)
    path = folder / ".hydra" / "config.yaml"
    path.write_text(yaml.safe_dump(yaml.safe_load(path.read_text()) | settings))
    with pytest.raises(InputError, match=rf"config\.yaml: {next(iter(settings))}") as raised:
        read_run(folder)
    assert len(str(raised.value).splitlines()) == 1


@pytest.mark.parametrize("text", ["- a=[", "- 5", "a: 1", "- method=5", "- seed=<script>"])
def test_damaged_settings_of_a_resume_are_one_line(text, tmp_path):
    folder = trial_search(tmp_path / "run", count=3)
    (folder / ".hydra" / "resumed.yaml").write_text(text)
    with pytest.raises(InputError) as raised:
        read_run(folder)
    assert len(str(raised.value).splitlines()) == 1


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        ("SET same_as = 1 WHERE number < 2", "copies trial 1, which was not evaluated"),
        ("SET same_as = 99", "copies trial 99"),
        ("SET architecture = NULL", "it has no architectures"),
        ("SET architecture = NULL, tokens = '[99]' WHERE number = 0", "is not of the space"),
        ("SET architecture = '{'", "not a whole JSON file"),
    ],
)
def test_trials_that_contradict_each_other_are_one_line(statement, message, tmp_path):
    folder = trial_search(tmp_path / "run", count=3, control=0)
    with sqlite3.connect(folder / "trials.sqlite", isolation_level=None) as database:
        database.execute(f"UPDATE trials {statement}")
    database.close()
    with pytest.raises(InputError, match=message) as raised:
        _ = read_run(folder).best
    assert len(str(raised.value).splitlines()) == 1
