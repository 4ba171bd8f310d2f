"""Augmentation of training images: which random changes a batch gets, and in which order.

Each image has its own random numbers, drawn from the caller's generator on the device of the
images. The changes themselves are in ``transforms``. Shapes: N = images, H = height, W = width,
C = channels.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from lightning_nas.data.images import Normalise
from lightning_nas.data.transforms import (
    blank_outside,
    change_colours,
    crop,
    cut_out,
    draw_boxes,
    draw_factors,
    mark_span,
    mirror,
    mirror_boxes,
    resize_boxes,
)
from lightning_nas.errors import InputError


class Augmentation:
    """Random crop, flip, colours and cutout, with the normalisation before the cutout.

    Images that are larger than ``normalise.width`` are cropped to it at a random place.

    Args:
        pad: Pixels added on each side before a random crop to the old size; 0 = no padding. Unused
            if ``area`` is given.
        flip: Whether half of the images are mirrored, left to right.
        cutout: Side in pixels of a square that is set to zero after normalisation; 0 = no cutout.
        area: Smallest and largest area of a random box, in shares of the image's area, such as
            [0.08, 1]. The box is resized to the network's side. None = no boxes.
        colour: Brightness, contrast and saturation are each multiplied by a random number from
            ``1 - colour`` to ``1 + colour``; 0 to 1, 0 = no change.
        fill: "black" or "mean": value of the added pixels. The mean colour is zero after
            normalisation. The default continues runs whose configuration lacks this setting.

    Raises:
        InputError: If a setting is out of its range.
    """

    def __init__(
        self,
        pad: int = 0,
        flip: bool = False,
        cutout: int = 0,
        area: Sequence[float] | None = None,
        colour: float = 0.0,
        fill: str = "black",
    ) -> None:
        for name, pixels in {"pad": pad, "cutout": cutout}.items():
            if pixels < 0:
                raise InputError(f"data.augmentation.{name} must be 0 or more, got {pixels}")
        if not 0 <= colour <= 1:
            raise InputError(f"data.augmentation.colour must be from 0 to 1, got {colour}")
        if fill not in ("black", "mean"):
            raise InputError(f"data.augmentation.fill must be black or mean, got {fill}")
        self.pad = pad
        self.fill = fill
        self.flip = flip
        self.cutout = cutout
        self.area = None if area is None else _check_area(area)
        self.colour = colour

    def __call__(
        self, images_NHWC: Tensor, generator: torch.Generator, normalise: Normalise
    ) -> Tensor:
        """Return float32 ``(N, C, H, W)`` in channels-last memory for uint8 ``(N, H, W, C)``."""
        images_NHWC, inside = self._crop_and_flip(images_NHWC, generator, normalise.width)
        if self.colour:
            factors_N3 = draw_factors(len(images_NHWC), self.colour, generator)
            images_NHWC = change_colours(images_NHWC, factors_N3)
        images_NCHW = normalise(images_NHWC)
        if inside is not None:
            images_NCHW = blank_outside(images_NCHW, *inside)
        if self.cutout:
            number, _, height, width = images_NCHW.shape
            row_N, column_N = (_draw_integers(number, end, generator) for end in (height, width))
            images_NCHW = cut_out(images_NCHW, self.cutout, row_N, column_N)
        return images_NCHW

    def _crop_and_flip(
        self, images_NHWC: Tensor, generator: torch.Generator, side: int
    ) -> tuple[Tensor, tuple[Tensor, Tensor] | None]:
        """Return the images, and their rows and columns to keep if padding is to become zero."""
        number, excess = len(images_NHWC), images_NHWC.shape[2] - side
        if self.area is not None:
            corners_N2, sides_N2 = draw_boxes(number, self.area, generator)
            if self.flip:
                is_flipped_N = _draw_integers(number, 2, generator).bool()
                corners_N2, sides_N2 = mirror_boxes(corners_N2, sides_N2, is_flipped_N)
            return resize_boxes(images_NHWC, corners_N2, sides_N2, side), None
        inside = None
        if self.pad or excess:
            offsets = 2 * self.pad + excess + 1
            top_N, left_N = (_draw_integers(number, offsets, generator) for _ in range(2))
            height, width = images_NHWC.shape[1:3]
            images_NHWC = crop(images_NHWC, self.pad, top_N, left_N, excess)
            if self.pad and self.fill == "mean":
                rows_NH = mark_span(self.pad - top_N, height, side)
                inside = rows_NH, mark_span(self.pad - left_N, width, side)
        if self.flip:
            is_flipped_N = _draw_integers(number, 2, generator).bool()
            images_NHWC = mirror(images_NHWC, is_flipped_N)
            if inside is not None:
                rows_NH, columns_NW = inside
                is_flipped_N1 = is_flipped_N[:, None]
                inside = rows_NH, torch.where(is_flipped_N1, columns_NW.flip(1), columns_NW)
        return images_NHWC, inside


def _draw_integers(number: int, end: int, generator: torch.Generator) -> Tensor:
    """Return ``number`` random integers from 0 to ``end - 1``."""
    return torch.randint(end, (number,), generator=generator, device=generator.device)


def _check_area(area: Sequence[float]) -> tuple[float, float]:
    given = area if isinstance(area, Sequence) else ()
    shares = [share for share in given if isinstance(share, int | float)]
    if not len(shares) == len(given) == 2 or not 0 < shares[0] <= shares[1] <= 1:
        raise InputError(
            "data.augmentation.area must be two shares, the smallest and the largest, above 0 and "
            f"up to 1, got {area}"
        )
    return shares[0], shares[1]
