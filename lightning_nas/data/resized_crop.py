"""Random resized crops of a whole batch: a box of each image, resized to the network's side.

Boxes are in shares of the image's side, so that a pixel's centre lies at ``(i + 0.5) / side``.
Shapes: N = images, H = height, W = width, C = channels, T = tries.
"""

import math

import torch
from torch import Tensor
from torch.nn import functional

TRIES = 10  # as torchvision's RandomResizedCrop has them
RATIO = 4 / 3  # the most that a box's width may be of its height, or its height of its width


def draw_boxes(
    number: int, area: tuple[float, float], generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Draw a box for each image: its area, its aspect ratio (log-uniformly), then its place.

    A box that sticks out of the square is drawn anew, ten times at the most, which is torchvision's
    rule; then the whole image is taken. All tries are drawn at once, lest the device be waited for.
    Source: Szegedy et al., 2015, https://arxiv.org/abs/1409.4842, Section 6.

    Args:
        number: N.
        area: The least and the greatest share of the image's area, in (0, 1].
        generator: Its device is the boxes', too.

    Returns:
        The upper left corners ``(N, 2)`` and the sides ``(N, 2)``, x before y, in [0, 1].
    """

    def draw(*shape: int) -> Tensor:
        return torch.rand(shape, generator=generator, device=generator.device)

    least, most = area
    area_NT = least + (most - least) * draw(number, TRIES)
    ratio_NT = torch.exp(math.log(RATIO) * (2 * draw(number, TRIES) - 1))
    sides_NT2 = torch.stack([area_NT * ratio_NT, area_NT / ratio_NT], dim=2).sqrt()
    fits_NT = sides_NT2.amax(2) <= 1
    first_N = fits_NT.int().argmax(1)  # the first of the greatest
    sides_N2 = sides_NT2[torch.arange(number, device=generator.device), first_N]
    sides_N2 = torch.where(fits_NT.any(1, keepdim=True), sides_N2, 1)
    return draw(number, 2) * (1 - sides_N2), sides_N2


def mirror_boxes(corners_N2: Tensor, sides_N2: Tensor, chosen_N: Tensor) -> tuple[Tensor, Tensor]:
    """Turn the chosen boxes round: they begin at the right and their widths are negative.

    The resized images are mirrored, left to right, without another pass over their pixels.
    """
    chosen_N2 = torch.stack([chosen_N, torch.zeros_like(chosen_N)], dim=1)
    return (
        torch.where(chosen_N2, corners_N2 + sides_N2, corners_N2),
        torch.where(chosen_N2, -sides_N2, sides_N2),
    )


def resize_boxes(images_NHWC: Tensor, corners_N2: Tensor, sides_N2: Tensor, side: int) -> Tensor:
    """Return the boxes as ``(N, side, side, C)``, float32, with bilinear interpolation.

    There is no filter against aliasing: it would double the time, and a box is never shrunk by more
    than the decoded side is larger than ``side``. From 256 to 224 pixels, photographs differ by
    less than a grey level in the mean from PIL's, which filters.

    Args:
        images_NHWC: Squares, uint8 or float.
        corners_N2: Upper left corners, x before y, in shares of the side.
        sides_N2: Widths and heights, likewise; negative if a box runs the other way.
        side: Pixels.
    """
    number = len(images_NHWC)
    centres = (torch.arange(side, device=images_NHWC.device) + 0.5) / side
    places_N2S = 2 * (corners_N2[:, :, None] + sides_N2[:, :, None] * centres) - 1
    x_NSS = places_N2S[:, 0, None, :].expand(number, side, side)
    y_NSS = places_N2S[:, 1, :, None].expand(number, side, side)
    resized_NCHW = functional.grid_sample(
        images_NHWC.permute(0, 3, 1, 2).float(),
        torch.stack([x_NSS, y_NSS], dim=3),
        padding_mode="border",  # half a pixel beyond the outermost centres lies the image's edge
        align_corners=False,
    )
    return resized_NCHW.permute(0, 2, 3, 1).contiguous()
