"""The exported Python file: equal outputs without this project, and readable code."""

import ast
import importlib
import random
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest
import torch
from torch import nn
from torchvision.ops import Conv2dNormActivation

from lightning_nas import build_network, load_architecture
from lightning_nas.architecture import (
    COMBINATIONS,
    NASNET_OPERATIONS,
    Block,
    Cell,
    CellArchitecture,
    ChainArchitecture,
    ChainLayer,
    EdgeCellArchitecture,
)
from lightning_nas.errors import InputError
from lightning_nas.export.python_file import python_source, write_python
from lightning_nas.layers.operations import OPERATIONS
from lightning_nas.published import PUBLISHED
from lightning_nas.spaces.cell import CellSpace
from lightning_nas.spaces.chain import ChainSpace
from lightning_nas.spaces.edge_cell import EdgeCellSpace
from lightning_nas.spaces.macro import MacroSpace
from tests.small import as_in_training

EACH = 10  # number of random architectures per space
SIZED = {"cells": 1, "filters": 4}
SPACES = {
    "chain": (ChainSpace(layers=6, filters=(2, 4)), {}),
    "chain with strides": (ChainSpace(layers=6, strides=(1, 2, 3), filters=(2, 4)), {}),
    "chain with pools": (ChainSpace(layers=4, filters=(2, 4), repeats=2, pools=(1, 3)), {}),
    "NASNet": (CellSpace(5, NASNET_OPERATIONS, combinations=COMBINATIONS, rules="nasnet"), SIZED),
    "ENAS micro": (CellSpace(blocks=5), SIZED),
    "DARTS": (CellSpace(blocks=4, rules="darts"), SIZED),
    "ENAS macro": (MacroSpace(layers=7, filters=4), {}),
    "edge cell": (EdgeCellSpace(cells=1, filters=4), {}),
}
IMAGENET = {"stem": "imagenet", "cells": 1, "filters": 8}
CASES = {
    **{name: (load_architecture(name), SIZED) for name in PUBLISHED if name != "enas_macro"},
    "nas_2017": (load_architecture("nas_2017"), {}),
    "enas_macro": (load_architecture("enas_macro"), {"filters": 4}),
    "Mobile": (load_architecture("nasnet_a"), {**IMAGENET, "cells": 2}),
    "Large": (load_architecture("nasnet_a"), {**IMAGENET, "skip_reduction_input": True}),
    "ENAS, large images": (load_architecture("enas_micro"), IMAGENET),
    "DARTS, large images": (load_architecture("darts_nasnet_a"), IMAGENET),
    "skips": (load_architecture("enas_micro"), {**SIZED, "skip_reduction_input": True}),
    "stem as wide as the cells": (load_architecture("nasnet_a"), {**SIZED, "stem_filters": 4}),
    "settings": (
        load_architecture("nasnet_a"),
        {**SIZED, "in_channels": 1, "dropout": 0.5, "norm_epsilon": 0.01, "norm_momentum": 0.3},
    ),
    "unread inputs and states": (
        CellArchitecture(*[Cell((Block((1, 1), ("identity",) * 2),) * 2, (3,))] * 2),
        SIZED,
    ),
    "even windows": (ChainArchitecture((ChainLayer((2, 4), (1, 1), 4),) * 2), {}),
    "every edge": (EdgeCellArchitecture(("conv_3x3",) * 6, 4, 1), {}),
    "no edge": (EdgeCellArchitecture(("none",) * 6, 4, 1), {}),
}


def sample(space, seed):
    draws = random.Random(seed)
    return space.decode([draws.randrange(n) for n in space.count_token_options()])


RANDOM = {
    f"{name} {seed}": (sample(space, seed), settings)
    for name, (space, settings) in SPACES.items()
    for seed in range(EACH)
}


def with_classes(settings):
    return {"num_classes": 3, **settings}


@cache
def source_of(case):
    architecture, settings = (CASES | RANDOM)[case]
    return python_source(architecture, with_classes(settings))


def build(architecture, settings):
    """Return a network in float64 with batch norms and biases that differ from the initial ones."""
    torch.manual_seed(0)
    network = as_in_training(build_network(architecture, **with_classes(settings)).double())
    nn.init.normal_(list(network.parameters())[-1])
    return network


