"""What trained weights bring along: architecture, size of the network, images, classes."""

import re
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from lightning_nas.architecture import Architecture
from lightning_nas.data.base import ImageData
from lightning_nas.errors import InputError, list_some
from lightning_nas.published import load_architecture
from lightning_nas.run.arguments import find_run_folder
from lightning_nas.weights.blueprint import Blueprint
from lightning_nas.weights.load import Weights

DEFAULT = "enas_micro"  # the architecture where none is given
FROM_HYDRA = re.compile(r"\$\{hydra:([^${}]+)\}")
LARGE_IMAGES = 96  # pixels from which cells get the stem for large images
ONLY_CELLS = (
    *("cells", "auxiliary", "drop_path"),
    *("stem", "stem_filters", "skip_reduction_input"),
)  # settings of networks


def choose_architecture(cfg: DictConfig, weights: Weights | None) -> Architecture:
    """Return the architecture that is given, or else the weights'."""
    if cfg.architecture:
        return load_architecture(cfg.architecture)
    if weights is None:
        return load_architecture(DEFAULT)
    if weights.blueprint is not None:
        return weights.blueprint.architecture
    run = find_run_folder(str(cfg.weights))
    if run is None:
        raise InputError(f"weights={cfg.weights} do not say of what: give architecture=, too")
    return load_architecture(run)


def make_blueprint(
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
    run = find_run_folder(source)
    supernet = OmegaConf.select(_configuration(run), "supernet") if run else None
    if not supernet:
        return {}
    return {"filters": supernet.get("filters"), "cells": supernet.get("cells"), "stem": "cifar"}


def _configuration(run: Path) -> Any:
    return OmegaConf.load(run / ".hydra" / "config.yaml")


def read_run_configuration(run: Path) -> DictConfig:
    """Return the configuration of a run, as if the run were going on in its folder.

    What it takes from Hydra's own configuration is filled in.

    Raises:
        InputError: If ``run`` is no run folder.
    """
    if not (run / ".hydra" / "config.yaml").exists():
        raise InputError(f"{run}: no run folder (it has no .hydra/config.yaml)")
    hydra = OmegaConf.load(run / ".hydra" / "hydra.yaml").hydra
    hydra.runtime.output_dir = str(run.resolve())  # it may have been moved

    def filled(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: filled(one) for name, one in value.items()}
        if isinstance(value, list):
            return [filled(one) for one in value]
        if isinstance(value, str):
            return FROM_HYDRA.sub(lambda found: str(OmegaConf.select(hydra, found[1])), value)
        return value

    return OmegaConf.create(filled(OmegaConf.to_container(_configuration(run))))


def use_run_images(cfg: DictConfig, blueprint: Blueprint) -> None:
    """Let the images be those of the weights' run, unless others are given, in the same size."""
    given = HydraConfig.get().overrides.task
    run = find_run_folder(str(cfg.weights))
    if run is not None and not any(override.startswith("data=") for override in given):
        cfg.data = _configuration(run).data
        dotted = [override for override in given if override.startswith("data.")]
        cfg.data = OmegaConf.merge(cfg.data, OmegaConf.from_dotlist(dotted).get("data", {}))
    if "image_size" in cfg.data:
        cfg.data.image_size = blueprint.image_size
    if "crop" in cfg.data:
        cfg.data.crop = blueprint.crop


def use_weights_normalisation(cfg: DictConfig, weights: Weights, data: ImageData) -> None:
    """Let pixels be scaled as for the weights, unless the configuration says how."""
    blueprint = weights.blueprint
    if blueprint is None or data.channels != blueprint.channels or cfg.data.get("mean"):
        return
    data.pixel_mean, data.pixel_std = blueprint.mean, blueprint.std


def check_images(blueprint: Blueprint, data: ImageData) -> None:
    """Raise InputError if the images are not as those of the weights."""
    here, there = (data.channels, data.image_size), (blueprint.channels, blueprint.image_size)
    if here != there:
        raise InputError(
            f"the images have {here[0]} channels and {here[1]} pixels a side, those of the weights "
            f"{there[0]} and {there[1]}"
        )


def check_classes(weights: Weights, data: ImageData, new_head: bool = False) -> None:
    """Raise InputError if the images are of other classes than the weights, without a new head."""
    blueprint = weights.blueprint
    if new_head or blueprint is None:
        return
    there = list(blueprint.classes) or [f"{blueprint.num_classes} classes without names"]
    here = list(data.classes)
    if (blueprint.classes and there != here) or blueprint.num_classes != data.num_classes:
        raise InputError(
            f"weights={weights.source} are of other classes ({list_some(there)}) than the images "
            f"({list_some(here)}); to train a new head for these: recipe=finetune"
        )
