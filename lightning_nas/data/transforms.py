"""Random changes of a whole batch of images, given the random numbers or a generator.

Crops, flips, cutout, colours and resized boxes. Nothing here waits for the device. Boxes are in
shares of the side of an image, so that the centre of pixel i lies at ``(i + 0.5) / side``.
Shapes: N = images, H = height, W = width, C = channels, T = tries, S = side.
"""

import math
from functools import cache

import torch
from torch import Tensor
from torch.nn import functional

LUMA = (0.299, 0.587, 0.114)  # weights of red, green and blue in grey, as in PIL
TRIES = 10  # as in torchvision's RandomResizedCrop
RATIO = 4 / 3  # largest ratio of a box's longer side to its shorter side


def crop(images_NHWC: Tensor, pad: int, top_N: Tensor, left_N: Tensor, excess: int = 0) -> Tensor:
    """Pad the images with black, then crop each image at its own offset.

    Args:
        images_NHWC: Images.
        pad: Black pixels on each side.
        top_N: Vertical offset of each crop in pixels, 0 to ``2 * pad + excess``.
        left_N: Horizontal offset of each crop in pixels, likewise.
        excess: Pixels by which height and width become smaller.
    """
    number, height, width, _ = images_NHWC.shape
    padded = functional.pad(images_NHWC, (0, 0, pad, pad, pad, pad))
    # A view of all crops, (N, offset, offset, H, W, C); one crop of each image is copied below.
    crops = padded.unfold(1, height - excess, 1).unfold(2, width - excess, 1)
    crops = crops.permute(0, 1, 2, 4, 5, 3)
    return crops[torch.arange(number, device=images_NHWC.device), top_N, left_N]


def mirror(images_NHWC: Tensor, is_flipped_N: Tensor) -> Tensor:
    """Mirror the images where ``is_flipped_N`` is true, left to right."""
    return torch.where(is_flipped_N[:, None, None, None], images_NHWC.flip(2), images_NHWC)


