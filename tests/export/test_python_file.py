"""A network's Python file: the same numbers without this project, and code that one may read."""

import ast
import random
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest
import torch
from torch import nn

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
from lightning_nas.published import PUBLISHED
from lightning_nas.spaces.cell import CellSpace
from lightning_nas.spaces.chain import ChainSpace
from lightning_nas.spaces.edge_cell import EdgeCellSpace
from lightning_nas.spaces.macro import MacroSpace
from tests.small import as_in_training

EACH = 10  # random architectures of a space
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
    return space.decode([draws.randrange(n) for n in space.token_options()])


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


def built(architecture, settings):
    """A network in float64 whose batch norms and biases are not what they begin as."""
    torch.manual_seed(0)
    network = as_in_training(build_network(architecture, **with_classes(settings)).double())
    nn.init.normal_(list(network.parameters())[-1])
    return network


def images(settings, size):
    return torch.randn(2, settings.get("in_channels", 3), size, size).double()


def module_of(source):
    """Return what the text of a file defines."""
    module = type(sys)("network")
    exec(compile(source, "network.py", "exec"), module.__dict__)
    return module


def assert_file_equals_network(case):
    architecture, settings = (CASES | RANDOM)[case]
    network = built(architecture, settings)
    file = module_of(source_of(case)).Network().double().eval()
    file.load_state_dict(network.state_dict())
    sizes = (48, 33) if settings.get("stem") == "imagenet" else (12, 9)
    with torch.no_grad():
        for x in (images(settings, size) for size in sizes):
            expected = network(x)
            assert expected.isfinite().all()
            torch.testing.assert_close(file(x), expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("case", CASES)
def test_files_equal_the_networks_of(case):
    assert_file_equals_network(case)


@pytest.mark.parametrize("space", SPACES)
def test_files_equal_the_networks_of_random(space):
    for seed in range(EACH):
        assert_file_equals_network(f"{space} {seed}")


def test_it_trains_as_the_network_does():
    settings = with_classes({**SIZED, "norm_momentum": 0.3})
    network = built(load_architecture("nasnet_a"), settings).train()
    file = module_of(python_source(load_architecture("nasnet_a"), settings)).Network().double()
    file.load_state_dict(network.state_dict())
    x = images(settings, 12)
    for each in (network, file):
        each(x).square().sum().backward()
    buffers = dict(network.named_buffers())
    for name, tensor in file.named_buffers():
        torch.testing.assert_close(tensor, buffers[name], rtol=1e-10, atol=1e-12)
    for (name, one), other in zip(file.named_parameters(), network.parameters(), strict=True):
        assert torch.allclose(one.grad, other.grad, rtol=1e-8, atol=1e-10), name


ALONE = """
import importlib.util, sys
assert importlib.util.find_spec("lightning_nas") is None
sys.path.insert(0, sys.argv[1])
import torch
torch.set_default_dtype(torch.float64)
from found import load
network = load()
assert not network.training
images = torch.load("images.pt", weights_only=True)
torch.save(network(images), "logits.pt")
assert not any(name.split(".")[0] == "lightning_nas" for name in sys.modules)
"""


@pytest.mark.parametrize("name", ["nasnet_a", "enas_macro"])
def test_a_written_file_gives_the_same_logits_where_this_project_is_not(name, tmp_path):
    architecture, settings = CASES[name]
    settings = with_classes(settings)
    extra = {"auxiliary": True, "drop_path": 0.3} if name == "nasnet_a" else {}
    network = built(architecture, {**settings, **extra})
    write_python(network, architecture, {**settings, **extra}, tmp_path / "out" / "found.py")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "found.py",
        "found_weights.pt",
    ]
    empty = tmp_path / "empty"
    empty.mkdir()
    x = images(settings, 32)
    torch.save(x, empty / "images.pt")
    command = [sys.executable, "-I", "-c", ALONE, str(tmp_path / "out")]
    subprocess.run(command, check=True, cwd=empty)
    expected = network(x).detach()
    logits = torch.load(empty / "logits.pt", weights_only=True)
    torch.testing.assert_close(logits, expected, rtol=1e-10, atol=1e-12)


def test_a_file_is_code_that_one_may_read(tmp_path):
    for number, case in enumerate(CASES | RANDOM):
        source = source_of(case)
        assert imported(source) <= {
            "torch",
            "torch.nn.functional",
            "functools",
            "pathlib",
            "typing",
        }
        (tmp_path / f"network_{number}.py").write_text(source)
    config = Path(__file__).parents[2] / "pyproject.toml"
    for verb in (["check"], ["format", "--check"]):
        ruff = [sys.executable, "-m", "ruff", *verb, "--no-cache", "--config", str(config)]
        done = subprocess.run([*ruff, str(tmp_path)], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout


def imported(source):
    nodes = list(ast.walk(ast.parse(source)))
    plain = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    return plain | {node.module for node in nodes if isinstance(node, ast.ImportFrom)}


def test_a_file_is_short_and_says_what_it_is():
    source = python_source(load_architecture("nasnet_a"), {"num_classes": 10})
    assert len(source.splitlines()) < 300
    said = " ".join(ast.get_docstring(ast.parse(source)).split())
    assert "The published architecture nasnet_a." in said
    assert "https://arxiv.org/abs/1707.07012" in said
    assert "3,346,538 parameters" in said
    assert "32 x 32 pixels" in said
    mobile = python_source(load_architecture("nasnet_a"), {"num_classes": 10, **IMAGENET})
    assert "6 @ 768" not in mobile
    assert "Built with stem='imagenet', cells=1, filters=8." in mobile


@pytest.mark.parametrize(
    ("settings", "path", "said"),
    [
        ({"filters": 3}, "found.py", "filters must be even and at least 2, got 3"),
        ({"features_only": True}, "found.py", "features_only=True: only a whole network can be"),
        (SIZED, "found.txt", "found.txt: must be named as a Python module is"),
        (SIZED, "not a name.py", "must be named as a Python module is"),
        ({"cells": 2, "filters": 4}, "found.py", "the weights are not of this architecture .* is"),
        (SIZED, "file/found.py", "cannot be written"),
    ],
)
def test_what_cannot_be_written_is_said(settings, path, said, tmp_path):
    (tmp_path / "file").touch()
    architecture = load_architecture("enas_micro")
    network = built(architecture, SIZED)
    with pytest.raises(InputError, match=said) as error:
        write_python(network, architecture, with_classes(settings), tmp_path / path)
    assert "\n" not in str(error.value)
    assert [file.name for file in tmp_path.iterdir()] == ["file"]
