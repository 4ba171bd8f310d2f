"""The published networks: sizes, shapes, and equality with the package pretrainedmodels."""

import pretrainedmodels
import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.published import plain_macro
from lightning_nas import build_network, load_architecture
from lightning_nas.errors import InputError
from lightning_nas.evaluation.complexity import measure
from lightning_nas.networks.features import SkipNumbers
from lightning_nas.published import PUBLISHED
from lightning_nas.weights.imagenet import from_imagenet_format
from tests.small import as_in_training

MOBILE = {"num_classes": 1000, "stem": "imagenet", "cells": 4, "filters": 44}
LARGE = {"num_classes": 1000, "stem": "imagenet", "cells": 6, "filters": 168}
CELLS = ["nasnet_a", "darts_nasnet_a", "enas_micro", "enas_micro_paper"]


def published(name, **settings):
    return build_network(load_architecture(name), **{"num_classes": 10, **settings})


def without_numbers(build):
    """Return the network of a function, built without memory and time for its weights."""
    with torch.device("meta"), SkipNumbers():
        return build()


def parameters(network):
    return sum(parameter.numel() for parameter in network.parameters())


@pytest.mark.parametrize(
    ("name", "settings", "count"),
    [
        ("nas_2017", {}, 4_201_630),
        ("nasnet_a", {}, 3_346_538),
        ("nasnet_a", MOBILE, 5_289_978),
        ("nasnet_a", LARGE, 88_753_150),
        ("nasnet_a", {"auxiliary": True}, 3_346_538 + 1_631_498),
        ("darts_nasnet_a", {}, 3_061_738),
        ("enas_micro", {}, 3_894_372),
        ("enas_micro", {"auxiliary": True}, 3_894_372 + 494_848),
        ("enas_micro", {"cells": 6}, 4_587_372),  # the paper's 4.6M
        ("enas_micro_paper", {}, 4_052_556),
        ("enas_macro", {}, 30_947_424),
    ],
)
def test_parameters_equal_the_papers(name, settings, count):
    assert parameters(without_numbers(lambda: published(name, **settings))) == count


def test_parameters_of_the_released_macro_network_with_plain_convolutions():
    network = without_numbers(lambda: build_network(plain_macro(), num_classes=10))
    assert parameters(network) == 42_559_392


@pytest.mark.parametrize("settings", [MOBILE, LARGE], ids=["Mobile", "Large"])
def test_multiply_adds_equal_the_paper(settings):
    size = 224 if settings is MOBILE else 331
    network = without_numbers(lambda: published("nasnet_a", image_size=size, **settings))
    cost = measure(network, 3, size)
    paper = 564e6 if settings is MOBILE else 23.8e9
    assert cost.multiply_adds == pytest.approx(paper, rel=0.005)


@pytest.mark.parametrize(
    ("name", "settings"),
    [*((name, {}) for name in PUBLISHED), ("nasnet_a", MOBILE), ("enas_micro", MOBILE)],
)
def test_multiply_adds_equal_torchs_counter(name, settings):
    network = without_numbers(lambda: published(name, **settings))
    size = 224 if settings else 32
    cost = measure(network, 3, size)
    with SkipNumbers(), FlopCounterMode(display=False) as counter:
        network.eval()(torch.empty(1, 3, size, size, device="meta"))
    assert counter.get_total_flops() == 2 * cost.multiply_adds


def test_measuring_does_not_change_the_network():
    network = published("nasnet_a", cells=1, filters=4)
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    measure(network, 3, 16)
    assert network.training
    for name, tensor in network.state_dict().items():
        torch.testing.assert_close(tensor, before[name])


