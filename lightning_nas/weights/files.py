"""Reading weights from checkpoints, ``.safetensors`` files and downloads.

A file cannot run code: torch reads with ``weights_only=True``, and safetensors holds only tensors.
"""

import hashlib
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
from torch import Tensor
from tqdm import tqdm

from lightning_nas.errors import InputError
from lightning_nas.files import replace_file
from lightning_nas.storage.run_folder import RunFolder
from lightning_nas.weights.blueprint import Blueprint
from lightning_nas.weights.checkpoint import BLUEPRINT
from lightning_nas.weights.imagenet import (
    URLS,
    from_imagenet_format,
    imagenet_blueprint,
    is_imagenet_format,
)
from lightning_nas.weights.inherit import are_shared

PREFIXES = ("network.", "supernet.network.")  # prefixes of the tensor names in a checkpoint


@dataclass(frozen=True)
class Weights:
    """Named tensors of a network, and the blueprint of the network.

    Args:
        source: Value of the setting ``weights``, for messages.
        state: Tensors by their names in a network or in a supernet.
        blueprint: Description of the network and of its images (``weights/blueprint.py``); None for
            shared weights or a file without a blueprint.
    """

    source: str
    state: Mapping[str, Tensor] = field(repr=False)
    blueprint: Blueprint | None = None

    @property
    def shared(self) -> bool:
        """Whether the weights are the shared weights of a search."""
        return are_shared(self.state)

    def require_blueprint(self) -> Blueprint:
        """Return the blueprint.

        Raises:
            InputError: If the weights have no blueprint.
        """
        if self.blueprint is None:
            what = "are shared by all architectures" if self.shared else "have no blueprint"
            raise InputError(
                f"weights={self.source} {what}; give the run folder of a training, one of its "
                f"checkpoints, an exported .safetensors file, or {' or '.join(URLS)}"
            )
        return self.blueprint


def read_weights(source: str, downloads: Path) -> Weights:
    """Read weights from a run folder, a file, or a URL.

    Args:
        source: Run folder, file, URL of a file, or a name in ``URLS``.
        downloads: Folder that keeps downloaded files.

    Raises:
        InputError: If the source has no weights, or the format of the file is unknown.
    """
    if source in URLS or urlsplit(source).scheme in ("http", "https"):
        path = _download(URLS.get(source, source), downloads)
    else:
        path = _find_file(Path(source))
    if path.suffix == ".safetensors":
        return _read_safetensors(source, path)
    return _parse_content(source, read_checkpoint(path, f"weights={source}"))


def read_checkpoint(path: Path, name: str | None = None) -> Any:
    """Return the content of a file written by torch, with the tensors on the CPU.

    Args:
        path: Path of the file.
        name: Name of the file in error messages; None = ``path``.

    Raises:
        InputError: If the file is damaged or contains Python objects.
    """
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises many types of exceptions for damaged files
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        if isinstance(error, pickle.UnpicklingError):  # torch's message suggests weights_only=False
            reason = "unknown format, or the file contains Python objects, which are never loaded"
        raise InputError(f"{name or path}: not a readable file of tensors ({reason})") from None


def _parse_content(source: str, content: Any) -> Weights:
    """Return the tensors and the blueprint in the content of a checkpoint."""
    blueprint = None
    if isinstance(content, dict) and "state_dict" in content:
        if BLUEPRINT in content:
            blueprint = Blueprint.from_json(content[BLUEPRINT], f"weights={source}")
        content = content["state_dict"]
    if not (isinstance(content, dict) and content and all(map(_is_named_tensor, content.items()))):
        raise InputError(f"weights={source}: the file contains no tensors with names")
    for prefix in PREFIXES:
        if any(name.startswith(prefix) for name in content):
            names = [name for name in content if name.startswith(prefix)]
            content = {name.removeprefix(prefix): content[name] for name in names}
            break
    if is_imagenet_format(content):
        blueprint = imagenet_blueprint(content)
        content = from_imagenet_format(content)
    return Weights(source, content, blueprint)


def _is_named_tensor(item: tuple[Any, Any]) -> bool:
    return isinstance(item[0], str) and isinstance(item[1], Tensor)


def _read_safetensors(source: str, path: Path) -> Weights:
    try:
        with safe_open(path, "pt") as file:
            state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            text = (file.metadata() or {}).get(BLUEPRINT)
    except (SafetensorError, OSError) as error:
        raise InputError(f"weights={source}: not a safetensors file ({error})") from None
    return Weights(source, state, text and Blueprint.from_json(text, f"weights={source}"))


def _find_file(path: Path) -> Path:
    """Return the path itself if it is a file, or the checkpoint of a run folder."""
    if path.is_file():
        return path
    if path.exists() and not path.is_dir():
        raise InputError(f"weights={path}: not a regular file")
    if not path.is_dir():
        raise InputError(
            f"weights={path}: no such file or run folder; published weights are {' or '.join(URLS)}"
        )
    return RunFolder(path).find_trained_checkpoint()


def _download(url: str, folder: Path) -> Path:
    digest = hashlib.sha256(url.encode()).hexdigest()[:8]  # two URLs may have one file name
    path = folder / digest / Path(urlsplit(url).path).name
    if not path.exists():
        try:
            replace_file(path, lambda part: _fetch(url, part))
        except (HTTPException, OSError) as error:
            raise InputError(
                f"{url} could not be downloaded ({error}); download the file elsewhere and set "
                "weights=FILE"
            ) from None
    return path


def _fetch(url: str, path: Path) -> None:
    with tqdm(desc=path.name, unit="B", unit_scale=True, disable=None, file=sys.stderr) as bar:

        def show_progress(blocks: int, size: int, total: int) -> None:
            bar.total = max(total, 0) or None
            bar.update(blocks * size - bar.n)

        urlretrieve(url, path, show_progress)  # raises an error if the download is incomplete
