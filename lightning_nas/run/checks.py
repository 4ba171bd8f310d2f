"""Checks of a configuration before anything is built from it."""

import logging
from typing import Any

from hydra import compose
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, ListConfig, OmegaConf
from omegaconf.errors import InterpolationKeyError

from lightning_nas.errors import InputError
from lightning_nas.run.ranges import SETTINGS, SETTINGS_OF_CLASSES, list_ranges

log = logging.getLogger(__name__)
PROVIDERS = ("lightning_nas", "torch", "pytorch_lightning")  # packages whose classes have ranges
ABSENT = object()
# What Hydra itself reads in a group that it builds a class from
HYDRA_KEYS = {
    "_target_": (str, "a class, such as package.module.Class"),
    "_partial_": (bool, "true or false"),
    "_recursive_": (bool, "true or false"),
    "_convert_": (str, "none, partial, object or all"),
    "_args_": (list, "a list"),
}


def check_settings(cfg: DictConfig) -> None:
    """Check the settings of a command before anything is built.

    Raises:
        InputError: If a setting is of a wrong type or out of its range (``ranges.py``), if a search
            would score on images that it trains on, or if the experiment has no settings for the
            method.
    """
    if "method" in cfg and OmegaConf.select(cfg, "data.train_on_all"):
        raise InputError(
            "data.train_on_all=true: a search would score its architectures on images that it "
            "trains on; it is for the final training: train.py"
        )
    check_experiment(cfg)
    check_ranges(cfg)
    if cfg.get("finish") and not cfg.resume:
        raise InputError("finish=true ends an interrupted search: search.py resume=RUN finish=true")


def warn_of_controller() -> None:
    """Warn if NAS or NASNet has the controller of the other, and the user chose only the method."""
    choices = HydraConfig.get().runtime.choices
    method, controller = choices.get("method"), choices.get("controller")
    given = {one.split("=")[0].lstrip("+") for one in HydraConfig.get().overrides.task}
    has_other = {method, controller} == {"nas", "nasnet"}
    if has_other and "controller" not in given:
        log.warning(
            "method=%s samples with controller=%s; with that of its paper: controller=%s",
            *(method, controller, method),
        )


def check_ranges(cfg: DictConfig) -> None:
    """Check the types and ranges of the settings in a configuration.

    Raises:
        InputError: If a setting is of a wrong type or out of its range.
    """
    check_hydra_keys(OmegaConf.to_container(cfg))
    for table in (SETTINGS, SETTINGS_OF_CLASSES):
        for name, legal, is_nullable in list_ranges(table):
            value = _read_value(cfg, name)
            is_checked = table is SETTINGS or _is_known_class(cfg, name)
            if value is not ABSENT and is_checked and not legal.accepts(value, is_nullable):
                null = ", or null" if is_nullable else ""
                raise InputError(f"{name} must be {legal.words}{null}, got {value}")


def check_hydra_keys(content: Any, prefix: str = "") -> None:
    """Check the types of what Hydra reads before it builds a class.

    Args:
        content: Settings as plain data, references not resolved.
        prefix: Name of the group of the settings, with a dot at its end.

    Raises:
        InputError: If a ``_target_`` is not text, for example.
    """
    if isinstance(content, list):
        for number, value in enumerate(content):
            check_hydra_keys(value, f"{prefix}{number}.")
    if not isinstance(content, dict):
        return
    for name, value in content.items():
        kind, words = HYDRA_KEYS.get(name, (object, ""))
        is_reference = isinstance(value, str) and "${" in value
        if not is_reference and not isinstance(value, kind):
            raise InputError(f"{prefix}{name} must be {words}, got {value!r}")
        check_hydra_keys(value, f"{prefix}{name}.")


def _read_value(cfg: DictConfig, name: str) -> Any:
    """Return a setting as plain data; ``ABSENT`` if it is not there or has no value yet."""
    group_name, _, last = name.rpartition(".")
    group = OmegaConf.select(cfg, group_name) if group_name else cfg
    if not isinstance(group, DictConfig) or last not in group or OmegaConf.is_missing(group, last):
        return ABSENT
    try:
        value = group[last]
    except InterpolationKeyError:  # a class that does not use the setting ignores it
        return ABSENT
    if isinstance(value, DictConfig):
        return {}  # its settings have ranges of their own
    return OmegaConf.to_container(value) if isinstance(value, ListConfig) else value


def _is_known_class(cfg: DictConfig, name: str) -> bool:
    """Return whether a setting belongs to a class of this project or its libraries."""
    target = OmegaConf.select(cfg, f"{name.rpartition('.')[0]}._target_", default=None)
    return target is None or str(target).split(".")[0] in PROVIDERS


def check_experiment(cfg: DictConfig) -> None:
    """Check that the experiment has settings for the search method.

    Raises:
        InputError: If the experiment has none. The message lists experiments for the method.
    """
    if "method" not in cfg or _has_method_settings(cfg):
        return
    choices = HydraConfig.get().runtime.choices
    method, config_name = choices.get("method"), HydraConfig.get().job.config_name
    experiments = GlobalHydra.instance().config_loader().get_group_options("experiment")
    legal_experiments = [
        name
        for name in experiments
        if _has_method_settings(compose(config_name, [f"experiment={name}", f"method={method}"]))
    ]
    raise InputError(
        f"experiment={choices.get('experiment')} has no settings for method={method}; legal "
        f"experiments: {', '.join(legal_experiments)}"
    )


def _has_method_settings(cfg: DictConfig) -> bool:
    try:
        OmegaConf.select(cfg, "method.supernet.network")  # ENAS: fails without cfg.supernet
    except InterpolationKeyError:
        return False
    return not OmegaConf.is_missing(cfg.method, "samples")
