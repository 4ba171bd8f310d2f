"""Arguments of the commands before Hydra reads them, and configurations of earlier runs.

``resume=RUN``, ``architecture=RUN`` and ``weights=RUN`` are short for several arguments, which this
module adds. The module must not import torch, because ``--help`` has to be fast.
"""

import json
import os
import re
import shutil
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from lightning_nas.errors import InputError
from lightning_nas.storage.run_folder import RunFolder

PROCESS_COUNTS = ("WORLD_SIZE", "SLURM_STEP_NUM_TASKS")  # set by torchrun and by srun
OPTIMIZER_GROUPS = ("module.frozen_stages", "module.stage_factor")  # settings of parameter groups
IMAGE_SIZES = ("data.image_size", "data.crop")
SEARCH_ONLY = ("data.batch_size",)  # data settings of a search that a training does not take
PROJECT_PROVIDERS = ("hydra", "main", "schema")  # Hydra's names of the sources of every run
LAUNCHER_PACKAGE = "hydra_plugins.hydra_submitit_launcher"
INSTALL_LAUNCHER = "pip install hydra-submitit-launcher==1.2.0"
HYDRA_REFERENCE = re.compile(r"\$\{hydra:([^${}]+)\}")
LAUNCHERS = ("slurm", "submitit_slurm", "submitit_local")


def complete_arguments(arguments: list[str]) -> list[str]:
    """Add the arguments that ``resume=RUN``, ``architecture=RUN`` or ``weights=RUN`` implies.

    Complete arguments do not change. Lightning passes complete arguments to its other processes.

    Raises:
        InputError: If RUN of ``resume`` is not a run folder; if a resumed run cannot take an
            argument; if several processes have no common run folder; if the run folder already
            holds a run; or if ``hydra/launcher`` cannot work on this machine.
    """
    if "--config-path" in arguments:  # complete
        return arguments
    check_launcher(_get_value(arguments, "hydra/launcher"))
    if _get_value(arguments, "resume") not in (None, "", "null"):
        return add_resume_arguments(arguments)
    folder = _get_value(arguments, "hydra.run.dir")
    processes = max(int(os.environ.get(name, "1")) for name in PROCESS_COUNTS)
    if folder is None and processes > 1:
        raise InputError(
            f"torchrun or srun started {processes} processes; they need one run folder: "
            "hydra.run.dir=RUN"
        )
    # only the first process checks: the other processes may find the results of the first
    is_first = os.environ.get("LOCAL_RANK", "0") == "0"
    if folder and is_first and RunFolder(folder).has_begun and not is_restarted_job():
        raise InputError(
            f"hydra.run.dir={folder} holds a run; continue it with resume={folder}, or choose "
            "another folder"
        )
    return add_run_arguments(arguments)


def add_resume_arguments(arguments: list[str]) -> list[str]:
    """Replace ``resume=RUN`` by arguments with which Hydra reads the configuration of RUN.

    Raises:
        InputError: If RUN is not a run folder, or if an argument is a setting without a dot or a
            setting that the checkpoint holds.
    """
    resume_path = str(_get_value(arguments, "resume"))
    RunFolder(resume_path).check_is_run("resume")
    rest = [argument for argument in arguments if _get_name(argument) != "resume"]
    for argument in rest:
        name = _get_name(argument)
        if any(part in name for part in (".optimizer.", ".scheduler.", *OPTIMIZER_GROUPS)):
            raise InputError(
                f"{argument}: the checkpoint holds this setting, so a resume cannot change it; "
                "begin a new run"
            )
        if not argument.startswith("-") and "." not in name:
            raise InputError(
                f"{argument}: a resume takes only settings with a dot, such as method.samples=300"
            )
    run = RunFolder(Path(resume_path).resolve())
    return [
        *("--config-path", str(run.hydra), "--config-name", run.config.stem),
        f"hydra.run.dir={run}",
        "hydra.output_subdir=null",
        f"resume={run}",
        *rest,
    ]


def add_run_arguments(arguments: list[str]) -> list[str]:
    """Add the data and the recommended training of RUN to ``architecture=RUN`` or ``weights=RUN``.

    The arguments of the user come last and replace added arguments. If the user chooses ``data``,
    no argument about data is added. ``recipe=finetune`` is the default for weights. If RUN used
    configurations or operations from outside of the project, the arguments for them are added. In a
    mode other than ``fit``, only the arguments for operations are added.
    """
    weights = _get_value(arguments, "weights")
    runs = [RunFolder.find(_get_value(arguments, "architecture")), RunFolder.find(weights)]
    operations = _list_operation_arguments(arguments, [run for run in runs if run])
    if _get_value(arguments, "mode") not in (None, "fit"):
        return _insert_settings(arguments, operations)
    if weights and not {"recipe", "debug"} & set(map(_get_name, arguments)):
        _print_added("weights", ["recipe=finetune"], arguments)
        arguments = [*arguments, "recipe=finetune"]
    run = runs[0] or runs[1]
    if run is None:
        return arguments
    config, hydra = load_raw_configuration(run), run.read_hydra_config()
    recommended = str(OmegaConf.select(config, "train_with", default="")).split()
    data = _list_data_arguments(config, hydra)
    names = set(map(_get_name, arguments))
    if names & {"recipe", "debug"}:  # recommended settings fit only the recommended recipe
        recommended = []
    if "debug" in names | set(map(_get_name, recommended)):  # debug chooses the data
        data = []
    search_path = _list_search_path_arguments(hydra["runtime"])
    added = [
        argument
        for argument in (*search_path, *operations, *recommended, *data)
        if _get_name(argument) not in names
        and _get_name(argument) not in SEARCH_ONLY
        and not ("data" in names and _get_name(argument).split(".")[0] == "data")
    ]
    if added:
        _print_added(str(run), added, arguments)
    return _insert_settings(arguments, added)


