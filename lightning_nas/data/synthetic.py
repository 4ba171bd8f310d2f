"""Generated images that a network can learn: for tests and for a first search in seconds."""

from typing import Any

import torch
from torch.nn import functional

from lightning_nas.data.base import ImageData
from lightning_nas.data.images import LabelledImages
from lightning_nas.data.seeding import make_generator
from lightning_nas.errors import InputError


class Synthetic(ImageData):
    """One smooth random pattern for each class, with noise for each image.

    The images do not depend on ``seed``: two seeds split and order the same images. The test split
    is a stratified fifth.

    Args:
        images: Number of images in all splits together, at least 1.
        num_classes: Number of classes, at least 2.
        image_size: Side in pixels, at least 1.
        channels: Channels of an image, at least 1.
        noise: Standard deviation of the noise, for pixels in [0, 1].
        settings: Keyword arguments passed to ``ImageData``.

    Raises:
        InputError: If a size is below 1.
    """

    test_fraction = 0.2

    def __init__(
        self,
        *,
        images: int = 256,
        num_classes: int = 4,
        image_size: int = 8,
        channels: int = 3,
        noise: float = 0.2,
        **settings: Any,
    ) -> None:
        super().__init__(**settings)
        sizes = {"images": images, "num_classes": num_classes, "image_size": image_size}
        for name, size in {**sizes, "channels": channels}.items():
            if size < 1:
                raise InputError(f"data.{name} must be 1 or more, got {size}")
        self._shape = (images, channels, image_size, image_size)
        self._classes = [f"pattern {number}" for number in range(num_classes)]
        self._noise = noise

    def read(self) -> LabelledImages:
        """Generate the images."""
        number, channels, side, _ = self._shape
        generator = make_generator("synthetic")
        coarse = torch.rand(len(self._classes), channels, 3, 3, generator=generator)
        patterns = functional.interpolate(coarse, size=(side, side), mode="bilinear")
        labels = torch.arange(number) % len(self._classes)
        pixels = patterns[labels] + self._noise * torch.randn(self._shape, generator=generator)
        images = (pixels.clamp(0, 1) * 255).round().to(torch.uint8)
        return LabelledImages(images.permute(0, 2, 3, 1).contiguous(), labels, self._classes)
