"""A network as one readable Python file that needs torch alone, and its weights beside it.

From Python ``write_python``; ``python_source`` returns the text. Weights have the names that they
have here. What acts in training alone is left out: the auxiliary head, drop path.
"""

import ast
import inspect
import runpy
import textwrap
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn

from lightning_nas.architecture import (
    Architecture,
    CellArchitecture,
    ChainArchitecture,
    EdgeCellArchitecture,
    MacroArchitecture,
)
from lightning_nas.errors import InputError
from lightning_nas.evaluation.complexity import measure
from lightning_nas.export import plain_blocks, plain_layers
from lightning_nas.export.python_cell import cell_network_code
from lightning_nas.export.python_chain import chain_network_code
from lightning_nas.export.python_code import WIDTH
from lightning_nas.export.python_edge_cell import edge_network_code
from lightning_nas.export.python_macro import macro_network_code
from lightning_nas.files import replace_file, replace_text
from lightning_nas.networks.build import IMAGE_SIZE, build_network
from lightning_nas.published import PUBLISHED

WRITERS: dict[type, Callable[[Any, Any], list[str]]] = {
    CellArchitecture: cell_network_code,
    MacroArchitecture: macro_network_code,
    ChainArchitecture: chain_network_code,
    EdgeCellArchitecture: edge_network_code,
}
TRAINING_ONLY = ("auxiliary", "drop_path")
SIZES = {"filters", "cells", "stem"}  # with others than the published, it is not the figure's
IMPORTS = {  # by the name that they bring in
    "partial": "from functools import partial",
    "Path": "from pathlib import Path",
    "Any": "from typing import Any",
    "torch": "import torch",
    "F": "import torch.nn.functional as F",
}

LOAD = '''
def load(path: str | Path | None = None) -> Network:
    """Return the network with its weights, ready to classify; None = those beside this file."""
    weights = path or Path(__file__).with_name(f"{Path(__file__).stem}_weights.pt")
    network = Network()
    network.load_state_dict(torch.load(weights, map_location="cpu", weights_only=True))
    return network.eval()
'''


def write_python(
    network: nn.Module, architecture: Architecture, settings: Mapping[str, Any], path: Path
) -> None:
    """Write a network's file, and its weights as ``NAME_weights.pt`` beside it, each in one step.

    Args:
        network: With the weights.
        architecture: What it was built from.
        settings: The keyword arguments of ``build_network`` that it was built with.
        path: Ends in ``.py``. Its folder is made if it is missing.

    Raises:
        InputError: If the path or a setting is at fault, or the network is another one.
    """
    if path.suffix != ".py" or not path.stem.isidentifier():
        raise InputError(f"{path}: must be named as a Python module is, such as network.py")
    weights = {
        name: tensor.detach().cpu().clone(memory_format=torch.contiguous_format)
        for name, tensor in network.state_dict().items()
        if not name.startswith("auxiliary.")
    }
    _check(weights, _without_numbers(architecture, settings))
    source = python_source(architecture, settings)
    try:
        replace_file(
            path.with_name(f"{path.stem}_weights.pt"), lambda part: torch.save(weights, part)
        )
        replace_text(path, source)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise InputError(f"{path}: cannot be written ({reason})") from None


def load_python(path: Path) -> nn.Module:
    """Return the network that a file holds, with its weights: for looking whether it is right."""
    return runpy.run_path(str(path))["load"]()


def python_source(architecture: Architecture, settings: Mapping[str, Any]) -> str:
    """Return the text of a network's file.

    Args:
        architecture: Of any kind.
        settings: The keyword arguments of ``build_network``.

    Raises:
        InputError: If a setting is out of range or does not apply to this kind of architecture.
    """
    network = _without_numbers(architecture, settings)
    classes = WRITERS[type(architecture)](architecture, network)
    parts = _parts("\n".join(classes))
    code = "\n\n\n".join([*parts, *classes, LOAD.strip()])
    code = f"{_constants(code, network)}\n\n\n{code}\n"
    return "\n\n".join([_docstring(architecture, network, settings), _imports(code), code])