def _insert_settings(arguments: list[str], settings: list[str]) -> list[str]:
    """Insert settings before the first setting: Hydra needs all settings next to one another."""
    places = (i for i, word in enumerate(arguments) if "=" in word and not word.startswith("-"))
    first = next(places, len(arguments))
    return [*arguments[:first], *settings, *arguments[first:]]


def _list_operation_arguments(arguments: list[str], runs: list[RunFolder]) -> list[str]:
    """Return the arguments that register the added operations of earlier runs."""
    names = set(map(_get_name, arguments))
    added = dict.fromkeys(
        f"++operations.{rules}.{name}={factory}"
        for run in runs
        for rules, factories in (run.read_config()[1].get("operations") or {}).items()
        for name, factory in factories.items()
    )
    return [argument for argument in added if _get_name(argument) not in names]


def _list_data_arguments(config: DictConfig, hydra: dict[str, Any]) -> list[str]:
    """Return the arguments that choose the data of a run; empty if the run used a table."""
    name_of_data = hydra["runtime"]["choices"].get("data")
    data = [f"data={name_of_data}"] if name_of_data else []
    data += [one for one in hydra["overrides"]["task"] if _get_name(one).startswith("data.")]
    names = set(map(_get_name, data))
    for name in IMAGE_SIZES:  # a recipe may have set the size, without an argument
        value = OmegaConf.select(config, name)
        if value is not None and name not in names:
            data.append(f"{name}={value}")
    return data


def _list_search_path_arguments(runtime: dict[str, Any]) -> list[str]:
    """Return the argument for configurations outside of the project; empty without any."""
    paths = [
        f"{source['schema']}://{source['path']}"
        for source in runtime["config_sources"]
        if source["provider"] not in PROJECT_PROVIDERS
    ]
    return [f"hydra.searchpath={json.dumps(paths)}"] if paths else []


def _print_added(source: str, added: list[str], arguments: list[str]) -> None:
    """Print the added arguments to stdout, or to stderr if stdout gets the configuration."""
    shows_configuration = any(argument.startswith(("--cfg", "-c")) for argument in arguments)
    text = f"added for {source}: {' '.join(added)}"
    print(text, file=sys.stderr if shows_configuration else sys.stdout)


def _get_name(argument: str) -> str:
    return argument.lstrip("+~").split("=")[0]


def _get_value(arguments: list[str], name: str) -> str | None:
    values = [a.partition("=")[2] for a in arguments if _get_name(a) == name and "=" in a]
    return values[-1] if values else None


# ---- configurations of earlier runs --------------------------------------------------------------


def load_raw_configuration(run: RunFolder) -> DictConfig:
    """Return the configuration of a run as written: references are not resolved.

    Raises:
        InputError: If the folder holds no run, or the file is damaged.
    """
    config: Any = OmegaConf.create(run.read_config()[0])
    return config


def read_run_configuration(run: Path) -> DictConfig:
    """Return the configuration of an earlier run, with the current path of the run folder.

    References to the configuration of Hydra (``${hydra:...}``) are replaced by their values.

    Raises:
        InputError: If ``run`` is not a run folder.
    """
    folder = RunFolder(run)
    config = load_raw_configuration(folder)
    hydra = OmegaConf.create(folder.read_hydra_config())
    hydra.runtime.output_dir = str(run.resolve())  # the folder may have been moved

    def replace_references(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: replace_references(one) for name, one in value.items()}
        if isinstance(value, list):
            return [replace_references(one) for one in value]
        if isinstance(value, str):
            return HYDRA_REFERENCE.sub(lambda match: str(OmegaConf.select(hydra, match[1])), value)
        return value

    return OmegaConf.create(replace_references(OmegaConf.to_container(config)))


# ---- jobs of a SLURM cluster ---------------------------------------------------------------------
# ``hydra/launcher=slurm`` submits each run of ``-m`` to SLURM through submitit. SLURM queues a job
# again after its time limit or a preemption. The job then continues after its last complete epoch.


def check_launcher(name: str | None) -> None:
    """Check that a submitit launcher can work on this machine. Ignore other launchers.

    Raises:
        InputError: If the package of the launcher or the command ``srun`` is missing.
    """
    if name not in LAUNCHERS:
        return
    if find_spec("hydra_plugins") is None or find_spec(LAUNCHER_PACKAGE) is None:
        raise InputError(f"hydra/launcher={name} needs a package: {INSTALL_LAUNCHER}")
    if name != "submitit_local" and shutil.which("srun") is None:
        raise InputError(
            f"hydra/launcher={name}: srun not found; start the command on a machine with SLURM, or "
            "use hydra/launcher=submitit_local"
        )


def is_restarted_job() -> bool:
    """Return whether SLURM has restarted this job (after preemption, time limit or failure)."""
    return int(os.environ.get("SLURM_RESTART_COUNT", "0")) > 0
