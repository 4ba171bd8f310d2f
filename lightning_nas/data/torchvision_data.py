"""The base class of CIFAR and Fashion-MNIST: torchvision's files, image folders, or a download."""

import socket
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import torch
from torch import Tensor
from torchvision.datasets import VisionDataset

from lightning_nas.data.base import ImageData
from lightning_nas.data.folders import find_splits
from lightning_nas.data.image_folder import read_folder
from lightning_nas.data.images import LabelledImages
from lightning_nas.errors import InputError

TIMEOUT = 3.0  # seconds until the server must answer; torchvision itself would try for minutes


class TorchvisionData(ImageData):
    """Data set of torchvision with its official test split.

    ``root`` holds torchvision's files, or the same images in ``train/<class>/`` and
    ``test/<class>/``. Otherwise torchvision's files are downloaded to ``root``.

    Args:
        root: Folder of the files.
        download: Whether missing files may be downloaded.
        settings: Keyword arguments passed to ``ImageData``.
    """

    title: str  # name in messages
    layouts: tuple[type[VisionDataset], ...]  # torchvision's reader, then readers of other folders
    stored: str  # folder that torchvision's download creates
    url: str  # an address on the download server
    folder_shape: tuple[int, int]  # side in pixels and channels of images from image folders

    def __init__(self, *, root: str | Path, download: bool = True, **settings: Any) -> None:
        super().__init__(**settings)
        self.root = Path(root)
        self.download = download

    def prepare_data(self) -> None:
        """Download the files if they are missing.

        Raises:
            InputError: If the files are missing and could not be downloaded.
        """
        if self._has_folders() or self._find_layout() is not None:
            return
        if not self.download:
            raise self._missing_error("data.download is off")
        if not _is_reachable(self.url):
            raise self._missing_error("could not be downloaded")
        try:
            self.layouts[0](str(self.root), download=True)
        except (OSError, RuntimeError) as error:
            raise self._missing_error("could not be downloaded") from error

    def read(self) -> LabelledImages:
        """Return the images of the training and the test split.

        Raises:
            InputError: If ``root`` has no files of the data set.
        """
        if self._has_folders():
            return read_folder(self.root, *self.folder_shape)
        layout = self._find_layout()
        if layout is None:
            raise self._missing_error("was not downloaded")
        parts = [layout(str(self.root), train=train) for train in (True, False)]
        images = torch.cat([_to_pixels(part.data) for part in parts])
        return LabelledImages(
            images=images,
            labels=torch.cat([torch.as_tensor(part.targets) for part in parts]),
            classes=list(parts[0].classes),
            test=torch.arange(len(parts[0]), len(images)),
        )

    def _has_folders(self) -> bool:
        return self.root.is_dir() and {"train", "test"} <= set(find_splits(self.root))

    def _find_layout(self) -> type[VisionDataset] | None:
        """Return the first reader that finds its files in ``root``; None if no reader does."""
        for layout in self.layouts:
            try:
                layout(str(self.root), train=False)
            except RuntimeError:  # torchvision raises it for missing and damaged files
                continue
            return layout
        return None

    def _missing_error(self, reason: str) -> InputError:
        return InputError(
            f"{self.title} is not in {self.root} and {reason}: put {self.stored} or train/ and "
            "test/ folders there (data.root=DIR), or try data=digits"
        )


def _to_pixels(data: Any) -> Tensor:
    """Return torchvision's array or tensor as uint8 ``(M, H, W, C)``."""
    images = torch.as_tensor(data)
    return images if images.ndim == 4 else images[..., None]


def _is_reachable(url: str) -> bool:
    address = urlsplit(url)
    port = address.port or {"http": 80, "https": 443}[address.scheme]
    try:
        socket.create_connection((address.hostname, port), timeout=TIMEOUT).close()
    except OSError:
        return False
    return True
