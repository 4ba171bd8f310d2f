"""Run folders and weights from strangers: no code of theirs runs, and the error is one line."""

import json

import pytest
import torch
import yaml
from commands import run as run_command

from lightning_nas.errors import InputError
from lightning_nas.run.arguments import complete_arguments
from lightning_nas.run.recorded import (
    find_trusted_names,
    load_configuration,
    read_run_configuration,
)
from lightning_nas.storage.run_folder import RunFolder
from lightning_nas.trust import check_target
from lightning_nas.weights.blueprint import Blueprint

SPACE = {"_target_": "lightning_nas.spaces.cell.CellSpace", "blocks": 2, "cells": 1, "filters": 8}
CONFIG = {
    "name": "x",
    "seed": 0,
    "train_with": "recipe=quick threads=1",
    "data": {"_target_": "lightning_nas.data.digits.Digits", "batch_size": 8, "seed": "${seed}"},
    "space": SPACE,
    "method": {"_target_": "lightning_nas.methods.enas.ENAS", "space": "${space}"},
    "trainer": {"_target_": "pytorch_lightning.Trainer", "max_epochs": 2},
    "executor": {"_target_": "lightning_nas.evaluation.ray_executor.RayExecutor"},
    "callbacks": {"stop": {"_target_": "lightning_nas.callbacks.interrupt.StopAtStep"}},
}
TARGETS = [
    "os.system",
    "builtins.exec",
    "subprocess.check_output",
    "pathlib.Path",
    "lightning_nas.files.Path",  # imported there, defined elsewhere
    "lightning_nas.files.os.system",
    "lightning_nas.files.replace_text",
    "torch.os.system",
    "torch.hub.load",
    "torch.load",
    "torch.distributed.elastic.multiprocessing.subprocess_handler.SubprocessHandler",
    "torch.optim.lr_scheduler.Any",
    "torch.utils.data.DataLoader",
    "torchmetrics.functional.accuracy",
    "pytorch_lightning.Path",
    "hydra.utils.get_method",
    "functools.partial",
    "${hydra:runtime.cwd}",
    "own.module.Class",
    "no such name",
    ["os", "system"],
    None,
]


def write_run(folder, task=(), choices=None, **changes):
    """Write the configuration of a run whose settings are changed; dots separate their names."""
    config = json.loads(json.dumps(CONFIG))
    for name, value in changes.items():
        *parents, last = name.split(".")
        group = config
        for parent in parents:
            group = group.setdefault(parent, {})
        group[last] = value
    (folder / ".hydra").mkdir(parents=True, exist_ok=True)
    (folder / ".hydra" / "config.yaml").write_text(yaml.safe_dump(config))
    runtime = {"choices": choices or {"data": "digits"}, "config_sources": [], "output_dir": "x"}
    hydra = {"hydra": {"runtime": runtime, "overrides": {"task": list(task)}}}
    (folder / ".hydra" / "hydra.yaml").write_text(yaml.safe_dump(hydra))
    (folder / "architecture.json").write_text("{}")
    return folder


def is_refused(function, *arguments):
    with pytest.raises(InputError) as raised:
        function(*arguments)
    assert "\n" not in str(raised.value)
    return str(raised.value)


@pytest.mark.parametrize("target", TARGETS, ids=str)
def test_foreign_code_is_refused_wherever_a_run_names_it(target, tmp_path):
    for place in (
        "space._target_",
        "data._target_",
        "callbacks.more._target_",
        "trainer.x._target_",
    ):
        run = write_run(tmp_path / place, **{place: target})
        is_refused(complete_arguments, [f"resume={run}"])
        is_refused(read_run_configuration, run)
    is_refused(load_configuration, RunFolder(tmp_path / "data._target_"), "data")
    is_refused(check_target, target, "here")


@pytest.mark.parametrize(
    "changes",
    [
        {"operations.enas.mine": "os.system"},
        {"operations": "${evil}", "evil.enas.mine": "os.system"},
        {"executor.address": "10.0.0.1:6379"},
        {"executor._args_": ["evaluate", "10.0.0.1:6379"]},
        {"data": "${evil}", "evil._target_": "os.system"},
        {"data.more": "${evil.here}", "evil.here._target_": "os.system"},
        {"data.more": "${oc.create:'{_target_: os.system, command: id}'}"},
        {"data.more": "${oc.decode:'{_target_: os.system}'}"},
        {"data.more": "${oc.${kind}:'{_target_: os.system}'}", "kind": "create"},
        {"hydra.callbacks.x._target_": "os.system"},
        {"defaults": [{"hydra/callbacks": "mine"}]},
    ],
    ids=str,
)
def test_other_ways_to_name_code_are_refused(changes, tmp_path):
    run = write_run(tmp_path, **changes)
    is_refused(complete_arguments, [f"resume={run}"])
    if "data" in next(iter(changes)):
        is_refused(complete_arguments, [f"architecture={run}"])
        is_refused(load_configuration, RunFolder(run), "data")


@pytest.mark.parametrize(
    "setting",
    [
        "data._target_=os.system",
        "data.augmentation={_target_:os.system}",
        "+data.more._target_=os.system",
        "hydra.callbacks.x._target_=os.system",
        "hydra/callbacks=mine",
        "hydra.searchpath=[file:///evil]",
        "callbacks.stop._target_=os.system",
        "logger=mine",
        "paths.data=/",
        "~data",
        "data=[digits,mine]",
        "data=${oc.env:HOME}",
        "--config-dir=/evil",
        "-m",
        "resume=/evil",
        "mode=export",
    ],
)
def test_a_run_recommends_no_setting_that_could_run_code(setting, tmp_path):
    run = write_run(tmp_path / "a", train_with=setting)
    is_refused(complete_arguments, [f"architecture={run}"])
    if setting.lstrip("+").startswith("data."):
        run = write_run(tmp_path / "b", task=[setting])
        is_refused(complete_arguments, [f"architecture={run}/architecture.json"])


