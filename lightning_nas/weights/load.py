"""Trained weights: where they lie, what they are of, and how a network takes them.

They come from a run folder, a checkpoint, an exported ``.safetensors`` file, or from the files with
ImageNet weights of NASNet-A. Files are read with ``weights_only=True``: they cannot run code.
"""

import hashlib
import json
import pickle
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import urlretrieve

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn
from tqdm import tqdm

from lightning_nas.errors import InputError, list_some
from lightning_nas.files import replace_file
from lightning_nas.weights.blueprint import Blueprint
from lightning_nas.weights.checkpoint import BLUEPRINT
from lightning_nas.weights.imagenet import (
    URLS,
    from_imagenet_format,
    imagenet_blueprint,
    is_imagenet_format,
)
from lightning_nas.weights.inherit import are_shared, inherit

HEAD = "classifier."
AUXILIARY = "auxiliary."
OWNERS = ("network.", "supernet.network.")  # of the network's tensors, in a checkpoint
COUNTER = "num_batches_tracked"  # files of before torch 0.4.1 have none; nothing reads it


@dataclass(frozen=True)
class Weights:
    """Tensors by name, and what they are of.

    Args:
        source: Where they come from, for messages.
        state: By the names that they have in a network, or in shared weights.
        blueprint: Of their network; None for shared weights and for files that do not say.
    """

    source: str
    state: Mapping[str, Tensor] = field(repr=False)
    blueprint: Blueprint | None = None

    @property
    def shared(self) -> bool:
        """Whether they are the shared weights of a search."""
        return are_shared(self.state)

    def known(self) -> Blueprint:
        """Return the blueprint.

        Raises:
            InputError: If there is none.
        """
        if self.blueprint is None:
            what = "are shared by all architectures" if self.shared else "do not say of what"
            raise InputError(
                f"weights={self.source} {what}; give those of a training: its run folder, one of "
                f"its checkpoints, an exported .safetensors file, or {' or '.join(URLS)}"
            )
        return self.blueprint


def read_weights(source: str, downloads: Path) -> Weights:
    """Read weights from wherever they are.

    Args:
        source: A run folder, a file, a URL of one, or a name out of ``URLS``.
        downloads: Where files are kept that are downloaded, once.

    Raises:
        InputError: If there are none, or the file is of no known format.
    """
    if source in URLS or urlsplit(source).scheme in ("http", "https"):
        path = _download(URLS.get(source, source), downloads)
    else:
        path = _file_of(Path(source))
    if path.suffix == ".safetensors":
        return _from_safetensors(source, path)
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises all sorts of them where a file is of no known format
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        if isinstance(error, pickle.UnpicklingError):  # its text has advice to run what is in it
            reason = "it is of another format, or has Python objects in it, which are not loaded"
        raise InputError(
            f"weights={source}: cannot be read as a file of tensors ({reason})"
        ) from None
    return _from_content(source, content)


def _from_content(source: str, content: Any) -> Weights:
    blueprint = None
    if isinstance(content, dict) and "state_dict" in content:
        if BLUEPRINT in content:
            blueprint = Blueprint.from_json(content[BLUEPRINT], f"weights={source}")
        content = content["state_dict"]
    if not (isinstance(content, dict) and content and all(map(_is_named_tensor, content.items()))):
        raise InputError(f"weights={source}: holds no tensors by name")
    for owner in OWNERS:
        if any(name.startswith(owner) for name in content):
            content = {n.removeprefix(owner): t for n, t in content.items() if n.startswith(owner)}
            break
    if is_imagenet_format(content):
        blueprint = imagenet_blueprint(content)
        content = from_imagenet_format(content)
    return Weights(source, content, blueprint)


def _is_named_tensor(item: tuple[Any, Any]) -> bool:
    return isinstance(item[0], str) and isinstance(item[1], Tensor)


def _from_safetensors(source: str, path: Path) -> Weights:
    try:
        with safe_open(path, "pt") as file:
            state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            text = (file.metadata() or {}).get(BLUEPRINT)
    except (SafetensorError, OSError) as error:
        raise InputError(f"weights={source}: no safetensors file ({error})") from None
    return Weights(source, state, text and Blueprint.from_json(text, f"weights={source}"))


