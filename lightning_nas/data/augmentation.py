"""Random crops, flips, colours and cutout of a whole batch, on the device where the images lie.

Every image has its own draw. Nothing here is read back from the device, and every draw comes from
the generator that the caller gives. Shapes: N = images, H = height, W = width, C = channels.
"""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from lightning_nas.data.colour import change_colours, draw_factors
from lightning_nas.data.normalise import Normalise
from lightning_nas.data.resized_crop import draw_boxes, mirror_boxes, resize_boxes
from lightning_nas.errors import InputError


class Augmentation:
    """The usual training augmentation, with normalisation in its midst.

    Images that are larger than ``normalise.width`` are cropped to it at random.

    Args:
        pad: Black pixels added on each side, before a random crop to the old size; 0 = none. It
            goes unused where ``area`` is given.
        flip: Whether half of the images are mirrored, left to right.
        cutout: Side in pixels of a square that is set to zero after normalisation; 0 = none.
        area: The least and the greatest share of an image's area, such as [0.08, 1], of which a
            random box is resized to the network's side; None = none is.
        colour: Brightness, contrast and saturation are each multiplied by a number from
            ``1 - colour`` to ``1 + colour``; from 0, which is off, to 1.

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
    ) -> None:
        for name, pixels in {"pad": pad, "cutout": cutout}.items():
            if pixels < 0:
                raise InputError(f"data.augmentation.{name} must be 0 or more, got {pixels}")
        if not 0 <= colour <= 1:
            raise InputError(f"data.augmentation.colour must be from 0 to 1, got {colour}")
        self.pad = pad
        self.flip = flip
        self.cutout = cutout
        self.area = None if area is None else _shares(area)
        self.colour = colour

    def __call__(
        self, images_NHWC: Tensor, generator: torch.Generator, normalise: Normalise
    ) -> Tensor:
        """Return float32 ``(N, C, H, W)`` in channels-last memory for uint8 ``(N, H, W, C)``."""
        images_NHWC = self._move(images_NHWC, generator, normalise.width)
        if self.colour:
            factors_N3 = draw_factors(len(images_NHWC), self.colour, generator)
            images_NHWC = change_colours(images_NHWC, factors_N3)
        images_NCHW = normalise(images_NHWC)
        if self.cutout:
            number, _, height, width = images_NCHW.shape
            row_N, column_N = (_draw(number, end, generator) for end in (height, width))
            images_NCHW = cut_out(images_NCHW, self.cutout, row_N, column_N)
        return images_NCHW

    def _move(self, images_NHWC: Tensor, generator: torch.Generator, side: int) -> Tensor:
        """Crop to ``side``, from what is drawn, and mirror."""
        number, excess = len(images_NHWC), images_NHWC.shape[2] - side
        if self.area is not None:
            corners_N2, sides_N2 = draw_boxes(number, self.area, generator)
            if self.flip:
                chosen_N = _draw(number, 2, generator).bool()
                corners_N2, sides_N2 = mirror_boxes(corners_N2, sides_N2, chosen_N)
            return resize_boxes(images_NHWC, corners_N2, sides_N2, side)
        if self.pad or excess:
            offsets = 2 * self.pad + excess + 1
            top_N, left_N = (_draw(number, offsets, generator) for _ in range(2))
            images_NHWC = crop(images_NHWC, self.pad, top_N, left_N, excess)
        if self.flip:
            images_NHWC = mirror(images_NHWC, _draw(number, 2, generator).bool())
        return images_NHWC


def _draw(number: int, end: int, generator: torch.Generator) -> Tensor:
    """Return ``number`` integers from 0 to ``end - 1``."""
    return torch.randint(end, (number,), generator=generator, device=generator.device)


def crop(images_NHWC: Tensor, pad: int, top_N: Tensor, left_N: Tensor, excess: int = 0) -> Tensor:
    """Pad with black, then cut each image at its own offset, from 0 to ``2 * pad + excess``.

    Height and width become smaller by ``excess`` pixels.
    """
    number, height, width, _ = images_NHWC.shape
    padded = functional.pad(images_NHWC, (0, 0, pad, pad, pad, pad))
    # A view of all crops of all images, (N, offset, offset, H, W, C): one is copied for each image.
    crops = padded.unfold(1, height - excess, 1).unfold(2, width - excess, 1)
    crops = crops.permute(0, 1, 2, 4, 5, 3)
    return crops[torch.arange(number, device=images_NHWC.device), top_N, left_N]


def mirror(images_NHWC: Tensor, chosen_N: Tensor) -> Tensor:
    """Mirror the chosen images, left to right."""
    return torch.where(chosen_N[:, None, None, None], images_NHWC.flip(2), images_NHWC)


def cut_out(images_NCHW: Tensor, side: int, row_N: Tensor, column_N: Tensor) -> Tensor:
    """Set a square of each image to zero, in place; beyond the border it is clipped.

    The centre lies anywhere in the image, so that a square often loses a part of its area.
    Source: DeVries and Taylor, 2017, https://arxiv.org/abs/1708.04552, Section 3.

    Args:
        images_NCHW: Normalised images in channels-last memory.
        side: Side of the square.
        row_N: Row of each centre.
        column_N: Column of each centre.
    """
    _, channels, height, width = images_NCHW.shape
    rows_NH = _span(row_N, side, height)
    columns_NW = _span(column_N, side, width).repeat_interleave(channels, dim=1)
    pixels = images_NCHW.permute(0, 2, 3, 1).flatten(2)  # a view: long rows, as in Normalise
    pixels.masked_fill_(rows_NH[:, :, None] & columns_NW[:, None, :], 0)
    return images_NCHW


def _shares(area: Sequence[float]) -> tuple[float, float]:
    given = area if isinstance(area, Sequence) else ()
    shares = [share for share in given if isinstance(share, int | float)]
    if not len(shares) == len(given) == 2 or not 0 < shares[0] <= shares[1] <= 1:
        raise InputError(
            "data.augmentation.area must be two shares, the least and the greatest, above 0 and "
            f"up to 1, got {area}"
        )
    return shares[0], shares[1]


def _span(centre_N: Tensor, side: int, size: int) -> Tensor:
    """Return, as ``(N, size)`` booleans, which positions lie in ``side`` ones about the centre."""
    start = centre_N[:, None] - side // 2
    position = torch.arange(size, device=centre_N.device)
    return (position >= start) & (position < start + side)