def random_images(settings, size):
    return torch.randn(2, settings.get("in_channels", 3), size, size).double()


def run_source(source):
    """Return a module with the definitions of a file."""
    module = type(sys)("network")
    exec(compile(source, "network.py", "exec"), module.__dict__)
    return module


def assert_file_equals_network(case):
    architecture, settings = (CASES | RANDOM)[case]
    network = build(architecture, settings)
    file = run_source(source_of(case)).Network().double().eval()
    file.load_state_dict(network.state_dict())
    sizes = (48, 33) if settings.get("stem") == "imagenet" else (12, 9)
    with torch.no_grad():
        for x in (random_images(settings, size) for size in sizes):
            expected = network(x)
            assert expected.isfinite().all()
            torch.testing.assert_close(file(x), expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("case", CASES)
def test_a_file_gives_the_outputs_of_the_network(case):
    assert_file_equals_network(case)


@pytest.mark.parametrize("space", SPACES)
def test_a_file_gives_the_outputs_of_random_networks(space):
    for seed in range(EACH):
        assert_file_equals_network(f"{space} {seed}")


def test_a_file_trains_as_the_network_does():
    settings = with_classes({**SIZED, "norm_momentum": 0.3})
    network = build(load_architecture("nasnet_a"), settings).train()
    file = run_source(python_source(load_architecture("nasnet_a"), settings)).Network().double()
    file.load_state_dict(network.state_dict())
    x = random_images(settings, 12)
    for each in (network, file):
        each(x).square().sum().backward()
    buffers = dict(network.named_buffers())
    for name, tensor in file.named_buffers():
        torch.testing.assert_close(tensor, buffers[name], rtol=1e-10, atol=1e-12)
    for (name, one), other in zip(file.named_parameters(), network.parameters(), strict=True):
        assert torch.allclose(one.grad, other.grad, rtol=1e-8, atol=1e-10), name


ALONE = """
import importlib, importlib.util, sys
assert importlib.util.find_spec("lightning_nas") is None
sys.path.insert(0, sys.argv[1])
import torch
torch.set_default_dtype(torch.float64)
images = torch.load("images.pt", weights_only=True)
for name in sys.argv[2:]:
    network = importlib.import_module(name).load()
    assert not network.training
    torch.save(network(images), f"{name}.pt")
assert not any(name.split(".")[0] == "lightning_nas" for name in sys.modules)
"""


def test_a_written_file_gives_the_same_logits_without_this_project(tmp_path):
    networks = {}
    for name, training in {
        "nasnet_a": {"auxiliary": True, "drop_path": 0.3},
        "enas_macro": {},
    }.items():
        architecture, settings = CASES[name]
        settings = {**with_classes(settings), **training}
        networks[name] = build(architecture, settings)
        write_python(networks[name], architecture, settings, tmp_path / "out" / f"{name}.py")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        f"{name}{end}" for name in sorted(networks) for end in (".py", "_weights.pt")
    ]
    empty = tmp_path / "empty"
    empty.mkdir()
    x = random_images({}, 32)
    torch.save(x, empty / "images.pt")
    command = [sys.executable, "-I", "-c", ALONE, str(tmp_path / "out"), *networks]
    subprocess.run(command, check=True, cwd=empty)
    for name, network in networks.items():
        logits = torch.load(empty / f"{name}.pt", weights_only=True)
        torch.testing.assert_close(logits, network(x).detach(), rtol=1e-10, atol=1e-12)


