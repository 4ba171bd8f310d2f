"""What ``train.py`` does, from a configuration to a run folder: train, test, predict, export."""

import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from hydra.core.hydra_config import HydraConfig
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf
from pytorch_lightning.utilities import rank_zero_only
from torch import nn

from lightning_nas.architecture import Architecture
from lightning_nas.data.base import ImageData
from lightning_nas.data.unlabelled import UnlabelledImages
from lightning_nas.errors import InputError
from lightning_nas.evaluation.complexity import measure
from lightning_nas.modules.child import ChildModule
from lightning_nas.modules.weights import Weights, load_weights, read_weights
from lightning_nas.networks.blueprint import Blueprint
from lightning_nas.published import load_architecture
from lightning_nas.report.draw import write_with_pictures
from lightning_nas.report.export import FORMATS, export
from lightning_nas.report.predictions import write_predictions
from lightning_nas.runs import (
    build_data,
    build_trainer,
    checkpoint_of,
    log_configuration,
    run_folder,
    shown,
)

log = logging.getLogger(__name__)
ONLY_CELLS = (
    *("cells", "auxiliary", "drop_path"),
    *("stem", "stem_filters", "skip_reduction_input"),
)  # settings of networks
DEFAULT = "enas_micro"  # the architecture where none is given
SAID = {"images": "data", "weights": "weights"}
LARGE_IMAGES = 96  # pixels from which cells get the stem for large images


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
        modes[cfg.mode](cfg, folder, facts)
    _print(folder, facts)


def fit(cfg: DictConfig, folder: Path, facts: dict[str, Any]) -> None:
    """Train one architecture, from scratch or from weights, and test it."""
    weights = _weights(cfg)
    architecture = _architecture(cfg, weights)
    data = build_data(cfg)
    blueprint = _blueprint(cfg, architecture, data, weights)
    network = blueprint.build()
    if weights is not None:
        _check_classes(weights, data, cfg.new_head)
        facts["weights"] = load_weights(network, weights, new_head=cfg.new_head)
        log.info(facts["weights"])
    facts |= _facts(blueprint, network, cfg.architecture or cfg.weights or DEFAULT)
    module = _module(cfg, network, blueprint)
    trainer = build_trainer(cfg)
    log_configuration(trainer, cfg)
    if cfg.compile:
        compile_network(network, trainer.strategy.root_device)
    watch = time.monotonic()
    trainer.fit(module, datamodule=data, ckpt_path=checkpoint_of(cfg), weights_only=True)
    watch = time.monotonic() - watch
    batches = trainer.current_epoch * int(trainer.num_training_batches)
    images = batches * data.batch_size * trainer.world_size
    best = trainer.checkpoint_callback.best_model_path or None  # type: ignore[union-attr]
    checkpoint = str(folder / "checkpoints" / "last.ckpt") if data.train_on_all else best
    (result,) = trainer.test(
        module, datamodule=data, ckpt_path=checkpoint, verbose=False, weights_only=True
    )
    facts |= {
        "test_accuracy": result["test/accuracy"],
        "epochs": trainer.current_epoch,
        "images_per_second": round(images / watch, 1),
        "checkpoint": checkpoint,
    }
    if trainer.is_global_zero:
        write_with_pictures(architecture, folder)
        if cfg.export:
            facts["exported"] = _export(cfg, network, blueprint, folder)


def test(cfg: DictConfig, folder: Path, facts: dict[str, Any]) -> None:
    """Test trained weights, on the images that they were trained on or on others."""
    weights, blueprint, network = _trained(cfg)
    _as_trained(cfg, blueprint)
    data = build_data(cfg)
    _check_images(blueprint, data)
    _check_classes(weights, data)
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


def compile_network(network: nn.Module, device: torch.device) -> None:
    """Let torch compile the network when it first runs.

    Raises:
        InputError: If there is no compiler here that works.
    """
    try:
        torch.compile(nn.ReLU())(torch.zeros(2, device=device))
    except Exception as error:
        reason = str(error).strip().splitlines()[0]
        raise InputError(f"compile=true: torch cannot compile here ({reason})") from error
    network.compile()


def _weights(cfg: DictConfig) -> Weights | None:
    return read_weights(str(cfg.weights), Path(cfg.paths.data) / "weights") if cfg.weights else None


def _architecture(cfg: DictConfig, weights: Weights | None) -> Architecture:
    if cfg.architecture:
        return load_architecture(cfg.architecture)
    if weights is None:
        return load_architecture(DEFAULT)
    return weights.blueprint.architecture if weights.blueprint else load_architecture(cfg.weights)


def _blueprint(
    cfg: DictConfig, architecture: Architecture, data: ImageData, weights: Weights | None
) -> Blueprint:
    """Return what is trained: what the settings leave open is as in the weights."""
    settings = network_settings(cfg, architecture.kind)
    as_trained = _settings_of(weights, str(cfg.weights)) if weights is not None else {}
    for name, value in settings.items():
        if value is None:
            settings[name] = as_trained.get(name)
    if settings.get("stem", "") is None:
        settings["stem"] = "imagenet" if data.image_size >= LARGE_IMAGES else "cifar"
    return Blueprint(
        architecture,
        {name: value for name, value in settings.items() if value is not None},
        num_classes=data.num_classes,
        classes=tuple(data.classes),
        channels=data.channels,
        image_size=data.image_size,
        mean=tuple(data.pixel_mean),
        std=tuple(data.pixel_std),
        crop=data.crop,
    )


