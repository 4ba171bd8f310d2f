"""Settings that are refused before anything is built or written."""

import os
import subprocess
import sys

import pytest
from commands import ROOT, run, status_of, succeed
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from lightning_nas.data.synthetic import Synthetic
from lightning_nas.errors import InputError
from lightning_nas.run.build import drop_foreign_settings
from lightning_nas.run.checks import check_ranges, check_settings
from lightning_nas.run.parts import build_trainer

IMAGES = ["data=image_folder", "data.root=DIR"]


@pytest.fixture(scope="module")
def compose_with():
    """Return a function that gives the configuration of a command with settings."""
    with initialize_config_dir(str(ROOT / "configs"), version_base="1.3"):
        composed = {
            "train": compose("train", IMAGES),
            "search": compose("search", ["data=synthetic"]),
            "trials": compose("search", ["experiment=nasnet_digits"]),
        }

    for cfg in composed.values():
        OmegaConf.set_struct(cfg, False)

    def merge(command, *settings):
        return OmegaConf.merge(composed[command], OmegaConf.from_dotlist(list(settings)))

    return merge


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
        *(f"export={value}" for value in ("1", "true", "[]", "[1]", "{a: 1}")),
        *(f"architecture={value}" for value in ("[a]", "{a: 1}", "true")),
        *(f"network.dropout={value}" for value in ("1", "2", "-0.1", "nan", "x")),
        *(f"network.drop_path={value}" for value in ("1", "nan")),
        *(f"network.{name}={value}" for name in ("filters", "cells") for value in ("1.5", "x")),
        *(f"network.auxiliary={value}" for value in ("3", "x")),
        *(f"module.optimizer.momentum={value}" for value in ("1", "-1", "nan")),
        *(f"module.optimizer.weight_decay={value}" for value in ("-1", "nan")),
        *(f"module.label_smoothing={value}" for value in ("2", "nan")),
        *(f"module.scheduler.epochs={value}" for value in ("0", "1.5")),
        *(f"module.scheduler.period={value}" for value in ("0", "1.5")),
        *(f"module.scheduler.lowest={value}" for value in ("-1", "nan")),
        *(f"{group}=null" for group in ("network", "module", "module.optimizer", "trainer")),
        *(f"trainer.gradient_clip_val={value}" for value in ("-1", "nan")),
        *(f"trainer.limit_train_batches={value}" for value in ("0", "-1", "nan")),
        *(f"data.std={value}" for value in ("abc", "[0.0]", "[nan]", "0.5")),
        "data.mean=[a]",
        "data.crop=1.5",
        "paths.runs=null",
    ],
)
def test_a_number_out_of_its_range_or_of_another_type_is_refused(setting, compose_with):
    name = setting.partition("=")[0]
    with pytest.raises(InputError, match=f"^{name} must be ") as raised:
        check_settings(compose_with("train", setting))
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("command", "setting"),
    [
        *(("search", f"method.{name}=1.5") for name in ("controller_steps", "finalists")),
        *(("search", f"method.controller_batch={value}") for value in ("0", "2.5")),
        *(("search", f"method.controller.samples={value}") for value in ("2.5", "0")),
        *(("search", f"method.supernet.scheduler.T_0={value}") for value in ("0", "1.5")),
        *(("search", f"method.supernet.optimizer.lr={value}") for value in ("-1", "nan", "x")),
        *(("search", f"method.controller.optimizer.lr={value}") for value in ("-1", "nan")),
        *(("search", f"callbacks.derive.samples={value}") for value in ("0", "1.5")),
        *(("search", f"controller.temperature={value}") for value in ("0", "nan")),
        *(("search", f"data.{name}=2.5") for name in ("images", "augmentation.pad")),
        *(("search", f"{group}=null") for group in ("method", "method.supernet", "space")),
        *(("search", f"judge.architectures={value}") for value in ("2", "3.5", "null")),
        *(("search", f"judge.epochs={value}") for value in ("0", "1.5")),
        *(("search", f"judge.{name}=-1") for name in ("sampled", "uniform_epochs")),
        *(("search", f"judge.{name}=0") for name in ("seeds", "derived_seeds", "batches")),
        ("search", "judge.at_end=3"),
        ("search", "judge=3"),
        *(
            ("search", f"{group}=1.5")
            for group in ("method.evaluation", "method.executor", "controller")
        ),
        ("search", "train_with=3"),
        ("search", "objective=reward"),
        ("search", "data.noise=-1"),
        ("search", "space.cells=1.5"),
        ("search", "supernet.dropout=1"),
        ("search", "method.calibration_images=-1"),
        *(("trials", f"method.samples={value}") for value in ("0", "2.5", "nan", "null")),
        *(("trials", f"evaluation.epochs={value}") for value in ("0", "1.5")),
        *(("trials", f"evaluation.time_limit={value}") for value in ("0", "-1", "nan")),
        *(("trials", f"evaluation.module.optimizer.lr={value}") for value in ("0", "nan")),
        *(("search", f"space._target_={value}") for value in ("-1", "[]", "null", "{}")),
        ("search", "callbacks.live._target_=0.5"),
        ("trials", "method.budget._partial_=x"),
        ("trials", "method.budget.exponent=nan"),
        ("trials", "method.passes=0"),
    ],
)
def test_a_setting_of_a_search_is_refused_too(command, setting, compose_with):
    with pytest.raises(InputError, match=f"^{setting.partition('=')[0]} must be "):
        check_ranges(compose_with(command, setting))