def _without_numbers(architecture: Architecture, settings: Mapping[str, Any]) -> nn.Module:
    """Return the network as it classifies, without memory for its weights."""
    if settings.get("features_only"):
        raise InputError("features_only=True: only a whole network can be written")
    used = {name: value for name, value in settings.items() if name not in TRAINING_ONLY}
    with torch.device("meta"):
        return build_network(architecture, **used)


def _check(weights: Mapping[str, Tensor], network: nn.Module) -> None:
    """Raise InputError if weights are not those of a network."""
    wanted = {name: tensor.shape for name, tensor in network.state_dict().items()}
    given = {name: tensor.shape for name, tensor in weights.items()}
    for name in sorted(wanted.keys() | given.keys()):
        if wanted.get(name) != given.get(name):
            raise InputError(
                f"the weights are not of this architecture with these settings: {name} is "
                f"{_shape(given.get(name))}, not {_shape(wanted.get(name))}"
            )


def _shape(shape: torch.Size | None) -> str:
    return "missing" if shape is None else str(tuple(shape))


def _parts(code: str) -> list[str]:
    """Return the source of the plain layers that code needs, in order of dependence."""
    needed = _names(code)
    parts: list[str] = []
    for part in reversed([*_defined(plain_layers), *_defined(plain_blocks)]):
        if part.__name__ in needed:
            source = inspect.getsource(part).rstrip()
            needed |= _names(source)
            parts.insert(0, source)
    return parts


def _defined(module: ModuleType) -> list[Any]:
    """Return a module's own classes and functions, first to last."""
    own = module.__name__
    return [value for value in vars(module).values() if getattr(value, "__module__", "") == own]


def _names(code: str) -> set[str]:
    return {node.id for node in ast.walk(ast.parse(code)) if isinstance(node, ast.Name)}


def _constants(code: str, network: nn.Module) -> str:
    """Return the names that the plain layers use, with the network's settings of batch norm."""
    norm = next(module for module in network.modules() if isinstance(module, nn.BatchNorm2d))
    settings = f"eps={norm.eps!r}, momentum={norm.momentum!r}"
    size = "Size = int | tuple[int, int]  # for both axes, or vertical and horizontal\n"
    made = f"batch_norm = partial(nn.BatchNorm2d, {settings})"
    return (size if "Size" in _names(code) else "") + made


def _imports(code: str) -> str:
    names = _names(code)
    lines = [line for name, line in IMPORTS.items() if name in names]
    own = next(index for index, line in enumerate(lines) if line.startswith("import torch"))
    return "\n".join([*lines[:own], "", *lines[own:], "from torch import Tensor, nn"])


def _docstring(architecture: Architecture, network: nn.Module, settings: Mapping[str, Any]) -> str:
    """Return what the file says of itself."""
    channels = settings.get("in_channels", 3)
    size = settings.get("image_size") or IMAGE_SIZE[settings.get("stem", "cifar")]
    cost = measure(network, channels, size)
    paragraphs = [
        *_origin(architecture, settings),
        f"{cost.parameters:,} parameters; {cost.multiply_adds:,} multiply-adds for an image of "
        f"{size} x {size} pixels. Images are ``(N, {channels}, H, W)``, normalised as in training; "
        f"logits are ``(N, {settings['num_classes']})``. ``load()`` returns the trained network.",
        "Written by lightning_nas, without what acts in training alone: drop path, the auxiliary "
        "head.",
    ]
    first, *others = [
        textwrap.fill(text, WIDTH, break_long_words=False, break_on_hyphens=False)
        for text in paragraphs
    ]
    return "\n\n".join([f'"""{first}', *others]) + '\n"""'


def _origin(architecture: Architecture, settings: Mapping[str, Any]) -> list[str]:
    """Return where a network comes from, a short first line, then the rest."""
    given = {
        name: value
        for name, value in settings.items()
        if name not in (*TRAINING_ONLY, "num_classes", "image_size") and value is not None
    }
    built = (
        ["Built with " + ", ".join(f"{n}={v!r}" for n, v in given.items()) + "."] if given else []
    )
    for name, published in PUBLISHED.items():
        if published.architecture == architecture:
            figure = [] if set(given) & SIZES else [published.figure]
            source = ". ".join([published.paper, *figure, published.link])
            return [f"The published architecture {name}.", source, *built]  # a link ends its line
    kind = architecture.kind.replace("_", " ")
    return [f"A network of the {kind} space, as a search finds them.", *built]
