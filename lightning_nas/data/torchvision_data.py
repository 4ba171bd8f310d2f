"""What CIFAR and Fashion-MNIST share: torchvision's files, a folder of images, or a download."""

import socket
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import torch
from torch import Tensor
from torchvision.datasets import VisionDataset

from lightning_nas.data.base import ImageData
from lightning_nas.data.folder import read_folder
from lightning_nas.data.images import LabelledImages
from lightning_nas.errors import InputError

TIMEOUT = 3.0  # seconds for the server's answer; torchvision itself would try for minutes


class TorchvisionData(ImageData):
    """A data set of torchvision's, with the official test split.

    ``root`` holds torchvision's files, or ``train/<class>/`` and ``test/<class>/`` with the same
    images as files. If it holds neither, torchvision's files are downloaded into it.

    Args:
        root: The folder.
        download: Whether missing files may be downloaded.
        settings: Those of `ImageData`.
    """

    title: str  # the name in messages
    layouts: tuple[type[VisionDataset], ...]  # torchvision's reader, then ones for other places
    stored: str  # the folder that torchvision makes
    url: str  # on the server that it downloads from
    folder_shape: tuple[int, int]  # side and channels that images from a folder are brought to

    def __init__(self, *, root: str | Path, download: bool = True, **settings: Any) -> None:
        super().__init__(**settings)
        self.root = Path(root)
        self.download = download

    def prepare_data(self) -> None:
        """Download the files if need be.

        Raises:
            InputError: If there are none, and none could be downloaded.
        """
        if self._has_folders() or self._stored_layout() is not None:
            return
        if not self.download:
            raise self._missing("data.download is off")
        if not _reachable(self.url):
            raise self._missing("could not be downloaded")
        try:
            self.layouts[0](str(self.root), download=True)
        except (OSError, RuntimeError) as error:
            raise self._missing("could not be downloaded") from error

    def read(self) -> LabelledImages:
        """Return the images of the training and the test split.

        Raises:
            InputError: If there are none in ``root``.
        """
        if self._has_folders():
            return read_folder(self.root, *self.folder_shape)
        layout = self._stored_layout()
        if layout is None:
            raise self._missing("was not downloaded")
        parts = [layout(str(self.root), train=train) for train in (True, False)]
        images = torch.cat([_pixels(part.data) for part in parts])
        return LabelledImages(
            images=images,
            labels=torch.cat([torch.as_tensor(part.targets) for part in parts]),
            classes=list(parts[0].classes),
            test=torch.arange(len(parts[0]), len(images)),
        )

    def _has_folders(self) -> bool:
        return (self.root / "train").is_dir() and (self.root / "test").is_dir()

    def _stored_layout(self) -> type[VisionDataset] | None:
        """Return the reader that finds its files in ``root``."""
        for layout in self.layouts:
            try:
                layout(str(self.root), train=False)
            except RuntimeError:  # torchvision's word for files that are missing or damaged
                continue
            return layout
        return None

    def _missing(self, reason: str) -> InputError:
        return InputError(
            f"{self.title} is not in {self.root} and {reason}: put {self.stored} or train/ and "
            "test/ folders there (data.root=DIR), or try data=digits"
        )


def _pixels(data: Any) -> Tensor:
    """Return torchvision's array or tensor as uint8 ``(M, H, W, C)``."""
    images = torch.as_tensor(data)
    return images if images.ndim == 4 else images[..., None]


def _reachable(url: str) -> bool:
    address = urlsplit(url)
    port = address.port or {"http": 80, "https": 443}[address.scheme]
    try:
        socket.create_connection((address.hostname, port), timeout=TIMEOUT).close()
    except OSError:
        return False
    return True
