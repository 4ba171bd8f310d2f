"""Settings of the judge that replace those of a run: legal ones, and errors of one line."""

import pytest
from omegaconf import OmegaConf

from lightning_nas.errors import InputError
from lightning_nas.judge.finished_search import replace_settings


def replace_in_run(*settings):
    """Return a configuration with its settings replaced."""
    cfg = OmegaConf.create(
        {
            "threads": None,
            "evaluation": {"epochs": 20, "time_limit": None, "network": {}, "_partial_": True},
            "executor": {"_target_": "lightning_nas.evaluation.executors.SerialExecutor"},
            "data": {"root": "data", "batch_size": 8},
            "method": {"executor": "${executor}"},
        }
    )
    replace_settings(cfg, settings)
    return cfg


def test_settings_are_replaced_and_the_network_accepts_new_ones():
    settings = ["evaluation.time_limit=60", "evaluation.network.filters=8", "threads=2"]
    cfg = replace_in_run(*settings, "data.root=/images")
    assert cfg.evaluation == {
        **{"epochs": 20, "time_limit": 60, "_partial_": True},
        "network": {"filters": 8},
    }
    assert (cfg.threads, cfg.data.root) == (2, "/images")


def test_another_executor_can_be_chosen_with_its_settings():
    cfg = replace_in_run("executor.slots=2", "executor=ray")
    assert cfg.method.executor._target_.endswith("RayExecutor")
    assert cfg.method.executor.slots == 2
    assert replace_in_run("executor=ray", "executor=serial").executor == {
        "_target_": "lightning_nas.evaluation.executors.SerialExecutor",
        "_partial_": True,
    }


@pytest.mark.parametrize(
    ("setting", "expected"),
    [
        ("evaluation.epoch=3", "evaluation.epoch=3: evaluation has epochs, time_limit, network"),
        (
            "evaluation.trainer.precision=64",
            "evaluation.trainer.precision=64: evaluation has epochs",
        ),
        (
            "executor.slots=2",
            "executor.slots=2: executor has no settings; to choose another one: executor=ray",
        ),
        ("executor=slurm", "executor=slurm: legal are ray, serial"),
        ("data.batch_size=4", "data.batch_size=4: legal are evaluation."),
        ("evaluation.epochs", "evaluation.epochs: legal are"),
        ("evaluation.epochs=[", "evaluation.epochs=[: "),
    ],
)
def test_an_illegal_setting_is_an_error_of_one_line(setting, expected):
    with pytest.raises(InputError) as raised:
        replace_in_run(setting)
    assert str(raised.value).startswith(expected)
    assert "\n" not in str(raised.value)