def test_what_the_users_own_command_names_is_trusted(tmp_path):
    run = write_run(tmp_path / "run", **{"space._target_": "own.Space"})
    own = tmp_path / "configs" / "space"
    own.mkdir(parents=True)
    (own / "mine.yaml").write_text("_target_: own.Space\n")
    assert complete_arguments([f"resume={run}", "--config-dir", str(own.parent)])
    assert complete_arguments([f"resume={run}", f"--config-dir={own.parent}"])
    assert complete_arguments([f"resume={run}", "space._target_=own.Space"])
    is_refused(complete_arguments, [f"resume={run}"])


def test_a_path_is_no_name_that_the_user_vouches_for(tmp_path):
    assert find_trusted_names(["resume=runs/os.system", "architecture=own.Space"]) == set()


def test_the_projects_own_run_is_not_refused(tmp_path):
    assert complete_arguments([f"resume={write_run(tmp_path)}"])
    assert "recipe=quick" in complete_arguments([f"architecture={tmp_path}"])


# ---- weights files -------------------------------------------------------------------------------

BLUEPRINT = {
    "architecture": {
        "version": 1,
        "kind": "edge_cell",
        "operations": ["conv_3x3"] * 6,
        "filters": 4,
        "cells": 1,
    },
    "settings": {"dropout": 0.0},
    "num_classes": 2,
    "classes": ["a", "b"],
    "channels": 1,
    "image_size": 8,
    "mean": [0.5],
    "std": [0.5],
    "crop": 1.0,
}
INJECTION = '""";import os;os.system("id");"""'


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("settings", {"skip_reduction_input": v}) for v in (INJECTION, 1, [])),
        *(("settings", {"stem": v}) for v in (INJECTION, None, "large")),
        *(("settings", {"filters": v}) for v in (INJECTION, 10**9, 0, 1.5, True, "8")),
        *(("settings", {"cells": v}) for v in (10**6, -1)),
        *(("settings", {"dropout": v}) for v in (1.0, -0.1, "0", float("nan"))),
        *(("settings", v) for v in ({"no_such": 1}, {INJECTION: 1}, [], "x", None)),
        *(("num_classes", v) for v in (0, -2, 10**9, "2", 2.5, None, True)),
        *(("classes", v) for v in (["a"], [1, 2], "ab", None, {"a": 1})),
        *(("channels", v) for v in (0, 10**6, "1")),
        *(("image_size", v) for v in (0, 10**9, 8.5, None)),
        *(("mean", v) for v in ([], [0.5, 0.5], ["0"], [float("inf")], 0.5)),
        *(("std", v) for v in ([0.0], [-1.0], [float("nan")], [])),
        *(("crop", v) for v in (0.0, 1.5, "1", float("nan"))),
        *(("architecture", v) for v in ({}, [], None, "enas_micro")),
        ("more", 1),
    ],
    ids=str,
)
def test_each_field_of_a_blueprint_is_checked(name, value):
    assert Blueprint.from_json(json.dumps(BLUEPRINT), "here").num_classes == 2
    is_refused(Blueprint.from_json, json.dumps({**BLUEPRINT, name: value}), "weights=here")


@pytest.mark.parametrize("text", ["", "[]", "1", "{", "[" * 100_000, '{"a": 1' + "0" * 5000 + "}"])
def test_a_blueprint_that_is_no_object_is_one_line(text):
    is_refused(Blueprint.from_json, text, "weights=here")


# ---- whole commands ------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize(
    "command",
    [
        ["search.py", "resume=RUN"],
        ["train.py", "architecture=RUN"],
        ["train.py", "architecture=RUN/architecture.json"],
        ["train.py", "mode=test", "weights=RUN"],
        ["-m", "lightning_nas.judge", "RUN"],
        ["-m", "lightning_nas.report", "RUN"],
    ],
    ids=" ".join,
)
def test_no_command_runs_code_of_a_folder(command, tmp_path):
    witness = tmp_path / "it ran"
    evil = {"_target_": "os.system", "command": f"touch '{witness}'"}
    run = write_run(
        tmp_path / "run",
        data=evil,
        space=evil,
        train_with=f"+callbacks.x._target_=os.system +callbacks.x.command='touch {witness}'",
    )
    (run / "checkpoints").mkdir()
    blueprint = json.dumps(BLUEPRINT)
    network = Blueprint.from_json(blueprint, "here").build()
    content = {"state_dict": network.state_dict(), "blueprint": blueprint}
    torch.save(content, run / "checkpoints" / "last.ckpt")
    status, _, errors = run_command(*[word.replace("RUN", str(run)) for word in command])
    assert not witness.exists()
    assert (status, len(errors.strip().splitlines())) == (2, 1), errors
    assert errors.startswith("error: ")


@pytest.mark.slow
def test_no_command_runs_code_of_a_weights_file(tmp_path):
    witness = tmp_path / "it ran"
    code = f'""";open({str(witness)!r}, "w");"""'
    blueprint = json.dumps({**BLUEPRINT, "settings": {"skip_reduction_input": code}})
    torch.save({"state_dict": {"a": torch.ones(1)}, "blueprint": blueprint}, tmp_path / "w.ckpt")
    status, _, errors = run_command(
        "train.py", "mode=export", "export=python", f"weights={tmp_path}/w.ckpt",
        f"hydra.run.dir={tmp_path}/out",
    )  # fmt: skip
    assert not witness.exists()
    assert (status, len(errors.strip().splitlines())) == (2, 1), errors
