"""Any folder of images. How it is laid out is `folder`'s affair."""

from pathlib import Path
from typing import Any

from lightning_nas.data.base import ImageData
from lightning_nas.data.folder import read_folder
from lightning_nas.data.images import LabelledImages
from lightning_nas.errors import InputError


class ImageFolder(ImageData):
    """Images in ``root/train/<class>/``, ``root/val/<class>/`` and ``root/test/<class>/``.

    ``val`` and ``test`` are optional: the first is then drawn from the training images as
    ``validation`` says, the second is a stratified tenth of them. Classes, channels and size are
    read from the folder.

    Args:
        root: The folder.
        image_size: Side in pixels, 1 or more; None = the images' own, if all have the same.
        settings: Those of `ImageData`.

    Raises:
        InputError: If ``image_size`` is less than 1.
    """

    def __init__(self, *, root: str | Path, image_size: int | None = None, **settings: Any) -> None:
        super().__init__(**settings)
        if image_size is not None and image_size < 1:
            raise InputError(f"data.image_size must be 1 or more, got {image_size}")
        self.root = Path(root)
        self._requested_size = image_size

    def read(self) -> LabelledImages:
        """Return the images of the folder."""
        return read_folder(self.root, self._requested_size)
