"""Arguments of the commands before Hydra reads them.

``resume=RUN``, ``architecture=RUN`` and ``weights=RUN`` are short for several arguments, which this
module adds. The module must not import torch, because ``--help`` has to be fast.
"""

import os
import re
import shutil
import sys
from collections.abc import Mapping
from importlib.util import find_spec
from typing import Any

from omegaconf import DictConfig, OmegaConf

from lightning_nas.errors import InputError
from lightning_nas.run.groups import CONFIGS, check_own_configurations, replace_null_groups
from lightning_nas.run.overrides import (
    NOTHING,
    find_config_folders,
    get_name,
    get_value,
    is_complete,
    is_multirun,
    normalise_arguments,
    split_arguments,
)
from lightning_nas.run.recorded import load_configuration
from lightning_nas.run.resume import add_resume_arguments
from lightning_nas.storage.run_folder import RunFolder
from lightning_nas.trust import check_recorded

PROCESS_COUNTS = ("WORLD_SIZE", "SLURM_STEP_NUM_TASKS")  # set by torchrun and by srun
CHILD_SIZES = {"filters": None, "cells": None, "stem": "cifar"}  # defaults of children
SIZES = (*CHILD_SIZES, "stem_filters", "skip_reduction_input")  # settings of a network's size
IMAGE_SIZES = ("data.image_size", "data.crop")
SEARCH_ONLY = ("data.batch_size",)  # data settings of a search that a training does not take
# Settings that a run folder may pass on to a training. Others, such as Hydra's, could run code.
RECORDED = re.compile(
    r"\+{0,2}((recipe|debug|data)=[\w/-]+|threads=\d+|(network|module|trainer|data)(\.[a-z]\w*)+=.*)",
    re.DOTALL,
)
LAUNCHER_PACKAGE = "hydra_plugins.hydra_submitit_launcher"
INSTALL_LAUNCHER = "pip install hydra-submitit-launcher==1.2.0"
# With submitit's own settings, its local jobs leave an empty folder named %j, and a job that takes
# more than an hour is stopped and begins again.
LOCAL_JOBS = [
    "hydra.launcher.submitit_folder=${hydra.sweep.dir}/.submitit",
    "hydra.launcher.timeout_min=10080",
]
SWEEPER_PACKAGE = "hydra_plugins.hydra_optuna_sweeper"
INSTALL_SWEEPER = "pip install hydra-optuna-sweeper==1.3.0 sqlalchemy==1.4.54 alembic==1.13.3"
LAUNCHERS = ("slurm", "submitit_slurm", "submitit_local")


def complete_arguments(arguments: list[str], script: str | None = None) -> list[str]:
    """Add the arguments that ``resume=RUN``, ``architecture=RUN`` or ``weights=RUN`` implies.

    Arguments with ``--config-path`` are returned unchanged: Lightning starts its other processes
    with arguments that are already complete.

    Args:
        arguments: Arguments of the command.
        script: The command, ``search.py`` or ``train.py``; None = that of RUN.

    Raises:
        InputError: If Hydra cannot read an argument; if RUN of ``resume`` is not a run folder of
            this command; if a resumed run cannot take an argument; if several processes have no
            common run folder; or if ``hydra/launcher`` or ``hydra/sweeper`` cannot work on this
            machine.
    """
    if is_complete(arguments):
        return arguments
    arguments = normalise_arguments(arguments)
    check_own_configurations(arguments)
    arguments = replace_null_groups(arguments)
    launcher = get_value(arguments, "hydra/launcher")
    check_launcher(launcher)
    if launcher == "submitit_local" and is_multirun(arguments):
        arguments = _insert_settings(arguments, LOCAL_JOBS)
    check_sweeper(get_value(arguments, "hydra/sweeper"))
    if get_value(arguments, "resume") not in NOTHING:
        return add_resume_arguments(arguments, script)
    processes = max(int(os.environ.get(name, "1")) for name in PROCESS_COUNTS)
    if get_value(arguments, "hydra.run.dir") is None and processes > 1:
        raise InputError(
            f"torchrun or srun started {processes} processes; they need one run folder: "
            "hydra.run.dir=RUN"
        )
    return add_run_arguments(arguments)


