"""Backbones: the maps of a network without its classifier, and their ``feature_info``."""

import pytest
import torch

from lightning_nas import build_network, load_architecture
from lightning_nas.architecture import ChainArchitecture, ChainLayer, EdgeCellArchitecture
from lightning_nas.networks.features import FeatureInfo
from lightning_nas.spaces.macro import MacroSpace
from lightning_nas.weights.load import load_weights
from tests.small import as_in_training
from tests.weights.test_load import weights_of

SMALL = {"cells": 1, "filters": 4}
LARGE_IMAGES = {"cells": 1, "filters": 8, "stem": "imagenet"}
STRIDED = ChainArchitecture(
    (
        ChainLayer((3, 3), (1, 1), 2),
        ChainLayer((3, 3), (3, 3), 4, (0,)),
        ChainLayer((3, 3), (2, 2), 6, (1,)),
        ChainLayer((3, 3), (1, 1), 8, (0, 2)),  # the larger of two inputs decides
    ),
    pools=(2,),
)
CASES = {  # architecture, settings, channels, reductions
    "ENAS": ("enas_micro", SMALL, [20, 40, 80], [1, 2, 4]),
    "NASNet": ("nasnet_a", SMALL, [24, 48, 96], [1, 2, 4]),
    "DARTS": ("darts_nasnet_a", SMALL, [20, 40, 80], [1, 2, 4]),
    "NASNet, large images": ("nasnet_a", LARGE_IMAGES, [32, 8, 48, 96, 192], [2, 4, 8, 16, 32]),
    "ENAS macro": (MacroSpace(layers=6).decode([0] * 21), {"filters": 4}, [4, 8, 16], [1, 2, 4]),
    "edge cell": (EdgeCellArchitecture(("conv_3x3",) * 6), SMALL, [4, 8, 16], [1, 2, 4]),
    "chain": ("nas_2017", {}, [48], [1]),
    "chain with strides and a pooling": (STRIDED, {}, [2, 8, 4, 6], [1, 2, 3, 6]),
}
BY_CASE = pytest.mark.parametrize("case", CASES)


def backbone_of(case, **more):
    architecture, settings, _, _ = CASES[case]
    if isinstance(architecture, str):
        architecture = load_architecture(architecture)
    return build_network(architecture, num_classes=3, features_only=True, **{**settings, **more})


@BY_CASE
def test_feature_info_describes_the_maps_of_images_of_any_size(case):
    backbone = backbone_of(case).eval()
    _, _, channels, reductions = CASES[case]
    info = backbone.feature_info
    assert (info.channels(), info.reduction()) == (channels, reductions)
    assert len(info) == len(channels)
    for height, width in ((96, 96), (64, 160)):
        maps = backbone(torch.zeros(1, 3, height, width))
        assert [x.shape[1] for x in maps] == channels
        for x, reduction in zip(maps, reductions, strict=True):
            assert x.shape[2] == pytest.approx(height / reduction, abs=1)
            assert x.shape[3] == pytest.approx(width / reduction, abs=1)


def test_reductions_do_not_depend_on_the_image_size_of_the_network():
    for size in (4, 5, 33):  # with small images the sides of the maps are rounded
        assert backbone_of("NASNet", image_size=size).feature_info.reduction() == [1, 2, 4]


def test_a_chain_of_small_images_has_as_many_maps_for_large_images():
    backbone = backbone_of("chain with strides and a pooling", image_size=3)
    assert backbone.feature_info.reduction() == [1, 2, 6]  # 3, 2 and twice 1 pixel
    for size in (3, 64):
        maps = backbone(torch.zeros(2, 3, size, size))
        assert [x.shape[1] for x in maps] == backbone.feature_info.channels() == [2, 8, 6]


def test_feature_info_has_timms_indices():
    info = FeatureInfo([8, 16, 32], [1, 2, 4])
    assert info.channels(1) == 16
    assert info.reduction((0, -1)) == [1, 4]
    assert [one["reduction"] for one in info] == [1, 2, 4]
    assert info.info[2] == {"num_chs": 32, "reduction": 4}


@BY_CASE
def test_the_weights_of_a_trained_network_fit_its_backbone(case):
    architecture, settings, _, _ = CASES[case]
    if isinstance(architecture, str):
        architecture = load_architecture(architecture)
    torch.manual_seed(0)
    network = as_in_training(build_network(architecture, num_classes=5, **settings)).eval()
    backbone = backbone_of(case).eval()
    load_weights(backbone.network, weights_of(network), new_head=True)
    images = torch.randn(2, 3, 48, 48)
    for x, expected in zip(backbone(images), network.features(images), strict=True):
        torch.testing.assert_close(x, expected)
