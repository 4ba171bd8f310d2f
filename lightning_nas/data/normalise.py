"""From uint8 pixels to normalised floats.

Shapes: N = images, H = height, W = width, C = channels.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from lightning_nas.data.images import ImageFiles


class Normalise:
    """Maps uint8 images to ``(pixel / 255 - mean) / std``, channels first, in channels-last memory.

    Of images that are larger than the network's, the centre is taken.

    Args:
        mean: One number a channel, for pixels in [0, 1].
        std: One number a channel, positive.
        width: Width of the network's images in pixels.
        device: Where the images lie.
    """

    def __init__(
        self, mean: Sequence[float], std: Sequence[float], width: int, device: torch.device
    ) -> None:
        self.width = width
        mean_C = torch.tensor(list(mean), dtype=torch.float64)
        std_C = torch.tensor(list(std), dtype=torch.float64)
        # Held for a whole row of pixels: arithmetic on an innermost axis of 3 does not vectorise.
        self.scale = (1 / (255 * std_C)).float().repeat(width).to(device)
        self.shift = (-mean_C / std_C).float().repeat(width).to(device)

    def __call__(self, images_NHWC: Tensor) -> Tensor:
        """Return float32 ``(N, C, H, W)`` for ``(N, H, W, C)``, uint8 or float from 0 to 255."""
        if excess := images_NHWC.shape[2] - self.width:
            start = excess // 2
            centre = slice(start, start + self.width)
            images_NHWC = images_NHWC[:, centre, centre]
        rows = images_NHWC.flatten(2).float()
        return torch.addcmul(self.shift, rows, self.scale).view_as(images_NHWC).permute(0, 3, 1, 2)


def channel_statistics(
    images: Tensor | ImageFiles, indices: Tensor
) -> tuple[list[float], list[float]]:
    """Return the exact mean and standard deviation of each channel, for pixels in [0, 1].

    Pixels are counted by value, a few images at a time: no copy of all as floats, no rounding.
    The deviation of a constant channel is given as one grey level, so that one can divide by it.
    """
    channels = images.shape[3]
    counts = torch.zeros(channels, 256, dtype=torch.int64)
    for part in indices.split(256):
        pixels = images[part].flatten(0, 2)
        for channel, count in enumerate(counts):
            count += torch.bincount(pixels[:, channel], minlength=256)
    share = counts / counts.sum(1, keepdim=True).double()
    level = torch.arange(256, dtype=torch.float64) / 255
    mean = share @ level
    variance = (share * (level - mean[:, None]) ** 2).sum(1)
    return mean.tolist(), variance.sqrt().clamp_min(1 / 255).tolist()
