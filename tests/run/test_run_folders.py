"""Folders that hold a run already are refused, whatever names the folder."""

import pytest
from omegaconf import OmegaConf

from lightning_nas.errors import InputError
from lightning_nas.run.folders import check_unused, command_locks, enter_folder
from lightning_nas.run.guard import GuardFolder
from lightning_nas.storage.lock import LOCK


@pytest.fixture(autouse=True)
def _unlock():
    yield
    command_locks.close()


@pytest.mark.parametrize("result", ["checkpoints/last.ckpt", "trials.sqlite"])
@pytest.mark.parametrize("run", ["0", "seed=1/run", "a/b/c"])
def test_the_folder_of_several_runs_must_hold_none(run, result, tmp_path):
    path = tmp_path / run / result
    path.parent.mkdir(parents=True)
    path.write_text("")
    with pytest.raises(InputError, match=r"holds runs \(.*choose another folder"):
        check_unused(tmp_path, has_jobs=True)
    check_unused(tmp_path)  # a single run does not write there
    with pytest.raises(InputError, match="holds a run; continue it with resume="):
        check_unused(tmp_path / run)


@pytest.mark.parametrize("content", [[], ["notes.txt"], ["0/.hydra/config.yaml"]])
def test_a_folder_without_results_is_free(content, tmp_path):
    for name in content:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("")
    enter_folder(tmp_path, has_jobs=True)
    assert (tmp_path / LOCK).exists()


@pytest.mark.parametrize(
    ("kept", "remains"), [([], False), (["0/search.log"], True), (["notes.txt"], True)]
)
def test_the_folder_of_several_runs_that_left_nothing_is_removed(kept, remains, tmp_path):
    sweep = tmp_path / "runs" / "sweep"
    enter_folder(sweep, has_jobs=True)
    for name in ["multirun.yaml", *kept]:
        (sweep / name).parent.mkdir(exist_ok=True)
        (sweep / name).write_text("")
    command_locks.close()
    assert (sweep / "multirun.yaml").exists() == remains
    assert (tmp_path / "runs").exists() == remains


def test_a_folder_that_was_there_before_several_runs_stays(tmp_path):
    enter_folder(tmp_path, has_jobs=True)
    (tmp_path / "multirun.yaml").write_text("")
    command_locks.close()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("hook", "group"), [("on_run_start", "run"), ("on_multirun_start", "sweep")]
)
def test_hydra_is_stopped_before_it_writes(hook, group, tmp_path, capsys):
    (tmp_path / "x" / "checkpoints").mkdir(parents=True)
    config = OmegaConf.create(
        {"name": "x", "hydra": {group: {"dir": f"{tmp_path}/${{name}}"}, "mode": "RUN"}}
    )
    with pytest.raises(SystemExit) as stop:
        getattr(GuardFolder(), hook)(config)
    assert stop.value.code == 2
    assert "holds a run" in capsys.readouterr().err


def test_other_processes_of_a_run_check_nothing(tmp_path, monkeypatch):
    (tmp_path / "checkpoints").mkdir()
    monkeypatch.setenv("LOCAL_RANK", "1")
    enter_folder(tmp_path)
    assert not (tmp_path / LOCK).exists()
