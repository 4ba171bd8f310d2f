"""Published ImageNet weights of NASNet-A, renamed to the names in this project's network.

The format is that of the package ``pretrainedmodels`` (https://github.com/Cadene/
pretrained-models.pytorch), which converted them from the authors' TensorFlow checkpoints.
"""

import re
from collections.abc import Iterable, Mapping

from torch import Tensor

from lightning_nas.networks.build import LARGE
from lightning_nas.published import load_architecture
from lightning_nas.weights.blueprint import Blueprint

URLS = {
    "nasnet_a_mobile": "http://data.lip6.fr/cadene/pretrainedmodels/nasnetamobile-7e03cead.pth",
    "nasnet_a_large": "http://data.lip6.fr/cadene/pretrainedmodels/nasnetalarge-a1897284.pth",
}
SIGNS = {"cell_stem_0.conv_1x1.conv.weight", "conv0.conv.weight", "last_linear.weight"}
WITH_BACKGROUND = 1001  # classes in the file of NASNet-A Large; the first is a background class
OUTER = {
    "conv0.conv": "stem.0",
    "conv0.bn": "stem.1",
    "last_linear": "classifier.linear",
}
INNER = (  # names within a cell
    (r"conv_1x1\.conv", "base.conv"),
    (r"conv_1x1\.bn", "base.norm"),
    (r"conv_prev_1x1\.conv", "older.conv"),
    (r"conv_prev_1x1\.bn", "older.norm"),
    (r"path_([12])\.conv", r"older.1.path_\1"),
    (r"final_path_bn", "older.1.norm"),
    (r"comb_iter_(\d)_left", r"operations.\1.0"),
    (r"comb_iter_(\d)_right", r"operations.\1.1"),
    (r"separable_([12])\.depthwise_conv2d", r"depthwise_\1"),
    (r"separable_([12])\.pointwise_conv2d", r"pointwise_\1"),
    (r"bn_sep_([12])", r"norm_\1"),
)


def is_imagenet_format(names: Iterable[str]) -> bool:
    """Whether tensors with these names are in the published format."""
    return set(names) >= SIGNS


def from_imagenet_format(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the tensors under their names in ``NASNetCellNetwork``.

    A tensor without a counterpart keeps its name, so that loading reports it.
    """
    cells = _cells({name.split(".")[0] for name in state})
    return {_rename(name, cells): _without_background(name, t) for name, t in state.items()}


def _without_background(name: str, tensor: Tensor) -> Tensor:
    surplus = name.startswith("last_linear.") and len(tensor) == WITH_BACKGROUND
    return tensor[1:] if surplus else tensor


def imagenet_blueprint(state: Mapping[str, Tensor]) -> Blueprint:
    """Return the blueprint of weights in the published format. Pixels were scaled to [-1, 1]."""
    cells = sum(
        re.fullmatch(r"cell_\d+\.conv_1x1\.conv\.weight", name) is not None for name in state
    )
    filters = state["cell_0.conv_1x1.conv.weight"].shape[0]
    stem_filters, channels = state["conv0.conv.weight"].shape[:2]
    return Blueprint(
        load_architecture("nasnet_a"),
        {
            "cells": cells // 3,
            "filters": filters,
            "stem": "imagenet",
            "stem_filters": stem_filters,
            "skip_reduction_input": filters >= LARGE,
        },
        num_classes=len(_without_background("last_linear.weight", state["last_linear.weight"])),
        classes=(),
        channels=channels,
        image_size=331 if filters >= LARGE else 224,
        mean=(0.5,) * channels,
        std=(0.5,) * channels,
        crop=0.875,
    )


def _cells(parts: set[str]) -> dict[str, int]:
    """Return the index in the network for every name of a cell.

    Normal cells are sorted by their numbers; the file of Mobile skips some numbers.
    """
    stems = sorted(part for part in parts if part.startswith("cell_stem_"))
    normal = sorted(
        (part for part in parts if re.fullmatch(r"cell_\d+", part)),
        key=lambda part: int(part.removeprefix("cell_")),
    )
    stack = len(normal) // 3
    order = [
        *stems,
        *normal[:stack],
        "reduction_cell_0",
        *normal[stack : 2 * stack],
        "reduction_cell_1",
        *normal[2 * stack :],
    ]
    return {part: place for place, part in enumerate(order)}


def _rename(name: str, cells: Mapping[str, int]) -> str:
    owner, _, last = name.rpartition(".")
    if owner in OUTER:
        return f"{OUTER[owner]}.{last}"
    cell, _, inner = owner.partition(".")
    if cell not in cells:
        return name
    for pattern, new in INNER:
        inner = re.sub(pattern, new, inner)
    return f"cells.{cells[cell]}.{inner}.{last}"
