"""A trained network in the formats of other programs, each run and compared before it is kept."""

import logging
import runpy
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from tqdm import tqdm

from lightning_nas.errors import InputError
from lightning_nas.export.python_file import TRAINING_ONLY, write_python
from lightning_nas.files import replace_file, replace_text
from lightning_nas.weights.blueprint import Blueprint
from lightning_nas.weights.checkpoint import BLUEPRINT
from lightning_nas.weights.load import load_weights, read_weights

TRACED, RUN = 2, 3  # images with which a network is traced, and with which the result is run
TOLERANCE = 1e-4  # of the largest logit
BATCH = {"images": {0: torch.export.Dim("batch")}}  # the one size that stays open


def export(
    network: nn.Module, blueprint: Blueprint, formats: Sequence[str], folder: Path
) -> dict[str, Path]:
    """Write a trained network, and beside it ``model.json`` with its classes and its images.

    All take float32 images ``(N, C, H, W)``, scaled by the mean and the deviation that
    ``model.json`` states, and return logits ``(N, K)``; N is free.

    Args:
        network: With its weights. It is left as it was.
        blueprint: What it is.
        formats: Out of ``FORMATS``: ``python``, a readable file that needs torch alone, with its
            weights; ``onnx``; ``torch``, a program of ``torch.export``; ``safetensors``, which
            ``weights=`` reads, too.
        folder: Where the files go.

    Returns:
        The file of each format.

    Raises:
        InputError: If a format is unknown.
        RuntimeError: If what was written does not give the network's logits.
    """
    check_formats(formats)
    plain = Blueprint(**{**blueprint.__dict__, "settings": _without_training(blueprint.settings)})
    copy = plain.build().eval()
    own = copy.state_dict()
    copy.load_state_dict({n: t.cpu() for n, t in network.state_dict().items() if n in own})
    folder.mkdir(parents=True, exist_ok=True)
    paths = {}
    for name in tqdm(formats, "exporting", disable=None, file=sys.stderr):
        paths[name] = folder / f"model.{FORMATS[name][0]}"
        FORMATS[name][1](copy, plain, paths[name])
    replace_text(folder / "model.json", plain.to_json())  # last: it says that the others are there
    return paths


def check_formats(formats: Sequence[str]) -> None:
    """Raise InputError if one of them is unknown."""
    for name in formats:
        if name not in FORMATS:
            raise InputError(f"export must be out of {', '.join(FORMATS)}, got {name!r}")


def _without_training(settings: Any) -> dict[str, Any]:
    return {name: v for name, v in settings.items() if name not in TRAINING_ONLY}


def images_for(blueprint: Blueprint, number: int) -> Tensor:
    """Return random images of the network's size, always the same."""
    side = blueprint.image_size
    generator = torch.Generator().manual_seed(0)
    return torch.randn(number, blueprint.channels, side, side, generator=generator)


def _write_checked(
    path: Path,
    network: nn.Module,
    blueprint: Blueprint,
    write: Callable[[Path], object],
    run: Callable[[Path, Tensor], Tensor],
) -> None:
    """Write a file, run what it holds, and keep it if the logits are those of the network."""

    def write_and_compare(part: Path) -> None:
        write(part)
        _compare(path.name, network, blueprint, partial(run, part))

    replace_file(path, write_and_compare)


def _compare(
    name: str, network: nn.Module, blueprint: Blueprint, written: Callable[[Tensor], Tensor]
) -> None:
    """Raise RuntimeError if what was written does not give the network's logits."""
    images = images_for(blueprint, RUN)
    with torch.no_grad():
        wanted, got = network(images), written(images)
    scale = max(1.0, wanted.abs().max().item())
    off = (wanted - got).abs().max().item()
    if not off <= TOLERANCE * scale:  # nan fails, too
        raise RuntimeError(f"{name} is off by {off:.2g}, where logits reach {scale:.2g}")


def _python(network: nn.Module, blueprint: Blueprint, path: Path) -> None:
    with TemporaryDirectory(dir=path.parent) as folder:
        part = Path(folder) / path.name
        write_python(network, blueprint.architecture, blueprint.arguments(), part)
        _compare(path.name, network, blueprint, runpy.run_path(str(part))["load"]())
        for written in sorted(part.parent.iterdir(), reverse=True):  # the weights first
            written.replace(path.parent / written.name)


def _onnx(network: nn.Module, blueprint: Blueprint, path: Path) -> None:
    import onnxruntime  # takes a second to import

    def write(part: Path) -> None:
        with _quiet():
            torch.onnx.export(
                network,
                (images_for(blueprint, TRACED),),
                part,
                dynamo=True,
                dynamic_shapes=BATCH,
                input_names=["images"],
                output_names=["logits"],
                external_data=False,
                verbose=False,
            )

    def run(part: Path, images: Tensor) -> Tensor:
        session = onnxruntime.InferenceSession(str(part), providers=["CPUExecutionProvider"])
        return torch.from_numpy(session.run(None, {"images": images.numpy()})[0])

    _write_checked(path, network, blueprint, write, run)


def _torch(network: nn.Module, blueprint: Blueprint, path: Path) -> None:
    def write(part: Path) -> None:
        images = images_for(blueprint, TRACED)
        program = torch.export.export(network, (images,), dynamic_shapes=BATCH)
        torch.export.save(program, part)

    def run(part: Path, images: Tensor) -> Tensor:
        return torch.export.load(part).module()(images)

    _write_checked(path, network, blueprint, write, run)


def _safetensors(network: nn.Module, blueprint: Blueprint, path: Path) -> None:
    def write(part: Path) -> None:
        state = {name: tensor.contiguous() for name, tensor in network.state_dict().items()}
        save_file(state, part, {BLUEPRINT: blueprint.to_json()})

    def run(part: Path, images: Tensor) -> Tensor:
        weights = read_weights(str(part), part.parent)
        again = weights.known().build().eval()
        load_weights(again, weights)
        return again(images)

    _write_checked(path, network, blueprint, write, run)


@contextmanager
def _quiet() -> Iterator[None]:
    """Without what torch's exporter says of its own insides."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "onnx_ir", "onnxscript")]
    levels = [logger.level for logger in loggers]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        try:
            yield
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)


FORMATS: dict[str, tuple[str, Callable[[nn.Module, Blueprint, Path], None]]] = {
    "python": ("py", _python),
    "onnx": ("onnx", _onnx),
    "torch": ("pt2", _torch),
    "safetensors": ("safetensors", _safetensors),
}
