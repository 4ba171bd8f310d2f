"""Data from outside of the package: generated grey images of stripes."""

from typing import Any

import torch

from lightning_nas.data.base import ImageData
from lightning_nas.data.images import LabelledImages


class Stripes(ImageData):
    """Images of 8x8 pixels with horizontal or vertical stripes.

    Args:
        images: Number of images.
        settings: Keyword arguments passed to ``ImageData``.
    """

    def __init__(self, images: int, **settings: Any) -> None:
        super().__init__(**settings)
        self.images = images

    def read(self) -> LabelledImages:
        """Return the images; those of even numbers have horizontal stripes."""
        pixels = torch.randint(100, (self.images, 8, 8, 1), generator=torch.Generator())
        pixels[::2, ::2] += 150
        pixels[1::2, :, ::2] += 150
        labels = torch.arange(self.images) % 2
        return LabelledImages(pixels.to(torch.uint8), labels, classes=["across", "down"])
