"""Export of a trained network to other formats. A file is kept only if its logits are equal."""

import json
import logging
import math
import runpy
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from safetensors.torch import save
from torch import Tensor, nn
from tqdm import tqdm

from lightning_nas.errors import InputError
from lightning_nas.export.instructions import MODES, read_classify_script, write_readme
from lightning_nas.export.python_file import TRAINING_ONLY, write_python
from lightning_nas.files import replace_file, replace_text
from lightning_nas.weights.blueprint import Blueprint
from lightning_nas.weights.checkpoint import BLUEPRINT
from lightning_nas.weights.load import load_weights, read_weights

TRACED_IMAGES, COMPARED_IMAGES = 2, 3  # batch sizes; they differ to test that the size is free
TOLERANCE = 1e-4  # maximum difference of logits, as a share of the largest logit
BATCH = {"images": {0: torch.export.Dim("batch")}}  # the batch size is the only free dimension


def export(
    network: nn.Module, blueprint: Blueprint, formats: Sequence[str], folder: Path
) -> dict[str, Path]:
    """Write a trained network in some formats, and how to use them.

    ``model.json`` describes classes and images, ``README.md`` says how to load each format, and
    ``classify.py`` runs ``model.onnx`` without this project.

    Every exported network takes float32 images ``(N, C, H, W)``, normalised by the mean and the
    standard deviation in ``model.json``, and returns logits ``(N, K)``. N is free. In ONNX, H and W
    are free too, in steps that the metadata ``sides`` state, if onnxruntime gives equal logits.

    Args:
        network: Network with its weights. The network is not changed.
        blueprint: Description of the network.
        formats: Names from ``FORMATS``: ``python``, a readable file that imports torch alone, with
            its weights; ``onnx``; ``torch``, a program of ``torch.export``; ``safetensors``, which
            the setting ``weights`` reads too.
        folder: Folder of the files, created if it is missing.

    Returns:
        The path of the file of each format.

    Raises:
        InputError: If a format is unknown, or the format ``python`` cannot represent the network.
        RuntimeError: If an exported network returns other logits than the network.
    """
    check_formats(formats)
    settings = {name: v for name, v in blueprint.settings.items() if name not in TRAINING_ONLY}
    plain = replace(blueprint, settings=settings)
    copy = plain.build().eval()
    names = copy.state_dict().keys()
    copy.load_state_dict({n: t.cpu() for n, t in network.state_dict().items() if n in names})
    folder.mkdir(parents=True, exist_ok=True)
    paths, written = {}, {}
    for name in tqdm(formats, "exporting", disable=None, file=sys.stderr):
        suffix, write, run = FORMATS[name]
        paths[name] = folder / f"model.{suffix}"
        written[name] = _write_checked(paths[name], copy, plain, write, run)
    replace_text(folder / "README.md", write_readme(plain, formats, written.get("onnx")))
    if "onnx" in formats:
        replace_text(folder / "classify.py", read_classify_script())
    # Written last: a folder with model.json has all files of its formats.
    replace_text(folder / "model.json", plain.to_json())
    return paths


def check_formats(formats: Sequence[str]) -> None:
    """Raise InputError if a format is unknown."""
    for name in formats:
        if name not in FORMATS:
            raise InputError(f"export must be out of {', '.join(FORMATS)}, got {name!r}")


def images_for(blueprint: Blueprint, number: int) -> Tensor:
    """Return random images of the network's size, the same ones at every call."""
    return _random_images(number, blueprint.channels, blueprint.image_size, blueprint.image_size)


def _random_images(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(0))


Writer = Callable[[nn.Module, Blueprint, Path], Any]
Runner = Callable[[Path, Tensor], Tensor]  # of a written file, on images


def _write_checked(
    path: Path, network: nn.Module, blueprint: Blueprint, write: Writer, run: Runner
) -> Any:
    """Write the files of a format and keep them if they give the logits of the network.

    Returns:
        What ``write`` returns.
    """
    images = images_for(blueprint, COMPARED_IMAGES)
    with TemporaryDirectory(dir=path.parent) as folder:
        part = Path(folder) / path.name
        written = write(network, blueprint, part)
        with torch.no_grad():
            difference = _compare(network(images), run(part, images))
        if not difference <= TOLERANCE:  # also true for nan
            raise RuntimeError(
                f"{path.name}: logits differ by {difference:.2g} of the largest logit (at least 1)"
            )
        for file in sorted(part.parent.iterdir(), reverse=True):  # model_weights.pt before model.py
            replace_file(path.parent / file.name, file.replace)
    return written


def _compare(expected: Tensor, actual: Tensor) -> float:
    """Return the maximum difference of logits, as a share of the largest logit or of 1."""
    return ((expected - actual).abs().max() / expected.abs().max().clamp(min=1)).item()


