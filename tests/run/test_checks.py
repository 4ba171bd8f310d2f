"""Settings that are refused before anything is built or written."""

from functools import cache

import pytest
from commands import ROOT, run
from hydra import compose, initialize_config_dir
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import OmegaConf

from lightning_nas.errors import InputError
from lightning_nas.run.checks import check_settings

IMAGES = ["data=image_folder", "data.root=DIR"]


@cache
def compose_once():
    with initialize_config_dir(str(ROOT / "configs"), version_base="1.3"):
        return compose("train", IMAGES)


def make_cfg(*settings):
    """Return the configuration of a training with values that Hydra has read."""
    cfg = compose_once().copy()
    for setting in OverridesParser.create().parse_overrides(list(settings)):
        OmegaConf.update(cfg, setting.key_or_group, setting.value())
    return cfg


@pytest.mark.parametrize(
    "setting",
    [
        *(f"seed={value}" for value in ("-1", "99999999999", "1.5", "abc", "null", "true")),
        *(f"threads={value}" for value in ("0", "-2", "abc", "1.5")),
        *(f"trainer.max_epochs={value}" for value in ("0", "-2", "2.5", "nan", "abc")),
        *(f"data.batch_size={value}" for value in ("0", "-3", "2.5", "abc", "nan", "true")),
        *(f"data.image_size={value}" for value in ("0", "15.5", "abc", "inf")),
        *(f"data.num_workers={value}" for value in ("-1", "0.5", "abc")),
        *(f"data.train_on_all={value}" for value in ("2", "abc")),
        *(f"module.optimizer.lr={value}" for value in ("0", "-1", "nan", "inf", "fast")),
        *(f"{name}=maybe" for name in ("new_head", "compile")),
    ],
)
def test_a_number_out_of_its_range_or_of_another_type_is_refused(setting):
    name = setting.partition("=")[0]
    with pytest.raises(InputError, match=f"^{name} must be ") as raised:
        check_settings(make_cfg(setting))
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("settings", [(), ("threads=2",), ("data.image_size=32", "seed=7")])
def test_legal_values_pass(settings):
    check_settings(make_cfg(*settings))


@pytest.mark.slow
@pytest.mark.parametrize(
    "command",
    [
        ["search.py", "seed=-1"],
        ["search.py", "threads=abc"],
        ["search.py", "data.batch_size=2.5"],
        ["search.py", "trainer.max_epochs=nan"],
        ["train.py", "module.optimizer.lr=nan"],
        ["train.py", "seed=99999999999"],
    ],
    ids=" ".join,
)
def test_a_refused_setting_is_one_line_and_leaves_no_folder(command, tmp_path):
    folder = tmp_path / "run"
    status, _, errors = run(*command, "logger=csv", f"hydra.run.dir={folder}")
    assert (status, len(errors.strip().splitlines())) == (2, 1), errors
    assert errors.startswith(f"error: {command[1].partition('=')[0]} must be ")
    assert not folder.exists()
