"""Any folder of images. How it is laid out is `folder`'s affair."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from lightning_nas.data.base import ImageData
from lightning_nas.data.folder import read_folder
from lightning_nas.data.images import LabelledImages, check_crop, decoded_side


class ImageFolder(ImageData):
    """Images in ``root/train/<class>/``, ``root/val/<class>/`` and ``root/test/<class>/``.

    ``val`` and ``test`` are optional: the first is then drawn from the training images as
    ``validation`` says, the second is a stratified tenth of them. Classes, channels and size are
    read from the folder.

    Args:
        root: The folder.
        image_size: Side in pixels, 1 or more; None = ``crop`` of the images' own, if all have the
            same.
        crop: Share, above 0 and up to 1, of the decoded side that an image in a batch has: images
            are decoded as squares of ``image_size / crop`` pixels, of which the centre is taken,
            or what the augmentation draws. 0.875 with 224 pixels decodes 256.
        settings: Those of `ImageData`.

    Raises:
        InputError: If ``image_size`` or ``crop`` is out of its range.
    """

    def __init__(
        self,
        *,
        root: str | Path,
        image_size: int | None = None,
        crop: float = 1.0,
        **settings: Any,
    ) -> None:
        super().__init__(**settings)
        check_crop(crop)
        self.root = Path(root)
        self.crop = crop
        self._requested_size = image_size
        self._decoded_side = None if image_size is None else decoded_side(image_size, crop)

    def read(self) -> LabelledImages:
        """Return the images of the folder."""
        data = read_folder(self.root, self._decoded_side)
        side = self._requested_size or max(1, round(self.crop * data.images.shape[1]))
        return replace(data, image_size=side)
