"""Replacement of ``resume=RUN`` by Hydra arguments, and the settings that a resume may change."""

import json
from contextlib import closing
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from lightning_nas.errors import InputError, list_some
from lightning_nas.run.overrides import (
    get_name,
    get_value,
    is_multirun,
    make_argument,
    parse_settings,
    split_arguments,
)
from lightning_nas.run.recorded import load_configuration
from lightning_nas.run.suggestions import explain_setting, find_nearest
from lightning_nas.storage.run_folder import RunFolder, display_path, shell_path
from lightning_nas.storage.trial import FINALIST

# Settings of parameter groups and of the schedule: the checkpoint holds their values
OPTIMIZER_GROUPS = (
    "module.frozen_stages",
    "module.stage_factor",
    "module.decay_",
    "module.schedule_",
)
FOLDERS = ("hydra.run", "hydra.sweep", "hydra.output_subdir")  # a resume writes into RUN
# Settings that a resumed search may change: its length, the machine, its output, the judgement. All
# rewards of a search must be comparable, because one ranking contains them all: the rest is fixed.
OF_FINALISTS = ("method.finalist_epochs", "method.finalist_seeds")
LENGTH = (
    *("method.samples", "method.finalists", *OF_FINALISTS),
    *("trainer.max_epochs", "trainer.max_time", "callbacks.derive.samples"),
)
MACHINE = (
    *("executor", "method.executor", "evaluation.threads", "evaluation.trainer.accelerator"),
    *("trainer.accelerator", "trainer.devices", "trainer.num_nodes", "trainer.strategy"),
    # data.root: the same images may lie elsewhere on another machine
    *("data.root", "data.num_workers", "data.download", "data.skip_unreadable", "paths"),
)
SHOWN = (
    *("callbacks", "logger", "hydra", "trainer.log_every_n_steps", "trainer.profiler"),
    *("trainer.enable_progress_bar", "trainer.enable_model_summary"),
)
FINISH = "finish"  # ends the search now
NEW = (FINISH, "method.finalist_seeds")  # settings that runs of earlier versions lack
CHANGEABLE = (*LENGTH, *MACHINE, *SHOWN, "judge", FINISH)


def add_resume_arguments(arguments: list[str], script: str | None = None) -> list[str]:
    """Replace ``resume=RUN`` by arguments with which Hydra reads the configuration of RUN.

    Args:
        arguments: Arguments of the command, after ``normalise_arguments``.
        script: The command, ``search.py`` or ``train.py``; None = do not check the command.

    Raises:
        InputError: If RUN is not a run folder of this command or names code that is not trusted, or
            if an argument is a setting that a resume cannot change.
    """
    run = RunFolder(Path(str(get_value(arguments, "resume"))))
    run.check_is_run("resume")
    _check_files(run)
    if is_multirun(arguments):
        raise InputError("resume=RUN continues one run; leave out -m and --multirun")
    rest = [argument for argument in arguments if get_name(argument) != "resume"]
    flags, settings = split_arguments(rest)
    run = RunFolder(run.path.resolve())
    config = load_configuration(run, arguments=arguments)
    for name in {"hydra", "defaults"} & set(config):  # Hydra would apply it before any check
        raise InputError(f"{run.config}: {name} is no setting of a run")
    _check_script(run, config, script)
    for setting in settings:
        _check_setting(setting, is_search="method" in config)
    if "method" in config:
        recorded = _read_finalist_settings(run)
        for name, value in parse_settings(recorded).items():
            OmegaConf.update(config, name, value, force_add=True)
        _check_comparable(run, config, settings)
        given = set(map(get_name, settings))
        settings += [setting for setting in recorded if get_name(setting) not in given]
    return [  # Hydra needs all settings next to one another
        *flags,
        *("--config-path", str(run.hydra), "--config-name", run.config.stem),
        make_argument("hydra.run.dir", run.path),
        "hydra.output_subdir=null",
        make_argument("resume", run.path),
        # a run of an earlier version has no such setting
        *(f"++{one}" if get_name(one) in NEW and one[0] not in "+~" else one for one in settings),
    ]


def list_resume_settings(cfg: DictConfig) -> list[str]:
    """Return the settings of the current resume as ``name=JSON``, for reports and later resumes.

    Args:
        cfg: The composed configuration. The trainings of finalists are recorded with their values
            in it, because a reference could have another value in a later resume.
    """
    given = [one for one in HydraConfig.get().overrides.task if not one.startswith("~")]
    settings = parse_settings(given)
    settings |= {name: OmegaConf.select(cfg, name) for name in settings if name in OF_FINALISTS}
    return [f"{name}={json.dumps(settings[name])}" for name in settings if name != "resume"]


