"""Arguments that a run folder completes: what a command need not be told again. No torch here."""

import json
import os
import sys
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from lightning_nas.errors import InputError
from lightning_nas.run.slurm import check_launcher, has_begun, is_restarted_job

STARTED_FROM_OUTSIDE = ("WORLD_SIZE", "SLURM_STEP_NUM_TASKS")  # by torchrun, by srun
OF_GROUPS = ("module.frozen_stages", "module.stage_factor")  # which the optimiser's groups follow
SIZES = ("data.image_size", "data.crop")  # of images
OF_THE_SEARCH = ("data.batch_size",)  # settings of the data that a training does not take over
HOUSE = ("hydra", "main", "schema")  # who provides configurations that every run finds


def complete_arguments(arguments: list[str]) -> list[str]:
    """Return the arguments with those that ``resume=RUN`` or ``architecture=RUN`` stands for.

    Complete ones, which Lightning hands to the processes that it starts, stay as they are.

    Raises:
        InputError: If RUN of ``resume`` is no run folder, another argument would replace a whole
            group, several processes were started from outside without a folder for all, or a
            launcher cannot do its work.
    """
    if "--config-path" in arguments:
        return arguments
    check_launcher(_value(arguments, "hydra/launcher"))
    if _value(arguments, "resume") not in (None, "", "null"):
        return resume_arguments(arguments)
    processes = max(int(os.environ.get(name, "1")) for name in STARTED_FROM_OUTSIDE)
    if processes > 1 and _value(arguments, "hydra.run.dir") is None:
        raise InputError(
            f"{processes} processes were started from outside: give them one folder "
            "(hydra.run.dir=RUN)"
        )
    folder = _value(arguments, "hydra.run.dir")
    taken = folder is not None and has_begun(Path(folder)) and not is_restarted_job()
    if taken and os.environ.get("LOCAL_RANK", "0") == "0":  # of several processes, the first alone
        raise InputError(f"hydra.run.dir={folder} holds a run: resume={folder}, or another folder")
    return add_run_arguments(arguments)


def resume_arguments(arguments: list[str]) -> list[str]:
    """Turn ``resume=RUN`` into the arguments that take a run's own configuration."""
    given = _value(arguments, "resume")
    run = Path(str(given)).resolve()
    if not (run / ".hydra" / "config.yaml").exists():
        raise InputError(f"resume={given}: no run folder (it has no .hydra/config.yaml)")
    rest = [argument for argument in arguments if _name(argument) != "resume"]
    for argument in rest:
        if any(part in _name(argument) for part in (".optimizer.", ".scheduler.", *OF_GROUPS)):
            raise InputError(f"{argument}: the checkpoint says what this is; begin a new run")
        if not argument.startswith("-") and "." not in _name(argument):
            raise InputError(f"{argument}: a resumed run takes dotted settings only (a.b=c)")
    return [
        *("--config-path", str(run / ".hydra"), "--config-name", "config"),
        f"hydra.run.dir={run}",
        "hydra.output_subdir=null",
        f"resume={run}",
        *rest,
    ]


def add_run_arguments(arguments: list[str]) -> list[str]:
    """Add to ``architecture=RUN`` or ``weights=RUN`` the images of RUN, and the training for them.

    What the arguments say themselves comes last and wins; if they choose the images, nothing is
    added about images. Where the run had configurations from outside of this project, the training
    finds them, too.
    """
    weights = _value(arguments, "weights")
    operations = _operations(arguments, _value(arguments, "architecture"), weights)
    if _value(arguments, "mode") not in (None, "fit"):
        return _insert(arguments, operations)
    if weights and not {"recipe", "debug"} & set(map(_name, arguments)):
        _tell("added for weights: recipe=finetune", arguments)
        arguments = [*arguments, "recipe=finetune"]
    run = find_run_folder(_value(arguments, "architecture")) or find_run_folder(weights)
    if run is None:
        return arguments
    config = OmegaConf.load(run / ".hydra" / "config.yaml")
    hydra = OmegaConf.load(run / ".hydra" / "hydra.yaml").hydra
    recommended = str(OmegaConf.select(config, "train_with", default="")).split()
    chosen = hydra.runtime.choices.data
    images = [f"data={chosen}"] if chosen else []  # a search of a table had none
    images += [a for a in hydra.overrides.task if _name(a).startswith("data.")]
    given = set(map(_name, images))
    for name in SIZES:  # perhaps a recipe's
        value = OmegaConf.select(config, name)
        if value is not None and name not in given:
            images.append(f"{name}={value}")
    names = set(map(_name, arguments))
    if names & {"recipe", "debug"}:  # what goes with the recommended recipe goes with no other
        recommended = []
    if "debug" in names | set(map(_name, recommended)):  # brings its own images
        images = []
    added = [
        argument
        for argument in (*_outside(hydra.runtime), *operations, *recommended, *images)
        if _name(argument) not in names
        and _name(argument) not in OF_THE_SEARCH
        and not ("data" in names and _name(argument).split(".")[0] == "data")
    ]
    if added:
        _tell(f"added for {run}: {' '.join(added)}", arguments)
    return _insert(arguments, added)


def _insert(arguments: list[str], settings: list[str]) -> list[str]:
    """Insert settings before the first setting: Hydra wants all settings in one row."""
    places = (i for i, word in enumerate(arguments) if "=" in word and not word.startswith("-"))
    first = next(places, len(arguments))
    return [*arguments[:first], *settings, *arguments[first:]]


def _operations(arguments: list[str], *sources: str | None) -> list[str]:
    """Return the settings that register the operations which the runs of ``sources`` added."""
    runs = [run for source in sources if (run := find_run_folder(source)) is not None]
    added = [
        f"++operations.{rules}.{name}={factory}"
        for run in runs
        for rules, factories in (
            OmegaConf.select(OmegaConf.load(run / ".hydra" / "config.yaml"), "operations") or {}
        ).items()
        for name, factory in factories.items()
    ]
    names = set(map(_name, arguments))
    return [argument for argument in dict.fromkeys(added) if _name(argument) not in names]


def _tell(text: str, arguments: list[str]) -> None:
    """Say what was added: on stdout, for stderr is for errors, unless a configuration goes out."""
    shows = any(argument.startswith(("--cfg", "-c")) for argument in arguments)
    print(text, file=sys.stderr if shows else sys.stdout)


def find_run_folder(given: str | None) -> Path | None:
    """Return the run folder that an argument names or lies in, if any."""
    if given is None:
        return None
    path = Path(given)
    for folder in (path, path.parent, path.parent.parent):  # RUN/top/2.json, RUN/checkpoints/..
        if (folder / ".hydra" / "hydra.yaml").exists():
            return folder
    return None


def _outside(runtime: Any) -> list[str]:
    """Return the setting that lets Hydra find the configurations that a run had from elsewhere."""
    paths = [
        f"{source.schema}://{source.path}"
        for source in runtime.config_sources
        if source.provider not in HOUSE
    ]
    return [f"hydra.searchpath={json.dumps(paths)}"] if paths else []


def _name(argument: str) -> str:
    return argument.lstrip("+~").split("=")[0]


def _value(arguments: list[str], name: str) -> str | None:
    values = [a.partition("=")[2] for a in arguments if _name(a) == name and "=" in a]
    return values[-1] if values else None
