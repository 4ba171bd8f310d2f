"""Configurations of earlier runs: read from a run folder, checked, and rebuilt."""

import re
import sys
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from lightning_nas.run.overrides import find_config_folders, split_arguments
from lightning_nas.storage.run_folder import RunFolder
from lightning_nas.trust import check_recorded, find_named

PROJECT_PROVIDERS = ("hydra", "main", "schema")  # Hydra's names for what the project provides
HYDRA_REFERENCE = re.compile(r"\$\{hydra:([^${}]+)\}")


def find_trusted_names(arguments: list[str] | None = None) -> set[str]:
    """Return the classes and functions that the user's own command and configurations name.

    Args:
        arguments: Arguments of the command; None = those of the running command.
    """
    if arguments is not None:
        return find_named(split_arguments(arguments)[1], find_config_folders(arguments))
    if not HydraConfig.initialized():  # the command judges or prepares a run
        return find_trusted_names(sys.argv[1:])
    hydra = HydraConfig.get()  # a job of submitit has other words in sys.argv
    folders = [
        source.path
        for source in hydra.runtime.config_sources
        if source.schema == "file" and source.provider not in PROJECT_PROVIDERS
    ]
    return find_named(hydra.overrides.task, folders)


def load_configuration(
    run: RunFolder, group: str | None = None, arguments: list[str] | None = None
) -> Any:
    """Return the configuration of a run as written: references are not resolved.

    Args:
        run: The run folder.
        group: The group of settings that will be used: only this group, and those that it refers
            to, are checked. None = all groups.
        arguments: Arguments of the command; None = those of the running command.

    Raises:
        InputError: If the folder holds no run, the file is damaged, or the checked groups name code
            that is not trusted (``trust.py``).
    """
    config: Any = OmegaConf.create(run.read_config()[0])
    content: Any = OmegaConf.to_container(config)  # OmegaConf reads numbers in its own way
    check_recorded(content, run.config, find_trusted_names(arguments), group)
    return config


def read_run_configuration(run: Path) -> DictConfig:
    """Return the configuration of an earlier run, with its references to Hydra replaced.

    References to the configuration of Hydra (``${hydra:...}``) are replaced by their values. The
    folder may have been moved: paths into it are replaced by its current path.

    Raises:
        InputError: If ``run`` is not a run folder, or names code that is not trusted.
    """
    folder = RunFolder(run)
    config = OmegaConf.create(folder.read_config()[0])
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

    replaced = replace_references(OmegaConf.to_container(config))
    check_recorded(replaced, folder.config, find_trusted_names())
    return OmegaConf.create(replaced)