def test_shapes_of_nasnet_mobile_equal_the_released_code():
    network = without_numbers(lambda: published("nasnet_a", auxiliary=True, **MOBILE))
    shapes = []
    for module in (network.stem, *network.cells, network.auxiliary):
        module.register_forward_hook(lambda _m, _i, out: shapes.append(tuple(out.shape[1:3])))
    with SkipNumbers():
        network(torch.empty(2, 3, 224, 224, device="meta"))
    assert shapes == [
        (32, 111), (44, 56), (88, 28),
        *[(264, 28)] * 4,
        (352, 14), *[(528, 14)] * 4, (1000,),
        (704, 7), *[(1056, 7)] * 4,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("reference_name", "settings", "size"),
    [
        ("nasnetamobile", MOBILE, 224),
        ("nasnetamobile", MOBILE, 160),
        ("nasnetalarge", LARGE, 139),  # has maps with an odd side, as 331 px have
    ],
)
def test_logits_equal_pretrainedmodels(reference_name, settings, size):
    torch.manual_seed(0)
    reference = getattr(pretrainedmodels.models, reference_name)(num_classes=1000, pretrained=None)
    reference = as_in_training(reference)
    reference.avg_pool = nn.AdaptiveAvgPool2d(1)  # the reference pools for one image size only
    network = published("nasnet_a", **settings).eval()
    network.load_state_dict(from_imagenet_format(reference.state_dict()))
    images = torch.randn(2, 3, size, size)
    with torch.no_grad():
        torch.testing.assert_close(network(images), reference(images), rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", CELLS)
@pytest.mark.parametrize("size", [33, 50])
def test_large_images_of_odd_sizes(name, size):
    network = published(name, stem="imagenet", cells=1, filters=8, image_size=size)
    assert network(torch.randn(2, 3, size, size)).shape == (2, 10)
    side = (size - 1) // 2
    for features in build_network(
        load_architecture(name), num_classes=10, stem="imagenet", cells=1, filters=8,
        image_size=size, features_only=True,
    )(torch.randn(2, 3, size, size)):  # fmt: skip
        assert features.shape[2] == side
        side = -(-side // 2)


@pytest.mark.parametrize(
    ("name", "stem"),
    [*((name, "cifar") for name in PUBLISHED), *((name, "imagenet") for name in CELLS)],
)
def test_gradients_reach_every_parameter(name, stem):
    settings = {"cells": 2, "filters": 8, "auxiliary": True, "stem": stem}
    if name not in CELLS:
        settings = {"filters": 8} if name == "enas_macro" else {}
    size = 17 if stem == "cifar" else 150
    network = published(name, image_size=size, **settings)
    outputs = network(torch.randn(2, 3, size, size))
    sum(
        o.square().sum() for o in (outputs if isinstance(outputs, tuple) else (outputs,))
    ).backward()
    assert [n for n, p in network.named_parameters() if p.grad is None or not p.grad.any()] == []


def test_the_cell_after_a_reduction_can_skip_the_reductions_input():
    read = {}
    for skips in (False, True):
        network = published("nasnet_a", cells=2, filters=4, skip_reduction_input=skips)
        outputs, inputs = [], []
        for cell in network.cells:
            cell.register_forward_hook(lambda _m, _i, out, seen=outputs: seen.append(out))
            cell.register_forward_pre_hook(lambda _m, args, seen=inputs: seen.append(args[0]))
        network(torch.randn(2, 3, 8, 8))
        read[skips] = [
            [i for i, out in enumerate(outputs) if out is older.x] for older in inputs[2:]
        ]
    assert read[False] == [[0], [1], [2], [3], [4], [5]]  # reductions: cells 2 and 5
    assert read[True] == [[0], [0], [2], [3], [3], [5]]


@pytest.mark.parametrize("name", PUBLISHED)
def test_features_are_the_last_maps_of_all_resolutions(name):
    settings = {} if name == "nas_2017" else {"filters": 8}
    torch.manual_seed(0)
    pyramid = published(name, features_only=True, **settings).eval()
    maps = pyramid(torch.randn(2, 3, 32, 32))
    assert [x.shape[1] for x in maps] == pyramid.channels
    assert [x.shape[2] for x in maps] == [32 // stride for stride in pyramid.strides]
    assert pyramid.strides == ([1] if name == "nas_2017" else [1, 2, 4])
    torch.manual_seed(0)
    network = published(name, **settings).eval()
    torch.manual_seed(1)
    images = torch.randn(2, 3, 32, 32)
    if name != "nas_2017":  # its classifier reads several maps
        logits = network.classifier(pyramid(images)[-1])
        torch.testing.assert_close(logits, network(images))


def test_features_of_nasnet_mobile():
    pyramid = published("nasnet_a", features_only=True, **MOBILE)
    assert pyramid.channels == [32, 44, 264, 528, 1056]
    assert pyramid.strides == [2, 4, 8, 16, 32]
    assert not any("classifier" in n or "auxiliary" in n for n, _ in pyramid.named_parameters())


@pytest.mark.parametrize("name", PUBLISHED)
def test_stages_contain_every_parameter_except_the_classifiers_once(name):
    network = published(name, **({} if name == "nas_2017" else {"filters": 8}))
    held = [p for stage in network.stages for part in stage for p in part.parameters()]
    heads = sum(p.numel() for n, p in network.named_parameters() if n.startswith("classifier"))
    assert len({id(p) for p in held}) == len(held)
    assert sum(p.numel() for p in held) == parameters(network) - heads


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("nasnet_a", {"stem": "mnist"}, "stem must be cifar or imagenet, got 'mnist'"),
        ("nasnet_a", {"stem": "imagenet", "filters": 42}, "a multiple of 4 .* got 42"),
        ("nasnet_a", {"stem": "imagenet", "filters": 4}, "at least 8 .* got 4"),
        ("nasnet_a", {"stem": "imagenet", "image_size": 31}, "31 px are too small for 5 red"),
        ("nasnet_a", {"image_size": 3}, "3 px are too small for 2 reductions"),
        ("nasnet_a", {"cells": 0}, "cells must be at least 1, got 0"),
        ("nasnet_a", {"filters": 0}, "filters must be even and at least 2, got 0"),
        ("nasnet_a", {"stem_filters": 0}, "stem_filters must be at least 1, got 0"),
        ("nasnet_a", {"norm_momentum": 0.0}, "norm_momentum in .0, 1., got 1e-05 and 0.0"),
        ("enas_macro", {"stem": "imagenet"}, "stem=imagenet does not apply to a macro arch"),
        ("nas_2017", {"filters": 8}, "filters=8 does not apply to a chain architecture"),
        ("enas_macro", {"cells": 2}, "cells=2 does not apply to a macro architecture"),
    ],
)
def test_illegal_settings_are_refused(name, settings, message):
    with pytest.raises(InputError, match=message):
        published(name, **settings)


def test_batch_norm_is_as_the_released_code_has_it():
    def norms(**settings):
        network = published("nasnet_a", **settings)
        return {(m.eps, m.momentum) for m in network.modules() if isinstance(m, nn.BatchNorm2d)}

    assert norms() == {(1e-5, 0.1)}
    assert norms(**MOBILE) == {(1e-3, 0.1)}
    assert norms(norm_epsilon=1e-4, norm_momentum=0.01) == {(1e-4, 0.01)}