def add_run_arguments(arguments: list[str]) -> list[str]:
    """Add the data and the recommended training of RUN to ``architecture=RUN`` or ``weights=RUN``.

    The arguments of the user come last and replace added arguments. If the user chooses ``data``,
    no argument about data is added. ``recipe=finetune`` is the default for weights. If RUN used
    operations from outside of the project, the arguments for them are added. If ``mode`` is not
    ``fit``, only the arguments for operations are added. If the user chooses ``recipe``, the
    recommended settings but ``threads`` are left out; with ``debug``, the data too.

    Raises:
        InputError: If RUN names code that is not trusted, recommends a setting other than those of
            ``RECORDED``, or used data whose configuration is neither here nor in ``--config-dir``.
    """
    weights = get_value(arguments, "weights")
    runs = [RunFolder.find(get_value(arguments, "architecture")), RunFolder.find(weights)]
    operations = _list_operation_arguments(arguments, [run for run in runs if run])
    if get_value(arguments, "mode") not in (None, "fit"):
        return _insert_settings(arguments, operations)
    if weights and not {"recipe", "debug"} & set(map(get_name, arguments)):
        _print_added("weights", ["recipe=finetune"], arguments)
        arguments = [*arguments, "recipe=finetune"]
    run = runs[0] or runs[1]
    if run is None:
        return arguments
    config, hydra = load_configuration(run, "data", arguments), run.read_hydra_config()
    recommended = _list_recommended(config)
    data = _list_data_arguments(config, hydra)
    for setting in (*recommended, *data):
        _check_recommended(setting, run)
    names = set(map(get_name, arguments))
    if names & {"recipe", "debug"}:  # recommended settings fit only the recommended recipe
        recommended = [one for one in recommended if get_name(one) == "threads"]
    if "debug" in names | set(map(get_name, recommended)):  # debug chooses the data
        data = []
    added = [
        argument
        for argument in (*operations, *recommended, *data)
        if get_name(argument) not in names
        and get_name(argument) not in SEARCH_ONLY
        and not ("data" in names and get_name(argument).split(".")[0] == "data")
    ]
    _check_data_is_known(added, arguments, run)
    if added:
        _print_added(str(run), added, arguments)
    return _insert_settings(arguments, added)


def _list_recommended(config: DictConfig) -> list[str]:
    """Return the settings with which a search recommends to train its architectures.

    The network has the size of the children that the search trained, unless ``train_with`` asks for
    another one. ENAS trains no children but its finalists.
    """
    given = str(OmegaConf.select(config, "train_with", default="")).split()
    network = OmegaConf.select(config, "evaluation.network")
    has_children = not config.get("supernet") or OmegaConf.select(config, "method.finalists")
    if not isinstance(network, DictConfig) or not has_children:
        return given
    sizes = CHILD_SIZES | {name: network[name] for name in SIZES if name in network}
    names = set(map(get_name, given))
    added = [
        f"network.{name}={'null' if value is None else value}" for name, value in sizes.items()
    ]
    return [*given, *(one for one in added if get_name(one) not in names)]


def _insert_settings(arguments: list[str], settings: list[str]) -> list[str]:
    """Insert settings before those of the user, which replace them."""
    flags, given = split_arguments(arguments)
    return [*flags, *settings, *given]


def _list_operation_arguments(arguments: list[str], runs: list[RunFolder]) -> list[str]:
    """Return the arguments that register the added operations of earlier runs."""
    names = set(map(get_name, arguments))
    added = dict.fromkeys(
        f"++operations.{rules}.{name}={factory}"
        for run in runs
        for rules, factories in _read_operations(run, arguments).items()
        for name, factory in factories.items()
    )
    return [argument for argument in added if get_name(argument) not in names]


