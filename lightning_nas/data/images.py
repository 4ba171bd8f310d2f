"""What a data set hands over: labelled images, as one tensor or as files that are decoded later.

Pixels are uint8 in the order (height, width, channel) throughout. No splitting, no normalisation.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor
from tqdm import tqdm

from lightning_nas.errors import InputError

PROGRESS_FROM = 5_000  # images; fewer are decoded within seconds


def decoded_side(image_size: int, crop: float) -> int:
    """Return the side in pixels of the squares that images of ``image_size`` are cropped from.

    Raises:
        InputError: If ``image_size`` is less than 1, or ``crop`` not above 0 and up to 1.
    """
    if image_size < 1:
        raise InputError(f"data.image_size must be 1 or more, got {image_size}")
    check_crop(crop)
    return round(image_size / crop)


def check_crop(crop: float) -> None:
    """Raise `InputError` unless the share is above 0 and up to 1."""
    if not 0 < crop <= 1:
        raise InputError(f"data.crop must be above 0 and up to 1, got {crop}")


class ImageFiles:
    """Image files as the uint8 tensor that they decode to: it has a ``shape`` and can be indexed.

    Args:
        paths: The files.
        image_size: Side of the square in pixels. Of an image of another size, the centre square is
            resized.
        channels: 1 for grey, 3 for RGB; the files are converted.
    """

    def __init__(self, paths: Sequence[Path], image_size: int, channels: int) -> None:
        self.paths = [str(path) for path in paths]
        self.shape = (len(paths), image_size, image_size, channels)

    def __getitem__(self, indices: Tensor) -> Tensor:
        """Decode the images at ``indices`` by a pool of threads, with a progress bar for many."""
        pixels = np.empty((len(indices), *self.shape[1:]), dtype=np.uint8)
        with ThreadPoolExecutor() as pool:
            decoded = pool.map(self.decode, indices.tolist())
            quiet = len(indices) <= PROGRESS_FROM
            bar = tqdm(decoded, "reading images", len(indices), unit="images", disable=quiet)
            for place, image in zip(pixels, bar, strict=True):
                place[:] = image
        return torch.from_numpy(pixels)

    def decode(self, index: int) -> np.ndarray:
        """Return one image, uint8 ``(H, W, C)``.

        Raises:
            InputError: If the file is no image or is damaged.
        """
        _, side, _, channels = self.shape
        try:
            with Image.open(self.paths[index]) as image:
                pixels = image.convert("L" if channels == 1 else "RGB")
        except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
            reason = " ".join(str(error).split())
            raise InputError(f"cannot read the image {self.paths[index]}: {reason}") from error
        square = ImageOps.fit(pixels, (side, side), Image.Resampling.BILINEAR)
        return np.asarray(square).reshape(side, side, channels)


@dataclass(frozen=True)
class LabelledImages:
    """The images of all splits in one pool.

    Attributes:
        images: uint8 ``(M, H, W, C)``, or files that decode to it.
        labels: int64 ``(M,)``, positions in ``classes``.
        classes: The names of the classes.
        image_size: Side in pixels of what the network sees of an image; None = all of it.
        validation: Indices of the validation split that the data set comes with, if it has one.
        test: Indices of the test split that the data set comes with, if it has one.
    """

    images: Tensor | ImageFiles
    labels: Tensor
    classes: list[str]
    image_size: int | None = None
    validation: Tensor | None = None
    test: Tensor | None = None
