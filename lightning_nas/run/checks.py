"""Checks of a configuration before anything is built from it."""

from typing import Annotated, Any, Literal

from hydra import compose
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import InterpolationKeyError
from pydantic import Field, TypeAdapter, ValidationError

from lightning_nas.errors import InputError

Whole = Annotated[int, Field(ge=1)]
# name: (type and range, their words). A setting that a command does not have is None.
SETTINGS: dict[str, tuple[Any, str]] = {
    "seed": (Annotated[int, Field(ge=0, lt=2**32)], f"a whole number from 0 to {2**32 - 1}"),
    "threads": (Whole | None, "a whole number of at least 1, or null"),
    "dry_run": (bool | None, "true or false"),
    "new_head": (bool | None, "true or false"),
    "compile": (bool | None, "true or false"),
    "trainer.max_epochs": (
        Whole | Literal[-1],
        "a whole number, at least 1, or -1 for no limit",
    ),
    "data.batch_size": (Whole | None, "a whole number of at least 1"),
    "data.image_size": (Whole | None, "a whole number of at least 1, or null"),
    "data.num_workers": (Annotated[int, Field(ge=0)] | None, "a whole number of at least 0"),
    "data.train_on_all": (bool | None, "true or false"),
    "data.skip_unreadable": (bool | None, "true or false"),
    "module.optimizer.lr": (
        Annotated[float, Field(gt=0, allow_inf_nan=False)] | None,
        "a number above 0",
    ),
}


def check_settings(cfg: DictConfig) -> None:
    """Check the settings that all commands share.

    Raises:
        InputError: If a setting of ``SETTINGS`` is of a wrong type or out of its range, if a search
            would score on images that it trains on, or if the experiment has no settings for the
            method.
    """
    for name, (kind, legal) in SETTINGS.items():
        value = OmegaConf.select(cfg, name)
        try:
            TypeAdapter(kind).validate_python(value, strict=True)
        except ValidationError:
            raise InputError(f"{name} must be {legal}, got {value}") from None
    if "method" in cfg and OmegaConf.select(cfg, "data.train_on_all"):
        raise InputError(
            "data.train_on_all=true: a search would score its architectures on images that it "
            "trains on; it is for the final training: train.py"
        )
    check_experiment(cfg)


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