def _read_operations(run: RunFolder, arguments: list[str]) -> Mapping[str, Mapping[str, str]]:
    return load_configuration(run, "operations", arguments).get("operations") or {}


def _list_data_arguments(config: DictConfig, hydra: dict[str, Any]) -> list[str]:
    """Return the arguments that choose the data of a run; empty if the run used a table."""
    name_of_data = hydra["runtime"]["choices"].get("data")
    data = [f"data={name_of_data}"] if name_of_data else []
    data += [one for one in hydra["overrides"]["task"] if get_name(one).startswith("data.")]
    names = set(map(get_name, data))
    for name in IMAGE_SIZES:  # a recipe may have set the size, without an argument
        value = OmegaConf.select(config, name)
        if value is not None and name not in names:
            data.append(f"{name}={value}")
    return data


def _check_recommended(setting: str, run: RunFolder) -> None:
    """Raise InputError for a recorded setting that could do more than set a number or a name."""
    if not RECORDED.fullmatch(setting) or "_target_" in setting:
        raise InputError(f"{run}: recommends {setting!r}, which a run folder may not set")
    check_recorded({"value": setting}, run.config)


def _check_data_is_known(added: list[str], arguments: list[str], run: RunFolder) -> None:
    """Raise InputError if the data of a run are a configuration that this command cannot find."""
    for name in (one.partition("=")[2] for one in added if one.startswith("data=")):
        folders = [CONFIGS, *find_config_folders(arguments)]
        if not any((folder / "data" / f"{name}.yaml").exists() for folder in folders):
            raise InputError(
                f"{run}: its data={name} is a configuration from outside of this project; if you "
                "trust it, give its folder: --config-dir DIR, or choose other data: data=NAME"
            )


def _print_added(source: str, added: list[str], arguments: list[str]) -> None:
    """Print the added arguments to stdout, or to stderr if stdout gets the configuration."""
    shows_configuration = any(argument.startswith(("--cfg", "-c")) for argument in arguments)
    text = f"added for {source}: {' '.join(added)}"
    print(text, file=sys.stderr if shows_configuration else sys.stdout)


# ---- jobs of a SLURM cluster ---------------------------------------------------------------------
# ``hydra/launcher=slurm`` submits each run of ``-m`` to SLURM through submitit, which queues a job
# again after its time limit or a preemption. The job then continues after its last complete epoch.


def check_launcher(name: str | None) -> None:
    """Check that a submitit launcher can work on this machine. Ignore other launchers.

    Raises:
        InputError: If the package of the launcher or the command ``srun`` is missing.
    """
    if name not in LAUNCHERS:
        return
    if not _is_installed(LAUNCHER_PACKAGE):
        raise InputError(f"hydra/launcher={name} needs a package: {INSTALL_LAUNCHER}")
    if name != "submitit_local" and shutil.which("srun") is None:
        raise InputError(
            f"hydra/launcher={name}: srun not found; start the command on a machine with SLURM, or "
            "use hydra/launcher=submitit_local"
        )


def check_sweeper(name: str | None) -> None:
    """Check that the package of a sweeper of Optuna is installed. Ignore other sweepers.

    Raises:
        InputError: If the package is missing.
    """
    if name is not None and name.startswith("optuna") and not _is_installed(SWEEPER_PACKAGE):
        raise InputError(f"hydra/sweeper={name} needs packages: {INSTALL_SWEEPER}")


def _is_installed(plugin: str) -> bool:
    return find_spec("hydra_plugins") is not None and find_spec(plugin) is not None


def is_first_of_launcher() -> bool:
    """Return whether this is the first process of torchrun or srun on this machine."""
    rank = os.environ.get("LOCAL_RANK", os.environ.get("SLURM_LOCALID", "0"))
    return rank == "0"


def is_restarted_job() -> bool:
    """Return whether SLURM has restarted this job (after preemption, time limit or failure)."""
    return int(os.environ.get("SLURM_RESTART_COUNT", "0")) > 0
