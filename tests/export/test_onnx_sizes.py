"""Sizes of images that an ONNX file takes: onnxruntime and torch agree on all that it states."""

import json

import numpy as np
import onnxruntime
import pytest
import torch

from lightning_nas import load_architecture
from lightning_nas.architecture import Block, Cell, CellArchitecture, ChainArchitecture, ChainLayer
from lightning_nas.export.formats import export
from tests.weights.test_load import as_in_training, blueprint_of

POOLED = ChainArchitecture(
    (ChainLayer((3, 3), (1, 1), 4), ChainLayer((3, 5), (2, 2), 6, (0,))), pools=(0,)
)
JOINED = ChainArchitecture(
    (
        ChainLayer((3, 3), (1, 1), 4),
        ChainLayer((3, 3), (2, 2), 6, (0,)),
        ChainLayer((3, 3), (1, 1), 4, (0, 1)),  # adds zeros: as many for every image
    )
)
POOLS = Cell((Block((0, 1), ("avg_pool_3x3", "max_pool_3x3")),), (2,))
SMALL = {"cells": 1, "filters": 4}
SIDES = {  # architecture or kind, settings, side, smallest free side and step
    "chain with a pooling and strides": (POOLED, {}, 11, [3, 4]),
    "chain that pads a small input": (JOINED, {}, 8, None),
    "poolings": (CellArchitecture(POOLS, POOLS), SMALL, 8, [4, 4]),
}
SLOW = {  # many seconds each
    "chain": (load_architecture("nas_2017"), {}, 8, [1, 1]),
    "edge cell": ("edge cell", None, 9, [1, 4]),
    "ENAS macro": ("macro", None, 8, [4, 4]),
    "ENAS": ("cell", None, 8, [4, 4]),
    "NASNet": ("nasnet cell", None, 10, [2, 4]),
    "DARTS": (load_architecture("darts_nasnet_a"), SMALL, 8, [4, 4]),
    "large images": (
        load_architecture("nasnet_a"), {"cells": 1, "filters": 8, "stem": "imagenet"}, 44, [12, 32]
    ),
}  # fmt: skip


@pytest.mark.parametrize(
    "case", [*SIDES, *(pytest.param(name, marks=pytest.mark.slow) for name in SLOW)]
)
def test_onnxruntime_gives_the_logits_of_torch_at_every_stated_size(case, tmp_path):
    architecture, settings, side, sides = (SIDES | SLOW)[case]
    if isinstance(architecture, str):
        blueprint = blueprint_of(architecture, image_size=side)
    else:
        blueprint = blueprint_of(settings=settings, image_size=side, architecture=architecture)
    torch.manual_seed(0)
    network = as_in_training(blueprint.build()).eval()
    path = export(network, blueprint, ["onnx"], tmp_path)["onnx"]
    session = onnxruntime.InferenceSession(path)
    assert json.loads(session.get_modelmeta().custom_metadata_map["sides"]) == sides
    smallest, step = sides or (side, 1)
    assert_equal(session, network, side, side)
    readme = (tmp_path / "README.md").read_text()
    if sides is None:
        assert session.get_inputs()[0].shape[2:] == [side, side]
        assert "pixels apart" not in readme
    else:
        assert session.get_inputs()[0].shape[2:] == ["height", "width"]
        assert f"{smallest}, {smallest + step}, {smallest + 2 * step}, ... pixels" in readme
        for height, width in ((smallest, side), (side + 2 * step, smallest + step)):
            assert_equal(session, network, height, width)


def assert_equal(session, network, height, width):
    images = torch.randn(2, 3, height, width)
    (logits,) = session.run(None, {"images": images.numpy()})
    with torch.no_grad():
        expected = network(images).numpy()
    np.testing.assert_allclose(logits, expected, rtol=0, atol=1e-4 * max(1, abs(expected).max()))
