"""What ``train.py`` does, from a configuration to a run folder: train, test, predict, export."""

import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from hydra.utils import instantiate
from omegaconf import DictConfig
from pytorch_lightning import Trainer
from pytorch_lightning.utilities import rank_zero_only
from torch import nn

from lightning_nas.callbacks.interrupt import interruptible
from lightning_nas.data.base import ImageData
from lightning_nas.data.unlabelled import UnlabelledImages
from lightning_nas.errors import InputError
from lightning_nas.evaluation.complexity import measure
from lightning_nas.export.formats import FORMATS, check_formats, export
from lightning_nas.modules.child import ChildModule
from lightning_nas.report.draw import write_with_pictures
from lightning_nas.run.from_weights import (
    DEFAULT,
    check_classes,
    check_images,
    choose_architecture,
    make_blueprint,
    use_run_images,
    use_weights_normalisation,
)
from lightning_nas.run.predictions import write_predictions
from lightning_nas.run.session import (
    build_data,
    build_trainer,
    find_checkpoint,
    log_configuration,
    run_folder,
)
from lightning_nas.storage.run_folder import display_path
from lightning_nas.weights.blueprint import Blueprint
from lightning_nas.weights.load import Weights, load_weights, read_weights

log = logging.getLogger(__name__)


def train(cfg: DictConfig) -> None:
    """Do what ``mode`` says."""
    modes: dict[str, Callable[[DictConfig, Path, dict[str, Any]], None]] = {
        "fit": fit,
        "test": test,
        "predict": predict,
        "export": export_only,
    }
    with run_folder(cfg) as (folder, facts):
        if cfg.mode not in modes:
            raise InputError(f"mode must be {', '.join(modes)}, got {cfg.mode!r}")
        if cfg.mode != "fit" and not cfg.weights:
            raise InputError(f"mode={cfg.mode} needs weights=RUN, of a training, or a file")
        check_formats(_formats(cfg))
        modes[cfg.mode](cfg, folder, facts)
    _print(folder, facts)


def fit(cfg: DictConfig, folder: Path, facts: dict[str, Any]) -> None:
    """Train one architecture, from scratch or from weights, and test it."""
    checkpoint = find_checkpoint(cfg)
    weights = _weights(cfg, checkpoint)
    architecture = choose_architecture(cfg, weights)
    data = build_data(cfg)
    if weights is not None:
        use_weights_normalisation(cfg, weights, data)
    blueprint = make_blueprint(cfg, architecture, data, weights)
    network = blueprint.build()
    if weights is not None and checkpoint is None:
        check_classes(weights, data, cfg.new_head)
        facts["weights"] = load_weights(network, weights, new_head=cfg.new_head)
        log.info(facts["weights"])
    facts |= _facts(blueprint, network, cfg.architecture or cfg.weights or DEFAULT)
    log.info("training %s, %s parameters", facts["architecture"], f"{facts['parameters']:,}")
    module = _module(cfg, network, blueprint)
    trainer = build_trainer(cfg)
    log_configuration(trainer, cfg)
    if cfg.compile:
        compile_network(network, trainer.strategy.root_device)
    facts |= _fit_and_test(trainer, module, data, folder, checkpoint)
    if trainer.is_global_zero:
        write_with_pictures(architecture, folder)
        if cfg.export:
            facts["exported"] = _export(cfg, network, blueprint, folder)


def _fit_and_test(
    trainer: Trainer, module: ChildModule, data: ImageData, folder: Path, checkpoint: str | None
) -> dict[str, Any]:
    """Train, from a checkpoint if there is one, test what is kept, and return the facts of it."""
    seconds = time.monotonic()
    with interruptible(trainer):
        trainer.fit(module, datamodule=data, ckpt_path=checkpoint, weights_only=True)
    seconds = time.monotonic() - seconds
    best = trainer.checkpoint_callback.best_model_path or None  # type: ignore[union-attr]
    kept = str(folder / "checkpoints" / "last.ckpt") if data.train_on_all else best
    (result,) = trainer.test(
        module, datamodule=data, ckpt_path=kept, verbose=False, weights_only=True
    )
    facts = {
        "test_accuracy": result["test/accuracy"],
        "epochs": trainer.current_epoch,
        "checkpoint": kept,
    }
    if checkpoint is None:  # else the seconds are not those of all epochs
        batches = trainer.current_epoch * int(trainer.num_training_batches)
        images = batches * data.batch_size * trainer.world_size
        facts["images_per_second"] = round(images / seconds, 1)
    return facts


def test(cfg: DictConfig, folder: Path, facts: dict[str, Any]) -> None:
    """Test trained weights, on the images that they were trained on or on others."""
    weights, blueprint, network = _trained(cfg)
    use_run_images(cfg, blueprint)
    data = build_data(cfg)
    check_images(blueprint, data)
    check_classes(weights, data)
    data.pixel_mean, data.pixel_std = blueprint.mean, blueprint.std
    trainer = build_trainer(cfg)
    module = _module(cfg, network, blueprint)
    (result,) = trainer.test(module, datamodule=data, verbose=False)
    facts |= {
        **_facts(blueprint, network, cfg.weights),
        "test_accuracy": result["test/accuracy"],
        "data": cfg.data._target_.split(".")[-2],
        "checkpoint": str(cfg.weights),
    }


