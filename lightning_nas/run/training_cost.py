"""What a training will do and cost: the line before it begins, and its dry run."""

from dataclasses import dataclass

import pytorch_lightning as pl
import torch
from hydra.core.hydra_config import HydraConfig
from hydra.utils import instantiate
from omegaconf import DictConfig

from lightning_nas.data.base import ImageData
from lightning_nas.evaluation.child_steps import Stopwatch
from lightning_nas.modules.child import ChildModule
from lightning_nas.search.estimate import format_duration

TIMED_BATCHES = 3
FEW = 1000  # training images; recipe=small was measured on 300 and 640


def describe_training(cfg: DictConfig, data: ImageData) -> str:
    """Return recipe and length of a training in words."""
    choices = HydraConfig.get().runtime.choices
    recipe = str(choices.get("recipe", "[]"))  # a resume has none
    epochs, steps = cfg.trainer.max_epochs, len(data.train_dataloader())
    words = f"{epochs} epochs of {steps:,} steps with {data.batch_size} images"
    has_few_files = choices.get("data") == "image_folder" and data.split_sizes["train"] < FEW
    if recipe == "quick" and has_few_files:
        words += "; for so few images, recipe=small may be more accurate"
    return f"recipe {recipe}, {words}" if recipe != "[]" else words


@dataclass(frozen=True)
class TrainingCost:
    """Measured cost of a training.

    Args:
        step: Seconds of a training step.
        epoch: Seconds of an epoch with its validation.
        device: Device of the training.
    """

    step: float
    epoch: float
    device: torch.device


def measure_training(cfg: DictConfig, module: ChildModule, data: ImageData) -> TrainingCost:
    """Time a few batches. The steps change the weights of the module."""
    watch = Stopwatch()
    trainer: pl.Trainer = instantiate(
        cfg.trainer,
        logger=False,
        callbacks=[watch],
        max_epochs=2,  # the first warms up, the second is timed
        limit_train_batches=TIMED_BATCHES,
        limit_val_batches=TIMED_BATCHES,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(module, datamodule=data)
    train, validation = watch.seconds("train"), watch.seconds("validation")
    epoch = train * len(data.train_dataloader()) + validation * len(data.val_dataloader())
    return TrainingCost(train, epoch, watch.device)


def estimate_training(cfg: DictConfig, module: ChildModule, data: ImageData) -> dict[str, str]:
    """Time a few batches and return the cost of the training in words, by name.

    The steps change the weights of the module.
    """
    cost = measure_training(cfg, module, data)
    lines = {
        "step": f"{1000 * cost.step:,.0f} ms on {cost.device}",
        "epoch": format_duration(cost.epoch),
    }
    if cfg.trainer.max_epochs > 0:
        lines["whole training"] = format_duration(cost.epoch * cfg.trainer.max_epochs)
    return lines
