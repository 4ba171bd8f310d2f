"""Handwritten digits that come with scikit-learn: nothing to download."""

import torch
from sklearn.datasets import load_digits

from lightning_nas.data.base import ImageData
from lightning_nas.data.images import LabelledImages


class Digits(ImageData):
    """1,797 grey images of 8x8 pixels in 10 classes; a stratified fifth is the test split."""

    test_fraction = 0.2

    def read(self) -> LabelledImages:
        """Return the digits, their 17 grey levels spread over the range of a byte."""
        digits = load_digits()
        levels = torch.from_numpy(digits.images)[..., None]
        return LabelledImages(
            images=(levels * (255 / 16)).round().to(torch.uint8),
            labels=torch.from_numpy(digits.target).long(),
            classes=[str(name) for name in digits.target_names],
        )
