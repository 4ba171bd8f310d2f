"""The parts of a run that both commands build from the configuration: data, Trainer, checkpoint."""

import logging
from typing import Any

import pytorch_lightning as pl
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf
from pytorch_lightning.callbacks import Checkpoint, LambdaCallback, ProgressBar
from pytorch_lightning.loggers import Logger

from lightning_nas.callbacks.saving import AtomicCheckpointIO
from lightning_nas.data.base import ImageData
from lightning_nas.data.describe import describe_data
from lightning_nas.errors import InputError
from lightning_nas.run.build import drop_foreign_settings
from lightning_nas.run.folders import is_first_of_run
from lightning_nas.run.session import RunSession
from lightning_nas.storage.run_folder import RunFolder, display_path

log = logging.getLogger(__name__)
HALF_PRECISION = ("bf16-mixed", "16-mixed", "bf16-true", "16-true")


def build_data(cfg: DictConfig, announce: bool = True, **changes: Any) -> ImageData:
    """Read the data, print what was read if ``announce`` is true, and return the data.

    ``changes`` replace settings of ``cfg.data``. If ``cfg`` has a supernet, write the number of
    classes, the channels and the image size into ``cfg.supernet``.
    """
    drop_foreign_settings(cfg)
    data: ImageData = instantiate(cfg.data, **changes)
    data.prepare_data()
    data.setup()
    if announce and is_first_of_run():
        print(describe_data(data), flush=True)
    if cfg.get("supernet"):
        cfg.supernet.num_classes = data.num_classes
        cfg.supernet.channels = data.channels
        cfg.supernet.image_size = data.image_size
    return data


def build_trainer(cfg: DictConfig, session: RunSession) -> pl.Trainer:
    """Return Lightning's Trainer with the callbacks and loggers of the configuration.

    The Trainer calls ``session.begin`` after each training step and at the end of the fit.
    """
    begin = LambdaCallback(
        on_train_batch_end=lambda *_: session.begin(), on_fit_end=lambda *_: session.begin()
    )
    loggers = _build_all(cfg, "logger", Logger)
    callbacks = _build_all(cfg, "callbacks", pl.Callback)
    trainer: pl.Trainer = instantiate(
        cfg.trainer,
        logger=loggers,
        callbacks=[begin, *callbacks],
        plugins=[AtomicCheckpointIO()],
        enable_progress_bar=any(isinstance(call, ProgressBar) for call in callbacks),
        # without a callback that saves, Lightning would save into the working directory
        enable_checkpointing=any(isinstance(call, Checkpoint) for call in callbacks),
    )
    if trainer.strategy.root_device.type == "cpu" and trainer.precision in HALF_PRECISION:
        log.warning(
            "trainer.precision=%s is slow on a CPU; use trainer.precision=32-true",
            trainer.precision,
        )
    return trainer


def _build_all(cfg: DictConfig, group: str, kind: type) -> list[Any]:
    """Build the parts of a group, such as the loggers. Leave out parts that are null."""
    parts = instantiate(cfg.get(group) or {})
    for name, part in parts.items():
        if isinstance(part, DictConfig):  # for example settings for a callback that is not in use
            raise InputError(f"{group}.{name} names no class (_target_)")
        if part is not None and not isinstance(part, kind):
            given = cfg[group][name]
            given = given._target_ if isinstance(given, DictConfig) else given
            raise InputError(f"{group}.{name} must be a {kind.__name__} of Lightning, got {given}")
    return [part for part in parts.values() if part is not None]


def log_configuration(trainer: pl.Trainer, cfg: DictConfig) -> None:
    """Log the whole configuration, with all references resolved, to all loggers."""
    settings: Any = OmegaConf.to_container(cfg, resolve=True)
    for logger in trainer.loggers:
        logger.log_hyperparams(settings)


def find_checkpoint(cfg: DictConfig) -> str | None:
    """Return the checkpoint of a resumed run; None if there is no checkpoint yet."""
    if not cfg.resume:
        return None
    run = RunFolder(cfg.resume)
    if run.last_checkpoint.exists():
        return str(run.last_checkpoint)
    kept = "; all evaluated architectures are kept" if run.journal.exists() else ""
    log.warning(
        "%s: no checkpoint yet; the run starts at the first epoch%s", display_path(run.path), kept
    )
    return None
