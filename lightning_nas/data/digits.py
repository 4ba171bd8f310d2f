"""Handwritten digits of scikit-learn, which need no download."""

import torch
from sklearn.datasets import load_digits

from lightning_nas.data.base import ImageData
from lightning_nas.data.images import LabelledImages


class Digits(ImageData):
    """1,797 grey images of 8x8 pixels in 10 classes. The test split is a stratified fifth."""

    test_fraction = 0.2

    def read(self) -> LabelledImages:
        """Return the digits; their 17 grey levels are scaled to 0 to 255."""
        digits = load_digits()
        levels = torch.from_numpy(digits.images)[..., None]
        return LabelledImages(
            images=(levels * (255 / 16)).round().to(torch.uint8),
            labels=torch.from_numpy(digits.target).long(),
            classes=[str(name) for name in digits.target_names],
        )