def _write_python(network: nn.Module, blueprint: Blueprint, path: Path) -> None:
    write_python(network, blueprint.architecture, blueprint.arguments(), path)


def _run_python(path: Path, images: Tensor) -> Tensor:
    return runpy.run_path(str(path))["load"]()(images)


def _write_onnx(network: nn.Module, blueprint: Blueprint, path: Path) -> tuple[int, int] | None:
    """Write an ONNX file; return the smallest free side and the step in pixels, None = fixed."""
    with _without_warnings():
        torch.onnx.export(
            network,
            (images_for(blueprint, TRACED_IMAGES),),
            path,
            dynamo=True,
            dynamic_shapes=BATCH,
            input_names=["images"],
            output_names=["logits"],
            external_data=False,
            verbose=False,
        )
    sides = _free_sides(network, blueprint, path)
    _add_metadata(path, blueprint, sides)
    return sides


def _free_sides(network: nn.Module, blueprint: Blueprint, path: Path) -> tuple[int, int] | None:
    """Free height and width of an ONNX file if other sizes then give the logits of the network.

    With sides that differ by a multiple of all reductions, every map keeps the padding that it has
    in the file. torch's own dynamic sizes make the export of a network 1.5 to 10 times as slow.

    Returns:
        The smallest side and the step between two sides in pixels; None if the file is unchanged.
    """
    import onnx  # the import takes a second

    backbone: Any = blueprint.build(features_only=True)
    step = math.lcm(*backbone.feature_info.reduction())
    smallest = blueprint.image_size % step or step
    model = onnx.load(path)
    height, width = model.graph.input[0].type.tensor_type.shape.dim[2:]
    height.dim_param, width.dim_param = "height", "width"
    del model.graph.value_info[:]  # the sizes of all maps
    free = path.with_stem("free")
    onnx.save(model, free)
    images = _random_images(
        COMPARED_IMAGES, blueprint.channels, smallest, blueprint.image_size + step
    )
    try:
        with torch.no_grad():
            difference = _compare(network(images), _run_onnx(free, images))
    except Exception:  # of any class: onnxruntime, or an operation that needs larger maps
        difference = math.nan
    if not difference <= TOLERANCE:
        free.unlink()
        return None
    free.replace(path)
    return smallest, step


def _add_metadata(path: Path, blueprint: Blueprint, sides: tuple[int, int] | None) -> None:
    """Write what a program must know of classes and images into an ONNX file, as JSON."""
    import onnx  # the import takes a second

    facts = {
        "classes": blueprint.classes or [str(n) for n in range(blueprint.num_classes)],
        "image_size": blueprint.image_size,
        "sides": sides,
        "channels": blueprint.channels,
        "mode": MODES.get(blueprint.channels),
        "mean": blueprint.mean,
        "std": blueprint.std,
        "crop": blueprint.crop,
    }
    model = onnx.load(path)
    onnx.helper.set_model_props(model, {name: json.dumps(one) for name, one in facts.items()})
    onnx.save(model, path)


def _run_onnx(path: Path, images: Tensor) -> Tensor:
    import onnxruntime  # the import takes a second

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4  # errors are exceptions; onnxruntime prints them as well
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    return torch.from_numpy(session.run(None, {"images": images.numpy()})[0])


def _write_torch(network: nn.Module, blueprint: Blueprint, path: Path) -> None:
    images = images_for(blueprint, TRACED_IMAGES)
    torch.export.save(torch.export.export(network, (images,), dynamic_shapes=BATCH), path)


def _run_torch(path: Path, images: Tensor) -> Tensor:
    return torch.export.load(path).module()(images)


def _write_safetensors(network: nn.Module, blueprint: Blueprint, path: Path) -> None:
    state = {name: tensor.contiguous() for name, tensor in network.state_dict().items()}
    # safetensors' own writer makes a file that only its owner can read
    path.write_bytes(save(state, {BLUEPRINT: blueprint.to_json()}))


def _run_safetensors(path: Path, images: Tensor) -> Tensor:
    weights = read_weights(str(path), path.parent)
    network = weights.require_blueprint().build().eval()
    load_weights(network, weights)
    return network(images)


@contextmanager
def _without_warnings() -> Iterator[None]:
    """Hide the messages of torch's ONNX exporter about its internals."""
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


FORMATS: dict[str, tuple[str, Writer, Runner]] = {  # suffix of the file, writer, runner
    "python": ("py", _write_python, _run_python),
    "onnx": ("onnx", _write_onnx, _run_onnx),
    "torch": ("pt2", _write_torch, _run_torch),
    "safetensors": ("safetensors", _write_safetensors, _run_safetensors),
}