def _check_files(run: RunFolder) -> None:
    """Raise InputError if a file is a pipe or a device, or a run with a checkpoint lost its trials.

    Without this check, the resume would fail only after it has changed the folder.
    """
    folders = [one for one in (run.path, run.hydra, run.checkpoints) if one.is_dir()]
    for path in sorted(path for folder in folders for path in folder.iterdir()):
        if path.exists() and not (path.is_file() or path.is_dir()):
            raise InputError(f"{path}: not a regular file")
    if not run.last_checkpoint.exists():
        return
    if run.journal.exists():
        with closing(run.open_journal()) as journal:
            if journal.is_empty:
                raise InputError(f"{run.journal}: damaged: it is empty, but there is a checkpoint")
    elif run.journal_lock.exists():  # trainings have neither
        raise InputError(
            f"{run.journal}: missing, but there is a checkpoint; if you copied the run folder, "
            "copy all files"
        )


def _read_finalist_settings(run: RunFolder) -> list[str]:
    """Return the settings with which an earlier resume trained the finalists of a run.

    The recorded configuration of the search does not contain them. Further finalists need the same
    trainings, because one ranking contains all finalists.
    """
    recorded = [one for one in run.read_resume_settings() if get_name(one) in OF_FINALISTS]
    if not (recorded and _has_finalists(run)):
        return []
    damaged = [one for one in recorded if not one.partition("=")[2].isdecimal()]
    if damaged:
        raise InputError(f"{run.resume_settings}: damaged: {list_some(damaged)}")
    return recorded


def _check_script(run: RunFolder, config: DictConfig, script: str | None) -> None:
    """Raise InputError if the run belongs to the other command."""
    kind, right = ("search", "search.py") if "method" in config else ("training", "train.py")
    if script is not None and Path(script).name != right:
        shown = shell_path(run.path)
        raise InputError(
            f"resume={display_path(run.path)} is the run folder of a {kind}: python {right} "
            f"resume={shown}"
        )


def _check_setting(setting: str, is_search: bool) -> None:
    """Raise InputError for a setting that no resume can change."""
    name = get_name(setting)
    if name == FINISH and is_search:
        return
    if any(part in name for part in (".optimizer.", ".scheduler.", *OPTIMIZER_GROUPS)):
        raise InputError(
            f"{setting}: the checkpoint holds this setting, so a resume cannot change it; "
            "begin a new run"
        )
    if "." not in name:
        raise InputError(
            f"{setting}: a resume takes only settings with a dot, such as method.samples=300"
        )
    if name.startswith(FOLDERS):
        raise InputError(f"{setting}: a resume writes into the folder that it continues")


def _check_comparable(run: RunFolder, config: DictConfig, settings: list[str]) -> None:
    """Raise InputError if a setting would give rewards that cannot be compared with earlier ones.

    A setting that repeats the recorded value is legal.
    """
    values = parse_settings(settings)
    changed = [
        setting
        for setting in settings
        if not _is_changeable(get_name(setting), run)
        and (setting.startswith("~") or values[get_name(setting)] != _select(config, setting))
    ]
    for setting in changed:
        _explain_typo(setting, config)
    if changed:
        raise InputError(
            f"{list_some(changed)}: new rewards could not be compared with those of the trials in "
            f"{display_path(run.path)}; begin a new search, or change only its length or the "
            "machine, such as method.samples, trainer.max_epochs, method.finalists, executor.* "
            "(all: docs/run-folder.md)"
        )


def _explain_typo(setting: str, config: DictConfig) -> None:
    """Raise InputError if the run has no such setting, but one with nearly the same name."""
    name = get_name(setting)
    group_name, _, last = name.rpartition(".")
    try:
        group = OmegaConf.select(config, group_name)
    except OmegaConfBaseException:  # only Hydra can resolve its references
        return
    if isinstance(group, DictConfig) and last not in group and find_nearest(last, group):
        raise InputError(explain_setting(name, map(str, group)))


def _is_changeable(name: str, run: RunFolder) -> bool:
    if name in OF_FINALISTS:  # finalists are not trained again
        return not _has_finalists(run)
    return any(name == legal or name.startswith(f"{legal}.") for legal in CHANGEABLE)


def _has_finalists(run: RunFolder) -> bool:
    if not run.journal.exists():
        return False
    with closing(run.open_journal()) as journal:
        return not journal.is_empty and bool(journal.best((FINALIST,), 1))


def _select(config: DictConfig, setting: str) -> Any:
    """Return the recorded value of a setting; None if only Hydra can resolve its references."""
    try:
        value = OmegaConf.select(config, get_name(setting))
    except OmegaConfBaseException:
        return None
    return OmegaConf.to_container(value) if OmegaConf.is_config(value) else value
