"""The command ``train.py``: train, test, predict or export one architecture in a run folder."""

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
from lightning_nas.callbacks.saving import choose_checkpoint, explain_checkpoint
from lightning_nas.data.base import ImageData
from lightning_nas.data.describe import describe_left_out, describe_shape
from lightning_nas.data.folders import UNREADABLE
from lightning_nas.data.unlabelled import UnlabelledImages
from lightning_nas.errors import InputError
from lightning_nas.evaluation.complexity import measure
from lightning_nas.export.formats import FORMATS, check_formats, export
from lightning_nas.modules.child import ChildModule
from lightning_nas.report.draw import write_with_pictures
from lightning_nas.report.training import REPORTED
from lightning_nas.run.network_settings import (
    DEFAULT_ARCHITECTURE,
    check_classes,
    check_image_shape,
    choose_architecture,
    choose_data_of_weights,
    choose_test_settings,
    find_searched_size,
    make_blueprint,
    use_weights_normalisation,
)
from lightning_nas.run.parts import build_data, build_trainer, find_checkpoint, log_configuration
from lightning_nas.run.predictions import gather_predictions, write_predictions
from lightning_nas.run.result_lines import print_facts
from lightning_nas.run.session import RunSession, run_session, write_report_safely
from lightning_nas.run.testing import evaluate_on_test
from lightning_nas.run.time_budget import fit_training
from lightning_nas.run.training_cost import describe_training, estimate_training
from lightning_nas.storage.run_folder import RunFolder
from lightning_nas.weights.blueprint import Blueprint
from lightning_nas.weights.load import Weights, load_weights, read_weights

log = logging.getLogger(__name__)


def train(cfg: DictConfig) -> None:
    """Run the command ``mode``: ``fit`` (train and test), ``test``, ``predict`` or ``export``.

    Raises:
        InputError: If ``mode`` or ``export`` is not legal, or ``weights`` is missing.
    """
    modes: dict[str, Callable[[DictConfig, RunSession], dict[str, Any]]] = {
        "fit": fit,
        "test": test,
        "predict": predict,
        "export": export_weights,
    }
    report = write_report_safely if cfg.mode in REPORTED else None
    with run_session(cfg, report) as session:
        if cfg.mode not in modes:
            raise InputError(f"mode must be {', '.join(modes)}, got {cfg.mode!r}")
        if cfg.mode != "fit" and not cfg.weights:
            raise InputError(f"mode={cfg.mode} needs weights=RUN (a training) or weights=FILE")
        if cfg.get("dry_run") and cfg.mode != "fit":
            raise InputError(f"dry_run=true estimates a training; mode={cfg.mode} is none")
        check_formats(_list_formats(cfg))
        session.add_facts(**modes[cfg.mode](cfg, session))
    if session.writes_results:
        print_facts(session.folder, session.facts)