def cut_out(images_NCHW: Tensor, side: int, row_N: Tensor, column_N: Tensor) -> Tensor:
    """Set a square of each image to zero, in place.

    The centre is any pixel of the image; the part of the square outside the image is lost.
    Source: DeVries and Taylor, 2017, https://arxiv.org/abs/1708.04552, Section 3.

    Args:
        images_NCHW: Normalised images in channels-last memory.
        side: Side of the square in pixels.
        row_N: Row of the centre in each image.
        column_N: Column of the centre in each image.
    """
    _, channels, height, width = images_NCHW.shape
    rows_NH = mark_span(row_N - side // 2, side, height)
    columns_NW = mark_span(column_N - side // 2, side, width).repeat_interleave(channels, dim=1)
    pixels = images_NCHW.permute(0, 2, 3, 1).flatten(2)  # a view with long rows, as in Normalise
    pixels.masked_fill_(rows_NH[:, :, None] & columns_NW[:, None, :], 0)
    return images_NCHW


def blank_outside(images_NCHW: Tensor, rows_NH: Tensor, columns_NW: Tensor) -> Tensor:
    """Set each image to zero outside the given rows and columns, in place.

    Args:
        images_NCHW: Normalised images in channels-last memory.
        rows_NH: Booleans: rows to keep.
        columns_NW: Booleans: columns to keep.
    """
    columns_NW = columns_NW.repeat_interleave(images_NCHW.shape[1], dim=1)
    pixels = images_NCHW.permute(0, 2, 3, 1).flatten(2)  # a view with long rows, as in Normalise
    pixels.masked_fill_(~(rows_NH[:, :, None] & columns_NW[:, None, :]), 0)
    return images_NCHW


def mark_span(start_N: Tensor, length: int, size: int) -> Tensor:
    """Return booleans ``(N, size)``, true at the ``length`` positions from each start on."""
    start_N1 = start_N[:, None]
    position = torch.arange(size, device=start_N.device)
    return (position >= start_N1) & (position < start_N1 + length)


def draw_factors(number: int, colour: float, generator: torch.Generator) -> Tensor:
    """Return factors ``(number, 3)``, uniform from ``1 - colour`` to ``1 + colour``."""
    draws_N3 = torch.rand(number, 3, generator=generator, device=generator.device)
    return 1 + colour * (2 * draws_N3 - 1)


def change_colours(images_NHWC: Tensor, factors_N3: Tensor) -> Tensor:
    """Multiply brightness, contrast and saturation of each image, in this order, then clip.

    Contrast is the distance of a pixel from the mean grey of the image, saturation its distance
    from its own grey; so saturation changes nothing in a grey image. The three steps together are
    one affine map of the channels of a pixel, which takes one pass over an image.
    Source: Howard, 2013, https://arxiv.org/abs/1312.5402 (there in random order).

    Args:
        images_NHWC: Pixels from 0 to 255, uint8 or float; C is 1 or 3.
        factors_N3: Factors of brightness, contrast and saturation; 1 = no change.

    Returns:
        float32 ``(N, H, W, C)`` from 0 to 255.
    """
    number, _, width, channels = images_NHWC.shape
    pixels = images_NHWC.float().contiguous()
    luma_C = _luma_weights(channels, pixels.device)
    # Mean over rows first: torch does not vectorise a mean over pixels of 3 channels.
    mean_NC = pixels.flatten(2).mean(1).view(number, width, channels).mean(1)
    brightness_N, contrast_N, saturation_N = factors_N3.unbind(1)
    scale_N = brightness_N * contrast_N
    shift_N = brightness_N * (1 - contrast_N) * (mean_NC @ luma_C)
    own_NCC = _expand(scale_N * saturation_N) * torch.eye(channels, device=pixels.device)
    grey_NCC = _expand(scale_N * (1 - saturation_N)) * luma_C[:, None]
    shift_N1C = _expand(shift_N).expand(-1, 1, channels)
    changed = torch.baddbmm(shift_N1C, pixels.flatten(1, 2), own_NCC + grey_NCC)
    return changed.clamp_(0, 255).view_as(pixels)


@cache  # every copy to a GPU would wait for the device
def _luma_weights(channels: int, device: torch.device) -> Tensor:
    return torch.tensor(LUMA if channels == 3 else [1.0], device=device)


def _expand(value_N: Tensor) -> Tensor:
    return value_N[:, None, None]


def draw_boxes(
    number: int, area: tuple[float, float], generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Draw a box for each image: its area (uniform), aspect ratio (log-uniform), then its place.

    A box that is longer than the side of the image is drawn again, up to ten times in all; then the
    box is the whole image. This is torchvision's rule. All tries are drawn at once: a loop would
    wait for the device. Source: Szegedy et al., 2015, https://arxiv.org/abs/1409.4842, Section 6.

    Args:
        number: Number of images, N.
        area: Smallest and largest share of the image's area, in (0, 1].
        generator: Generator on the device of the boxes.

    Returns:
        Upper left corners ``(N, 2)`` and sides ``(N, 2)``, x before y, in shares of the side.
    """

    def draw(*shape: int) -> Tensor:
        return torch.rand(shape, generator=generator, device=generator.device)

    smallest, largest = area
    area_NT = smallest + (largest - smallest) * draw(number, TRIES)
    ratio_NT = torch.exp(math.log(RATIO) * (2 * draw(number, TRIES) - 1))
    sides_NT2 = torch.stack([area_NT * ratio_NT, area_NT / ratio_NT], dim=2).sqrt()
    fits_NT = sides_NT2.amax(2) <= 1
    first_N = fits_NT.int().argmax(1)  # argmax returns the first maximum
    sides_N2 = sides_NT2[torch.arange(number, device=generator.device), first_N]
    sides_N2 = torch.where(fits_NT.any(1, keepdim=True), sides_N2, 1)
    return draw(number, 2) * (1 - sides_N2), sides_N2


def mirror_boxes(
    corners_N2: Tensor, sides_N2: Tensor, is_flipped_N: Tensor
) -> tuple[Tensor, Tensor]:
    """Let the boxes start at the right with negative widths where ``is_flipped_N`` is true.

    Resizing then mirrors the images, left to right, without another pass over the pixels.
    """
    is_flipped_N2 = torch.stack([is_flipped_N, torch.zeros_like(is_flipped_N)], dim=1)
    return (
        torch.where(is_flipped_N2, corners_N2 + sides_N2, corners_N2),
        torch.where(is_flipped_N2, -sides_N2, sides_N2),
    )


def resize_boxes(images_NHWC: Tensor, corners_N2: Tensor, sides_N2: Tensor, side: int) -> Tensor:
    """Return the boxes resized bilinearly, float32 ``(N, side, side, C)``.

    There is no filter against aliasing: it would double the time, and a box shrinks at most by the
    ratio of the decoded side to ``side``. From 256 to 224 pixels, photographs differ from those of
    PIL, which filters, by less than one grey level in the mean.

    Args:
        images_NHWC: Square images, uint8 or float.
        corners_N2: Corners where the boxes start, x before y, in shares of the side.
        sides_N2: Widths and heights in shares of the side; a negative width mirrors.
        side: Side of the result in pixels.
    """
    number = len(images_NHWC)
    centres = (torch.arange(side, device=images_NHWC.device) + 0.5) / side
    places_N2S = 2 * (corners_N2[:, :, None] + sides_N2[:, :, None] * centres) - 1
    x_NSS = places_N2S[:, 0, None, :].expand(number, side, side)
    y_NSS = places_N2S[:, 1, :, None].expand(number, side, side)
    resized_NCHW = functional.grid_sample(
        images_NHWC.permute(0, 3, 1, 2).float(),
        torch.stack([x_NSS, y_NSS], dim=3),
        padding_mode="border",  # pixels within half a pixel of the edge would mix with black
        align_corners=False,
    )
    return resized_NCHW.permute(0, 2, 3, 1).contiguous()
