"""Random brightness, contrast and saturation of a whole batch.

Shapes: N = images, H = height, W = width, C = channels.
"""

from functools import cache

import torch
from torch import Tensor

LUMA = (0.299, 0.587, 0.114)  # of red, green and blue in grey, as in PIL


def draw_factors(number: int, colour: float, generator: torch.Generator) -> Tensor:
    """Return ``(number, 3)`` factors, uniform from ``1 - colour`` to ``1 + colour``."""
    draws_N3 = torch.rand(number, 3, generator=generator, device=generator.device)
    return 1 + colour * (2 * draws_N3 - 1)


def change_colours(images_NHWC: Tensor, factors_N3: Tensor) -> Tensor:
    """Multiply brightness, contrast and saturation of each image, in this order, then clip.

    Contrast is the distance from the image's mean grey, saturation that from each pixel's own grey.
    In a row they are one affine map of a pixel's channels, so each image is passed over once. A
    grey image is its own grey: the factor of its saturation changes nothing.
    Source: Howard, 2013, https://arxiv.org/abs/1312.5402 (there in random order).

    Args:
        images_NHWC: Pixels from 0 to 255, uint8 or float; C is 1 or 3.
        factors_N3: The factors of brightness, contrast and saturation; 1 = as it is.

    Returns:
        float32 ``(N, H, W, C)`` from 0 to 255.
    """
    number, _, width, channels = images_NHWC.shape
    pixels = images_NHWC.float().contiguous()
    luma_C = _luma(channels, pixels.device)
    # Rows first: a mean over pixels of 3 channels each would not vectorise.
    mean_NC = pixels.flatten(2).mean(1).view(number, width, channels).mean(1)
    brightness_N, contrast_N, saturation_N = factors_N3.unbind(1)
    scale_N = brightness_N * contrast_N
    shift_N = brightness_N * (1 - contrast_N) * (mean_NC @ luma_C)
    own_NCC = _each(scale_N * saturation_N) * torch.eye(channels, device=pixels.device)
    grey_NCC = _each(scale_N * (1 - saturation_N)) * luma_C[:, None]
    shift_N1C = _each(shift_N).expand(-1, 1, channels)
    changed = torch.baddbmm(shift_N1C, pixels.flatten(1, 2), own_NCC + grey_NCC)
    return changed.clamp_(0, 255).view_as(pixels)


@cache  # the copy to a GPU is waited for: once will do
def _luma(channels: int, device: torch.device) -> Tensor:
    return torch.tensor(LUMA if channels == 3 else [1.0], device=device)


def _each(value_N: Tensor) -> Tensor:
    """Return the numbers as ``(N, 1, 1)``, to be broadcast over an image."""
    return value_N[:, None, None]