def test_files_import_torch_alone_and_pass_the_linter(tmp_path):
    for number, case in enumerate(CASES | RANDOM):
        source = source_of(case)
        modules = imported_modules(source)
        assert {name.split(".")[0] for name in modules} - sys.stdlib_module_names == {"torch"}
        for name in ("lightning_nas", "auxiliary_head", "drop_path", "cpu."):
            assert name not in source.split('"""', 2)[2]
        (tmp_path / f"network_{number}.py").write_text(source)
    config = Path(__file__).parents[2] / "pyproject.toml"
    for verb in (["check"], ["format", "--check"]):
        ruff = [sys.executable, "-m", "ruff", *verb, "--no-cache", "--config", str(config)]
        done = subprocess.run([*ruff, str(tmp_path)], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout


def imported_modules(source):
    nodes = list(ast.walk(ast.parse(source)))
    plain = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    return plain | {node.module for node in nodes if isinstance(node, ast.ImportFrom)}


def test_a_file_begins_with_its_origin_and_its_costs():
    source = python_source(load_architecture("nasnet_a"), {"num_classes": 10})
    assert len(source.splitlines()) < 700
    docstring = " ".join(ast.get_docstring(ast.parse(source)).split())
    assert "The published architecture nasnet_a." in docstring
    assert "https://arxiv.org/abs/1707.07012" in docstring
    assert "3,346,538 parameters" in docstring
    assert "32 x 32 pixels" in docstring
    mobile = python_source(load_architecture("nasnet_a"), {"num_classes": 10, **IMAGENET})
    assert "6 @ 768" not in mobile
    assert 'stem="imagenet"' in mobile.split("class Network")[1]


@pytest.mark.parametrize(
    ("settings", "path", "message"),
    [
        ({"filters": 3}, "found.py", "filters must be even and at least 2, got 3"),
        ({"features_only": True}, "found.py", "features_only=True: only a network with its cl"),
        (SIZED, "found.txt", "found.txt: the name must be that of a Python module"),
        (SIZED, "not a name.py", "the name must be that of a Python module"),
        ({"cells": 2, "filters": 4}, "found.py", "the weights do not fit the architecture .* is"),
        ({**SIZED, "dropout": '"""'}, "found.py", "dropout must be a number, got"),
        (SIZED, "file/found.py", "cannot be written"),
    ],
)
def test_a_network_that_cannot_be_written_is_refused(settings, path, message, tmp_path):
    (tmp_path / "file").touch()
    architecture = load_architecture("enas_micro")
    network = build(architecture, SIZED)
    with pytest.raises(InputError, match=message) as error:
        write_python(network, architecture, with_classes(settings), tmp_path / path)
    assert "\n" not in str(error.value)
    assert [file.name for file in tmp_path.iterdir()] == ["file"]


def own_torchvision_conv(channels_in, channels_out, stride, norm):
    return Conv2dNormActivation(channels_in, channels_out, stride=stride)


def my_conv(channels_in, channels_out, stride, norm):
    return nn.Conv2d(channels_in, channels_out, 3, stride, padding=1, bias=False)


@pytest.fixture
def gated_architecture(monkeypatch):
    """Return a function that registers an operation and returns a cell that uses it."""

    def register(factory):
        monkeypatch.setitem(OPERATIONS["enas"], "mine", factory)
        cell = Cell((Block((0, 1), ("mine", "identity")),), (2,))
        return CellArchitecture(cell, cell)

    return register


def test_a_registered_operation_comes_along(gated_architecture, monkeypatch, tmp_path):
    (tmp_path / "own_operation.py").write_text(
        "import torch.nn.functional\nfrom torch import Tensor, nn\n\n\n"
        "class Mine(nn.Conv2d):\n"
        "    def __init__(self, channels_in, channels_out, stride, norm) -> None:\n"
        "        super().__init__(channels_in, channels_out, 3, stride, padding=1)\n"
        "        self.progress = 0.5\n\n"  # a name that the package's own training parts have
        "    def forward(self, x: Tensor) -> Tensor:\n"
        "        return torch.nn.functional.relu(super().forward(x)) * self.progress\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    architecture = gated_architecture(importlib.import_module("own_operation").Mine)
    network = build(architecture, SIZED)
    file = run_source(python_source(architecture, with_classes(SIZED))).Network().double().eval()
    file.load_state_dict(network.state_dict())
    x = random_images(SIZED, 12)
    torch.testing.assert_close(file(x), network(x), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize(
    ("factory", "message"),
    [
        (lambda *sizes: my_conv(*sizes), "is not defined at the top level of a module"),
        (own_torchvision_conv, "imports torchvision.ops; the file can import torch alone"),
    ],
)
def test_an_operation_without_usable_source_is_refused(factory, message, gated_architecture):
    architecture = gated_architecture(factory)
    with pytest.raises(InputError, match=message) as error:
        python_source(architecture, with_classes(SIZED))
    assert "export=onnx" in str(error.value)