def _file_of(path: Path) -> Path:
    """Return the file that a run folder or a path stands for."""
    if path.is_file():
        return path
    if not path.is_dir():
        raise InputError(f"weights={path}: no such file or run folder, nor {' or '.join(URLS)}")
    best = path / "checkpoints" / "best.ckpt"
    summary = path / "summary.json"
    if summary.exists():
        said = json.loads(summary.read_text(encoding="utf-8")).get("checkpoint")
        best = path / "checkpoints" / Path(said).name if said else best
    for checkpoint in (best, path / "checkpoints" / "last.ckpt"):
        if checkpoint.exists():
            return checkpoint
    raise InputError(f"weights={path}: a folder without a checkpoint; was a network trained in it?")


def _download(url: str, folder: Path) -> Path:
    place = hashlib.sha256(url.encode()).hexdigest()[:8]  # other files may have the same name
    path = folder / place / Path(urlsplit(url).path).name
    if not path.exists():
        try:
            replace_file(path, lambda part: _fetch(url, part))
        except (HTTPException, OSError) as error:
            raise InputError(
                f"{url} could not be downloaded ({error}); fetch it elsewhere and give weights=FILE"
            ) from None
    return path


def _fetch(url: str, path: Path) -> None:
    with tqdm(desc=path.name, unit="B", unit_scale=True, disable=None, file=sys.stderr) as bar:

        def show(blocks: int, size: int, total: int) -> None:
            bar.total = max(total, 0) or None
            bar.update(blocks * size - bar.n)

        urlretrieve(url, path, show)  # raises where less comes than was said


def load_weights(network: nn.Module, weights: Weights, *, new_head: bool = False) -> str:
    """Give a network trained weights.

    Args:
        network: Of the same architecture and size. An auxiliary head that is not among the weights,
            or of another size, begins anew; so does a stem for grey or RGB images: its weights are
            spread over the channels, or added up.
        weights: Of a network, or shared ones.
        new_head: Let the classifiers begin anew, for other classes.

    Returns:
        How much was taken over, in words.

    Raises:
        InputError: If the weights are of another network; the first few differences are named.
    """
    if weights.shared:
        return f"inherited {inherit(network, weights.state)} from {weights.source}"
    own = network.state_dict()
    given = {name: _for_channels(t, own.get(name)) for name, t in weights.state.items()}
    fresh = {name for name in own.keys() | given.keys() if new_head and name.startswith(HEAD)}
    auxiliary = {name for name in own.keys() | given.keys() if name.startswith(AUXILIARY)}
    if new_head or any(_differs(name, given, own) for name in auxiliary):
        fresh |= auxiliary
    counted = any(name.endswith(COUNTER) for name in given)
    uncounted = {name for name in own if name.endswith(COUNTER) and not counted}
    names = sorted((own.keys() | given.keys()) - fresh - uncounted)
    differences = [text for name in names if (text := _differs(name, given, own))]
    if differences:
        raise InputError(_refusal(weights, own, differences))
    taken = {name: given[name] for name in names}
    network.load_state_dict(taken, strict=False)
    begun = sorted({name.split(".")[0] for name in fresh & own.keys()})
    return f"took {len(taken)} of {len(own)} tensors from {weights.source}" + (
        f"; begun anew: {', '.join(begun)}" if begun else ""
    )


def _refusal(weights: Weights, own: Mapping[str, Tensor], differences: list[str]) -> str:
    head = [text for text in differences if text.startswith(HEAD)]
    if len(head) == len(differences):
        advice = "they are of other classes: recipe=finetune or new_head=true begins a new head"
    elif weights.blueprint is not None:
        advice = "leave out architecture and network.*, for the weights know theirs, or take others"
    else:
        advice = (
            "build the network that they are of (architecture, network.filters, network.cells, "
            "network.stem), or choose other weights"
        )
    return f"weights={weights.source} do not fit this network: {list_some(differences)}; {advice}"


def _differs(name: str, given: Mapping[str, Tensor], own: Mapping[str, Tensor]) -> str:
    """Return what is different about a tensor; empty if nothing is."""
    if name not in given:
        return f"{name} is missing there"
    if name not in own:
        return f"{name} is there alone"
    if given[name].shape != own[name].shape:
        return f"{name} is {list(given[name].shape)} there and {list(own[name].shape)} here"
    return ""


def _for_channels(tensor: Tensor, own: Tensor | None) -> Tensor:
    """Bring a convolution of grey images to RGB ones, or the other way round."""
    if own is None or tensor.ndim != 4 or own.ndim != 4:
        return tensor
    there, here = tensor.shape[1], own.shape[1]
    if {there, here} != {1, 3} or tensor[:, 0].shape != own[:, 0].shape:
        return tensor
    return tensor.sum(1, keepdim=True) if here == 1 else tensor.expand(-1, 3, -1, -1) / 3
