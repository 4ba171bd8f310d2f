"""Checks of a configuration before anything is built from it."""

from hydra import compose
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import InterpolationKeyError

from lightning_nas.errors import InputError


def check_settings(cfg: DictConfig) -> None:
    """Check the settings that all commands share.

    Raises:
        InputError: If the seed is not a whole number, ``trainer.max_epochs`` is neither a positive
            whole number nor -1, or the experiment has no settings for the method.
    """
    if not isinstance(cfg.seed, int):
        raise InputError(f"seed must be a whole number, got {cfg.seed}")
    epochs = cfg.trainer.max_epochs
    if not isinstance(epochs, int) or (epochs != -1 and epochs < 1):
        raise InputError(
            "trainer.max_epochs must be a whole number, at least 1, or -1 for no limit, "
            f"got {epochs}"
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
