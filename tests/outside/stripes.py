"""Grey images of stripes, made here: stands for any images that no folder has in order."""

from typing import Any

import torch

from lightning_nas.data.base import ImageData
from lightning_nas.data.images import LabelledImages


class Stripes(ImageData):
    """Stripes that run across or down, 8x8 pixels.

    Args:
        images: How many.
        settings: Of ``ImageData``.
    """

    def __init__(self, images: int, **settings: Any) -> None:
        super().__init__(**settings)
        self.images = images

    def read(self) -> LabelledImages:
        """Return them, every other one across."""
        pixels = torch.randint(100, (self.images, 8, 8, 1), generator=torch.Generator())
        pixels[::2, ::2] += 150
        pixels[1::2, :, ::2] += 150
        labels = torch.arange(self.images) % 2
        return LabelledImages(pixels.to(torch.uint8), labels, classes=["across", "down"])
