"""A network as one readable Python file that imports torch alone, with its weights beside it.

The file holds the source of the network's own classes. The auxiliary head and drop path are left
out: they act in training alone. The weights keep their names.
"""

import re
import textwrap
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from lightning_nas.architecture import Architecture
from lightning_nas.errors import InputError, describe_os_error
from lightning_nas.evaluation.complexity import measure
from lightning_nas.export.source import LEFT_OUT, WIDTH, SourceCollector, brackets, write_value
from lightning_nas.files import replace_file, replace_text
from lightning_nas.networks.build import IMAGE_SIZE, build_network
from lightning_nas.networks.features import SkipNumbers
from lightning_nas.published import PUBLISHED

TRAINING_ONLY = ("auxiliary", "drop_path")
SIZES = {"filters", "cells", "stem"}  # with one of these, a network is not that of a paper's figure
IMPORTS = {("pathlib", "Path", "Path"), ("torch", None, "torch"), ("torch", "nn", "nn")}
FILE = '''"""{docstring}
"""

{imports}

{code}


{architecture}


class Network({base}):
    """The network whose weights stand beside this file."""

    def __init__(self, num_classes: int = {num_classes}) -> None:
        {call}
        for module in self.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.eps, module.momentum = {epsilon!r}, {momentum!r}


def load(path: str | Path | None = None) -> Network:
    """Return the network with its weights, ready to classify; None = those beside this file."""
    weights = path or Path(__file__).with_name(f"{{Path(__file__).stem}}_weights.pt")
    network = Network()
    network.load_state_dict(torch.load(weights, map_location="cpu", weights_only=True))
    return network.eval()
'''


def write_python(
    network: nn.Module, architecture: Architecture, settings: Mapping[str, Any], path: Path
) -> None:
    """Write a network's file, and its weights as ``NAME_weights.pt`` in the same folder.

    Args:
        network: Network with the weights.
        architecture: Architecture of the network.
        settings: Keyword arguments of ``build_network`` for this network.
        path: Python file to write. A missing folder is created.

    Raises:
        InputError: If the path or a setting is not legal, if the weights do not fit architecture
            and settings, or if an operation cannot be written as Python.
    """
    if path.suffix != ".py" or not path.stem.isidentifier():
        raise InputError(f"{path}: the name must be that of a Python module, such as network.py")
    weights = {
        name: tensor.detach().cpu().clone(memory_format=torch.contiguous_format)
        for name, tensor in network.state_dict().items()
        if not name.startswith("auxiliary.")
    }
    plain = _build_without_memory(architecture, settings)
    _check_shapes(weights, plain)
    source = _write_source(plain, architecture, settings)
    weights_path = path.with_name(f"{path.stem}_weights.pt")
    try:
        replace_file(weights_path, lambda part: torch.save(weights, part))
        replace_text(path, source)
    except OSError as error:
        reason = describe_os_error(error)
        raise InputError(f"{path}: cannot be written ({reason})") from None


def python_source(architecture: Architecture, settings: Mapping[str, Any]) -> str:
    """Return the text of a network's file.

    Architecture and settings may come from a file of weights that others made. So text from them
    becomes a literal of the code; the docstring has numbers and names of the registry alone.

    Args:
        architecture: Architecture of the network.
        settings: Keyword arguments of ``build_network``.

    Raises:
        InputError: If a setting is out of range or does not apply to this kind of architecture, or
            if an operation cannot be written as Python.
    """
    return _write_source(_build_without_memory(architecture, settings), architecture, settings)


def _write_source(
    network: nn.Module, architecture: Architecture, settings: Mapping[str, Any]
) -> str:
    sizes: dict[str, Any] = dict(network.sizes)  # type: ignore[arg-type]
    names = set(re.findall(r"\w+", repr(architecture))) | {architecture.kind.removesuffix("_cell")}
    collector = SourceCollector(type(network), names)
    collector.imports |= IMPORTS
    norm = next(module for module in network.modules() if isinstance(module, nn.BatchNorm2d))
    built = {name: sizes[name] for name in ("cells", "filters") if name in sizes}
    arguments = [
        f"{name}=num_classes" if name == "num_classes" else write_value(value, prefix=f"{name}=")
        for name, value in sizes.items()
        if not LEFT_OUT.fullmatch(name)
    ]
    return FILE.format(
        docstring=_docstring(architecture, network, settings),
        imports=collector.import_lines(),
        code=collector.code(),
        architecture=write_value(replace(architecture, **built), prefix="ARCHITECTURE = "),
        base=type(network).__name__,
        num_classes=sizes["num_classes"],
        call=brackets("super().__init__(", ["ARCHITECTURE", *arguments], ")", 8),
        epsilon=norm.eps,
        momentum=norm.momentum,
    )


def _build_without_memory(architecture: Architecture, settings: Mapping[str, Any]) -> nn.Module:
    """Return the network without training parts and without memory for its weights."""
    if settings.get("features_only"):
        raise InputError("features_only=True: only a network with its classifier can be exported")
    for name, value in settings.items():
        if name != "stem" and not isinstance(value, int | float | None):
            raise InputError(f"{name} must be a number, got {value!r}")
    used = {name: value for name, value in settings.items() if name not in TRAINING_ONLY}
    with torch.device("meta"), SkipNumbers():
        return build_network(architecture, **used)


def _check_shapes(weights: Mapping[str, Tensor], network: nn.Module) -> None:
    """Raise InputError if the weights do not fit a network."""
    legal = {name: str(tuple(tensor.shape)) for name, tensor in network.state_dict().items()}
    given = {name: str(tuple(tensor.shape)) for name, tensor in weights.items()}
    for name in sorted(legal.keys() | given.keys()):
        if legal.get(name) != given.get(name):
            raise InputError(
                "the weights do not fit the architecture and the settings: the shape of "
                f"{name} is {given.get(name, 'missing')}, not {legal.get(name, 'missing')}"
            )


def _docstring(architecture: Architecture, network: nn.Module, settings: Mapping[str, Any]) -> str:
    """Return the docstring of the file: origin, costs and shapes of the network."""
    is_resized = any(settings.get(name) is not None for name in SIZES)
    paragraphs = [f"An architecture of the {architecture.kind.replace('_', ' ')} space."]
    for name, published in PUBLISHED.items():
        if published.architecture == architecture:
            figure = [] if is_resized else [published.figure]
            source = ". ".join([published.paper, *figure, published.link])  # a link ends its line
            paragraphs = [f"The published architecture {name}.", source]
    channels = settings.get("in_channels", 3)
    size = settings.get("image_size") or IMAGE_SIZE[settings.get("stem", "cifar")]
    cost = measure(network, channels, size)
    paragraphs += [
        f"{cost.parameters:,} parameters; {cost.multiply_adds:,} multiply-adds for an image of "
        f"{size} x {size} pixels. Images are ``(N, {channels}, H, W)``, normalised as in training; "
        f"logits are ``(N, {settings['num_classes']})``. ``load()`` returns the trained network.",
        "Written by lightning_nas. The auxiliary head and drop path are left out: they act in "
        "training alone.",
    ]
    return "\n\n".join(
        textwrap.fill(text, WIDTH, break_long_words=False, break_on_hyphens=False)
        for text in paragraphs
    )