def test_settings_of_a_class_of_the_user_are_left_to_the_class(compose_with):
    own = compose_with("search", "space._target_=own.Space", "space.cells=1.5")
    check_ranges(own)


@pytest.mark.parametrize("value", ["-0.5", "x", "{_target_: os.getcwd}"])
def test_a_callback_that_is_no_callback_is_one_line(value):
    cfg = OmegaConf.create(f"{{trainer: {{}}, logger: null, callbacks: {{mine: {value}}}}}")
    with pytest.raises(InputError, match=r"^callbacks\.mine must be a Callback of Lightning, got "):
        build_trainer(cfg, None)


def test_images_of_one_colour_are_refused():
    data = Synthetic(batch_size=8, validation=0.25, num_classes=2, noise=0.0)
    data.setup()  # each class has a pattern
    data._data.images.fill_(7)
    data._ready = False
    data.read = lambda: data._data
    with pytest.raises(InputError, match="nothing to learn"):
        data.setup()


def test_generated_images_drop_the_settings_of_other_data(compose_with):
    cfg = compose_with("search", "data.root=DIR", "data.crop=0.9", "data.image_size=null")
    drop_foreign_settings(cfg)
    assert not {"root", "crop", "image_size"} & set(cfg.data)
    assert cfg.data.images == 256


@pytest.mark.parametrize("settings", [(), ("threads=2",), ("data.image_size=32", "seed=7")])
def test_legal_values_pass(settings, compose_with):
    check_settings(compose_with("train", *settings))


def test_only_a_training_may_train_on_all_images(compose_with):
    check_settings(compose_with("train", "data.train_on_all=true"))
    with pytest.raises(InputError, match=r"data\.train_on_all=true: .*images that it trains on"):
        check_settings(compose_with("search", "data.train_on_all=true"))


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


@pytest.mark.slow
@pytest.mark.parametrize(
    "settings",
    [
        ["logger=null"],
        ["callbacks=null"],
        ["logger=null", "callbacks=null"],
        ["callbacks.best=null"],
        ["callbacks.last=null", "data.image_size=96"],
        ["recipe=imagenet_mobile", "data.image_size=32"],
    ],
    ids=" ".join,
)
def test_a_training_can_do_without_loggers_and_callbacks(settings, tmp_path):
    output = succeed("train.py", "debug=smoke", *settings, f"hydra.run.dir={tmp_path}/run")
    assert "test accuracy" in output
    assert (tmp_path / "run" / "metrics.csv").exists() == ("logger=null" not in settings)
    saves = "callbacks=null" not in settings
    assert (tmp_path / "run" / "checkpoints").exists() == saves


@pytest.mark.slow
def test_a_logger_without_its_package_is_one_line_and_leaves_no_folder(tmp_path):
    (tmp_path / "wandb.py").write_text(
        """raise ModuleNotFoundError("No module named 'wandb'", name="wandb")"""
    )
    status, _, errors = run(
        "train.py", "debug=smoke", "callbacks.progress=null", f"hydra.run.dir={tmp_path}/run",
        environment={**os.environ, "PYTHONPATH": str(tmp_path)},
    )  # fmt: skip
    message = "settings of logger.wandb: No module named 'wandb'; to install it: pip install wandb"
    assert (status, errors) == (2, f"error: {message}\n")
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_a_training_that_diverges_ends_with_one_line(tmp_path):
    status, _, errors = run(
        "train.py", "debug=smoke", "module.optimizer.lr=1e20", "logger=csv",
        "callbacks.progress=null", f"hydra.run.dir={tmp_path}/run",
    )  # fmt: skip
    assert (status, len(errors.strip().splitlines())) == (2, 1), errors
    assert "the training diverged: " in errors
    assert status_of(tmp_path / "run") == "interrupted"


@pytest.mark.slow
def test_a_full_disk_is_one_line_and_the_run_can_go_on(tmp_path):
    """The limit of the size of a file is the full disk that needs no permission to make."""
    folder = tmp_path / "run"
    command = f"ulimit -f 30; exec {sys.executable} train.py debug=smoke logger=csv"
    words = f"{command} callbacks.progress=null hydra.run.dir={folder}"
    done = subprocess.run(
        ["bash", "-c", words], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (done.returncode, len(done.stderr.strip().splitlines())) == (2, 1), done.stderr
    assert "file too large" in done.stderr
    succeed("train.py", f"resume={folder}")
    assert status_of(folder) == "complete"