def fit(cfg: DictConfig, session: RunSession) -> dict[str, Any]:
    """Train one architecture from scratch or from weights, test the network, return the facts."""
    checkpoint = find_checkpoint(cfg)
    weights = _read_initial_weights(cfg, checkpoint)
    architecture = choose_architecture(cfg, weights)
    data = build_data(cfg)
    session.note_data(data)
    if weights is not None:
        use_weights_normalisation(cfg, weights, data)
    blueprint = make_blueprint(cfg, architecture, data, weights)
    network = blueprint.build()
    if weights is not None and checkpoint is None:
        check_classes(weights, data, cfg.new_head)
        loaded = load_weights(network, weights, new_head=cfg.new_head)
        session.add_facts(weights=loaded)
        log.info(loaded)
    source = cfg.architecture or cfg.weights or DEFAULT_ARCHITECTURE
    size = _describe_network(blueprint, network, source)
    session.add_facts(**size)  # so that the summary of an interrupted training has the size
    searched, other = find_searched_size(cfg.architecture), ""
    if searched not in (None, size["parameters"]):
        session.add_facts(searched_parameters=searched)
        other = f"; in the search: {searched:,}"
    if cfg.get("minutes"):  # a resume has the settings of the shorter training
        wanted = session.earlier_summary.get("recipe_epochs", cfg.trainer.max_epochs)
        session.add_facts(recipe_epochs=wanted)
    fit_training(
        cfg, lambda: _build_module(cfg, blueprint.build(), blueprint), data, session.folder
    )
    plan = describe_training(cfg, data)
    module = _build_module(cfg, network, blueprint)
    if cfg.get("dry_run"):
        network_line = f"{source}, {size['parameters']:,} parameters{other}"
        lines = {"network": network_line, "training": plan, **estimate_training(cfg, module, data)}
        print("\n".join(f"{name:<16}{line}" for name, line in lines.items()))
        return {}
    log.info("training %s, %s parameters%s: %s", source, f"{size['parameters']:,}", other, plan)
    trainer = build_trainer(cfg, session)
    log_configuration(trainer, cfg)
    if cfg.compile:
        compile_network(network, trainer.strategy.root_device)
    facts = _fit_and_test(trainer, module, data, session.folder, checkpoint)
    if trainer.is_global_zero:
        write_with_pictures(architecture, session.folder.path)
        if cfg.export:
            facts["exported"] = _export(cfg, network, blueprint, session.folder)
    return facts


def _fit_and_test(
    trainer: Trainer,
    module: ChildModule,
    data: ImageData,
    folder: RunFolder,
    checkpoint: str | None,
) -> dict[str, Any]:
    """Train (a resume starts at ``checkpoint``), test the chosen checkpoint, return the facts."""
    start = time.monotonic()
    with interruptible(trainer), explain_checkpoint(checkpoint):
        trainer.fit(module, datamodule=data, ckpt_path=checkpoint, weights_only=True)
    seconds = time.monotonic() - start
    chosen = choose_checkpoint(trainer, folder.last_checkpoint, is_last=data.train_on_all)
    facts = {
        "test_accuracy": evaluate_on_test(trainer, module, data, folder, chosen),
        "epochs": trainer.current_epoch,
        "checkpoint": chosen,
    }
    if checkpoint is None:  # a resume measures the time of the last epochs only
        batches = trainer.current_epoch * int(trainer.num_training_batches)
        images = batches * data.batch_size * trainer.world_size
        facts["images_per_second"] = round(images / seconds, 1)
    return facts


def test(cfg: DictConfig, session: RunSession) -> dict[str, Any]:
    """Test trained weights on the data set of the training or another one; return the facts."""
    weights, blueprint, network = _read_trained(cfg)
    data_name = choose_data_of_weights(cfg, blueprint) or session.find_choice("data")
    data = build_data(cfg, **choose_test_settings(cfg, blueprint))
    session.note_data(data, is_trained_on=False)
    check_image_shape(blueprint, data)
    check_classes(weights, data)
    data.pixel_mean, data.pixel_std = blueprint.mean, blueprint.std
    trainer = build_trainer(cfg, session)
    module = _build_module(cfg, network, blueprint)
    return {
        **_describe_network(blueprint, network, cfg.weights),
        "test_accuracy": evaluate_on_test(trainer, module, data, session.folder),
        "data": data_name,
        "checkpoint": str(cfg.weights),
    }