def predict(cfg: DictConfig, folder: Path, facts: dict[str, Any]) -> None:
    """Write the classes that trained weights see in a folder of images."""
    if not cfg.images:
        raise InputError("mode=predict needs images=DIR, a folder of images, or one image")
    _, blueprint, network = _trained(cfg)
    trainer = build_trainer(cfg)
    images = UnlabelledImages(
        cfg.images,
        image_size=blueprint.image_size,
        channels=blueprint.channels,
        mean=blueprint.mean,
        std=blueprint.std,
        crop=blueprint.crop,
        num_workers=cfg.data.get("num_workers", 0),
        device=trainer.strategy.root_device,
    )
    module = _module(cfg, network, blueprint)
    path = folder / "predictions.csv"
    batches: Any = trainer.predict(module, dataloaders=images)
    write_predictions(path, batches, blueprint.classes)
    facts |= {
        **_facts(blueprint, network, cfg.weights),
        "data": str(cfg.images),
        "predictions": str(path),
    }


def export_only(cfg: DictConfig, folder: Path, facts: dict[str, Any]) -> None:
    """Write trained weights in other formats."""
    if not cfg.export:
        raise InputError(f"mode=export needs export=FORMAT, out of {', '.join(FORMATS)}, or a list")
    _, blueprint, network = _trained(cfg)
    facts |= {
        **_facts(blueprint, network, cfg.weights),
        "exported": _export(cfg, network, blueprint, folder),
    }
    facts.pop("data")  # it needs no images


def compile_network(network: nn.Module, device: torch.device) -> None:
    """Let torch compile the network when it first runs.

    Raises:
        InputError: If there is no compiler here that works.
    """
    try:
        torch.compile(nn.ReLU())(torch.zeros(2, device=device))
    except Exception as error:
        reason = [*str(error).strip().splitlines(), type(error).__name__][0]
        raise InputError(f"compile=true: torch cannot compile here ({reason})") from error
    network.compile()


def _weights(cfg: DictConfig, checkpoint: str | None) -> Weights | None:
    """Return those to begin with; a resumed training needs its own alone."""
    source = checkpoint or cfg.weights
    if cfg.new_head and not source:
        raise InputError("recipe=finetune and new_head=true need weights=RUN, or a file")
    return read_weights(str(source), Path(cfg.paths.data) / "weights") if source else None


def _module(cfg: DictConfig, network: nn.Module, blueprint: Blueprint) -> ChildModule:
    module = instantiate(cfg.module, network=network, num_classes=blueprint.num_classes)
    module.blueprint = blueprint  # Hydra would have turned it into a configuration
    return module


def _trained(cfg: DictConfig) -> tuple[Weights, Blueprint, nn.Module]:
    weights = read_weights(str(cfg.weights), Path(cfg.paths.data) / "weights")
    blueprint = weights.known()
    network = blueprint.build()
    load_weights(network, weights)
    return weights, blueprint, network


def _facts(blueprint: Blueprint, network: nn.Module, source: Any) -> dict[str, Any]:
    cost = measure(network, blueprint.channels, blueprint.image_size)
    return {
        "architecture": str(source),
        "parameters": cost.parameters,
        "multiply_adds": cost.multiply_adds,
    }


def _export(
    cfg: DictConfig, network: nn.Module, blueprint: Blueprint, folder: Path
) -> dict[str, str]:
    paths = export(network, blueprint, _formats(cfg), folder / "export")
    return {name: str(path) for name, path in paths.items()}


def _formats(cfg: DictConfig) -> list[str]:
    return [cfg.export] if isinstance(cfg.export, str) else list(cfg.export or [])


@rank_zero_only
def _print(folder: Path, facts: dict[str, Any]) -> None:
    """Print what came out, a line each."""
    named = {"architecture": "architecture", "images": "data", "weights": "weights"}
    lines = {name: facts[fact] for name, fact in named.items() if facts.get(fact)}
    if "test_accuracy" in facts:
        lines |= {
            "test error": f"{1 - facts['test_accuracy']:.2%}",
            "test accuracy": f"{facts['test_accuracy']:.2%}",
            "parameters": f"{facts['parameters']:,}",
            "multiply-adds": f"{facts['multiply_adds']:,}",
        }
    if "epochs" in facts:
        lines["epochs"] = str(facts["epochs"])
    if "images_per_second" in facts:
        lines["speed"] = f"{facts['images_per_second']:,.0f} images a second, validation included"
    files = {**facts.get("exported", {}), "predictions": facts.get("predictions")}
    lines |= {name: str(display_path(Path(path))) for name, path in files.items() if path}
    lines["run folder"] = str(display_path(folder))
    print("\n" + "\n".join(f"{name:<16}{line}" for name, line in lines.items()))
