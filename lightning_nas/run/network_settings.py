"""Which network a training builds, and for which data: from the settings and from given weights.

Given weights supply what the settings leave open: the architecture, the size of the network, the
data, the normalisation of pixels. Reading and loading of weights is in ``lightning_nas/weights``.
"""

from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.utils import get_class
from omegaconf import DictConfig, OmegaConf

from lightning_nas.architecture import Architecture
from lightning_nas.data.base import ImageData
from lightning_nas.data.image_folder import ImageFolder
from lightning_nas.errors import InputError, list_some
from lightning_nas.files import read_csv
from lightning_nas.published import load_architecture
from lightning_nas.run.overrides import parse_settings
from lightning_nas.run.recorded import load_configuration
from lightning_nas.storage.run_folder import RunFolder
from lightning_nas.weights.blueprint import Blueprint
from lightning_nas.weights.load import Weights

DEFAULT_ARCHITECTURE = "enas_micro"
LARGE_IMAGES = 96  # pixels a side from which a cell network gets the stem for large images
CELL_SETTINGS = (
    *("cells", "auxiliary", "drop_path"),
    *("stem", "stem_filters", "skip_reduction_input"),
)


def choose_architecture(cfg: DictConfig, weights: Weights | None) -> Architecture:
    """Return the architecture of the settings, or that of the weights, or the default.

    Raises:
        InputError: If the weights do not record their architecture and none is given.
    """
    if cfg.architecture:
        return load_architecture(cfg.architecture)
    if weights is None:
        return load_architecture(DEFAULT_ARCHITECTURE)
    if weights.blueprint is not None:
        return weights.blueprint.architecture
    run = RunFolder.find(str(cfg.weights))
    if run is None and cfg.resume:
        raise InputError(f"{weights.source}: not the checkpoint of a run")
    if run is None:
        raise InputError(
            f"weights={cfg.weights}: the file does not record its architecture; add architecture="
        )
    return load_architecture(run.path)


def make_blueprint(
    cfg: DictConfig, architecture: Architecture, data: ImageData, weights: Weights | None
) -> Blueprint:
    """Return the blueprint of the network to train.

    Settings that are null are those of the weights' network, if weights are given.
    """
    settings = select_network_settings(cfg, architecture.kind)
    weights_settings = _read_weights_settings(weights, str(cfg.weights)) if weights else {}
    for name, value in settings.items():
        if value is None:
            settings[name] = weights_settings.get(name)
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


def select_network_settings(cfg: DictConfig, kind: str) -> dict[str, Any]:
    """Return the settings under ``network`` that apply to one kind of architecture.

    Args:
        cfg: The configuration of ``train.py``.
        kind: Kind of the architecture: cell, macro, chain or edge_cell.
    """
    settings: dict[str, Any] = OmegaConf.to_container(cfg.network, resolve=True)  # type: ignore[assignment]
    unused: tuple[str, ...] = {
        "cell": (),
        "macro": CELL_SETTINGS,
        "chain": (*CELL_SETTINGS, "filters"),
        "edge_cell": tuple(name for name in CELL_SETTINGS if name != "cells"),
    }[kind]
    return {name: value for name, value in settings.items() if name not in unused}


def _read_weights_settings(weights: Weights, source: str) -> dict[str, Any]:
    """Return the settings of the weights' network; those of shared weights are in their run."""
    if weights.blueprint is not None:
        return dict(weights.blueprint.settings)
    run = RunFolder.find(source)
    supernet = OmegaConf.select(load_configuration(run, "supernet"), "supernet") if run else None
    if not supernet:
        return {}
    return {"filters": supernet.get("filters"), "cells": supernet.get("cells"), "stem": "cifar"}