def predict(cfg: DictConfig, session: RunSession) -> dict[str, Any]:
    """Predict the classes of the images in a folder, write them as CSV, and return the facts."""
    if not cfg.images:
        raise InputError("mode=predict needs images=DIR (a folder of images) or images=FILE")
    _, blueprint, network = _read_trained(cfg)
    trainer = build_trainer(cfg, session)
    images = UnlabelledImages(
        cfg.images,
        image_size=blueprint.image_size,
        channels=blueprint.channels,
        mean=blueprint.mean,
        std=blueprint.std,
        crop=blueprint.crop,
        num_workers=cfg.data.get("num_workers", 0),
        device=trainer.strategy.root_device,
        rank=trainer.global_rank,
        world_size=trainer.world_size,
    )
    print_images(images, describe_shape(blueprint.image_size, blueprint.channels))
    module = _build_module(cfg, network, blueprint)
    path = session.folder.predictions
    own: Any = trainer.predict(module, dataloaders=images)
    batches, errors = gather_predictions(own, images.errors, trainer.world_size)
    images.left_out[UNREADABLE] = len(errors)
    if trainer.is_global_zero:
        write_predictions(path, batches, blueprint.classes, errors, cfg.get("top", 1))
    return {
        "images": len(images.paths),
        "left_out": dict(+images.left_out),
        **_describe_network(blueprint, network, cfg.weights),
        "data": str(cfg.images),
        "predictions": str(path),
    }


@rank_zero_only
def print_images(images: UnlabelledImages, shape: str) -> None:
    """Print the number of images to predict, their shape, and what was left out."""
    number, left_out = len(images.paths), describe_left_out(images.left_out)
    print(f"data: {number:,} images, {shape}{left_out}", flush=True)


def export_weights(cfg: DictConfig, session: RunSession) -> dict[str, Any]:
    """Write trained weights in other formats and return the facts."""
    if not cfg.export:
        raise InputError(
            f"mode=export needs export=FORMAT or a list; formats: {', '.join(FORMATS)}"
        )
    _, blueprint, network = _read_trained(cfg)
    return {
        **_describe_network(blueprint, network, cfg.weights),
        "exported": _export(cfg, network, blueprint, session.folder),
    }


def compile_network(network: nn.Module, device: torch.device) -> None:
    """Make torch compile the network at its first forward pass.

    Raises:
        InputError: If torch finds no compiler that works on this machine.
    """
    try:
        torch.compile(nn.ReLU())(torch.zeros(2, device=device))
    except Exception as error:
        reason = [*str(error).strip().splitlines(), type(error).__name__][0]
        raise InputError(f"compile=true: torch cannot compile here ({reason})") from error
    network.compile()


def _read_initial_weights(cfg: DictConfig, checkpoint: str | None) -> Weights | None:
    """Return the initial weights; a resume takes the weights of the checkpoint."""
    source = checkpoint or cfg.weights
    if cfg.new_head and not source:
        raise InputError("recipe=finetune and new_head=true need weights=RUN or weights=FILE")
    return read_weights(str(source), Path(cfg.paths.data) / "weights") if source else None


def _read_trained(cfg: DictConfig) -> tuple[Weights, Blueprint, nn.Module]:
    """Return trained weights, their blueprint, and their network with the weights loaded."""
    weights = read_weights(str(cfg.weights), Path(cfg.paths.data) / "weights")
    blueprint = weights.require_blueprint()
    network = blueprint.build()
    load_weights(network, weights)
    return weights, blueprint, network


def _build_module(cfg: DictConfig, network: nn.Module, blueprint: Blueprint) -> ChildModule:
    module = instantiate(cfg.module, network=network, num_classes=blueprint.num_classes)
    module.blueprint = blueprint  # Hydra would turn an argument into a configuration
    return module


def _describe_network(blueprint: Blueprint, network: nn.Module, source: Any) -> dict[str, Any]:
    cost = measure(network, blueprint.channels, blueprint.image_size)
    return {
        "architecture": str(source),
        "parameters": cost.parameters,
        "multiply_adds": cost.multiply_adds,
    }


def _export(
    cfg: DictConfig, network: nn.Module, blueprint: Blueprint, folder: RunFolder
) -> dict[str, str]:
    paths = export(network, blueprint, _list_formats(cfg), folder.export)
    return {name: str(path) for name, path in paths.items()}


def _list_formats(cfg: DictConfig) -> list[str]:
    return [cfg.export] if isinstance(cfg.export, str) else list(cfg.export or [])
