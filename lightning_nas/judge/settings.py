"""Settings that replace those of a run that has ended, by the names that its search took."""

from collections.abc import Sequence
from pathlib import Path

import yaml
from omegaconf import DictConfig, OmegaConf

from lightning_nas.errors import InputError, list_some

EXECUTORS = Path(__file__).parents[2] / "configs" / "executor"
SETTABLE = ("evaluation.", "executor=", "executor.", "data.root=", "data.download=", "threads=")
OPEN = "evaluation.network."  # its names are those of ``build_network``, which says what it takes


def replace_settings(cfg: DictConfig, settings: Sequence[str]) -> None:
    """Put settings into a configuration.

    Args:
        cfg: Of the run.
        settings: ``name=value``. ``executor=NAME`` is a file of ``configs/executor``, and comes
            before all others, wherever it stands.

    Raises:
        InputError: If one is not to be set here, is not there or has no value.
    """
    for setting in settings:
        if not setting.startswith(SETTABLE) or "=" not in setting:
            raise InputError(f"{setting}: legal are {', '.join(SETTABLE)} with a value")
    for setting in settings:
        if setting.startswith("executor="):
            cfg.executor = _executor(setting)
    dotted = [setting for setting in settings if not setting.startswith("executor=")]
    for setting in dotted:
        _check(cfg, setting)
    try:
        cfg.merge_with_dotlist(dotted)
    except yaml.YAMLError as error:
        raise InputError(f"{' '.join(dotted)}: {' '.join(str(error).split())}") from None


def _executor(setting: str) -> DictConfig:
    files = {path.stem: path for path in sorted(EXECUTORS.glob("*.yaml"))}
    name = setting.partition("=")[2]
    if name not in files:
        raise InputError(f"{setting}: legal are {', '.join(files)}")
    loaded = OmegaConf.load(files[name])
    assert isinstance(loaded, DictConfig)
    return loaded


def _check(cfg: DictConfig, setting: str) -> None:
    """Refuse a name that the configuration does not have: it would be taken without a word."""
    *parents, last = setting.partition("=")[0].split(".")
    while len(parents) > 1 and OmegaConf.select(cfg, ".".join(parents)) is None:
        last = parents.pop()  # the first that is not there
    group = OmegaConf.select(cfg, ".".join(parents)) if parents else cfg
    if setting.startswith(OPEN) or (isinstance(group, DictConfig) and last in group):
        return
    names = [str(name) for name in group or () if not str(name).startswith("_")]
    has = list_some(names, most=20) if isinstance(group, DictConfig) and names else "no settings"
    advice = "; another: executor=ray" if parents == ["executor"] else ""
    raise InputError(f"{setting}: {'.'.join(parents)} has {has}{advice}")