def find_searched_size(architecture: str | None) -> int | None:
    """Return the number of parameters that an architecture had in its search, if it is recorded.

    Args:
        architecture: The setting: ``RUN``, ``RUN/architecture.json``, ``RUN/top/2.json`` or
            ``RUN/pareto/1.json``; None, or the name of a published architecture, has no search.
    """
    run = RunFolder.find(architecture)
    if run is None or architecture is None:
        return None
    path = Path(architecture)
    table = run.pareto if path.parent.name == run.pareto.stem else run.top
    rows = read_csv(table) if table.exists() else []
    file = f"{table.stem}/{path.name if path.parent.name == table.stem else '1.json'}"
    found = [row.get("parameters", "") for row in rows if row.get("architecture") == file]
    return int(found[0]) if found and found[0].isdigit() else None


# ---- data that fit given weights -----------------------------------------------------------------


def choose_data_of_weights(cfg: DictConfig, blueprint: Blueprint) -> str | None:
    """Let ``cfg.data`` be the data of the weights' run, unless the user chose other data.

    The image size and the crop are set to those of the weights in both cases.

    Returns:
        Name of the data if they are those of the weights' run, otherwise None.
    """
    name = None
    arguments = HydraConfig.get().overrides.task
    run = RunFolder.find(str(cfg.weights))
    if run is not None and not any(argument.startswith("data=") for argument in arguments):
        data = load_configuration(run, "data").get("data")
        if not isinstance(data, DictConfig):
            raise InputError(f"{run.config}: it names no data; add data=NAME")
        cfg.data = data
        dotted = [argument for argument in arguments if argument.startswith("data.")]
        for setting, value in parse_settings(dotted).items():
            OmegaConf.update(cfg, setting, value, force_add=True)
        name = run.read_choices().get("data")
    if "image_size" in cfg.data:
        cfg.data.image_size = blueprint.image_size
    if "crop" in cfg.data:
        cfg.data.crop = blueprint.crop
    return name


def choose_test_settings(cfg: DictConfig, blueprint: Blueprint) -> dict[str, Any]:
    """Return the settings of an image folder for a test of given weights; empty for other data.

    A folder without splits is tested as a whole, unless the weights' run was trained on it: then
    the images that this training held out are tested. Grey images are tested as RGB if the weights
    need RGB.
    """
    if get_class(cfg.data._target_) is not ImageFolder:
        return {}
    run = RunFolder.find(str(cfg.weights))
    data = load_configuration(run, "data").get("data") if run is not None else None
    root = data.get("root") if data else None
    is_held_out = root is not None and Path(root).resolve() == Path(cfg.data.root).resolve()
    channels = {"channels": 3} if blueprint.channels == 3 else {}
    return {"test_only": not is_held_out, **channels}


def use_weights_normalisation(cfg: DictConfig, weights: Weights, data: ImageData) -> None:
    """Normalise pixels as for the weights, unless ``data.mean`` is set or the channels differ."""
    blueprint = weights.blueprint
    if blueprint is None or data.channels != blueprint.channels or cfg.data.get("mean"):
        return
    data.pixel_mean, data.pixel_std = blueprint.mean, blueprint.std


def check_image_shape(blueprint: Blueprint, data: ImageData) -> None:
    """Raise InputError if the data differ from those of the weights in channels or image size."""
    if (data.channels, data.image_size) != (blueprint.channels, blueprint.image_size):
        raise InputError(
            f"the images have {data.channels} channels and {data.image_size} pixels a side, those "
            f"of the weights {blueprint.channels} and {blueprint.image_size}"
        )


def check_classes(weights: Weights, data: ImageData, new_head: bool = False) -> None:
    """Raise InputError if data and weights have different classes, unless there is a new head.

    Args:
        weights: Weights of a network, or shared weights, which are not checked.
        data: Data to train or test on.
        new_head: Whether the network gets a new classifier.
    """
    blueprint = weights.blueprint
    if new_head or blueprint is None:
        return
    expected = list(blueprint.classes) or [f"{blueprint.num_classes} classes without names"]
    classes = list(data.classes)
    names_differ = blueprint.classes and expected != classes
    if names_differ or blueprint.num_classes != data.num_classes:
        raise InputError(
            f"weights={weights.source} have other classes ({list_some(expected)}) than the data "
            f"({list_some(classes)}); to train a new head for these: recipe=finetune"
        )