def network_settings(cfg: DictConfig, kind: str) -> dict[str, Any]:
    """Return the settings of the network that apply to this kind of architecture."""
    settings: dict[str, Any] = OmegaConf.to_container(cfg.network, resolve=True)  # type: ignore[assignment]
    foreign: tuple[str, ...] = {
        "cell": (),
        "macro": ONLY_CELLS,
        "chain": (*ONLY_CELLS, "filters"),
        "edge_cell": tuple(name for name in ONLY_CELLS if name != "cells"),
    }[kind]
    return {name: value for name, value in settings.items() if name not in foreign}


def _settings_of(weights: Weights, source: str) -> dict[str, Any]:
    """Return how the weights' network was built: shared weights lie in the run of their search."""
    if weights.blueprint is not None:
        return dict(weights.blueprint.settings)
    saved = Path(source) / ".hydra" / "config.yaml"
    supernet = OmegaConf.select(OmegaConf.load(saved), "supernet") if saved.exists() else None
    return {name: supernet.get(name) for name in ("filters", "cells")} if supernet else {}


def _module(cfg: DictConfig, network: nn.Module, blueprint: Blueprint) -> ChildModule:
    make = instantiate(cfg.module, _partial_=True)  # Hydra would turn a blueprint into a config
    return make(network=network, num_classes=blueprint.num_classes, blueprint=blueprint)


def _trained(cfg: DictConfig) -> tuple[Weights, Blueprint, nn.Module]:
    weights = read_weights(str(cfg.weights), Path(cfg.paths.data) / "weights")
    blueprint = weights.known()
    network = blueprint.build()
    load_weights(network, weights)
    return weights, blueprint, network


def _as_trained(cfg: DictConfig, blueprint: Blueprint) -> None:
    """Let the images be those of the weights' run, unless others are given, in the same size."""
    given = HydraConfig.get().overrides.task
    saved = Path(cfg.weights) / ".hydra" / "config.yaml"
    if saved.exists() and not any(override.startswith("data=") for override in given):
        cfg.data = OmegaConf.load(saved).data
        dotted = [override for override in given if override.startswith("data.")]
        cfg.data = OmegaConf.merge(cfg.data, OmegaConf.from_dotlist(dotted).get("data", {}))
    if "image_size" in cfg.data:
        cfg.data.image_size = blueprint.image_size
    if "crop" in cfg.data:
        cfg.data.crop = blueprint.crop


def _check_images(blueprint: Blueprint, data: ImageData) -> None:
    here, there = (data.channels, data.image_size), (blueprint.channels, blueprint.image_size)
    if here != there:
        raise InputError(
            f"the images have {here[0]} channels and {here[1]} pixels a side, those of the weights "
            f"{there[0]} and {there[1]}"
        )


def _check_classes(weights: Weights, data: ImageData, new_head: bool = False) -> None:
    blueprint = weights.blueprint
    if new_head or blueprint is None:
        return
    there = list(blueprint.classes) or [f"{blueprint.num_classes} classes without names"]
    here = list(data.classes)
    if (blueprint.classes and there != here) or blueprint.num_classes != data.num_classes:
        raise InputError(
            f"weights={weights.source} are of other classes ({_few(there)}) than the images "
            f"({_few(here)}): recipe=finetune or new_head=true trains a new head"
        )


def _few(names: list[str], shown: int = 5) -> str:
    more = f" and {len(names) - shown} more" if len(names) > shown else ""
    return ", ".join(names[:shown]) + more


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
    formats = [cfg.export] if isinstance(cfg.export, str) else list(cfg.export)
    paths = export(network, blueprint, formats, folder / "export")
    return {name: str(path) for name, path in paths.items()}


@rank_zero_only
def _print(folder: Path, facts: dict[str, Any]) -> None:
    """Print what came out, a line each."""
    lines = {name: facts[key] for name, key in SAID.items() if key in facts}
    if "test_accuracy" in facts:
        lines |= {
            "test error": f"{1 - facts['test_accuracy']:.2%}",
            "test accuracy": f"{facts['test_accuracy']:.2%}",
            "parameters": f"{facts['parameters']:,}",
            "multiply-adds": f"{facts['multiply_adds']:,}",
        }
    if "epochs" in facts:
        speed = f"{facts['images_per_second']:,.0f} images a second, validation included"
        lines["epochs"] = f"{facts['epochs']}, {speed}"
    files = {**facts.get("exported", {}), "predictions": facts.get("predictions")}
    lines |= {name: str(shown(Path(path))) for name, path in files.items() if path}
    lines["run folder"] = str(shown(folder))
    print("\n" + "\n".join(f"{name:<16}{line}" for name, line in lines.items()))
